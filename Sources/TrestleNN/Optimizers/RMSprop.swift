import TrestleTensor

/// RMSprop: steps divided by a running root mean square of the gradient.
///
/// v ← αv + (1−α)g², p ← p − lr · g / (√v + ε); with momentum b ← μb + g / (√v + ε), p ← p − lr · b. Centred, √v becomes
/// √(v − m²), m being the running mean of g. Weight decay adds λp to the gradient. As PyTorch has it.
///
/// Source: Tieleman and Hinton, *Lecture 6.5: rmsprop* (2012).
public final class RMSprop: Optimizer {
  /// α, the decay of the running mean square.
  public let smoothing: Double
  /// Keeps the quotient finite.
  public let epsilon: Double
  /// μ, the decay of the momentum buffer; 0 for none.
  public let momentum: Double
  /// Whether the mean square is taken about the mean.
  public let isCentered: Bool

  /// An optimizer of the given groups.
  public init(
    groups: [ParameterGroup], smoothing: Double = 0.99, epsilon: Double = 1e-8, momentum: Double = 0,
    isCentered: Bool = false
  ) {
    self.smoothing = smoothing
    self.epsilon = epsilon
    self.momentum = momentum
    self.isCentered = isCentered
    super.init(groups: groups)
  }

  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double = 1e-2, weightDecay: Double = 0, smoothing: Double = 0.99,
    epsilon: Double = 1e-8, momentum: Double = 0, isCentered: Bool = false
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      smoothing: smoothing, epsilon: epsilon, momentum: momentum, isCentered: isCentered)
  }

  /// One step.
  public override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    let names = ["variance"] + (isCentered ? ["mean"] : []) + (momentum > 0 ? ["momentum"] : [])
    ElementwiseUpdate.apply(to: parameter, gradient, &state, names: names, scale: step.gradientScale) {
      update in
      let g = step.weightDecay == 0 ? update.gradient : update.gradient + update.value * step.weightDecay
      guard let before = update.state["variance"] else { return }
      let variance = before * smoothing + g.squared() * (1 - smoothing)
      update.state["variance"] = variance
      var spread = variance
      if let mean = update.state["mean"].map({ $0 * smoothing + g * (1 - smoothing) }) {
        update.state["mean"] = mean
        spread = variance - mean.squared()
      }
      var move = g / (spread.sqrt() + epsilon)
      if let buffer = update.state["momentum"] {
        move = buffer * momentum + move
        update.state["momentum"] = move
      }
      update.value = update.value - move * step.learningRate
    }
  }
}
