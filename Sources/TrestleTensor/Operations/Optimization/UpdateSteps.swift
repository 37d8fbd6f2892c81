internal import CTrestleKernels

/// The numbers of one Adam step, the same for all elements.
package struct AdamStep {
  package var learningRate: Double
  package var beta1: Double
  package var beta2: Double
  package var epsilon: Double
  package var weightDecay: Double
  /// Whether the weights decay by themselves (AdamW) rather than through the gradient.
  package var isDecoupled: Bool
  /// The number of this step, from 1 on: what the bias corrections depend on.
  package var count: Int
  /// What the gradient is multiplied by first.
  package var gradientScale: Double

  package init(
    learningRate: Double, beta1: Double, beta2: Double, epsilon: Double, weightDecay: Double,
    isDecoupled: Bool, count: Int, gradientScale: Double
  ) {
    self.learningRate = learningRate
    self.beta1 = beta1
    self.beta2 = beta2
    self.epsilon = epsilon
    self.weightDecay = weightDecay
    self.isDecoupled = isDecoupled
    self.count = count
    self.gradientScale = gradientScale
  }

  var bias1: Double { 1 - power(beta1) }
  var bias2: Double { 1 - power(beta2) }

  /// βᵗ by repeated squaring: the same on every machine.
  private func power(_ base: Double) -> Double {
    var (result, factor, exponent) = (1.0, base, count)
    while exponent > 0 {
      if exponent & 1 == 1 { result *= factor }
      factor *= factor
      exponent >>= 1
    }
    return result
  }
}

/// The numbers of one step of stochastic gradient descent.
package struct DescentStep {
  package var learningRate: Double
  package var momentum: Double
  package var dampening: Double
  package var weightDecay: Double
  package var isNesterov: Bool
  /// Whether the momentum buffer holds nothing yet and starts as the gradient.
  package var isFirst: Bool

  package init(
    learningRate: Double, momentum: Double, dampening: Double, weightDecay: Double, isNesterov: Bool,
    isFirst: Bool
  ) {
    self.learningRate = learningRate
    self.momentum = momentum
    self.dampening = dampening
    self.weightDecay = weightDecay
    self.isNesterov = isNesterov
    self.isFirst = isFirst
  }
}

extension Parameter {
  /// Adam in place: over all elements for a dense gradient, over the named rows for a row-sparse one.
  ///
  /// - Parameters:
  ///   - mean: the first moments, of the parameter's shape; updated.
  ///   - variance: the second moments; updated.
  package func applyAdam(_ gradient: Gradient, mean: inout Tensor, variance: inout Tensor, _ step: AdamStep) {
    mean.makeUnique()
    variance.makeUnique()
    let (m, v) = (mean, variance)
    mutate { value in
      precondition(
        m.shape == value.shape && v.shape == value.shape && m.dtype == value.dtype && v.dtype == value.dtype,
        "Adam: moments \(m.shape) and \(v.shape) for a parameter \(value.dtype) \(value.shape)")
      let table = Kernels.table(value.dtype, "Adam")
      Self.update(
        value, gradient, "Adam",
        rows: { index, dp, count, cols in
          table.pointee.adam_rows(
            value.data, dp, m.data, v.data, index, Int64(count), Int64(cols), step.learningRate,
            step.beta1, step.beta2, step.epsilon, step.weightDecay, step.isDecoupled ? 1 : 0, step.bias1,
            step.bias2, step.gradientScale)
        },
        elements: { shift, dp, count in
          table.pointee.adam(
            value.data + shift, dp, m.data + shift, v.data + shift, Int64(count), step.learningRate,
            step.beta1, step.beta2, step.epsilon, step.weightDecay, step.isDecoupled ? 1 : 0, step.bias1,
            step.bias2, step.gradientScale)
        })
    }
  }

  /// Stochastic gradient descent in place, as ``applyAdam(_:mean:variance:_:)``.
  ///
  /// - Parameter momentum: the momentum buffer, of the parameter's shape; `nil` without momentum.
  package func applyDescent(_ gradient: Gradient, momentum: inout Tensor?, _ step: DescentStep) {
    momentum?.makeUnique()
    let buffer = momentum
    mutate { value in
      precondition(
        buffer == nil || buffer?.shape == value.shape && buffer?.dtype == value.dtype,
        "SGD: momentum \(buffer.map { "\($0.shape)" } ?? "nil") for a parameter \(value.dtype) \(value.shape)"
      )
      let table = Kernels.table(value.dtype, "SGD")
      func elements(_ shift: Int, _ dp: UnsafeMutableRawPointer, _ count: Int) {
        table.pointee.sgd(
          value.data + shift, dp, buffer.map { $0.data + shift }, Int64(count), step.learningRate,
          step.momentum, step.dampening, step.weightDecay, step.isNesterov ? 1 : 0, step.isFirst ? 1 : 0)
      }
      let size = value.dtype.byteCount
      Self.update(
        value, gradient, "SGD",
        rows: { index, dp, count, cols in
          for row in 0..<count { elements(Int(index[row]) * cols * size, dp + row * cols * size, cols) }
        }, elements: elements)
    }
  }

  /// Calls `elements(byte offset into the parameter, gradient, count)` over fixed chunks of a dense gradient, or
  /// `rows(indices, gradient, count, columns)` over chunks of the rows of a row-sparse one. Rows are distinct once
  /// coalesced, so the calls write disjoint elements.
  private static func update(
    _ value: Tensor, _ gradient: Gradient, _ name: StaticString,
    rows kernelOfRows: (UnsafePointer<Int32>, UnsafeMutableRawPointer, Int, Int) -> Void,
    elements kernel: (Int, UnsafeMutableRawPointer, Int) -> Void
  ) {
    let size = value.dtype.byteCount
    switch gradient {
    case .dense(let tensor):
      let g = tensor.detached.dense()
      precondition(
        g.shape == value.shape && g.dtype == value.dtype,
        "\(name): gradient \(g.dtype) \(g.shape) for a parameter \(value.dtype) \(value.shape)")
      withExtendedLifetime((value.storage, g.storage)) {
        Kernels.parallel(value.elementCount) { start, count in
          kernel(start * size, g.data + start * size, count)
        }
      }
    case .rows(let sparse):
      let rows = sparse.coalesced()
      let g = rows.values.detached.dense()
      let cols = g.shape[1]
      precondition(
        value.shape == [rows.rowCount, cols] && g.dtype == value.dtype,
        "\(name): gradient rows \(g.dtype) \(g.shape) for a parameter \(value.dtype) \(value.shape)")
      let indices = rows.indices.dense()
      indices.checkIndices(below: rows.rowCount, name)
      let index = indices.pointer(Int32.self)
      withExtendedLifetime((value.storage, g.storage, indices.storage)) {
        Kernels.parallelRows(g.shape[0], cols: cols, grain: Kernels.elementGrain / 4) { first, count in
          kernelOfRows(index + first, g.data + first * cols * size, count, cols)
        }
      }
    }
  }
}
