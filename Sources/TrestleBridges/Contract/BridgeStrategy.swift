import TrestleRecommenders
import TrestleTensor

/// The base of bridges: a schedule, and defaults for everything else. Made to be subclassed.
///
/// ```swift
/// final class PullTogether: BridgeStrategy {
///   override func additionalLoss(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws -> Tensor? {
///     …  // a distance between what the side in training and the other one make of the batch's items
///   }
/// }
/// ```
open class BridgeStrategy: SharingBridge {
  /// The name for messages, tables and manifests.
  public let name: String
  /// The phases, in order.
  open var phases: [BridgePhase]

  /// A strategy with the given schedule.
  public init(name: String, phases: [BridgePhase]) {
    self.name = name
    self.phases = phases
  }

  /// Training and scores of both sides.
  open var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores], .language: [.training, .scores]]
  }

  /// Nothing to prepare.
  open func prepare(_ context: BridgeContext) throws {}
  /// No exchange at the entry.
  open func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {}
  /// 1: the bridge adds to the side's own loss.
  open func ownLossWeight(in phase: BridgePhase) -> Double { 1 }
  /// No additional loss.
  open func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? { nil }
  /// No exchange at a step.
  open func didStep(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws {}
  /// No exchange at the exit.
  open func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {}
  /// The side's own figure.
  open func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? { nil }
  /// No parameters of its own.
  open func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] { [] }
  /// No figures.
  open var notes: [String: Double] { [:] }
  /// No state.
  open func saveState() -> BridgeState { BridgeState() }
  /// No state.
  open func loadState(_ state: BridgeState, _ context: BridgeContext) throws {}

  /// Each side that offers scores, alone.
  open func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    BridgeRecommenders(
      domain: try (context.domain as? any ScoreProvider)?.makeScorer(),
      language: try (context.language as? any ScoreProvider)?.makeScorer())
  }
}
