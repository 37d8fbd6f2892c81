import TrestleNN
import TrestleTensor

/// E4SRec: a history is a sequence of the recommender's item vectors, each through one linear layer, and the catalogue is ranked in
/// one pass by a linear layer over the language model's last state.
///
/// The recommender trains alone and then rests; the linear layer, the adapters and the item head train together.
///
/// Source: Li et al., *E4SRec: An Elegant Effective Efficient Extensible Solution of Large Language Models for Sequential
/// Recommendation* (2023). Differences: no first tuning on instructions without items; the vectors are of any recommender that
/// has item rows; a user's token, where the side has one, keeps its own row.
public final class E4SRec: BridgeStrategy {
  private let seed: UInt64
  private var rows = FrozenRows()
  private var projector: Linear?

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - domainEpochs: the most epochs of the recommender alone, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - languageEpochs: the epochs of the language model.
  ///   - seed: determines the linear layer's initial weights.
  public init(domainEpochs: Int = 300, patience: Int = 10, languageEpochs: Int = 3, seed: UInt64 = 0) {
    self.seed = seed
    super.init(
      name: "E4SRec",
      phases: [
        BridgePhase(name: "domain", side: .domain, kind: .warmUp, epochs: domainEpochs, patience: patience),
        BridgePhase(name: "language", side: .language, epochs: languageEpochs),
      ])
  }

  /// Representations of the recommender, slots and scores of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .scores, .inputInjection],
    ]
  }

  /// Takes the trained recommender's item rows, and puts them where the history speaks of items.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    rows[.item] = try context.domain.representations(ofAll: .item, from: .row).unitNormalized()
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    guard let items = rows[.item] else { return }
    let side = try context.language.input
    var generator = RandomGenerator(seed: seed)
    let made = Linear(inputs: items.shape[1], outputs: side.inputWidth, using: &generator)
    projector = made
    side.injectedRows = { kind, ids in kind == .item ? made(items.gatheredRows(ids)) : nil }
  }

  /// The linear layer, with the language side.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language, let projector else { return [] }
    return [BridgeParameterGroup(name: "projector", module: projector, learningRate: 1e-3)]
  }

  /// The rows; the linear layer is saved with the side's parameters.
  public override func saveState() -> BridgeState { rows.state(prefix: "rows") }

  /// Takes over saved rows.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    rows = try context.savedDomainRows(state)
    try connect(context)
  }
}
