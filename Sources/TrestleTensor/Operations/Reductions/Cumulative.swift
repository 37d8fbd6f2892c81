extension Tensor {
  /// The sums of the elements up to each, along a dimension; added up in double precision.
  public func cumulativeSum(along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "cumulativeSum")
    let sums = detached.runningSums(along: axis, isReversed: false)
    let node = self.node
    return recording("cumulativeSum", sums) { upstream, pass in
      pass.add(upstream.detached.runningSums(along: axis, isReversed: true), to: node)
    }
  }

  private func runningSums(along axis: Int, isReversed: Bool) -> Tensor {
    let source = dense()
    let inner = shape.suffix(from: axis + 1).reduce(1, *)
    let outer = shape.prefix(axis).reduce(1, *)
    let length = shape[axis]
    let result = Tensor(uninitialized: shape, dtype: dtype)
    func sum<Scalar: BinaryFloatingPoint>(_: Scalar.Type) {
      withExtendedLifetime(source.storage) {
        Kernels.parallelRows(outer * inner, cols: length) { first, count in
          for line in first..<first + count {
            let start = line / Swift.max(inner, 1) * length * inner + line % Swift.max(inner, 1)
            let (from, to) = (source.pointer(Scalar.self) + start, result.pointer(Scalar.self) + start)
            var total = 0.0
            for step in 0..<length {
              let place = (isReversed ? length - 1 - step : step) * inner
              total += Double(from[place])
              to[place] = Scalar(total)
            }
          }
        }
      }
    }
    switch dtype {
    case .float32: sum(Float.self)
    case .float64: sum(Double.self)
    default: preconditionFailure("cumulativeSum: arithmetic runs in float32 or float64, not \(dtype)")
    }
    return result
  }
}
