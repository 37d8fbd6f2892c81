internal import CTrestleKernels

extension Tensor {
  /// Applies a row kernel of this dense tensor over fixed blocks of rows.
  private func mappingRows(
    _ operation: StaticString,
    _ body: (Kernels.Table, UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int64, Int64) -> Void
  ) -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let cols = shape.lastDimension
    let table = Kernels.table(dtype, operation)
    let size = dtype.byteCount
    withExtendedLifetime(storage) {
      Kernels.parallelRows(shape.rowCount, cols: cols) { row, count in
        let shift = row * cols * size
        body(table, data + shift, result.data + shift, Int64(count), Int64(cols))
      }
    }
    return result
  }

  /// exp(x) / Σ exp(x) over the last dimension. A row that is wholly −∞ gives zeros.
  public func softmax() -> Tensor {
    let y = detached.dense().mappingRows("softmax") { table, x, y, rows, cols in
      table.pointee.softmax(x, y, rows, cols)
    }
    let node = self.node
    return recording("softmax", y) { dy, pass in
      pass.add(
        y.rowGradient("softmax", dy.dense()) { $0.pointee.softmax_backward($1, $2, $3, $4, $5) }, to: node)
    }
  }

  /// x − log Σ exp(x) over the last dimension.
  public func logSoftmax() -> Tensor {
    let y = detached.dense().mappingRows("logSoftmax") { table, x, y, rows, cols in
      table.pointee.log_softmax(x, y, rows, cols)
    }
    let node = self.node
    return recording("logSoftmax", y) { dy, pass in
      pass.add(
        y.rowGradient("logSoftmax", dy.dense()) { $0.pointee.log_softmax_backward($1, $2, $3, $4, $5) },
        to: node)
    }
  }

  private func rowGradient(
    _ operation: StaticString, _ dy: Tensor,
    _ body: (
      Kernels.Table, UnsafeMutableRawPointer, UnsafeMutableRawPointer, UnsafeMutableRawPointer, Int64, Int64
    ) -> Void
  ) -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let cols = shape.lastDimension
    let table = Kernels.table(dtype, operation)
    let size = dtype.byteCount
    withExtendedLifetime((storage, dy.storage)) {
      Kernels.parallelRows(shape.rowCount, cols: cols) { row, count in
        let shift = row * cols * size
        body(table, data + shift, dy.data + shift, result.data + shift, Int64(count), Int64(cols))
      }
    }
    return result
  }

  /// The cross-entropy of each row of logits against its label: log Σ exp x − x[label], fused with the softmax.
  ///
  /// - Parameter labels: one class a row, `int32`; a negative label ignores its row, whose loss and gradient are 0.
  /// - Returns: the losses, of the shape without the last dimension.
  public func crossEntropy(labels: Tensor) -> Tensor {
    let rows = shape.rowCount
    precondition(
      rank >= 1 && labels.dtype == .int32 && labels.elementCount == rows,
      "crossEntropy: labels \(labels.dtype) \(labels.shape) for logits \(shape)")
    let x = detached.dense()
    let targets = labels.dense()
    let cols = shape.lastDimension
    for label in targets.scalars(as: Int32.self) {
      precondition(
        label < cols, "crossEntropy: label \(label) is outside the \(cols) classes of logits \(shape)")
    }
    let losses = Tensor(uninitialized: Shape(shape.dropLast()), dtype: dtype)
    let lse = Tensor(uninitialized: losses.shape, dtype: dtype)
    let table = Kernels.table(dtype, "crossEntropy")
    let size = dtype.byteCount
    withExtendedLifetime((x.storage, targets.storage)) {
      Kernels.parallelRows(rows, cols: cols) { row, count in
        table.pointee.cross_entropy(
          x.data + row * cols * size, targets.pointer(Int32.self) + row, losses.data + row * size,
          lse.data + row * size, Int64(count), Int64(cols))
      }
    }
    let node = self.node
    return recording("crossEntropy", losses) { dy, pass in
      let upstream = dy.dense()
      let dx = Tensor(uninitialized: x.shape, dtype: x.dtype)
      withExtendedLifetime((x.storage, upstream.storage, targets.storage, lse.storage)) {
        Kernels.parallelRows(rows, cols: cols) { row, count in
          table.pointee.cross_entropy_backward(
            x.data + row * cols * size, targets.pointer(Int32.self) + row, lse.data + row * size,
            upstream.data + row * size, dx.data + row * cols * size, Int64(count), Int64(cols))
        }
      }
      pass.add(dx, to: node)
    }
  }
}
