import Foundation

/// Which columns of a file go into a ``FeatureTable``, by their names in its first line.
public struct FeatureColumns: Codable, Sendable, Equatable {
  /// The label, 1 for a click and 0 for none; `nil` for a file without.
  public var label: String?
  /// Whom the example was shown to, for measures of each user; `nil` for a file without.
  public var user: String?
  /// Columns of numbers.
  public var numbers: [String] = []
  /// Columns of categories; an empty field stands for an unknown one.
  public var categories: [String] = []
  /// Columns of lists of categories; an empty field stands for an empty list.
  public var lists: [String] = []
  /// Columns of texts, which count by their words (``FeatureTable/addTexts(_:_:buckets:)``).
  public var texts: [String] = []
  /// How many rows the words of a column of texts have.
  public var textBuckets = 4096
  /// Columns of times: ISO dates, or seconds or milliseconds from 1970 (``FeatureTable/addTimes(_:texts:)``).
  public var times: [String] = []
  /// What stands between the categories of a list.
  public var listSeparator = "|"
  /// The vocabularies of columns that share one, by column; of others it has the column's name.
  public var vocabularies: [String: String] = [:]
  /// How often a category must occur in its column to be learnt; rarer ones are unknown.
  public var minimumCount = 1

  /// No columns.
  public init() {}

  /// Reads what was saved; earlier versions knew neither texts nor times.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    label = try values.decodeIfPresent(String.self, forKey: .label)
    user = try values.decodeIfPresent(String.self, forKey: .user)
    numbers = try values.decode([String].self, forKey: .numbers)
    categories = try values.decode([String].self, forKey: .categories)
    lists = try values.decode([String].self, forKey: .lists)
    texts = try values.decodeIfPresent([String].self, forKey: .texts) ?? texts
    textBuckets = try values.decodeIfPresent(Int.self, forKey: .textBuckets) ?? textBuckets
    times = try values.decodeIfPresent([String].self, forKey: .times) ?? times
    listSeparator = try values.decode(String.self, forKey: .listSeparator)
    vocabularies = try values.decode([String: String].self, forKey: .vocabularies)
    minimumCount = try values.decode(Int.self, forKey: .minimumCount)
  }
}

extension FeatureTable {
  /// Reads a table from a CSV or TSV file whose first line names the columns.
  ///
  /// Fields may be in double quotes, as in `Dataset.delimited`. A column of the file may serve several ends: the user may be
  /// a column of categories, too.
  ///
  /// - Parameters:
  ///   - file: the file.
  ///   - columns: the columns to look for, which must exist.
  ///   - schema: of another table, whose ids and means are used; `nil` to learn them from the file.
  ///   - separator: one or two bytes of text; `nil` for a tab in files called `.tsv`, a comma in others.
  ///   - options: encoding (UTF-8 by default), progress, and what to do with bad lines.
  /// - Returns: the table, and what reading has met with.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func delimited(
    _ file: URL, columns: FeatureColumns, schema: FeatureSchema? = nil, separator: String? = nil,
    options: ReadOptions = ReadOptions()
  ) throws(DataError) -> (table: FeatureTable, report: ReadReport) {
    guard !columns.listSeparator.isEmpty else {
      throw fault("lists", "a text between their categories", "an empty one")
    }
    var source = try DelimitedTable(file, separator, options)
    var report = ReadReport()
    var rows = try RowsRead(columns, source)
    try source.forEachRow(options, &report) { (reader: inout RecordReader) throws(DataError) in
      try rows.append(reader, listSeparator: columns.listSeparator)
    }
    return (try rows.table(columns, schema), report)
  }
}

/// The columns of a file while it is read.
private struct RowsRead {
  private let places:
    (label: Int?, user: Int?, numbers: [Int], categories: [Int], lists: [Int], texts: [Int], times: [Int])
  private var rowCount = 0
  private var labels: [Bool] = []
  private var users: [String] = []
  private var numbers: [[Float]]
  private var categories: [[String]]
  private var lists: [[[String]]]
  private var texts: [[String]]
  private var times: [[Double]]

  init(_ columns: FeatureColumns, _ table: DelimitedTable) throws(DataError) {
    func all(_ names: [String]) throws(DataError) -> [Int] {
      var found: [Int] = []
      for name in names { found.append(try table.column(name)) }
      return found
    }
    places = (
      try table.column(columns.label), try table.column(columns.user), try all(columns.numbers),
      try all(columns.categories), try all(columns.lists), try all(columns.texts), try all(columns.times)
    )
    numbers = columns.numbers.map { _ in [] }
    categories = columns.categories.map { _ in [] }
    lists = columns.lists.map { _ in [] }
    texts = columns.texts.map { _ in [] }
    times = columns.times.map { _ in [] }
  }

  /// Takes a record, whole or, if it is bad, not at all.
  mutating func append(_ reader: RecordReader, listSeparator: String) throws(DataError) {
    var label: Float?
    if let place = places.label {
      let value = try reader.float(place, "a label, 0 or 1")
      guard value == 0 || value == 1 else {
        throw reader.malformed(field: place, expected: "a label, 0 or 1")
      }
      label = value
    }
    var values: [Float] = []
    for place in places.numbers {
      let value = try reader.float(place, "a number")
      guard value.isFinite else { throw reader.malformed(field: place, expected: "a finite number") }
      values.append(value)
    }
    var seconds: [Double] = []
    for place in places.times {
      guard let value = TimeFeatures.seconds(reader.text(place)) else {
        throw reader.malformed(field: place, expected: TimeFeatures.expected)
      }
      seconds.append(value)
    }
    rowCount += 1
    if let label { labels.append(label == 1) }
    if let place = places.user { users.append(reader.text(place)) }
    for (column, value) in values.enumerated() { numbers[column].append(value) }
    for (column, place) in places.categories.enumerated() { categories[column].append(reader.text(place)) }
    for (column, value) in seconds.enumerated() { times[column].append(value) }
    for (column, place) in places.texts.enumerated() { texts[column].append(reader.text(place)) }
    for (column, place) in places.lists.enumerated() {
      lists[column].append(reader.text(place).split(separator: listSeparator).map(String.init))
    }
  }

  func table(_ columns: FeatureColumns, _ schema: FeatureSchema?) throws(DataError) -> FeatureTable {
    var table = FeatureTable(rowCount: rowCount, schema: schema)
    for (name, values) in zip(columns.numbers, numbers) { try table.addNumbers(name, values) }
    for (name, ids) in zip(columns.categories, categories) {
      try table.addCategories(
        name, ids, vocabulary: columns.vocabularies[name], minimumCount: columns.minimumCount)
    }
    for (name, entries) in zip(columns.lists, lists) {
      try table.addLists(
        name, entries, vocabulary: columns.vocabularies[name], minimumCount: columns.minimumCount)
    }
    for (name, values) in zip(columns.texts, texts) {
      try table.addTexts(name, values, buckets: columns.textBuckets)
    }
    for (name, seconds) in zip(columns.times, times) { try table.addTimes(name, seconds) }
    if columns.label != nil { try table.setLabels(labels) }
    if columns.user != nil { try table.setUsers(users) }
    return table
  }
}
