internal import CTrestleKernels

/// A constant matrix in compressed sparse row form, to be multiplied with dense tensors.
///
/// The values carry no gradient; the dense factor does. `@unchecked Sendable`: the lazily made transpose is written once,
/// under the lock that `lazily` holds; all else is immutable.
public final class SparseMatrix: Sendable {
  /// The number of rows.
  public let rowCount: Int
  /// The number of columns.
  public let columnCount: Int
  /// Where each row's entries begin, and at the end their number: `rowCount + 1` numbers.
  public let rowStarts: [Int64]
  /// The column of each entry.
  public let columns: [Int32]
  /// The entries' values, `float32` or `float64`, `[entries]`.
  public let values: Tensor
  /// The transpose; `nil` for a symmetric matrix, which is its own.
  private let mirrored: SparseMatrix?

  /// A matrix of entries at `(rows[i], columns[i])`; entries at the same place are kept apart and count as their sum.
  ///
  /// - Precondition: as many rows as columns and values; all within the matrix.
  public convenience init(
    rowCount: Int, columnCount: Int, rows: [Int32], columns: [Int32], values: [Float],
    isSymmetric: Bool = false,
    dtype: DType = .float32
  ) {
    precondition(
      rows.count == columns.count && rows.count == values.count,
      "SparseMatrix: \(rows.count) rows, \(columns.count) columns, \(values.count) values")
    let direct = Self.compressed(rowCount, columnCount, rows, columns, values)
    let mirrored: SparseMatrix?
    if isSymmetric {
      mirrored = nil
    } else {
      let parts = Self.compressed(columnCount, rowCount, columns, rows, values)
      mirrored = SparseMatrix(
        rowCount: columnCount, columnCount: rowCount, rowStarts: parts.starts, columns: parts.columns,
        values: Tensor(parts.values).converted(to: dtype), mirrored: nil)
    }
    self.init(
      rowCount: rowCount, columnCount: columnCount, rowStarts: direct.starts, columns: direct.columns,
      values: Tensor(direct.values).converted(to: dtype), mirrored: mirrored)
  }

  private init(
    rowCount: Int, columnCount: Int, rowStarts: [Int64], columns: [Int32], values: Tensor,
    mirrored: SparseMatrix?
  ) {
    self.rowCount = rowCount
    self.columnCount = columnCount
    self.rowStarts = rowStarts
    self.columns = columns
    self.values = values
    self.mirrored = mirrored
  }

  /// The number of entries.
  public var entryCount: Int { columns.count }

  /// Entries sorted by row, then column (a stable counting sort by each).
  private static func compressed(
    _ rowCount: Int, _ columnCount: Int, _ rows: [Int32], _ columns: [Int32], _ values: [Float]
  ) -> (starts: [Int64], columns: [Int32], values: [Float]) {
    func order(_ keys: [Int32], _ bound: Int, of input: [Int32]) -> (starts: [Int64], order: [Int32]) {
      var starts = [Int64](repeating: 0, count: bound + 1)
      for key in keys {
        precondition(key >= 0 && key < bound, "SparseMatrix: index \(key) is outside 0..<\(bound)")
        starts[Int(key) + 1] += 1
      }
      for index in 0..<bound { starts[index + 1] += starts[index] }
      var next = starts
      var result = [Int32](repeating: 0, count: input.count)
      for entry in input {
        let key = Int(keys[Int(entry)])
        result[Int(next[key])] = entry
        next[key] += 1
      }
      return (starts, result)
    }
    let byColumn = order(columns, columnCount, of: Array(0..<Int32(columns.count))).order
    let (starts, byRow) = order(rows, rowCount, of: byColumn)
    return (starts, byRow.map { columns[Int($0)] }, byRow.map { values[Int($0)] })
  }

  /// This matrix times a dense one.
  ///
  /// - Parameter dense: `[columnCount, width]`, of the values' type.
  /// - Returns: `[rowCount, width]`.
  public func matmul(_ dense: Tensor) -> Tensor {
    precondition(
      dense.rank == 2 && dense.shape[0] == columnCount && dense.dtype == values.dtype,
      "SparseMatrix.matmul: [\(rowCount), \(columnCount)] \(values.dtype) times \(dense.dtype) \(dense.shape)"
    )
    let result = product(dense.detached.dense())
    let node = dense.node
    return dense.recording("SparseMatrix.matmul", result) { [self] dy, pass in
      pass.add((mirrored ?? self).product(dy.dense()), to: node)
    }
  }

  private func product(_ x: Tensor) -> Tensor {
    let cols = x.shape[1]
    let result = Tensor(uninitialized: [rowCount, cols], dtype: x.dtype)
    let table = Kernels.table(x.dtype, "SparseMatrix.matmul")
    let perRow = max(1, entryCount / max(rowCount, 1)) * cols
    withExtendedLifetime((x.storage, values.storage)) {
      rowStarts.withUnsafeBufferPointer { starts in
        columns.withUnsafeBufferPointer { columns in
          nonisolated(unsafe) let (starts, columns) = (starts, columns)
          Kernels.parallel(rowCount, grain: max(16, Kernels.elementGrain * 4 / perRow)) { row, count in
            table.pointee.csr_times_dense(
              starts.baseAddress, columns.baseAddress, values.data, x.data, result.data, Int64(row),
              Int64(row + count), Int64(cols), 0)
          }
        }
      }
    }
    return result
  }
}
