import TrestleRecommenders
import TrestleTensor

/// A stretch of training in which one side learns.
public struct BridgePhase: Codable, Sendable, Hashable {
  /// What a phase is for. What a bridge does in a phase hangs on its kind and its side, never on its name.
  public enum Kind: String, Codable, Sendable {
    /// A side trains for itself, before anything is exchanged.
    case warmUp
    /// A side learns to use what the other one gave it, before it gives anything itself.
    case tuning
    /// A side learns with the other one, in exchange.
    case mutual
  }

  /// The name, unique within a schedule.
  public var name: String
  /// The side that trains.
  public var side: SideRole
  /// What the phase is for.
  public var kind: Kind
  /// The names of its parameter groups that train; `nil` for all.
  public var groups: Set<String>?
  /// The names of the other side's parameter groups that train in the same steps, their learning rates scaled alike; `nil` for
  /// none. What they learn from is ``SideStep/peerRepresent``.
  public var peerGroups: Set<String>?
  /// The most epochs.
  public var epochs: Int
  /// How many validations without improvement end the phase; 0 for never.
  public var patience: Int
  /// Epochs between validations; 0 validates only at the end.
  public var validationInterval: Int
  /// Whether the side ends the phase at its best validated state rather than its last.
  public var keepsBest: Bool
  /// Whether the state at the entry is a candidate for the best one even if the side has never trained: so for a pretrained
  /// model, which can do something already.
  public var countsEntry: Bool
  /// What the groups' learning rates are multiplied by at the phase's beginning.
  public var learningRateScale: Double
  /// What they are multiplied by at its end, after a linear change; `nil` for the same as at the beginning.
  public var finalLearningRateScale: Double?

  /// A phase.
  public init(
    name: String, side: SideRole, kind: Kind = .mutual, groups: Set<String>? = nil,
    peerGroups: Set<String>? = nil, epochs: Int, patience: Int = 0,
    validationInterval: Int = 1, keepsBest: Bool = true, countsEntry: Bool = false,
    learningRateScale: Double = 1,
    finalLearningRateScale: Double? = nil
  ) {
    self.name = name
    self.side = side
    self.kind = kind
    self.groups = groups
    self.peerGroups = peerGroups
    self.epochs = epochs
    self.patience = patience
    self.validationInterval = validationInterval
    self.keepsBest = keepsBest
    self.countsEntry = countsEntry
    self.learningRateScale = learningRateScale
    self.finalLearningRateScale = finalLearningRateScale
  }
}

/// The two sides of a composition and the data that they learn from.
public struct BridgeContext {
  /// The domain side.
  public let domain: any BridgeSide
  /// The language side.
  public let language: any BridgeSide
  /// The data; bridges look at its training part only.
  public let split: DataSplit
  /// Notes a line in the run's log.
  public let log: (String) -> Void
  /// What each user has had in training.
  let histories: TrainingHistories

  /// Puts two sides together.
  ///
  /// - Throws: ``BridgeError/foreignVocabulary(side:expected:found:)`` if they do not speak of the same entities.
  public init(
    domain: any BridgeSide, language: any BridgeSide, split: DataSplit,
    log: @escaping (String) -> Void = { _ in }
  ) throws(BridgeError) {
    guard domain.vocabulary == language.vocabulary else {
      throw .foreignVocabulary(
        side: language.name, expected: "\(domain.vocabulary)", found: "\(language.vocabulary)")
    }
    self.domain = domain
    self.language = language
    self.split = split
    self.log = log
    histories = TrainingHistories(split)
  }

  /// The side with the given role.
  public func side(_ role: SideRole) -> any BridgeSide { role == .domain ? domain : language }

  /// The side with the given role as something it is known to be able to do.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)``.
  public func side<Ability>(
    _ role: SideRole, as ability: Ability.Type, _ capability: Capability, for bridge: any SharingBridge
  ) throws(BridgeError) -> Ability {
    let side = side(role)
    guard let able = side as? Ability else {
      throw .missingCapability(bridge: bridge.name, side: side.name, capability: capability)
    }
    return able
  }
}

/// What a bridge keeps beside the sides: tables, maps, caches, counters.
public struct BridgeState: Sendable {
  /// Tensors by name.
  public var tensors: [String: Tensor] = [:]
  /// Small values by name.
  public var values: [String: String] = [:]

