import TrestleNN
import TrestleTensor

/// iLoRA: each user's prompts pass through a mixture of adapters of their own, which the recommender's vector of the user chooses.
///
/// As in ``LLaRA``, the recommender trains alone, and the language model by a curriculum from titles to titles followed by the
/// recommender's vectors. The ranks of its adapters are parted into experts; a linear layer and softmax make their weights
/// of the user's vector, and train with them.
///
/// Source: Kong et al., *Customizing Language Models with Instance-wise LoRA for Sequential Recommendation* (iLoRA, 2024).
/// Differences: those of ``LLaRA``; the user is represented by the recommender's row rather than by a sequential model's state; the
/// weights are multiplied by the number of experts, so that equal ones leave the adapters as they are.
public final class ILoRA: LLaRA {
  private let experts: Int
  private var gate: Linear?

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - experts: how many experts the adapters' ranks are parted into; it divides the rank.
  ///   - domainEpochs: the most epochs of the recommender alone, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - languageEpochs: the epochs of the curriculum.
  ///   - steps: the steps after which every prompt has slots.
  ///   - seed: determines all initial weights and which steps have slots.
  public init(
    experts: Int = 4, domainEpochs: Int = 300, patience: Int = 10, languageEpochs: Int = 3, steps: Int = 200,
    seed: UInt64 = 0
  ) {
    precondition(experts > 0, "ILoRA: \(experts) experts")
    self.experts = experts
    super.init(
      name: "iLoRA", domainEpochs: domainEpochs, patience: patience, languageEpochs: languageEpochs,
      steps: steps, seed: seed)
  }

  /// Those of ``LLaRA``, and adapters that can be mixed.
  public override var requirements: [SideRole: Set<Capability>] {
    super.requirements.merging([.language: [.adapterGating]]) { $0.union($1) }
  }

  /// Takes the trained recommender's rows, and makes the gate.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    try super.enter(phase, context)
    if phase.side == .language { try connect(context) }
  }

  private func connect(_ context: BridgeContext) throws {
    guard let users = rows[.user] else { return }
    let side = try context.language.gating
    guard side.adapterRank % experts == 0, side.adapterRank > 0 else {
      throw BridgeError.missingCapability(
        bridge: "iLoRA with \(experts) experts, which must divide a rank of \(side.adapterRank),",
        side: context.language.name, capability: .adapterGating)
    }
    var generator = RandomGenerator(seed: seed).split(.max)
    let gate = Linear(inputs: users.shape[1], outputs: experts, using: &generator)
    self.gate = gate
    side.adapterGates = { [experts] ids in
      gate(users.gatheredRows(ids)).softmax() * Double(experts)
    }
  }

  /// The projector and the gate, in the curriculum.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .language, let gate else { return super.parameterGroups(in: phase) }
    return super.parameterGroups(in: phase)
      + [BridgeParameterGroup(name: "gate", module: gate, learningRate: 1e-3)]
  }

  /// Takes over saved rows and the place; projector and gate are saved with the side's parameters.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    try super.loadState(state, context)
    try connect(context)
  }
}
