internal import CTrestleKernels

extension Tensor {
  /// A dense matrix `[rows, cols]` whose columns run over `axes`, and the shape left without them.
  private func gathering(_ axes: [Int], operation: StaticString) -> (
    matrix: Tensor, kept: Shape, keptOnes: Shape
  ) {
    let resolved = Set(axes.map { shape.resolved($0, operation: operation) })
    let keptAxes = (0..<rank).filter { !resolved.contains($0) }
    let order = keptAxes + resolved.sorted()
    let kept = Shape(keptAxes.map { shape[$0] })
    let ones = Shape((0..<rank).map { resolved.contains($0) ? 1 : shape[$0] })
    let cols = resolved.reduce(1) { $0 * shape[$1] }
    let moved = order == Array(0..<rank) ? self : permuted(order)
    return (moved.dense().reshaped(to: [kept.elementCount, cols] as Shape), kept, ones)
  }

  /// The sum over the given dimensions.
  ///
  /// - Parameters:
  ///   - axes: the dimensions to sum over; negative ones count from the end.
  ///   - keepingDimensions: whether they stay, with length 1.
  public func sum(along axes: [Int], keepingDimensions: Bool = false) -> Tensor {
    let resolved = Set(axes.map { shape.resolved($0, operation: "sum") })
    let ones = Shape((0..<rank).map { resolved.contains($0) ? 1 : shape[$0] })
    let kept = Shape((0..<rank).filter { !resolved.contains($0) }.map { shape[$0] })
    let result: Tensor
    let source = detached
    if resolved == Set(0..<resolved.count) && resolved.count < rank && resolved.count > 0 {
      // Leading dimensions: sum rows into one, without moving anything.
      let cols = kept.elementCount
      result = source.dense().columnSums(rows: cols == 0 ? 0 : elementCount / cols, cols: cols)
    } else if resolved.count == rank {
      result = source.total()
    } else {
      let matrix = source.gathering(axes, operation: "sum").matrix
      result = matrix.rowReduction("sum") { table, x, out, rows, cols in
        table.pointee.row_sum(x, out, rows, cols)
      }
    }
    let (node, full) = (self.node, shape)
    return recording("sum", result.reshaped(to: keepingDimensions ? ones : kept)) { dy, pass in
      pass.add(dy.reshaped(to: ones).broadcast(to: full).dense(), to: node)
    }
  }

  /// The sum of all elements, a scalar.
  public func sum() -> Tensor { sum(along: Array(0..<rank)) }

  /// The mean over the given dimensions.
  public func mean(along axes: [Int], keepingDimensions: Bool = false) -> Tensor {
    let count = Set(axes.map { shape.resolved($0, operation: "mean") }).reduce(1) { $0 * shape[$1] }
    return sum(along: axes, keepingDimensions: keepingDimensions) * (1 / Double(count))
  }

  /// The mean of all elements, a scalar.
  public func mean() -> Tensor { sum() * (1 / Double(elementCount)) }

  /// The mean squared distance from the mean over the given dimensions (divided by the count, not the count less one).
  public func variance(along axes: [Int], keepingDimensions: Bool = false) -> Tensor {
    (self - mean(along: axes, keepingDimensions: true)).squared()
      .mean(along: axes, keepingDimensions: keepingDimensions)
  }

  /// The largest element along `axis`. Equal ones share the gradient evenly.
  public func max(along axis: Int, keepingDimension: Bool = false) -> Tensor {
    extremum(along: axis, keepingDimension, "max") { table, x, out, rows, cols in
      table.pointee.row_max(x, out, rows, cols)
    }
  }

  /// The smallest element along `axis`. Equal ones share the gradient evenly.
  public func min(along axis: Int, keepingDimension: Bool = false) -> Tensor {
    extremum(along: axis, keepingDimension, "min") { table, x, out, rows, cols in
      table.pointee.row_min(x, out, rows, cols)
    }
  }

