import TrestleTensor

/// Adam: steps scaled by running means of the gradient and of its square.
///
/// m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², p ← p − lr · m̂ / (√v̂ + ε), with m̂ and v̂ corrected for their start at 0.
/// Weight decay adds λp to the gradient; ``AdamW`` decays the weights themselves.
///
/// Source: Kingma and Ba, *Adam: A Method for Stochastic Optimization* (2014).
open class Adam: Optimizer {
  /// The decay of the first moment.
  public let beta1: Double
  /// The decay of the second moment.
  public let beta2: Double
  /// Keeps the quotient finite.
  public let epsilon: Double

  /// An optimizer of the given groups.
  public init(groups: [ParameterGroup], beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8) {
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    super.init(groups: groups)
  }

  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double = 1e-3, weightDecay: Double = 0, beta1: Double = 0.9,
    beta2: Double = 0.999, epsilon: Double = 1e-8
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      beta1: beta1, beta2: beta2, epsilon: epsilon)
  }

  /// Whether the weights decay by themselves rather than through the gradient.
  open var decouplesWeightDecay: Bool { false }

  /// One Adam step, in place.
  open override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    // The parameter must have no second holder here, or it could not change in place: no copy of its value is taken.
    let (shape, dtype) = (parameter.shape, parameter.dtype)
    var mean = state.tensors.removeValue(forKey: "mean") ?? .zeros(shape, dtype: dtype)
    var variance = state.tensors.removeValue(forKey: "variance") ?? .zeros(shape, dtype: dtype)
    parameter.applyAdam(
      gradient, mean: &mean, variance: &variance, settings(of: step, count: state.updateCount))
    state.tensors["mean"] = mean
    state.tensors["variance"] = variance
  }

  /// The numbers of a parameter's step, its `count`th.
  func settings(of step: OptimizerStep, count: Int) -> AdamStep {
    AdamStep(
      learningRate: step.learningRate, beta1: beta1, beta2: beta2, epsilon: epsilon,
      weightDecay: step.weightDecay, isDecoupled: decouplesWeightDecay, count: count,
      gradientScale: step.gradientScale)
  }
}

/// Adam with decoupled weight decay: p ← (1 − lr·λ)p before the step.
///
/// Source: Loshchilov and Hutter, *Decoupled Weight Decay Regularization* (2017).
public class AdamW: Adam {
  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double = 1e-3, weightDecay: Double = 0.01,
    beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      beta1: beta1, beta2: beta2, epsilon: epsilon)
  }

  /// The weights decay by themselves.
  public override var decouplesWeightDecay: Bool { true }
}
