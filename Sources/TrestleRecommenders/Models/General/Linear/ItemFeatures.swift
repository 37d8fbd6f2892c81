import TrestleTensor

/// What is known of items as numbers, one row for each: genres, or the rows that a language model's reading gives.
public enum ItemFeatures: Sendable {
  /// `[items, features]`, `float32` or `float64`. Rows of a language model are best brought to unit length
  /// (`Tensor.unitNormalized(epsilon:)`), so that no item weighs more than another.
  case dense(Tensor)
  /// `[items, features]`, of which few are not 0.
  case sparse(SparseMatrix)

  /// A 1 for each of an item's genres, one feature for each genre that occurs, in the order of their names.
  public static func genres(of items: ItemAttributes) -> ItemFeatures {
    let names = Set(items.genres.joined()).sorted()
    var place = [String: Int32](minimumCapacity: names.count)
    for (index, name) in names.enumerated() { place[name] = Int32(index) }
    var (rows, columns): ([Int32], [Int32]) = ([], [])
    for (item, genres) in items.genres.enumerated() {
      for column in Set(genres).compactMap({ place[$0] }).sorted() {
        rows.append(Int32(item))
        columns.append(column)
      }
    }
    return .sparse(
      SparseMatrix(
        rowCount: items.count, columnCount: names.count, rows: rows, columns: columns,
        values: [Float](repeating: 1, count: rows.count)))
  }

  /// The number of items.
  public var itemCount: Int {
    switch self {
    case .dense(let rows): rows.shape[0]
    case .sparse(let matrix): matrix.rowCount
    }
  }

  /// The numbers, whatever their form.
  private var values: Tensor {
    switch self {
    case .dense(let rows): rows
    case .sparse(let matrix): matrix.values
    }
  }

  /// Stops what no model can use.
  func check(_ operation: String, itemCount count: Int) throws(DataError) {
    func fail(_ expected: String, _ found: String) -> DataError {
      .invalidParameter(operation: operation, expected: expected, found: found)
    }
    if case .dense(let rows) = self {
      guard rows.rank == 2, rows.dtype == .float32 || rows.dtype == .float64 else {
        throw fail("features [items, features] of float32 or float64", "\(rows.dtype) \(rows.shape)")
      }
    }
    guard itemCount == count else {
      throw fail("a row of features for each of \(count) items", "\(itemCount)")
    }
    // A number times 0 is 0 unless it is infinite or none.
    guard (values.detached.dense() * 0).sum().item == 0 else { throw fail("finite features", "others") }
  }

  /// matrix += scale · F Fᵀ; matrix is dense, `[items, items]`, `float64`, and nobody else holds it.
  func addGram(times scale: Double, to matrix: Tensor) {
    switch self {
    case .dense(let rows): Self.addGram(of: rows, scale, matrix)
    case .sparse(let entries): Self.addGram(of: entries, scale, matrix)
    }
  }

  private static let band = 512

  private static func addGram(of features: Tensor, _ scale: Double, _ matrix: Tensor) {
    let rows = features.detached.converted(to: .float64).dense()
    let count = rows.shape[0]
    for start in stride(from: 0, to: count, by: band) {
      let chosen = start..<min(start + band, count)
      let product = rows.sliced(chosen, along: 0).matmul(rows, transposingOther: true).dense()
      ThreadPool.shared.run(chosen.count) { row in
        let target = matrix.pointer(Double.self) + (start + row) * count
        let source = product.pointer(Double.self) + row * count
        for column in 0..<count { target[column] += scale * source[column] }
      }
      withExtendedLifetime((product, matrix)) {}
    }
  }

  private static func addGram(of features: SparseMatrix, _ scale: Double, _ matrix: Tensor) {
    let count = features.rowCount
    let values: [Double] = features.values.converted(to: .float64).scalars()
    let (starts, entries) = IndexOrder.grouped(
      features.columns, below: features.columnCount)
    var owners = [Int32](repeating: 0, count: features.entryCount)
    for row in 0..<count {
      for place in Int(features.rowStarts[row])..<Int(features.rowStarts[row + 1]) {
        owners[place] = Int32(row)
      }
    }
    let grain = RidgeWeights.grain
    ThreadPool.shared.run((count + grain - 1) / grain) { [owners] task in
      for item in task * grain..<min((task + 1) * grain, count) {
        let row = matrix.pointer(Double.self) + item * count
        for place in Int(features.rowStarts[item])..<Int(features.rowStarts[item + 1]) {
          let feature = Int(features.columns[place])
          for other in entries[starts[feature]..<starts[feature + 1]] {
            row[Int(owners[Int(other)])] += scale * values[place] * values[Int(other)]
          }
        }
      }
    }
    withExtendedLifetime(matrix) {}
  }
}
