extension Tensor {
  /// Records an operation of your own: its result and how gradients flow back through it.
  ///
  /// ```swift
  /// func cube(_ x: Tensor) -> Tensor {
  ///   let plain = x.detached
  ///   return Tensor.custom("cube", inputs: [x], output: plain * plain * plain) { upstream in
  ///     [upstream * plain * plain * 3]
  ///   }
  /// }
  /// ```
  ///
  /// - Parameters:
  ///   - name: the operation's name in messages.
  ///   - inputs: the tensors that gradients flow to.
  ///   - output: the result, computed from the detached inputs.
  ///   - backward: from the gradient of the output, one gradient for each input, of the input's shape, or `nil` where none
  ///     flows. It must capture detached tensors only.
  /// - Returns: `output`, tracked if an input is.
  public static func custom(
    _ name: StaticString, inputs: [Tensor], output: Tensor,
    backward: @escaping (_ upstream: Tensor) -> [Tensor?]
  ) -> Tensor {
    precondition(
      !output.isTracked, "\(name): a custom operation's output must be computed from detached inputs")
    guard let tape = commonTape(name, inputs) else { return output }
    let targets = inputs.map { (node: $0.node, shape: $0.shape) }
    return tape.record(name, output) { upstream, pass in
      let gradients = backward(upstream)
      precondition(
        gradients.count == targets.count,
        "\(name): backward gave \(gradients.count) gradients for \(targets.count) inputs")
      for (gradient, target) in zip(gradients, targets) {
        guard let gradient else { continue }
        precondition(
          gradient.shape == target.shape,
          "\(name): a gradient has shape \(gradient.shape), expected \(target.shape)")
        pass.add(gradient.detached, to: target.node)
      }
    }
  }

  /// Computes `body` without keeping its intermediate values, and computes it again in the backward pass.
  ///
  /// Trades time for memory: only `inputs` are kept.
  /// - Parameters:
  ///   - inputs: the tensors that `body` receives and that gradients flow to.
  ///   - parameters: the parameters that `body` reads; gradients flow to the trainable ones.
  ///   - body: a pure function of both: called again, it must compute the same.
  /// - Precondition: `body` reads nothing tracked but `inputs` and `parameters`.
  public static func recomputed(
    _ inputs: [Tensor], parameters: [Parameter] = [], _ body: @escaping ([Tensor]) -> Tensor
  ) -> Tensor {
    let plain = inputs.map(\.detached)
    let bound = parameters.compactMap { parameter in parameter.boundNode.map { (parameter, $0) } }
    // Recording goes on, with all that is named standing for plain values: a result that is tracked all the same comes
    // from something whose gradient would be lost.
    let output = rebinding(bound.map { ($0.0, $0.0.detached) }) { body(plain) }
    precondition(
      !output.isTracked,
      "recomputed: the body reads a trainable parameter, or another tracked tensor, that it was not given")
    guard let tape = commonTape("recomputed", inputs + bound.map(\.0.value)) else { return output }
    let nodes = inputs.map(\.node)
    return tape.record("recomputed", output) { upstream, pass in
      let inner = Tape()
      let variables = zip(plain, nodes).map { $1 >= 0 ? inner.variable($0) : $0 }
      let variablesOfParameters = bound.map { inner.variable($0.0.detached) }
      let again = rebinding(zip(bound.map(\.0), variablesOfParameters)) { body(variables) }
      guard again.tape === inner else { return }
      let targets = variables.filter(\.isTracked) + variablesOfParameters
      let gradients = inner.gradients(root: again.node, seed: upstream, targets: targets.map(\.node))
      let outer = nodes.filter { $0 >= 0 } + bound.map(\.1)
      for (variable, node) in zip(targets, outer) {
        guard let gradient = gradients[variable.node] else { continue }
        switch gradient {
        case .dense(let tensor): pass.add(tensor, to: node)
        case .rows(let rows): pass.addRows(rows.values, at: rows.indices, rowCount: rows.rowCount, to: node)
        }
      }
    }
  }

  private static func rebinding(
    _ pairs: some Sequence<(Parameter, Tensor)>, _ body: () -> Tensor
  ) -> Tensor {
    var iterator = pairs.makeIterator()
    func next() -> Tensor {
      guard let (parameter, value) = iterator.next() else { return body() }
      return parameter.rebound(to: value) { next() }
    }
    return next()
  }
}
