/// A split as row numbers of the interactions that it parts: four bytes a row, where the parts of a ``DataSplit`` are copies of all
/// columns.
///
/// ```swift
/// let rows = try dataset.interactions.splitRows(.ratio(), seed: 1)
/// let training = dataset.interactions.selecting(rows: rows.training)
/// ```
///
/// ``Interactions/split(by:)`` makes the parts, and ``DataSplit/rows(in:)`` finds the rows of parts that are there.
public struct SplitRows: Sendable, Equatable {
  /// The rows that models are fitted on, in the order of that part.
  public let training: [Int32]
  /// The rows that models, epochs and parameters are chosen on.
  public let validation: [Int32]
  /// The rows that are looked at once, at the end.
  public let test: [Int32]
  /// How the parts were made, `given` if the caller brought them.
  public let strategy: String

  /// Takes given rows; rows of the interactions that are in no part are left out.
  public init(training: [Int32], validation: [Int32], test: [Int32], strategy: String = "given") {
    (self.training, self.validation, self.test) = (training, validation, test)
    self.strategy = strategy
  }

  /// The ``DataSplit/hash`` of the parts, without making them.
  ///
  /// - Parameter interactions: those that the rows are of.
  /// - Precondition: every row number is below `interactions.count`.
  public func hash(in interactions: Interactions) -> String {
    var hash = StableHash()
    for part in [training, validation, test] { interactions.combine(part.lazy.map { Int($0) }, into: &hash) }
    return hash.hexadecimal
  }
}

extension Interactions {
  /// Makes the parts of a split.
  ///
  /// - Parameter rows: the numbers of this value's rows.
  /// - Precondition: every row number is below ``count``.
  public func split(by rows: SplitRows) -> DataSplit {
    DataSplit(
      training: selecting(rows: rows.training), validation: selecting(rows: rows.validation),
      test: selecting(rows: rows.test), strategy: rows.strategy)
  }
}

extension DataSplit {
  /// Finds the rows of the parts, wherever these come from: ``Interactions/split(by:)`` makes of them the same parts, with the same
  /// ``hash``.
  ///
  /// Of rows that are the same in all columns, the first one goes to the first part that has it.
  ///
  /// - Parameter interactions: those that were parted.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for interactions of other users and items or with other
  ///   columns than the parts have, and for a part with a row that they do not have, or have less often than the parts.
  public func rows(in interactions: Interactions) throws(DataError) -> SplitRows {
    let parts = [("training", training), ("validation", validation), ("test", test)]
    func invalid(_ expected: String, _ found: String) -> DataError {
      .invalidParameter(operation: "DataSplit.rows(in:)", expected: expected, found: found)
    }
    guard userCount == interactions.userCount, itemCount == interactions.itemCount else {
      throw invalid(
        "interactions of \(userCount) users and \(itemCount) items",
        "\(interactions.userCount) and \(interactions.itemCount)")
    }
    let columns = interactions.columns
    if let (name, part) = parts.first(where: { $0.1.columns != columns }) {
      throw invalid("the interactions' \(columns) in the \(name) part", part.columns)
    }
    let (offsets, order) = interactions.rowsByUser()
    let grouped = parts.map { $0.1.rowsByUser() }
    var found = parts.map { [Int32](repeating: 0, count: $0.1.count) }
    for user in 0..<userCount {
      // The rows that no part has taken yet, the first one last.
      var left: [RowValues: [Int32]] = [:]
      for row in order[offsets[user]..<offsets[user + 1]].reversed() {
        left[RowValues(interactions, Int(row)), default: []].append(row)
      }
      for (place, (name, part)) in parts.enumerated() {
        for row in grouped[place].rows[grouped[place].offsets[user]..<grouped[place].offsets[user + 1]] {
          guard let own = left[RowValues(part, Int(row))]?.popLast() else {
            throw invalid(
              "rows of the interactions, each at most as often as there",
              "row \(row) of the \(name) part, of user \(user) and item \(part.items[Int(row)])")
          }
          found[place][Int(row)] = own
        }
      }
    }
    return SplitRows(training: found[0], validation: found[1], test: found[2], strategy: strategy)
  }
}

/// What a row holds beside its user, bit for bit.
private struct RowValues: Hashable {
  let item: Int32
  let rating: UInt32?
  let timestamp: Int64?

  init(_ interactions: Interactions, _ row: Int) {
    item = interactions.items[row]
    rating = interactions.ratings?[row].bitPattern
    timestamp = interactions.timestamps?[row]
  }
}

extension Interactions {
  /// The columns that there are, for people.
  fileprivate var columns: String {
    "users, items" + (ratings == nil ? "" : ", ratings")
      + (timestamps == nil ? "" : ", timestamps")
  }
}
