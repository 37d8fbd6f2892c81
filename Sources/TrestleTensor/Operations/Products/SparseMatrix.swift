internal import CTrestleKernels
import Synchronization

/// A constant matrix in compressed sparse row form, to be multiplied with dense tensors.
///
/// The values carry no gradient; the dense factor does.
///
/// A row of the product gathers rows of the dense factor from anywhere. Where that factor is far larger than the caches,
/// the product is made by blocks of columns: as many at a time as have their rows in the cache. The sums are
/// added up in the same order either way, so the bits are the same.
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
  /// The entries by blocks of columns, made when a product first needs them.
  private let blocks = Mutex<ColumnBlocks?>(nil)

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

  /// A matrix from its compressed rows as they are: nothing is sorted, and no list of places is made on the way.
  ///
  /// - Parameters:
  ///   - rowCount: the number of rows.
  ///   - columnCount: the number of columns.
  ///   - rowStarts: where each row's entries begin, and at the end their number, `rowCount + 1` numbers.
  ///   - columns: the column of each entry, ascending within a row; an entry may be there twice and counts as its sum.
  ///   - values: the entries' values, `float32` or `float64`, `[entries]`.
  ///   - isSymmetric: whether the matrix is its own transpose, which is not made then.
  /// - Precondition: what is said of the parameters.
  public convenience init(
    rowCount: Int, columnCount: Int, rowStarts: [Int64], columns: [Int32], values: Tensor,
    isSymmetric: Bool = false
  ) {
    precondition(
      values.rank == 1 && (values.dtype == .float32 || values.dtype == .float64)
        && values.elementCount == columns.count,
      "SparseMatrix: \(values.dtype) \(values.shape) for \(columns.count) columns")
    precondition(
      rowStarts.count == rowCount + 1 && rowStarts.first == 0 && rowStarts.last == Int64(columns.count)
        && zip(rowStarts, rowStarts.dropFirst()).allSatisfy { $0 <= $1 },
      "SparseMatrix: \(rowStarts.count) starts of \(rowCount) rows with \(columns.count) entries")
    precondition(
      columns.allSatisfy { $0 >= 0 && $0 < columnCount },
      "SparseMatrix: a column is outside 0..<\(columnCount)")
    precondition(
      (0..<rowCount).allSatisfy { row in
        let own = columns[Int(rowStarts[row])..<Int(rowStarts[row + 1])]
        return zip(own, own.dropFirst()).allSatisfy { $0 <= $1 }
      }, "SparseMatrix: a row's columns do not ascend")
    let entries = values.detached.dense()
    var mirrored: SparseMatrix?
    if !isSymmetric {
      let (starts, rows, order) = Self.transposed(rowStarts, columns, columnCount)
      mirrored = SparseMatrix(
        rowCount: columnCount, columnCount: rowCount, rowStarts: starts, columns: rows,
        values: entries.expanded(at: 1).gatheredRows(Tensor(order)).flattened(), mirrored: nil)
    }
    self.init(
      rowCount: rowCount, columnCount: columnCount, rowStarts: rowStarts, columns: columns, values: entries,
      mirrored: mirrored)
  }

  /// A matrix from its compressed rows that is only ever multiplied forwards: its transpose is not made, and nothing is checked.
  ///
  /// - Parameters: as for the public initializer.
  package static func forwardOnly(
    rowCount: Int, columnCount: Int, rowStarts: [Int64], columns: [Int32], values: Tensor
  ) -> SparseMatrix {
    SparseMatrix(
      rowCount: rowCount, columnCount: columnCount, rowStarts: rowStarts, columns: columns, values: values,
      mirrored: nil)
  }

  /// The transpose's starts, the row of each of its entries and that entry's place here: a stable counting sort by columns.
  private static func transposed(
    _ rowStarts: [Int64], _ columns: [Int32], _ columnCount: Int
  ) -> (starts: [Int64], rows: [Int32], order: [Int32]) {
    var starts = [Int64](repeating: 0, count: columnCount + 1)
    for column in columns { starts[Int(column) + 1] += 1 }
    for column in 0..<columnCount { starts[column + 1] += starts[column] }
    var next = starts
    var rows = [Int32](repeating: 0, count: columns.count)
    var order = rows
    for row in 0..<rowStarts.count - 1 {
      for entry in Int(rowStarts[row])..<Int(rowStarts[row + 1]) {
        let place = Int(next[Int(columns[entry])])
        (rows[place], order[place]) = (Int32(row), Int32(entry))
        next[Int(columns[entry])] += 1
      }
    }
    return (starts, rows, order)
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

  /// The bytes of the dense factor's rows that one block of columns gathers: they stay in the cache.
  private static let blockBytes = 16 << 20
  /// The bytes of a dense factor from which on the product is made by blocks.
  package static let smallestBlockedBytes = 64 << 20
  /// Whether a product by blocks has been made.
  package var hasBlocks: Bool { blocks.withLock { $0 != nil } }

  private func product(_ x: Tensor) -> Tensor {
    product(x, columnsPerBlock: columnsPerBlock(for: x))
  }

  /// The product, by blocks of so many columns if any.
  package func product(_ x: Tensor, columnsPerBlock: Int?) -> Tensor {
    let shape: Shape = [rowCount, x.shape[1]]
    let isBlocked = columnsPerBlock != nil
    let result =
      isBlocked ? Tensor.zeros(shape, dtype: x.dtype) : Tensor(uninitialized: shape, dtype: x.dtype)
    multiply(x, to: result, columnsPerBlock: columnsPerBlock, accumulates: isBlocked)
    return result
  }

  /// out += self · x.
  package func addProduct(with x: Tensor, to out: Tensor) {
    multiply(x, to: out, columnsPerBlock: columnsPerBlock(for: x), accumulates: true)
  }

  /// How many columns a block has, whose rows of `x` stay in the cache; `nil` where all of `x` nearly does.
  private func columnsPerBlock(for x: Tensor) -> Int? {
    let rowBytes = max(1, x.shape[1] * x.dtype.byteCount)
    return columnCount * rowBytes >= Self.smallestBlockedBytes ? max(1, Self.blockBytes / rowBytes) : nil
  }

  private func multiply(_ x: Tensor, to out: Tensor, columnsPerBlock: Int?, accumulates: Bool) {
    guard let columnsPerBlock else {
      multiply(rowStarts, columns, values, x, to: out, firstRow: 0, accumulates: accumulates)
      return
    }
    let blocks = blocks.withLock { blocks in
      if let blocks, blocks.columnsPerBlock == columnsPerBlock { return blocks }
      let made = ColumnBlocks(self, columnsPerBlock: columnsPerBlock)
      blocks = made
      return made
    }
    for block in blocks.blocks {
      multiply(
        block.rowStarts, blocks.columns, blocks.values, x, to: out, firstRow: block.firstRow,
        accumulates: true)
    }
  }

  /// Rows `firstRow`… of `out` become, or gain, the sums over the entries that `starts` tells apart.
  private func multiply(
    _ starts: [Int64], _ columns: [Int32], _ values: Tensor, _ x: Tensor, to out: Tensor, firstRow: Int,
    accumulates: Bool
  ) {
    let cols = x.shape[1]
    let rows = starts.count - 1
    guard rows > 0 else { return }
    let table = Kernels.table(x.dtype, "SparseMatrix")
    let entries = Int(starts[rows] - starts[0])
    // Rows differ in length: tasks of equal entries, fixed by the matrix alone.
    let tasks = max(1, min(64, entries * cols / Kernels.elementGrain))
    let target = out.data + firstRow * cols * x.dtype.byteCount
    withExtendedLifetime((x.storage, values.storage, out.storage)) {
      starts.withUnsafeBufferPointer { starts in
        columns.withUnsafeBufferPointer { columns in
          nonisolated(unsafe) let (starts, columns, target) = (starts, columns, target)
          ThreadPool.shared.run(tasks) { task in
            let first = Self.row(at: Int(starts[0]) + entries * task / tasks, starts, isFirst: task == 0)
            let end =
              task + 1 == tasks
              ? rows : Self.row(at: Int(starts[0]) + entries * (task + 1) / tasks, starts, isFirst: false)
            if first < end {
              table.pointee.csr_times_dense(
                starts.baseAddress, columns.baseAddress, values.data, x.data, target, Int64(first),
                Int64(end),
                Int64(cols), accumulates ? 1 : 0)
            }
          }
        }
      }
    }
  }

  /// The first row whose entries begin at or behind `entry`; 0 for the first task.
  private static func row(at entry: Int, _ starts: UnsafeBufferPointer<Int64>, isFirst: Bool) -> Int {
    if isFirst { return 0 }
    return (0..<starts.count - 1).partitionPoint { starts[$0] < entry }
  }
}

