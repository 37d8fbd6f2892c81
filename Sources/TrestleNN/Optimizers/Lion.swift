import TrestleTensor

/// Lion: steps by the sign of a blend of momentum and gradient, which needs one moment alone.
///
/// p ← p − lr · (sign(β₁m + (1−β₁)g) + λp), m ← β₂m + (1−β₂)g.
///
/// Source: Chen et al., *Symbolic Discovery of Optimization Algorithms* (2023).
public final class Lion: Optimizer {
  /// How much of the momentum enters a step.
  public let beta1: Double
  /// The decay of the momentum.
  public let beta2: Double

  /// An optimizer of the given groups.
  public init(groups: [ParameterGroup], beta1: Double = 0.9, beta2: Double = 0.99) {
    self.beta1 = beta1
    self.beta2 = beta2
    super.init(groups: groups)
  }

  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double = 1e-4, weightDecay: Double = 0, beta1: Double = 0.9,
    beta2: Double = 0.99
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      beta1: beta1, beta2: beta2)
  }

  /// One step.
  public override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    ElementwiseUpdate.apply(to: parameter, gradient, &state, names: ["momentum"], scale: step.gradientScale) {
      update in
      guard let momentum = update.state["momentum"] else { return }
      let direction = (momentum * beta1 + update.gradient * (1 - beta1)).sign()
      update.state["momentum"] = momentum * beta2 + update.gradient * (1 - beta2)
      update.value =
        update.value * (1 - step.learningRate * step.weightDecay) - direction * step.learningRate
    }
  }
}
