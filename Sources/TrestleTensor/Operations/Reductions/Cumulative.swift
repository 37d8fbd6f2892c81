internal import CTrestleKernels

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
    let table = Kernels.table(dtype, "cumulativeSum")
    let size = dtype.byteCount
    let reversed: Int32 = isReversed ? 1 : 0
    withExtendedLifetime(source.storage) {
      if inner == 1 {
        // Whole blocks of rows that a kernel sums beside each other.
        let grain = Swift.max(16, Kernels.elementGrain / Swift.max(length, 1) / 16 * 16)
        Kernels.parallel(outer, grain: grain) { first, count in
          let start = first * length * size
          table.pointee.cumulative_sum(
            source.data + start, result.data + start, Int64(count), Int64(length), reversed)
        }
      } else {
        let width = Swift.min(inner, 256)
        let across = (inner + width - 1) / Swift.max(width, 1)
        Kernels.parallelRows(outer * across, cols: length * width) { first, count in
          for part in first..<first + count {
            let column = part % across * width
            let start = (part / across * length * inner + column) * size
            table.pointee.cumulative_sum_columns(
              source.data + start, result.data + start, Int64(inner), Int64(length),
              Int64(Swift.min(width, inner - column)), reversed)
          }
        }
      }
    }
    return result
  }
}
