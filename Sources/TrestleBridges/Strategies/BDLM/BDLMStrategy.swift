import TrestleRecommenders
import TrestleTensor

/// BDLM: both sides read and write one store of representations in turn, and each is drawn to what the other wrote.
///
/// 1. Warm-up: the recommender trains alone; its representations are written to the store.
/// 2. Token initialisation: the language model's entity rows become an orthonormal image of the store, with the mean and
///    the spread of the pretrained rows; then fine-tuning on recommendation sequences, with the loss of the rounds.
/// 3. Mutual rounds: the language model trains on its own loss plus α · distance(its representations, store) and writes
///    what it has learned; the recommender trains on its own loss plus β · distance(its representations, store) and writes.
///
/// Beside the store, each side's scores may be drawn to the other's (deep mutual learning), user by user as validation data says who
/// ranks them better (``DivergenceGate``).
///
/// Source: Zhang et al., *Bridging the Information Gap Between Domain-Specific Model and General LLM for Personalized
/// Recommendation* (2023). Its losses, weights and schedule are not public in detail: the exponential average of the
/// store, the orthonormal map of token initialisation, the cross-fitted maps of contextual representations, the
/// distances on offer and the phases' lengths are ours.
public final class BDLMStrategy: BridgeStrategy {
  /// How the two sides exchange.
  public let configuration: Configuration
  /// The store.
  public internal(set) var sharing: InformationSharingModule?
  /// What was written to the store, in order.
  public internal(set) var writings: [Writing] = []
  /// The store's item rows after the first writing, `[items, width]`.
  public internal(set) var firstItems: Tensor?
  /// What the language model wrote last, and how sure it was, by kind: the prior of the recommender's rows.
  var priors: [EntityKind: RowPrior] = [:]
  /// B_L, by which the entity tokens were initialised, and its inverse.
  var tokenMap: OrthonormalMap?
  /// Maps of the representations in the losses into the shared space, by kind.
  var maps: [EntityKind: LanguageMap] = [:]

  /// How far each user is drawn to the other side's scores in the present phase, `[users]`; `nil` for 1.
  public package(set) var gate: Tensor?

  /// B_L and its inverse for rows, or a fitted map for contextual representations.
  enum LanguageMap {
    case orthonormal(OrthonormalMap)
    case ridge(RidgeMap)

    func callAsFunction(_ rows: Tensor) -> Tensor {
      switch self {
      case .orthonormal(let map): map.down(rows)
      case .ridge(let map): map(rows)
      }
    }
  }

  /// A BDLM bridge.
  public init(_ configuration: Configuration = Configuration(), schedule: Schedule = Schedule()) {
    self.configuration = configuration
    super.init(name: "BDLM", phases: Self.phases(schedule))
  }

  /// Tables and representations of both sides, and training and scores.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .scores, .entityTables, .contextualRepresentations],
    ]
  }

  // MARK: Exchange

  /// An empty store.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the language side has not the representations that
  ///   its losses are on.
  public override func prepare(_ context: BridgeContext) throws {
    for kind in EntityKind.allCases where configuration.languageWeight > 0 {
      guard let source = source(kind) else { continue }
      try context.language.contextual.requireSource(
        source, of: kind, for: "\(name), \(kind.rawValue)s from \(source.rawValue)")
    }
    sharing = InformationSharingModule(context.domain.vocabulary, configuration: configuration.sharing)
  }

  /// Tokens are initialised before the first language phase; a phase of a round begins with a map that fits the present
  /// representations.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    if phase.side == .language {
      if tokenMap == nil, configuration.initializesTokens { try initializeTokens(context) }
      if phase.kind == .mutual, configuration.languageWeight > 0 { try fitMaps(context) }
    }
    try makeGate(phase, context)
  }

  /// Each side writes what it has learned.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    let writes =
      phase.side == .domain
      ? phase.kind == .warmUp || configuration.domainWrites
      : configuration.languageWrites && phase.kind == .mutual
    guard writes, let sharing else { return }
    let before = EntityKind.allCases.map { sharing[$0] }
    if phase.side == .domain { try writeDomain(context) } else { try writeLanguage(context) }
    note(phase, before, sharing)
    if firstItems == nil { firstItems = sharing.items.rows }
  }

  // MARK: Losses

  /// The distance of the batch's entities from the store, and of its users' scores from the other side's.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    var total: Tensor?
    func add(_ term: Tensor) { total = total.map { $0 + term } ?? term }
    if phase.kind != .warmUp, let sharing {
      let weight = phase.side == .language ? configuration.languageWeight : configuration.domainWeight
      let distance = phase.side == .language ? configuration.languageDistance : configuration.domainDistance
      for kind in EntityKind.allCases where weight > 0 {
        let entities: BatchEntities
        let own: Tensor
        if phase.side == .language {
          // A map fits the representations that it was made for, and no others.
          guard let map = maps[kind], let source = source(kind),
            let found = try step.entities(kind, from: source, atMost: configuration.comparedEntities)
          else { continue }
          (entities, own) = (found, map(found.representations))
        } else {
          guard let found = step[kind] else { continue }
          (entities, own) = (found, found.representations)
        }
        add(
          Self.distance(
            own, sharing.read(kind, entities.ids), distance,
            weights: sharing.relativeConfidence(kind, entities.ids)) * weight)
      }
    }
    if let divergence = try scoreDivergence(step, in: phase, context) { add(divergence) }
    return total
  }

  /// Both sides alone, and fused with weights fitted on the validation data; the recommender's rows lean on what the language model
  /// wrote as far as ``Configuration/fitsPrior`` lets them.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    try .fusing(
      domain: domainScorer(context), language: context.language.scores.makeScorer(),
      split: context.split)
  }

  /// The store's spread.
  public override var notes: [String: Double] {
    guard let sharing else { return [:] }
    return ["item_spread": sharing.items.spread, "user_spread": sharing.users.spread]
  }

  /// The store and the maps.
  public override func saveState() -> BridgeState { savedState() }

  /// Takes over a saved store and maps.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    try takeOver(state, context)
  }
}
