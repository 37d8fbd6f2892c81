internal import CTrestleKernels

/// Some rows of a table: the gradient of a gather, as large as the batch and not as the table.
public struct SparseRows: Sendable {
  /// The rows' indices, `[n]`, `int32`; may repeat until coalesced.
  public let indices: Tensor
  /// Their values, `[n, columns]`.
  public let values: Tensor
  /// The number of rows of the table.
  public let rowCount: Int
  private let isCoalesced: Bool

  /// Rows `values` at `indices` of a table of `rowCount` rows; repeated indices mean their sum.
  public init(indices: Tensor, values: Tensor, rowCount: Int) {
    self.init(indices: indices, values: values, rowCount: rowCount, isCoalesced: false)
  }

  private init(indices: Tensor, values: Tensor, rowCount: Int, isCoalesced: Bool) {
    precondition(
      values.rank == 2 && indices.elementCount == values.shape[0],
      "SparseRows: indices \(indices.shape) do not name the rows of values \(values.shape)")
    self.indices = indices
    self.values = values
    self.rowCount = rowCount
    self.isCoalesced = isCoalesced
  }

  /// The table's gradient in full, `[rowCount, columns]`.
  public func dense() -> Tensor {
    let result = Tensor.zeros([rowCount, values.shape[1]], dtype: values.dtype)
    result.scatterAddInPlace(values, at: indices)
    return result
  }

  func scaled(by factor: Double) -> SparseRows {
    SparseRows(indices: indices, values: values * factor, rowCount: rowCount, isCoalesced: isCoalesced)
  }

  func added(to table: Tensor) -> Tensor {
    let result = table.copied()
    result.scatterAddInPlace(values, at: indices)
    return result
  }

  func appending(_ other: SparseRows) -> SparseRows {
    SparseRows(
      indices: Tensor.concatenated([indices.flattened(), other.indices.flattened()], along: 0),
      values: Tensor.concatenated([values, other.values], along: 0), rowCount: rowCount)
  }

  /// Each row once, in ascending order, with the sum of its values in their order of appearance.
  public func coalesced() -> SparseRows {
    if isCoalesced { return self }
    let names = indices.dense()
    names.checkIndices(below: rowCount, "SparseRows")
    let source = values.detached.dense()
    let (count, cols) = (names.elementCount, values.shape[1])
    let order = withExtendedLifetime(names.storage) {
      IndexOrder.radixSorted(
        UnsafeBufferPointer(start: names.pointer(Int32.self), count: count), below: rowCount)
    }
    // Where the run of each distinct row begins in `order`, and at the end the number of positions.
    let index = names.pointer(Int32.self)
    var starts: [Int32] = []
    starts.reserveCapacity(count + 1)
    for position in 0..<count
    where position == 0 || index[Int(order[position])] != index[Int(order[position - 1])] {
      starts.append(Int32(position))
    }
    let unique = starts.count
    starts.append(Int32(count))
    let compact = Tensor(uninitialized: [unique, cols], dtype: values.dtype)
    let rows = Tensor(uninitialized: [unique], dtype: .int32)
    let table = Kernels.table(values.dtype, "SparseRows")
    let size = values.dtype.byteCount
    withExtendedLifetime((names.storage, source.storage)) {
      starts.withUnsafeBufferPointer { starts in
        order.withUnsafeBufferPointer { order in
          nonisolated(unsafe) let (starts, order) = (starts, order)
          Kernels.parallelRows(unique, cols: cols, grain: Kernels.elementGrain / 4) { first, length in
            for row in first..<first + length {
              let target = compact.data + row * cols * size
              let run = Int(starts[row])..<Int(starts[row + 1])
              rows.pointer(Int32.self)[row] = index[Int(order[run.lowerBound])]
              target.copyMemory(
                from: source.data + Int(order[run.lowerBound]) * cols * size, byteCount: cols * size)
              for position in run.dropFirst() {
                table.pointee.axpy(1, source.data + Int(order[position]) * cols * size, target, Int64(cols))
              }
            }
          }
        }
      }
    }
    return SparseRows(indices: rows, values: compact, rowCount: rowCount, isCoalesced: true)
  }
}
