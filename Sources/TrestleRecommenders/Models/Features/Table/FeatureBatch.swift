import TrestleTensor

/// Some examples of a ``FeatureTable`` as tensors.
public struct FeatureBatch {
  /// The lists of a column.
  public struct Lists {
    /// The entries of all rows, one row after the other, `[entries]`, `int32`.
    public let entries: Tensor
    /// Where each row's entries begin, `[rows]`, `int32`.
    public let offsets: Tensor

    /// The lists as a matrix with the code 0 as padding behind, and where there is no padding.
    ///
    /// - Parameter limit: of longer lists the last so many entries are kept.
    /// - Returns: `[rows, time]`, `int32`, and `[rows, time]`, `bool`.
    public func padded(limit: Int = .max) -> (codes: Tensor, mask: Tensor) {
      let codes = entries.scalars(as: Int32.self)
      let starts = offsets.scalars(as: Int32.self).map(Int.init) + [codes.count]
      let rows = starts.count - 1
      let time = min(limit, (0..<rows).reduce(0) { max($0, starts[$1 + 1] - starts[$1]) })
      var matrix = [Int32](repeating: 0, count: rows * time)
      var mask = [Bool](repeating: false, count: rows * time)
      for row in 0..<rows {
        let list = codes[starts[row]..<starts[row + 1]].suffix(time)
        for (place, code) in list.enumerated() {
          matrix[row * time + place] = code
          mask[row * time + place] = true
        }
      }
      return (Tensor(matrix, shape: [rows, time]), Tensor(mask, shape: [rows, time]))
    }
  }

  /// The number of examples.
  public let rowCount: Int
  /// The columns of numbers and times in the schema's order, `[rows, numbers]`, `float32`: numbers less their means and over their
  /// deviations, of a time seven (``FeatureTable/addTimes(_:_:)``); `nil` if there are none.
  public let numbers: Tensor?
  /// The codes of each column of categories, `[rows]`, `int32`.
  public let categories: [String: Tensor]
  /// Each column of lists, and each of texts, whose entries are the words' rows.
  public let lists: [String: Lists]
  /// 1 for clicked examples and 0 for others, `[rows]`, `float32`; `nil` if that is not known.
  public let labels: Tensor?
}

extension FeatureTable {
  /// Some rows as tensors.
  ///
  /// - Parameter rows: which, in the order that they are to have.
  /// - Throws: ``DataError/missingField(operation:expected:)`` if a column of the schema has not been added.
  /// - Precondition: all are rows of this table.
  public func batch(rows: some Sequence<Int>) throws(DataError) -> FeatureBatch {
    let part = selecting(rows: Array(rows))
    var numbers: [[Float]] = []
    var categories: [String: Tensor] = [:]
    var lists: [String: FeatureBatch.Lists] = [:]
    for field in schema.fields {
      switch (part.columns[field.name], field.kind) {
      case (.numbers(let values)?, .number(let mean, let deviation)):
        numbers.append(values.map { Float((Double($0) - mean) / deviation) })
      case (.times(let seconds)?, .time(let mean, let deviation)):
        numbers += TimeFeatures.columns(seconds, mean: mean, deviation: deviation)
      case (.categories(let codes)?, _): categories[field.name] = Tensor(codes)
      case (.lists(let entries, let starts)?, _):
        lists[field.name] = .init(
          entries: Tensor(entries), offsets: Tensor(starts.dropLast().map(Int32.init)))
      default:
        throw .missingField(operation: "FeatureTable", expected: "the column \(field.name) of the schema")
      }
    }
    let count = part.rowCount
    let scaled = (0..<count).flatMap { row in numbers.map { $0[row] } }
    return FeatureBatch(
      rowCount: count,
      numbers: numbers.isEmpty ? nil : Tensor(scaled, shape: [count, numbers.count]),
      categories: categories, lists: lists,
      labels: part.labels.isEmpty ? nil : Tensor(part.labels.map { $0 ? 1 as Float : 0 }))
  }
}