  private func extremum(
    along axis: Int, _ keepingDimension: Bool, _ name: StaticString,
    _ kernel: (Kernels.Table, UnsafeRawPointer, UnsafeMutableRawPointer, Int64, Int64) -> Void
  ) -> Tensor {
    let source = detached
    let (matrix, kept, ones) = source.gathering([axis], operation: name)
    let values = matrix.rowReduction(name, kernel)
    let node = self.node
    return recording(name, values.reshaped(to: keepingDimension ? ones : kept)) { dy, pass in
      let isExtremum = source.isEqual(to: values.reshaped(to: ones))
      let share = isExtremum / isExtremum.sum(along: [axis], keepingDimensions: true)
      pass.add(share * dy.reshaped(to: ones), to: node)
    }
  }

  /// The index of the largest element of each row of the last dimension, `int32`; the first of equal ones.
  public func argmax() -> Tensor {
    requireUntracked("argmax")
    precondition(rank >= 1, "argmax(): a scalar has no last dimension")
    let x = dense()
    let cols = shape.lastDimension
    let result = Tensor(uninitialized: Shape(shape.dropLast()), dtype: .int32)
    let table = Kernels.table(dtype, "argmax")
    let size = dtype.byteCount
    withExtendedLifetime(x.storage) {
      Kernels.parallelRows(shape.rowCount, cols: cols) { row, count in
        table.pointee.row_argmax(
          x.data + row * cols * size, result.pointer(Int32.self) + row, Int64(count), Int64(cols))
      }
    }
    return result
  }

  /// The `count` largest elements of each row of the last dimension, in descending order, and their indices.
  ///
  /// Of equal elements the lower index comes first. Not tracked.
  public func topK(_ count: Int) -> (values: Tensor, indices: Tensor) {
    requireUntracked("topK")
    precondition(
      rank >= 1 && count >= 0 && count <= shape.lastDimension,
      "topK(_:): \(count) of the last dimension of \(shape)")
    let x = dense()
    let cols = shape.lastDimension
    var outShape = shape
    outShape[rank - 1] = count
    let values = Tensor(uninitialized: outShape, dtype: dtype)
    let indices = Tensor(uninitialized: outShape, dtype: .int32)
    let table = Kernels.table(dtype, "topK")
    let size = dtype.byteCount
    withExtendedLifetime(x.storage) {
      Kernels.parallelRows(shape.rowCount, cols: cols) { first, rows in
        for row in first..<first + rows {
          table.pointee.top_k(
            x.data + row * cols * size, Int64(cols), Int64(count), values.data + row * count * size,
            indices.pointer(Int32.self) + row * count)
        }
      }
    }
    return (values, indices)
  }

  /// log Σ exp x over the last dimension, without overflow.
  public func logSumExp() -> Tensor {
    let x = detached.dense()
    let result = x.rowReduction("logSumExp") { table, x, out, rows, cols in
      table.pointee.log_sum_exp(x, out, rows, cols)
    }
    let node = self.node
    return recording("logSumExp", result.reshaped(to: Shape(shape.dropLast()))) { dy, pass in
      pass.add(x.softmax() * dy.expanded(at: -1), to: node)
    }
  }

  /// √Σ x² over the last dimension.
  public func norm() -> Tensor {
    let x = detached.dense()
    let lengths = x.rowReduction("norm") { table, x, out, rows, cols in
      table.pointee.row_norm(x, out, rows, cols)
    }
    .reshaped(to: Shape(shape.dropLast()))
    let node = self.node
    return recording("norm", lengths) { dy, pass in
      // The gradient at the zero vector is zero.
      let safe = Tensor.maximum(lengths, .full(lengths.shape, 1e-30, dtype: lengths.dtype))
      pass.add(x * (dy / safe).expanded(at: -1), to: node)
    }
  }

  /// The inner products of the rows of two tensors of one shape: Σ aᵢ bᵢ over the last dimension.
  public func rowDot(_ other: Tensor) -> Tensor {
    precondition(
      shape == other.shape && dtype == other.dtype,
      "rowDot: \(dtype) \(shape) and \(other.dtype) \(other.shape)")
    let (a, b) = (detached.dense(), other.detached.dense())
    let cols = shape.lastDimension
    let result = Tensor(uninitialized: Shape(shape.dropLast()), dtype: dtype)
    let table = Kernels.table(dtype, "rowDot")
    let size = dtype.byteCount
    withExtendedLifetime((a.storage, b.storage)) {
      Kernels.parallelRows(shape.rowCount, cols: cols) { row, count in
        table.pointee.row_dot(
          a.data + row * cols * size, b.data + row * cols * size, result.data + row * size, Int64(count),
          Int64(cols))
      }
    }
    guard let tape = Tensor.tape("rowDot", self, other) else { return result }
    let (aNode, bNode) = (node, other.node)
    return tape.record("rowDot", result) { dy, pass in
      let column = dy.expanded(at: -1)
      pass.add(b * column, to: aNode)
      pass.add(a * column, to: bNode)
    }
  }

