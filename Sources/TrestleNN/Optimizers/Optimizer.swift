import TrestleTensor

/// Parameters that are trained in the same way.
public struct ParameterGroup {
  /// The group's name in reports; may be empty.
  public var name: String
  /// The parameters; frozen ones have no gradient and stay as they are.
  public var parameters: [Parameter]
  /// The learning rate before the schedule and the multiplier.
  public var learningRate: Double
  /// The strength of weight decay.
  public var weightDecay: Double
  /// A factor on the learning rate, to be set while training: 0 makes the group rest.
  public var multiplier: Double

  /// A group of parameters with its settings.
  public init(
    name: String = "", parameters: [Parameter], learningRate: Double, weightDecay: Double = 0,
    multiplier: Double = 1
  ) {
    self.name = name
    self.parameters = parameters
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.multiplier = multiplier
  }
}

/// What an optimizer remembers about one parameter.
public struct OptimizerState {
  /// How many updates the parameter has had.
  public var updateCount = 0
  /// Tensors by name: moments and the like. An optimizer that changes one in place takes it out and puts it back.
  public var tensors: [String: Tensor] = [:]

  /// Nothing remembered yet.
  public init() {}
}

/// What one update needs beside parameter, gradient and state.
public struct OptimizerStep {
  /// The learning rate after the schedule and the group's multiplier.
  public let learningRate: Double
  /// The group's weight decay.
  public let weightDecay: Double
  /// What the gradient is to be multiplied by first; below 1 when the norm is clipped.
  public let gradientScale: Double
}

/// The base of all optimizers: groups, schedule, clipping, and the state of each parameter.
///
/// ```swift
/// let optimizer = AdamW(model.parameters, learningRate: 1e-3, weightDecay: 0.01)
/// optimizer.schedule = .cosine(warmup: 100, total: 1000)
/// optimizer.maximumNorm = 1
/// let (loss, gradients) = valueAndGradients(of: model.parameters) { … }
/// optimizer.update(with: gradients)
/// ```
///
/// A new optimizer overrides ``update(_:with:state:step:)`` alone.
///
/// Row-sparse gradients (those of embedding lookups) stay sparse: values and moments of the rows that the batch touched
/// move, those of all others do not, momentum and weight decay included. This is what PyTorch calls `SparseAdam`;
/// bias corrections use the number of the parameter's updates, not of the row's.
open class Optimizer {
  /// The parameters and their settings.
  public var groups: [ParameterGroup]
  /// How the learning rates change over the steps.
  public var schedule: LearningRateSchedule = .constant()
  /// The norm that the gradients of this optimizer's parameters together are clipped to; `nil` for no clipping.
  public var maximumNorm: Double?
  /// The number of updates so far.
  public package(set) var stepCount = 0
  /// The norm of the last update's gradients before clipping; `nil` if ``maximumNorm`` is.
  public private(set) var lastNorm: Double?

  private var states: [ObjectIdentifier: OptimizerState] = [:]

  /// An optimizer of the given groups.
  ///
  /// - Precondition: no parameter is in two groups.
  public init(groups: [ParameterGroup]) {
    let identifiers = groups.flatMap(\.parameters).map { ObjectIdentifier($0) }
    precondition(
      Set(identifiers).count == identifiers.count, "Optimizer: a parameter is in the groups twice")
    self.groups = groups
  }

  /// All parameters, in the order of the groups.
  public var parameters: [Parameter] { groups.flatMap(\.parameters) }

  /// Moves every parameter that has a gradient by one step.
  ///
  /// - Parameter gradients: those of parameters in no group are ignored.
  public final func update(with gradients: Gradients) {
    var scale = 1.0
    if let maximumNorm {
      let norm = gradients.norm(of: parameters.filter(\.isTrainable))
      lastNorm = norm
      if norm > maximumNorm { scale = maximumNorm / (norm + 1e-6) }
    }
    let factor = schedule.factor(at: stepCount)
    for group in groups {
      let step = OptimizerStep(
        learningRate: group.learningRate * group.multiplier * factor, weightDecay: group.weightDecay,
        gradientScale: scale)
      for parameter in group.parameters where parameter.isTrainable {
        guard let gradient = gradients[parameter] else { continue }
        let key = ObjectIdentifier(parameter)
        // Taken out, so that its tensors have one holder and change in place.
        var state = states.removeValue(forKey: key) ?? OptimizerState()
        state.updateCount += 1
        update(parameter, with: gradient, state: &state, step: step)
        states[key] = state
      }
    }
    stepCount += 1
  }

  /// Moves one parameter. Overridden by each optimizer.
  ///
  /// - Parameters:
  ///   - parameter: what to move: `Parameter.update(to:)`.
  ///   - gradient: its gradient, not yet multiplied by the step's gradient scale.
  ///   - state: what is remembered about the parameter; its update count already includes this one.
  ///   - step: the learning rate, the decay and the scale of this update.
  open func update(
    _ parameter: Parameter, with gradient: Gradient, state: inout OptimizerState, step: OptimizerStep
  ) {
    preconditionFailure("\(type(of: self)) does not override update(_:with:state:step:)")
  }

  /// The shape and type of a tensor that is remembered about a parameter: the parameter's own, unless an optimizer says
  /// otherwise. A saved state is checked against it.
  ///
  /// - Parameters:
  ///   - name: the tensor's name in the state.
  ///   - parameter: what it is remembered about.
  open func stateLayout(_ name: String, of parameter: Parameter) -> (shape: Shape, dtype: DType) {
    (parameter.shape, parameter.dtype)
  }

  /// What is remembered about a parameter; `nil` before its first update.
  public final func state(of parameter: Parameter) -> OptimizerState? { states[ObjectIdentifier(parameter)] }

  /// Replaces what is remembered about a parameter, for resuming; `nil` forgets it.
  public final func setState(_ state: OptimizerState?, of parameter: Parameter) {
    states[ObjectIdentifier(parameter)] = state
  }
}
