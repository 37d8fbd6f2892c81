import TrestleTensor

/// Examples with named columns of numbers, categories, lists of categories, texts and times, for click-through models.
///
/// A first table learns its ``schema`` from what is added: the ids of the categories, and the numbers' means. A table made
/// with that schema reads later data by it: ids that the schema does not know, and empty ones, all have the code 0, which
/// has a row of its own in every model.
///
/// ```swift
/// var table = FeatureTable(rowCount: 2)
/// try table.addNumbers("age", [24, 53])
/// try table.addCategories("film", ["Emma", "Persuasion"])
/// try table.addLists("seen", [["Persuasion"], []], vocabulary: "film")
/// try table.addTexts("review", ["A sensible heroine", "Slow, but lovely"])
/// try table.addTimes("shown", [1_715_941_800, 1_716_000_000])
/// try table.setLabels([true, false])
/// ```
public struct FeatureTable: Sendable {
  /// A column's values.
  enum Column: Sendable {
    case numbers([Float])
    case categories([Int32])
    /// Seconds from 1970.
    case times([Double])
    /// The entries of all rows, of a text its words' rows, and where each row's begin, with the end of the last behind.
    case lists(entries: [Int32], starts: [Int])
  }

  /// The number of examples.
  public let rowCount: Int
  /// What the columns are.
  public private(set) var schema: FeatureSchema
  /// Whether each example was clicked; empty if that is not known.
  public private(set) var labels: [Bool] = []
  /// Whom each example was shown to, as numbers; empty if that is not known.
  public private(set) var users: [Int32] = []
  private(set) var columns: [String: Column] = [:]
  /// Whether the schema was given and stays as it is.
  private var isFixed: Bool

  /// A table without columns.
  ///
  /// - Parameters:
  ///   - rowCount: the number of examples.
  ///   - schema: of another table, whose ids and means are used here; `nil` to learn them from what is added.
  public init(rowCount: Int, schema: FeatureSchema? = nil) {
    precondition(rowCount >= 0, "FeatureTable: \(rowCount) rows")
    self.rowCount = rowCount
    self.schema = schema ?? FeatureSchema()
    isFixed = schema != nil
  }

  /// Adds a column of numbers.
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - values: one finite number a row.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the values do not fit, or the schema has no such
  ///   column.
  public mutating func addNumbers(_ name: String, _ values: [Float]) throws(DataError) {
    try requireRows(values.count, name)
    if let row = values.firstIndex(where: { !$0.isFinite }) {
      throw Self.fault(name, "finite numbers", "\(values[row]) in row \(row)")
    }
    try add(name, found: "numbers") {
      let (mean, deviation) = Self.scale(of: values.lazy.map { Double($0) })
      return .number(mean: mean, deviation: deviation)
    } column: { kind in
      guard case .number = kind else { return nil }
      return .numbers(values)
    }
  }

  /// Mean and deviation; a deviation of 1 if all values are one.
  static func scale(of values: some Collection<Double>) -> (mean: Double, deviation: Double) {
    let count = Double(max(values.count, 1))
    let mean = values.reduce(0) { $0 + $1 } / count
    let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / count
    return (mean, variance > 0 ? variance.squareRoot() : 1)
  }

  /// Adds a column of categories.
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - ids: one category a row; the empty text stands for an unknown one.
  ///   - vocabulary: the vocabulary's name, by which columns share it; by default the column's.
  ///   - minimumCount: how often an id must occur in this column to be learnt; rarer ones are unknown.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the values do not fit, or the schema has no such
  ///   column.
  public mutating func addCategories(
    _ name: String, _ ids: [String], vocabulary: String? = nil, minimumCount: Int = 1
  ) throws(DataError) {
    try requireRows(ids.count, name)
    let kind = FeatureSchema.Kind.category(vocabulary: vocabulary ?? name)
    columns[name] = .categories(try codes(name, kind, ids, minimumCount))
  }