  /// Σ x² as a number, added up in fixed blocks.
  package var sumOfSquares: Double {
    let x = detached.dense()
    return x.blockTotals { table, pointer, count in table.pointee.sum_squares(pointer, count) }
  }

  private func total() -> Tensor {
    let x = dense()
    let value = x.blockTotals { table, pointer, count in table.pointee.sum(pointer, count) }
    return .full([], value, dtype: dtype)
  }

  /// Sums what `kernel` gives for fixed blocks of this dense tensor, in order.
  private func blockTotals(_ kernel: (Kernels.Table, UnsafeRawPointer, Int64) -> Double) -> Double {
    let table = Kernels.table(dtype, "sum")
    let size = dtype.byteCount
    let grain = Kernels.elementGrain * 2
    let blocks = (elementCount + grain - 1) / grain
    return withExtendedLifetime(storage) {
      if blocks <= 1 { return elementCount == 0 ? 0 : kernel(table, data, Int64(elementCount)) }
      return withUnsafeTemporaryAllocation(of: Double.self, capacity: blocks) { partial in
        nonisolated(unsafe) let partial = partial
        Kernels.parallel(elementCount, grain: grain) { start, count in
          partial[start / grain] = kernel(table, data + start * size, Int64(count))
        }
        return partial.reduce(0, +)
      }
    }
  }

  /// One number for each row of this dense tensor seen as a matrix, as a vector.
  func rowReduction(
    _ operation: StaticString,
    _ kernel: (Kernels.Table, UnsafeRawPointer, UnsafeMutableRawPointer, Int64, Int64) -> Void
  ) -> Tensor {
    let rows = shape.rowCount
    let cols = shape.lastDimension
    let result = Tensor(uninitialized: [rows], dtype: dtype)
    let table = Kernels.table(dtype, operation)
    let size = dtype.byteCount
    withExtendedLifetime(storage) {
      Kernels.parallelRows(rows, cols: cols) { row, count in
        kernel(table, data + row * cols * size, result.data + row * size, Int64(count), Int64(cols))
      }
    }
    return result
  }

  /// Rows that are added one after the other; the sums of such blocks are added up in the same way.
  private static var rowsOfBlock: Int { 16 }

  /// The sum of the rows of this dense tensor seen as `[rows, cols]`: block by block, so that the rounding error grows
  /// with the logarithm of their number, and the blocks are shared among threads.
  private func columnSums(rows: Int, cols: Int) -> Tensor {
    let blockRows = Self.rowsOfBlock
    let blocks = Swift.max(1, (rows + blockRows - 1) / blockRows)
    let result = Tensor(uninitialized: [blocks, cols], dtype: dtype)
    let table = Kernels.table(dtype, "sum")
    let size = dtype.byteCount
    let width =
      Swift.min(rows, blockRows) * cols > Kernels.elementGrain
      ? Swift.max(64, (cols + 7) / 8) : Swift.max(cols, 1)
    let across = (cols + width - 1) / width
    // Some tens of microseconds to a task.
    let together = Swift.max(1, Kernels.elementGrain / Swift.max(1, blockRows * Swift.min(cols, width)))
    withExtendedLifetime(storage) {
      Kernels.parallel(blocks * across, grain: together) { first, count in
        for task in first..<first + count {
          let (row, column) = (task / across * blockRows, task % across * width)
          table.pointee.column_sum(
            data + (row * cols + column) * size, Int64(cols),
            result.data + (task / across * cols + column) * size, Int64(Swift.min(blockRows, rows - row)),
            Int64(Swift.min(width, cols - column)), 0)
        }
      }
    }
    return blocks == 1 ? result.reshaped(to: [cols] as Shape) : result.columnSums(rows: blocks, cols: cols)
  }
}
