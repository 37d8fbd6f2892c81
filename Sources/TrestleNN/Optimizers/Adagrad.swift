import TrestleTensor

/// Adagrad: steps divided by the root of the sum of all squared gradients so far.
///
/// s ← s + g², p ← p − lr / (1 + (t − 1) η) · g / (√s + ε), with η the decay of the learning rate. Weight decay adds λp to the
/// gradient. As PyTorch has it.
///
/// Source: Duchi, Hazan and Singer, *Adaptive Subgradient Methods for Online Learning and Stochastic Optimization* (2011).
public final class Adagrad: Optimizer {
  /// η, how fast the learning rate falls with the number of updates.
  public let learningRateDecay: Double
  /// Keeps the quotient finite.
  public let epsilon: Double

  /// An optimizer of the given groups.
  public init(groups: [ParameterGroup], learningRateDecay: Double = 0, epsilon: Double = 1e-10) {
    self.learningRateDecay = learningRateDecay
    self.epsilon = epsilon
    super.init(groups: groups)
  }

  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double = 1e-2, weightDecay: Double = 0,
    learningRateDecay: Double = 0,
    epsilon: Double = 1e-10
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      learningRateDecay: learningRateDecay, epsilon: epsilon)
  }

  /// One step.
  public override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    let rate = step.learningRate / (1 + Double(state.updateCount - 1) * learningRateDecay)
    ElementwiseUpdate.apply(to: parameter, gradient, &state, names: ["sum"], scale: step.gradientScale) {
      update in
      let g = step.weightDecay == 0 ? update.gradient : update.gradient + update.value * step.weightDecay
      guard let sum = update.state["sum"].map({ $0 + g.squared() }) else { return }
      update.state["sum"] = sum
      update.value = update.value - g / (sum.sqrt() + epsilon) * rate
    }
  }
}
