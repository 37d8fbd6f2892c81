internal import CTrestleKernels

extension Tensor {
  /// Adds `other`, of the same shape, to this tensor; in place when nobody else holds the storage. Not recorded.
  package mutating func accumulate(_ other: Tensor) {
    precondition(other.shape == shape, "accumulate: shapes \(shape) and \(other.shape) differ")
    guard isDense, !storage.isBorrowed, isKnownUniquelyReferenced(&storage) else {
      self = BinaryFunction.add.forward(detached, other.detached)
      return
    }
    let b = other.detached.dense()
    let kernel = Kernels.binary(.add, dtype)
    let size = dtype.byteCount
    let target = data
    withExtendedLifetime(b.storage) {
      Kernels.parallel(elementCount) { start, count in
        let shift = start * size
        kernel(target + shift, b.data + shift, target + shift, Int64(count))
      }
    }
  }

  /// Adds `part` to the elements whose index along `axis` is `start` or one of the next; in place when nobody else holds
  /// the storage. Not recorded.
  mutating func accumulate(_ part: Tensor, at start: Int, along axis: Int) {
    makeUnique()
    let part = part.detached.dense()
    let inner = part.shape.suffix(from: axis + 1).reduce(1, *)
    let run = part.shape[axis] * inner
    guard run > 0 else { return }
    let step = shape[axis] * inner
    let outer = part.shape.prefix(axis).reduce(1, *)
    let kernel = Kernels.binary(.add, dtype)
    let size = dtype.byteCount
    let target = data + start * inner * size
    withExtendedLifetime(part.storage) {
      Kernels.parallelRows(outer, cols: run) { first, count in
        for block in first..<first + count {
          let row = target + block * step * size
          kernel(row, part.data + block * run * size, row, Int64(run))
        }
      }
    }
  }
}
