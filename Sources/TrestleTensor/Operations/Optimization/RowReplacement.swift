extension Tensor {
  /// Overwrites rows of this matrix in place; copied first if another tensor shares them.
  ///
  /// - Parameters:
  ///   - indices: `[n]`, `int32`, distinct, each within the rows.
  ///   - rows: the new rows, `[n, columns]`.
  package mutating func replaceRows(at indices: Tensor, by rows: Tensor) {
    makeUnique()
    write(rows, at: indices)
  }

  /// Overwrites rows of this dense tensor, whose storage nobody else holds.
  fileprivate func write(_ rows: Tensor, at indices: Tensor) {
    let source = rows.detached.dense()
    let names = indices.detached.dense()
    precondition(
      rank == 2 && source.shape == [names.elementCount, shape[1]] && source.dtype == dtype
        && names.dtype == .int32,
      "replaceRows: rows \(source.dtype) \(source.shape) at \(names.elementCount) indices of \(dtype) \(shape)"
    )
    names.checkIndices(below: shape[0], "replaceRows")
    let width = shape[1] * dtype.byteCount
    withExtendedLifetime((storage, source.storage, names.storage)) {
      let (target, index) = (data, names.pointer(Int32.self))
      Kernels.parallelRows(names.elementCount, cols: shape[1]) { first, count in
        for row in first..<first + count {
          (target + Int(index[row]) * width).copyMemory(from: source.data + row * width, byteCount: width)
        }
      }
    }
  }
}

extension Parameter {
  /// Overwrites some rows in place, as ``Tensor/replaceRows(at:by:)`` does.
  package func replaceRows(at indices: Tensor, by rows: Tensor) { mutate { $0.write(rows, at: indices) } }
}