/// The entries of a sparse matrix by blocks of columns, and within a block by row.
private struct ColumnBlocks: Sendable {
  struct Block: Sendable {
    /// The first row with an entry in the block.
    var firstRow: Int
    /// Where the entries of each row from there to the last with an entry begin, and their end.
    var rowStarts: [Int64]
  }

  let columnsPerBlock: Int
  let blocks: [Block]
  let columns: [Int32]
  let values: Tensor

  init(_ matrix: SparseMatrix, columnsPerBlock: Int) {
    self.columnsPerBlock = columnsPerBlock
    // A row's entries are sorted by column: those of a block follow one another.
    let count = (matrix.columnCount + columnsPerBlock - 1) / columnsPerBlock
    var sizes = [Int64](repeating: 0, count: count)
    var rows = [(first: Int, last: Int)](repeating: (Int.max, -1), count: count)
    matrix.forEachRun(columnsPerBlock) { row, block, entries in
      sizes[block] += Int64(entries.count)
      rows[block] = (min(rows[block].first, row), row)
    }
    var blocks = rows.map {
      Block(firstRow: $0.first, rowStarts: [Int64](repeating: 0, count: max($0.last - $0.first + 2, 1)))
    }
    var next = [Int64](repeating: 0, count: count)
    for block in sizes.indices.dropFirst() { next[block] = next[block - 1] + sizes[block - 1] }
    for block in blocks.indices { blocks[block].rowStarts[0] = next[block] }
    var order = [Int32](repeating: 0, count: matrix.entryCount)
    matrix.forEachRun(columnsPerBlock) { row, block, entries in
      for entry in entries {
        order[Int(next[block])] = Int32(entry)
        next[block] += 1
      }
      blocks[block].rowStarts[row - blocks[block].firstRow + 1] = next[block]
    }
    // Rows without an entry in a block begin where the row before them ends.
    for block in blocks.indices {
      for row in blocks[block].rowStarts.indices.dropFirst() {
        blocks[block].rowStarts[row] = max(blocks[block].rowStarts[row], blocks[block].rowStarts[row - 1])
      }
    }
    self.blocks = blocks.filter { $0.rowStarts.count > 1 }
    columns = order.map { matrix.columns[Int($0)] }
    values = matrix.values.reshaped(to: [matrix.entryCount, 1]).gatheredRows(Tensor(order))
      .reshaped(to: [matrix.entryCount])
  }
}

extension SparseMatrix {
  /// Calls `body` with each row's runs of entries in one block of columns.
  fileprivate func forEachRun(
    _ columnsPerBlock: Int, _ body: (_ row: Int, _ block: Int, _ entries: Range<Int>) -> Void
  ) {
    for row in 0..<rowCount {
      var start = Int(rowStarts[row])
      let end = Int(rowStarts[row + 1])
      while start < end {
        let block = Int(columns[start]) / columnsPerBlock
        let bound = (block + 1) * columnsPerBlock
        var stop = start + 1
        while stop < end, Int(columns[stop]) < bound { stop += 1 }
        body(row, block, start..<stop)
        start = stop
      }
    }
  }
}
