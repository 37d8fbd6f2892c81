import TrestleNN
import TrestleTensor

/// LLaRA: a curriculum from prompts of text alone to prompts in which each title is followed by the recommender's vector.
///
/// The recommender trains alone. Then adapters and projector train together: the share of steps whose prompts have slots rises
/// linearly from 0 to 1 over the phase; on the others the projector rests.
///
/// Source: Liao et al., *LLaRA: Large Language-Recommendation Assistant* (2023). Differences: the language model answers yes
/// or no about one item, where the publication has it say the title of one of twenty; whether a step has slots is drawn for the
/// step, from a seed.
public class LLaRA: BridgeStrategy {
  private let steps: Int
  let seed: UInt64
  /// The trained recommender's rows, of length 1.
  private(set) var rows = FrozenRows()
  private var projector: MLP?
  private var done = 0

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - domainEpochs: the most epochs of the recommender alone, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - languageEpochs: the epochs of the curriculum.
  ///   - steps: the steps after which every prompt has slots.
  ///   - seed: determines the projector's initial weights and which steps have slots.
  public convenience init(
    domainEpochs: Int = 300, patience: Int = 10, languageEpochs: Int = 3, steps: Int = 200, seed: UInt64 = 0
  ) {
    self.init(
      name: "LLaRA", domainEpochs: domainEpochs, patience: patience, languageEpochs: languageEpochs,
      steps: steps, seed: seed)
  }

  /// A mechanism with the same curriculum.
  init(
    name: String, domainEpochs: Int, patience: Int, languageEpochs: Int, steps: Int, seed: UInt64
  ) {
    self.steps = steps
    self.seed = seed
    super.init(
      name: name,
      phases: [
        BridgePhase(name: "domain", side: .domain, kind: .warmUp, epochs: domainEpochs, patience: patience),
        BridgePhase(name: "curriculum", side: .language, epochs: languageEpochs, keepsBest: false),
      ])
  }

  /// Representations of the recommender, slots of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .inputInjection],
    ]
  }

  /// Takes the trained recommender's rows.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    rows = try context.domainRows()
    try makeProjector(context)
    try prepareStep(context)
  }

  private func makeProjector(_ context: BridgeContext) throws {
    guard let width = rows[.item]?.shape[1] else { return }
    let hidden = try context.language.input.inputWidth
    var generator = RandomGenerator(seed: seed)
    projector = MLP(width, hidden: hidden, outputs: hidden, lastScale: 0.5, using: &generator)
  }

  /// Puts the slots into the next step's prompts, or takes them out.
  private func prepareStep(_ context: BridgeContext) throws {
    var generator = RandomGenerator(seed: seed).split(UInt64(done) + 1)
    try setSlots(done >= steps || generator.index(below: Swift.max(steps, 1)) < done, context)
  }

  private func setSlots(_ hasSlots: Bool, _ context: BridgeContext) throws {
    guard hasSlots, let projector else {
      try context.language.input.injectedRows = nil
      return
    }
    try context.language.input.injectedRows = { [rows] kind, ids in
      rows[kind].map { projector($0.gatheredRows(ids)) }
    }
  }

  /// The curriculum goes on by a step.
  public override func didStep(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    done += 1
    try prepareStep(context)
  }

  /// The side is compared, and serves, with slots.
  public override func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? {
    guard phase.side == .language else { return nil }
    try setSlots(true, context)
    defer { try? prepareStep(context) }
    return try context.language.training.validate()
  }

  /// With slots from here on.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    done = Swift.max(done, steps)
    try prepareStep(context)
  }

  /// The projector, in the curriculum.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language, let projector else { return [] }
    return [BridgeParameterGroup(name: "projector", module: projector, learningRate: 1e-3)]
  }

  /// Rows and the place in the curriculum; the projector is saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = rows.state(prefix: "rows")
    state.values["steps"] = "\(done)"
    return state
  }

  /// Takes over saved rows and the place.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    rows = try context.savedDomainRows(state)
    done = try state.integer("steps", in: 0...(1 << 40)) ?? 0
    try makeProjector(context)
    try prepareStep(context)
  }
}
