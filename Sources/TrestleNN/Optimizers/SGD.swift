import TrestleTensor

/// Stochastic gradient descent, with momentum if wanted.
///
/// g ← g + λp; with momentum m ← μm + (1 − dampening)g, and the step is m, or g + μm for Nesterov's; p ← p − lr · step.
/// The momentum buffer starts as the first gradient, undampened, as in PyTorch. In row-sparse updates a row's buffer
/// starts at zero.
public final class SGD: Optimizer {
  /// μ, the decay of the momentum buffer; 0 for none.
  public let momentum: Double
  /// How much of a new gradient is kept out of the momentum buffer.
  public let dampening: Double
  /// Whether the step looks ahead along the momentum.
  public let isNesterov: Bool

  /// An optimizer of the given groups.
  public init(
    groups: [ParameterGroup], momentum: Double = 0, dampening: Double = 0, isNesterov: Bool = false
  ) {
    precondition(
      !isNesterov || (momentum > 0 && dampening == 0), "SGD: Nesterov needs momentum and no dampening")
    self.momentum = momentum
    self.dampening = dampening
    self.isNesterov = isNesterov
    super.init(groups: groups)
  }

  /// An optimizer of one group.
  public convenience init(
    _ parameters: [Parameter], learningRate: Double, weightDecay: Double = 0, momentum: Double = 0,
    dampening: Double = 0, isNesterov: Bool = false
  ) {
    self.init(
      groups: [
        ParameterGroup(parameters: parameters, learningRate: learningRate, weightDecay: weightDecay)
      ],
      momentum: momentum, dampening: dampening, isNesterov: isNesterov)
  }

  /// One step, in place.
  public override func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    var buffer = state.tensors.removeValue(forKey: "momentum")
    var isFirst = buffer == nil
    if momentum > 0 && buffer == nil { buffer = .zeros(parameter.shape, dtype: parameter.dtype) }
    if case .rows = gradient { isFirst = false }
    parameter.applyDescent(
      step.gradientScale == 1 ? gradient : gradient.scaled(by: step.gradientScale), momentum: &buffer,
      DescentStep(
        learningRate: step.learningRate, momentum: momentum, dampening: dampening,
        weightDecay: step.weightDecay, isNesterov: isNesterov, isFirst: isFirst))
    state.tensors["momentum"] = buffer
  }
}
