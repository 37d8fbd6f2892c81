import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Slot injection: the recommender's vectors, through a projector, stand in the language model's input for entities.
///
/// The language model first trains on its own, then with the slots filled by MLP(recommender's row), of which at first
/// only the projector trains.
///
/// Source: Zhang et al., *CoLLM: Integrating Collaborative Embeddings into Large Language Models for Recommendation*
/// (2023). Differences: the publication asks a yes/no question about one item, with the target's vector in the prompt
/// and binary cross-entropy on the answer; here the side's own sequence task is kept, and its item head too. The
/// recommender is trained before, and stays frozen.
public final class SlotInjectionStrategy: BridgeStrategy {
  private let seed: UInt64
  private let expansion: Int
  private var sources = FrozenRows()
  private var projectors: [EntityKind: MLP] = [:]

  /// A slot injection.
  ///
  /// - Parameters:
  ///   - domainEpochs: the most epochs of the recommender, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - projectorEpochs: epochs in which, of the language side, only the groups named in `warmGroups` train.
  ///   - jointEpochs: epochs in which all of it trains.
  ///   - warmGroups: the language side's groups that train with the projector at first.
  ///   - expansion: the projector's inner width in multiples of the recommender's.
  ///   - seed: determines the projector's initial weights.
  public init(
    domainEpochs: Int = 300, patience: Int = 10, projectorEpochs: Int = 1, jointEpochs: Int = 3,
    warmGroups: Set<String> = ["head"], expansion: Int = 10, seed: UInt64 = 0
  ) {
    self.seed = seed
    self.expansion = expansion
    super.init(
      name: "slot injection",
      phases: [
        BridgePhase(name: "domain", side: .domain, epochs: domainEpochs, patience: patience),
        BridgePhase(name: "projector", side: .language, groups: warmGroups, epochs: projectorEpochs),
        BridgePhase(name: "joint", side: .language, epochs: jointEpochs),
      ])
  }

  /// Representations of the recommender, input injection of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .scores, .inputInjection],
    ]
  }

  /// Makes the projectors.
  public override func prepare(_ context: BridgeContext) throws {
    let domain = try context.domain.contextual
    let language = try context.language.input
    var generator = RandomGenerator(seed: seed)
    for kind in EntityKind.allCases {
      let width = domain.representationWidth(kind, source: .row)
      let projector = MLP(
        widths: [width, width * expansion, language.inputWidth], using: &generator)
      // Small at first, as the pretrained rows are.
      let weight = projector.layers[1].weight
      weight.update(to: weight.detached * 0.5)
      projectors[kind] = projector
    }
  }

  /// Fills the slots from the trained recommender when the language model's turn comes.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    sources = try context.domainRows()
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    let language = try context.language.input
    guard sources[.item] != nil else { return }
    language.injectedRows = sources.slots(through: projectors)
  }

  /// The projectors, in the language phases.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language else { return [] }
    return BridgeParameterGroup.groups("projector", of: projectors, learningRate: 1e-3)
  }

  /// The recommender's rows; the projectors are saved with the side's parameters.
  public override func saveState() -> BridgeState { sources.state(prefix: "slots") }

  /// Takes over saved rows.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    try prepare(context)
    sources = try context.savedDomainRows(state, prefix: "slots")
    try connect(context)
  }
}
