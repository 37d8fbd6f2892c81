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
  private var sources: [EntityKind: Tensor] = [:]
  private var projectors: [EntityKind: (first: Linear, second: Linear)] = [:]

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
    let domain = try context.side(
      .domain, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    let language = try context.side(.language, as: (any InputInjection).self, .inputInjection, for: self)
    var generator = RandomGenerator(seed: seed)
    for kind in EntityKind.allCases {
      let width = domain.representationWidth(kind, source: .row)
      let second = Linear(inputs: width * expansion, outputs: language.inputWidth, using: &generator)
      // Small at first, as the pretrained rows are.
      second.weight.update(to: second.weight.detached * 0.5)
      projectors[kind] = (Linear(inputs: width, outputs: width * expansion, using: &generator), second)
    }
  }

  /// Fills the slots from the trained recommender when the language model's turn comes.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    let domain = try context.side(
      .domain, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    for kind in EntityKind.allCases {
      let ids = Array(0..<Int32(context.domain.vocabulary.count(of: kind)))
      sources[kind] = try domain.representations(of: kind, ids: ids, source: .row).unitNormalized()
    }
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    let language = try context.side(.language, as: (any InputInjection).self, .inputInjection, for: self)
    guard !sources.isEmpty else { return }
    language.injectedRows = { [sources, projectors] kind, ids in
      guard let rows = sources[kind], let projector = projectors[kind] else { return nil }
      return projector.second(projector.first(rows.gatheredRows(ids)).relu())
    }
  }

  /// The projectors, in the language phases.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language else { return [] }
    let parameters = EntityKind.allCases.flatMap { kind -> [(name: String, parameter: Parameter)] in
      guard let projector = projectors[kind] else { return [] }
      return [(projector.first, "first"), (projector.second, "second")].flatMap { layer, place in
        layer.namedParameters.map { ("projector.\(kind.rawValue).\(place).\($0.name)", $0.parameter) }
      }
    }
    return [BridgeParameterGroup(name: "projectors", parameters: parameters, learningRate: 1e-3)]
  }

  /// The recommender's rows; the projectors are saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    for (kind, rows) in sources { state.tensors["slots.\(kind.rawValue)s"] = rows }
    return state
  }

  /// Takes over saved rows.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    try prepare(context)
    sources = [:]
    for kind in EntityKind.allCases {
      guard let rows = state.tensors["slots.\(kind.rawValue)s"] else { continue }
      let count = context.domain.vocabulary.count(of: kind)
      guard rows.rank == 2, rows.shape[0] == count, rows.dtype == .float32 else {
        throw BridgeError.invalidState(
          path: "bridge state", place: "slots.\(kind.rawValue)s", expected: "\(count) rows",
          found: "\(rows.dtype) \(rows.shape)")
      }
      sources[kind] = rows
    }
    try connect(context)
  }
}
