import Foundation
import TrestleFormats

/// The names of the columns that the CSV/TSV reader looks for. A column that is `nil` is not read; one that is named
/// must exist.
public struct DelimitedColumns: Sendable, Codable {
  /// The user id, in the interactions and the users.
  public var user = "user_id"
  /// The item id, in the interactions and the items.
  public var item = "item_id"
  /// The rating, in the interactions.
  public var rating: String?
  /// The time, in the interactions.
  public var timestamp: String?
  /// The title, in the items.
  public var title: String?
  /// The genres, in the items.
  public var genres: String?
  /// What stands between genres.
  public var genreSeparator = "|"
  /// The year, in the items; text that is no whole number means unknown.
  public var year: String?
  /// Free text, in the items.
  public var text: String?

  /// Creates the names `user_id` and `item_id`, and no other column.
  public init() {}

  /// Names the columns.
  ///
  /// ```swift
  /// let columns = DelimitedColumns(user: "reader", item: "isbn", title: "title")
  /// let data = try Dataset.delimited(loans, items: books, columns: columns)
  /// ```
  ///
  /// - Parameters:
  ///   - user: the user id, in the interactions and the users.
  ///   - item: the item id, in the interactions and the items.
  ///   - rating: the rating, in the interactions.
  ///   - timestamp: the time, in the interactions.
  ///   - title: the title, in the items.
  ///   - genres: the genres, in the items.
  ///   - genreSeparator: what stands between genres.
  ///   - year: the year, in the items.
  ///   - text: free text, in the items.
  public init(
    user: String = "user_id", item: String = "item_id", rating: String? = nil, timestamp: String? = nil,
    title: String? = nil, genres: String? = nil, genreSeparator: String = "|", year: String? = nil,
    text: String? = nil
  ) {
    (self.user, self.item, self.rating, self.timestamp) = (user, item, rating, timestamp)
    (self.title, self.genres, self.genreSeparator) = (title, genres, genreSeparator)
    (self.year, self.text) = (year, text)
  }
}

extension Dataset {
  /// Reads interactions, and optionally items and users, from CSV or TSV files whose first line names the columns.
  ///
  /// Fields may be in double quotes, inside which separators and line ends are text and a doubled quote is a quote.
  /// Ids are numbered by first appearance in the interactions, then in the items and users files.
  ///
  /// - Parameters:
  ///   - interactions: the file of interactions.
  ///   - items: the file of items.
  ///   - users: the file of users; every column but the id goes into the users' texts.
  ///   - columns: the columns to look for.
  ///   - separator: one or two bytes of text; `nil` for a tab in files called `.tsv`, a comma in others.
  ///   - options: encoding (UTF-8 by default), progress, and what to do with bad lines.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func delimited(
    _ interactions: URL, items: URL? = nil, users: URL? = nil, columns: DelimitedColumns,
    separator: String? = nil,
    options: ReadOptions = ReadOptions()
  ) throws(DataError) -> Dataset {
    var builder = InteractionBuilder()
    var report = ReadReport()
    var table = try DelimitedTable(interactions, separator, options)
    let fields = InteractionFields(
      user: try table.column(columns.user), item: try table.column(columns.item),
      rating: try table.column(columns.rating), time: try table.column(columns.timestamp))
    try table.forEachRow(options, &report) { (reader: inout RecordReader) throws(DataError) in
      try builder.append(from: reader, fields)
    }
    var attributes = ItemAttributes(count: builder.itemIDs.count)
    if let items {
      try readItems(items, columns, separator, options, &builder.itemIDs, &attributes, &report)
    }
    var texts: [String] = []
    if let users { texts = try readUsers(users, columns, separator, options, &builder.userIDs, &report) }
    return Dataset(
      name: interactions.deletingPathExtension().lastPathComponent, interactions: builder.build(),
      userIDs: builder.userIDs, itemIDs: builder.itemIDs, items: attributes, userTexts: texts, report: report)
  }

  private static func readItems(
    _ file: URL, _ columns: DelimitedColumns, _ separator: String?, _ options: ReadOptions,
    _ ids: inout IDMap,
    _ items: inout ItemAttributes, _ report: inout ReadReport
  ) throws(DataError) {
    var table = try DelimitedTable(file, separator, options)
    let id = try table.column(columns.item)
    let fields = ItemFields(
      title: try table.column(columns.title), genres: try table.column(columns.genres),
      genreSeparator: columns.genreSeparator, year: try table.column(columns.year),
      text: try table.column(columns.text))
    var seen = SeenRows()
    try table.forEachRow(options, &report) { (reader: inout RecordReader) throws(DataError) in
      let item = try seen.insert(id, of: reader, into: &ids, what: "an item id")
      items.extend(to: ids.count)
      fields.read(reader, of: item, into: &items)
    }
  }

  private static func readUsers(
    _ file: URL, _ columns: DelimitedColumns, _ separator: String?, _ options: ReadOptions,
    _ ids: inout IDMap,
    _ report: inout ReadReport
  ) throws(DataError) -> [String] {
    var table = try DelimitedTable(file, separator, options)
    let id = try table.column(columns.user)
    let names = table.names
    var texts = Array(repeating: "", count: ids.count)
    var seen = SeenRows()
    try table.forEachRow(options, &report) { (reader: inout RecordReader) throws(DataError) in
      let user = try seen.insert(id, of: reader, into: &ids, what: "a user id")
      if user >= texts.count { texts.append("") }
      texts[user] = describe(reader, names, except: id)
    }
    return texts
  }

  /// "age 24, gender M" from the fields of a record that are not empty.
  static func describe(_ reader: RecordReader, _ names: [String], except id: Int) -> String {
    names.indices.filter { $0 != id && !reader.fields[$0].isEmpty }
      .map { names[$0].replacing("_", with: " ") + " " + reader.text($0) }.joined(separator: ", ")
  }
}

/// A CSV or TSV file whose first record names its columns.
struct DelimitedTable {
  private var reader: RecordReader
  private(set) var names: [String] = []

  init(_ file: URL, _ separator: String?, _ options: ReadOptions) throws(DataError) {
    let separator = separator ?? (file.pathExtension.lowercased() == "tsv" ? "\t" : ",")
    reader = try RecordReader(file, separator: separator, quotes: true, encoding: .utf8, options: options)
    guard try reader.advance() else {
      throw .malformed(
        path: file.path, line: 1, column: 1, expected: "a header with the names of the columns",
        found: "an empty file")
    }
    try reader.splitFields()
    var seen = Set<ByteKey>()
    for field in reader.fields.indices {
      let name = reader.text(field)
      guard !name.isEmpty, seen.insert(ByteKey(name)).inserted else {
        throw reader.malformed(field: field, expected: "a column name that is not empty and not repeated")
      }
      names.append(name)
    }
  }

  /// The place of a column that must exist.
  func column(_ name: String) throws(DataError) -> Int {
    guard let index = names.firstIndex(of: name) else {
      throw .missingColumn(path: reader.path, expected: "a column \(name)", found: names)
    }
    return index
  }

  /// The place of a column that must exist if it is named.
  func column(_ name: String?) throws(DataError) -> Int? {
    guard let name else { return nil }
    return try column(name) as Int
  }

  mutating func forEachRow(
    _ options: ReadOptions, _ report: inout ReadReport, _ body: (inout RecordReader) throws(DataError) -> Void
  ) throws(DataError) {
    let names = names
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(names)
      try body(&reader)
    }
  }
}
