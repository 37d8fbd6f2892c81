import TrestleNN
import TrestleTensor

/// CoLLM: the recommender's vectors, through a projector, in the slots of a prompt that asks whether a user will like an item.
///
/// 1. The recommender trains alone.
/// 2. The language model's adapters train on prompts of text alone.
/// 3. The projector, an MLP from the recommender's width over ten times that to the language model's, trains on prompts with
///    slots; recommender and adapters rest.
///
/// The loss of 2 and 3 is the binary cross-entropy of the answer.
///
/// Source: Zhang et al., *CoLLM: Integrating Collaborative Embeddings into Large Language Models for Recommendation* (2023).
/// Differences: the answer's logit is that of "Yes" less that of "No"; one prompt, where the publication draws from several;
/// rows are brought to length 1 before the projector, each or in the mean.
public final class CoLLM: BridgeStrategy {
  /// How the recommender's rows are scaled before the projector.
  public enum RowScale: String, Codable, Sendable, CaseIterable {
    /// Each to length 1: what counts is its direction.
    case each
    /// All of a kind by one number, so that their mean length is 1: how long a row is says something too, such as a bias.
    case common
  }

  private let rowScale: RowScale
  private let expansion: Int
  private let learningRate: Double
  private let seed: UInt64
  private var rows = FrozenRows()
  private var projectors: [EntityKind: MLP] = [:]

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - domainEpochs: the most epochs of the recommender alone, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - textEpochs: the adapters' epochs on text alone.
  ///   - slotEpochs: the projector's epochs.
  ///   - expansion: the projector's inner width in multiples of the recommender's.
  ///   - learningRate: the projector's.
  ///   - rowScale: how the recommender's rows are scaled before the projector.
  ///   - seed: determines the projector's initial weights.
  public init(
    domainEpochs: Int = 300, patience: Int = 10, textEpochs: Int = 2, slotEpochs: Int = 2,
    expansion: Int = 10, learningRate: Double = 1e-3, rowScale: RowScale = .each, seed: UInt64 = 0
  ) {
    self.rowScale = rowScale
    self.expansion = expansion
    self.learningRate = learningRate
    self.seed = seed
    super.init(
      name: "CoLLM",
      phases: [
        BridgePhase(name: "domain", side: .domain, kind: .warmUp, epochs: domainEpochs, patience: patience),
        BridgePhase(name: "text", side: .language, kind: .warmUp, epochs: textEpochs),
        BridgePhase(name: "slots", side: .language, groups: [], epochs: slotEpochs, countsEntry: false),
      ])
  }

  /// Representations of the recommender, slots of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .inputInjection],
    ]
  }

  /// The slots are filled when the projector's turn comes.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language, phase.kind == .mutual else { return }
    for kind in EntityKind.allCases {
      rows[kind] = scaled(try context.domain.representations(ofAll: kind, from: .row))
    }
    try connect(context)
  }

  private func scaled(_ rows: Tensor) -> Tensor {
    guard rowScale == .common else { return rows.unitNormalized() }
    let lengths = rows.detached.norm().floats
    let mean = lengths.reduce(0) { $0 + Double($1) } / Double(Swift.max(lengths.count, 1))
    return rows * (1 / Swift.max(mean, 1e-12))
  }

  private func connect(_ context: BridgeContext) throws {
    let language = try context.language.input
    var generator = RandomGenerator(seed: seed)
    projectors = [:]
    for kind in EntityKind.allCases {
      guard let width = rows[kind]?.shape[1] else { continue }
      // Small at first, as the pretrained rows are.
      projectors[kind] = MLP(
        width, hidden: width * expansion, outputs: language.inputWidth, lastScale: 0.5, activation: .relu,
        using: &generator)
    }
    language.injectedRows = projectors.isEmpty ? nil : rows.slots(through: projectors)
  }

  /// The projectors, once the slots are filled.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language, phase.kind == .mutual else { return [] }
    return BridgeParameterGroup.groups("projector", of: projectors, learningRate: learningRate)
  }

  /// The recommender's rows; the projectors are saved with the side's parameters.
  public override func saveState() -> BridgeState { rows.state(prefix: "rows") }

  /// Takes over saved rows.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    rows = try context.savedDomainRows(state)
    try connect(context)
  }
}
