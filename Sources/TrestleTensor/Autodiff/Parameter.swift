/// A trainable tensor: the one thing in the package that mutates.
///
/// Layers read ``value``. While gradients are being taken it is a variable of the tape; otherwise it is the plain tensor.
/// Optimizers write through `mutate(_:)` in place, unless somebody still holds the old value, which then stays intact.
///
/// Not `Sendable`: a model trains in one task at a time.
public final class Parameter {
  private var current: Tensor
  private var tracked: Tensor?
  /// Whether the parameter is trained; a frozen one is never tracked and costs no gradient.
  public var isTrainable: Bool

  /// A parameter that starts at `value`.
  public init(_ value: Tensor, isTrainable: Bool = true) {
    current = value.detached
    self.isTrainable = isTrainable
  }

  /// The value to compute with: tracked while gradients are taken with respect to this parameter.
  public var value: Tensor { tracked ?? current }

  /// The value, never tracked.
  public var detached: Tensor { current }

  /// The parameter's shape.
  public var shape: Shape { current.shape }

  /// The parameter's element type.
  public var dtype: DType { current.dtype }

  /// Replaces the value.
  ///
  /// - Precondition: `value` has the same shape; the type may change.
  public func update(to value: Tensor) {
    precondition(
      value.shape == current.shape, "Parameter.update: shape \(value.shape), expected \(current.shape)")
    precondition(tracked == nil, "Parameter.update: gradients are being taken")
    current = value.detached
  }

  /// Replaces the value by one of another shape: for vocabulary extension and the like.
  package func reset(to value: Tensor) {
    precondition(tracked == nil, "Parameter.reset: gradients are being taken")
    current = value.detached
  }

  /// Calls `body` with a dense tensor whose elements it may overwrite; nobody else holds its storage.
  package func mutate(_ body: (Tensor) -> Void) {
    precondition(tracked == nil, "Parameter.mutate: gradients are being taken")
    current.makeUnique()
    body(current)
  }

  func bind(to tape: Tape) -> Int32 {
    precondition(
      tracked == nil,
      "valueAndGradients(of:): a parameter is named twice, or calls are nested: gradients of gradients are not computed"
    )
    let variable = tape.variable(current)
    tracked = variable
    return variable.node
  }

  func unbind() { tracked = nil }

  /// Runs `body` with the parameter standing for `value`: recomputation uses it.
  func rebound<Result>(to value: Tensor?, _ body: () throws -> Result) rethrows -> Result {
    let before = tracked
    tracked = value
    defer { tracked = before }
    return try body()
  }

  var boundNode: Int32? { tracked?.node }
}

/// Computes a loss and its gradients with respect to the trainable ones of `parameters`.
///
/// ```swift
/// let (loss, gradients) = try valueAndGradients(of: model.parameters) { model(x).crossEntropy(labels: y).mean() }
/// optimizer.update(with: gradients)
/// ```
///
/// - Parameters:
///   - parameters: with respect to what; frozen ones are ignored.
///   - detectingAnomalies: whether to look for the operation that makes the first NaN or infinity (slow).
///   - loss: computes the loss, a tensor of one element.
/// - Returns: the loss, not tracked, and the gradients.
/// - Throws: what `loss` throws, or ``TensorError/nonFinite(operation:phase:shape:index:)`` when anomalies are looked for.
public func valueAndGradients(
  of parameters: [Parameter], detectingAnomalies: Bool, _ loss: () throws -> Tensor
) throws -> (value: Tensor, gradients: Gradients) {
  let tape = Tape(detectingAnomalies: detectingAnomalies)
  let result = try valueAndGradients(of: parameters, on: tape, loss)
  if let anomaly = tape.anomaly { throw anomaly }
  return result
}

/// Computes a loss and its gradients with respect to the trainable ones of `parameters`.
public func valueAndGradients(
  of parameters: [Parameter], _ loss: () throws -> Tensor
) rethrows -> (value: Tensor, gradients: Gradients) {
  try valueAndGradients(of: parameters, on: Tape(), loss)
}

private func valueAndGradients(
  of parameters: [Parameter], on tape: Tape, _ loss: () throws -> Tensor
) rethrows -> (value: Tensor, gradients: Gradients) {
  var bound: [(Parameter, Int32)] = []
  bound.reserveCapacity(parameters.count)
  defer { for (parameter, _) in bound { parameter.unbind() } }
  for parameter in parameters where parameter.isTrainable {
    bound.append((parameter, parameter.bind(to: tape)))
  }
  let value = try loss()
  precondition(
    value.elementCount == 1, "valueAndGradients(of:): the loss has shape \(value.shape), expected one element"
  )
  guard value.tape === tape else {
    return (value.detached, Gradients(tape: tape, byNode: [:], parameters: []))
  }
  let found = tape.gradients(
    root: value.node, seed: .full(value.shape, 1, dtype: value.dtype), targets: bound.map(\.1))
  return (value.detached, Gradients(tape: tape, byNode: found, parameters: bound))
}