  /// Nothing.
  public init() {}
}

/// A mechanism by which a language model and a recommender learn from each other.
///
/// A bridge says what it needs of each side, in which phases they train, what it exchanges at a phase's entry, step and
/// exit, which losses it adds to a side's batches, and which state it owns. ``BridgeTrainer`` runs it. Most bridges are
/// subclasses of ``BridgeStrategy``, which has a sensible default for everything but the schedule.
public protocol SharingBridge: AnyObject {
  /// The name for messages, tables and manifests.
  var name: String { get }
  /// What the bridge needs of each side.
  var requirements: [SideRole: Set<Capability>] { get }
  /// The phases, in order.
  var phases: [BridgePhase] { get }

  /// Called once before the first phase of a new run (not of a resumed one), to build the state.
  func prepare(_ context: BridgeContext) throws
  /// Called before the first epoch of a phase: exchange at the entry.
  func enter(_ phase: BridgePhase, _ context: BridgeContext) throws
  /// What the side's own loss counts in a phase, beside the bridge's; 0 replaces it by ``additionalLoss(_:in:_:)``.
  func ownLossWeight(in phase: BridgePhase) -> Double
  /// The loss to add to a batch of the side in training; `nil` for none. Called while gradients are taken.
  func additionalLoss(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws -> Tensor?
  /// Called after each update of the side in training: exchange at a step. `step` is not tracked any more,
  /// and has no scores.
  func didStep(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws
  /// Called after the last epoch of a phase, with the side at the state it keeps: exchange at the exit.
  func exit(_ phase: BridgePhase, _ context: BridgeContext) throws
  /// The figure by which states of the phase are compared and the phase ends early (higher is better); `nil` for the side's
  /// own.
  func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double?
  /// The bridge's own parameters that train in a phase.
  func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup]

  /// The state to save.
  func saveState() -> BridgeState
  /// Takes over a saved state.
  ///
  /// - Throws: ``BridgeError`` if the state is not this bridge's.
  func loadState(_ state: BridgeState, _ context: BridgeContext) throws
  /// Figures about the state, for the record of each epoch.
  var notes: [String: Double] { get }
  /// The recommenders that the trained bridge yields.
  func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders
}

/// The recommenders that come out of a bridge: up to three.
public struct BridgeRecommenders {
  /// The domain side alone.
  public var domain: (any CatalogueScorer)?
  /// The language side alone.
  public var language: (any CatalogueScorer)?
  /// Both together.
  public var fused: (any CatalogueScorer)?
  /// The weights of both in ``fused``.
  public var fusion: FusionWeights?

  /// Recommenders.
  public init(
    domain: (any CatalogueScorer)? = nil, language: (any CatalogueScorer)? = nil,
    fused: (any CatalogueScorer)? = nil, fusion: FusionWeights? = nil
  ) {
    self.domain = domain
    self.language = language
    self.fused = fused
    self.fusion = fusion
  }

  /// Both sides and their fusion, with weights fitted on the validation data.
  public static func fusing(
    domain: any CatalogueScorer, language: any CatalogueScorer, split: DataSplit
  ) throws -> BridgeRecommenders {
    let fusion = try FusionWeights(fitting: domain, language, split: split)
    let fused = FusedScorer(
      domain: domain, language: language, weights: fusion.weights(training: split.training))
    return BridgeRecommenders(domain: domain, language: language, fused: fused, fusion: fusion)
  }
}

/// A bridge whose answers about users and items are more than the language side's.
public protocol AnsweringBridge: SharingBridge {
  /// The trained bridge's answers, higher for what it believes more that the user will like.
  func answers(to examples: [PromptExample], _ context: BridgeContext) throws -> [Float]
}

extension SharingBridge {
  /// 1: the bridge adds to the side's own loss.
  public func ownLossWeight(in phase: BridgePhase) -> Double { 1 }

  /// The side's own figure.
  public func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? { nil }

  /// Checks that both sides can do what the bridge needs.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` for the first capability that is lacking.
  public func checkRequirements(_ context: BridgeContext) throws(BridgeError) {
    for role in SideRole.allCases {
      let side = context.side(role)
      for capability in Capability.allCases where requirements[role]?.contains(capability) == true {
        guard capability.isOffered(by: side) else {
          throw .missingCapability(bridge: name, side: side.name, capability: capability)
        }
      }
    }
  }
}