  /// Adds a column of lists of categories, such as what a user has seen, the oldest first.
  ///
  /// - Parameters:
  ///   - name: the column's name, which no other column has.
  ///   - lists: one list a row, which may be empty; an empty text stands for an unknown category.
  ///   - vocabulary: the vocabulary's name, by which columns share it; by default the column's.
  ///   - minimumCount: how often an id must occur in this column to be learnt; rarer ones are unknown.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the values do not fit, or the schema has no such
  ///   column.
  public mutating func addLists(
    _ name: String, _ lists: [[String]], vocabulary: String? = nil, minimumCount: Int = 1
  ) throws(DataError) {
    try requireRows(lists.count, name)
    let kind = FeatureSchema.Kind.list(vocabulary: vocabulary ?? name)
    let entries = try codes(name, kind, Array(lists.joined()), minimumCount)
    let starts = lists.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1.count) }
    columns[name] = .lists(entries: entries, starts: starts)
  }

  /// Says which examples were clicked.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` unless there is one label a row.
  public mutating func setLabels(_ labels: [Bool]) throws(DataError) {
    guard labels.count == rowCount else {
      throw Self.fault("labels", "\(rowCount) labels", "\(labels.count)")
    }
    self.labels = labels
  }

  /// Says whom each example was shown to, for measures of each user. Users need not be a column.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` unless there is one id a row.
  public mutating func setUsers(_ ids: [String]) throws(DataError) {
    guard ids.count == rowCount else { throw Self.fault("users", "\(rowCount) ids", "\(ids.count)") }
    var map = IDMap()
    users = ids.map { Int32(map.insert($0)) }
  }

  /// A table of some of the rows, in the given order, with the same schema.
  ///
  /// - Precondition: all are rows of this table.
  public func selecting(rows: [Int]) -> FeatureTable {
    var part = FeatureTable(rowCount: rows.count, schema: schema)
    part.labels = labels.isEmpty ? [] : rows.map { labels[$0] }
    part.users = users.isEmpty ? [] : rows.map { users[$0] }
    part.columns = columns.mapValues { column in
      switch column {
      case .numbers(let values): .numbers(rows.map { values[$0] })
      case .times(let values): .times(rows.map { values[$0] })
      case .categories(let codes): .categories(rows.map { codes[$0] })
      case .lists(let entries, let starts):
        .lists(
          entries: rows.flatMap { entries[starts[$0]..<starts[$0 + 1]] },
          starts: rows.reduce(into: [0]) { $0.append(($0.last ?? 0) + starts[$1 + 1] - starts[$1]) })
      }
    }
    return part
  }

  /// A table with one column of ids more, of which each row has one of its own.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a name that a column has, and for ids that two rows
  ///   share or that are empty.
  func addingIDs(_ name: String, _ ids: [String]) throws(DataError) -> FeatureTable {
    var copy = self
    copy.isFixed = false
    guard schema.vocabularies[name] == nil else {
      throw Self.fault(name, "a name that no vocabulary has", "a second vocabulary of that name")
    }
    try copy.addCategories(name, ids)
    guard copy.schema.codeCount(of: name) == rowCount + 1 else {
      throw Self.fault(name, "an id for each row, of its own", "\(copy.schema.codeCount(of: name) - 1) ids")
    }
    copy.isFixed = isFixed
    return copy
  }

  // MARK: Checks

  static func fault(_ name: String, _ expected: String, _ found: String) -> DataError {
    .invalidParameter(operation: "FeatureTable, \(name)", expected: expected, found: found)
  }

  func requireRows(_ count: Int, _ name: String) throws(DataError) {
    guard count == rowCount else { throw Self.fault(name, "\(rowCount) values", "\(count)") }
    guard columns[name] == nil else {
      throw Self.fault(name, "a name that no column has", "a second column of that name")
    }
  }

  /// Puts a column beside the others, and its kind into a schema that is learnt.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if a given schema has no such column, or one of another
  ///   kind.
  /// - Parameters:
  ///   - found: what the values are, for people.
  ///   - kind: what the column is if the schema is learnt.
  ///   - column: the column by the schema's kind; `nil` if that is another one.
  mutating func add(
    _ name: String, found: String, learning kind: () -> FeatureSchema.Kind,
    column: (FeatureSchema.Kind) -> Column?
  ) throws(DataError) {
    let own = isFixed ? try field(name).kind : kind()
    guard let column = column(own) else { throw Self.fault(name, "the schema's kind \(own)", found) }
    if !isFixed { schema.fields.append(.init(name: name, kind: own)) }
    columns[name] = column
  }

  private func field(_ name: String) throws(DataError) -> FeatureSchema.Field {
    if let field = schema.field(name) { return field }
    let names = schema.fields.map(\.name).prefix(100).joined(separator: ", ")
    throw Self.fault(name, "a column of the schema: \(names)", "another")
  }

  /// The codes of `ids`: those of the schema, which learns new ones unless it was given.
  private mutating func codes(
    _ name: String, _ kind: FeatureSchema.Kind, _ ids: [String], _ minimumCount: Int
  ) throws(DataError) -> [Int32] {
    let expected = isFixed ? try field(name).kind : kind
    let vocabulary: String
    switch (expected, kind) {
    case (.category(let own), .category), (.list(let own), .list): vocabulary = own
    case (let own, _): throw Self.fault(name, "the schema's kind \(own)", "\(kind)")
    }
    if !isFixed {
      var counts: [String: Int] = [:]
      if minimumCount > 1 { for id in ids { counts[id, default: 0] += 1 } }
      var map = schema.vocabularies[vocabulary] ?? IDMap()
      for id in ids where !id.isEmpty && (minimumCount <= 1 || counts[id, default: 0] >= minimumCount) {
        map.insert(id)
      }
      schema.vocabularies[vocabulary] = map
      schema.fields.append(.init(name: name, kind: kind))
    }
    let map = schema.vocabularies[vocabulary] ?? IDMap()
    return ids.map { id in id.isEmpty ? 0 : Int32((map.index(of: id) ?? -1) + 1) }
  }
}
