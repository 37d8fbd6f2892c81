import Foundation
import TrestleFormats

/// The names of the columns that the RecBole reader looks for.
public struct RecBoleColumns: Sendable, Codable {
  /// The user id, in `.inter` and `.user`.
  public var user = "user_id"
  /// The item id, in `.inter` and `.item`.
  public var item = "item_id"
  /// The rating in `.inter`; the data has no ratings if there is no such column.
  public var rating = "rating"
  /// The time in `.inter`; the data has no timestamps if there is no such column.
  public var timestamp = "timestamp"
  /// The title in `.item`: the first of these that exists.
  public var titles = ["movie_title", "title", "name"]
  /// The genres in `.item`: the first of these that exists; words are separated by spaces.
  public var genres = ["class", "genre", "genres", "categories", "category"]
  /// The year in `.item`: the first of these that exists; text that is no whole number means unknown.
  public var years = ["release_year", "year"]
  /// Free text in `.item`: the first of these that exists.
  public var texts = ["description", "text"]
  /// Who made the item, in `.item`: the first of these that exists.
  public var creators = ["author", "authors", "artist", "creator", "director", "developer", "brand"]

  /// Creates RecBole's own names.
  public init() {}
}

extension Dataset {
  /// Reads a data set in RecBole's atomic files: `NAME.inter` and, where they exist, `NAME.item` and `NAME.user` in
  /// `folder`, tab-separated with a header of `name:type`.
  ///
  /// Users and items are numbered by first appearance in `.inter`, then in `.user` and `.item`: those without an
  /// interaction are part of the data set. User texts hold every further column of `.user` ("age 24, gender M").
  ///
  /// - Parameters:
  ///   - folder: the folder of the files.
  ///   - name: the files' common name, by default that of the folder.
  ///   - columns: the columns to look for.
  ///   - options: encoding (UTF-8 by default), progress, and what to do with bad lines.
  /// - Throws: ``DataError`` with the place of what is wrong.
  public static func recBole(
    at folder: URL, name: String? = nil, columns: RecBoleColumns = RecBoleColumns(),
    options: ReadOptions = ReadOptions()
  ) throws(DataError) -> Dataset {
    let name = name ?? folder.lastPathComponent
    var builder = InteractionBuilder()
    var report = ReadReport()
    try readInteractions(
      folder.appending(path: name + ".inter"), columns, options, &builder, &report)
    var items = ItemAttributes(count: builder.itemIDs.count)
    let itemFile = folder.appending(path: name + ".item")
    if FileManager.default.fileExists(atPath: itemFile.path) {
      try readItems(itemFile, columns, options, &builder.itemIDs, &items, &report)
    }
    var userTexts: [String] = []
    let userFile = folder.appending(path: name + ".user")
    if FileManager.default.fileExists(atPath: userFile.path) {
      userTexts = try readUsers(userFile, columns, options, &builder.userIDs, &report)
    }
    return Dataset(
      name: name, interactions: builder.build(), userIDs: builder.userIDs, itemIDs: builder.itemIDs,
      items: items, userTexts: userTexts, report: report)
  }

  private static func readInteractions(
    _ file: URL, _ columns: RecBoleColumns, _ options: ReadOptions, _ builder: inout InteractionBuilder,
    _ report: inout ReadReport
  ) throws(DataError) {
    var reader = try RecordReader(file, separator: "\t", quotes: false, encoding: .utf8, options: options)
    let header = try AtomicHeader(&reader)
    let fields = InteractionFields(
      user: try header.require(columns.user, type: "token"),
      item: try header.require(columns.item, type: "token"),
      rating: try header.find([columns.rating], type: "float"),
      time: try header.find([columns.timestamp], type: "float"))
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(header.names)
      try builder.append(from: reader, fields)
    }
  }

  private static func readItems(
    _ file: URL, _ columns: RecBoleColumns, _ options: ReadOptions, _ ids: inout IDMap,
    _ items: inout ItemAttributes, _ report: inout ReadReport
  ) throws(DataError) {
    var reader = try RecordReader(file, separator: "\t", quotes: false, encoding: .utf8, options: options)
    let header = try AtomicHeader(&reader)
    let id = try header.require(columns.item, type: "token")
    let fields = ItemFields(
      title: try header.find(columns.titles, type: "token"),
      genres: try header.find(columns.genres, type: "token"), genreSeparator: " ",
      year: try header.find(columns.years, type: nil), text: try header.find(columns.texts, type: "token"),
      creator: try header.find(columns.creators, type: "token"))
    var seen = SeenRows()
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(header.names)
      let item = try seen.insert(id, of: reader, into: &ids, what: "an item id")
      items.extend(to: ids.count)
      fields.read(reader, of: item, into: &items)
    }
  }

  private static func readUsers(
    _ file: URL, _ columns: RecBoleColumns, _ options: ReadOptions, _ ids: inout IDMap,
    _ report: inout ReadReport
  ) throws(DataError) -> [String] {
    var reader = try RecordReader(file, separator: "\t", quotes: false, encoding: .utf8, options: options)
    let header = try AtomicHeader(&reader)
    let id = try header.require(columns.user, type: "token")
    var texts = Array(repeating: "", count: ids.count)
    var seen = SeenRows()
    try readRecords(&reader, options, &report) { (reader: inout RecordReader) throws(DataError) in
      try reader.requireFields(header.names)
      let user = try seen.insert(id, of: reader, into: &ids, what: "a user id")
      if user >= texts.count { texts.append("") }
      texts[user] = describe(reader, header.names, except: id)
    }
    return texts
  }
}

/// The header of an atomic file: names and types of its columns.
private struct AtomicHeader {
  private(set) var names: [String] = []
  private var types: [String] = []
  private let path: String

  init(_ reader: inout RecordReader) throws(DataError) {
    path = reader.path
    guard try reader.advance() else {
      throw reader.malformed(
        at: reader.record.lowerBound, expected: "a header of name:type columns", found: "an empty file")
    }
    try reader.splitFields()
    var seen = Set<ByteKey>()
    for field in reader.fields.indices {
      let parts = reader.text(field).split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty,
        ["token", "token_seq", "float", "float_seq"].contains(String(parts[1]))
      else {
        throw reader.malformed(
          field: field, expected: "name:type with the type token, token_seq, float or float_seq")
      }
      guard seen.insert(ByteKey(String(parts[0]))).inserted else {
        throw reader.malformed(field: field, expected: "each column once")
      }
      names.append(String(parts[0]))
      types.append(String(parts[1]))
    }
  }

  /// The place of the first of `candidates` that exists, `nil` if none does. `type` may be followed by `_seq`.
  func find(_ candidates: [String], type: String?) throws(DataError) -> Int? {
    for name in candidates {
      guard let index = names.firstIndex(of: name) else { continue }
      guard type == nil || types[index].hasPrefix(type ?? "") else {
        throw .missingColumn(
          path: path, expected: "\(name) of type \(type ?? "")",
          found: zip(names, types).map { "\($0):\($1)" })
      }
      return index
    }
    return nil
  }

  /// The place of a column that must exist with exactly this type.
  func require(_ name: String, type: String) throws(DataError) -> Int {
    guard let index = names.firstIndex(of: name), types[index] == type else {
      throw .missingColumn(
        path: path, expected: "a column \(name):\(type)", found: zip(names, types).map { "\($0):\($1)" })
    }
    return index
  }
}

/// Which ids of an attribute file have had their row.
struct SeenRows {
  private var seen: [Bool] = []

  /// The index of the id in a field of the record, added to `ids` if new.
  ///
  /// - Throws: ``DataError`` if the id is empty or had a row before.
  mutating func insert(_ field: Int, of reader: RecordReader, into ids: inout IDMap, what: String)
    throws(DataError) -> Int
  {
    try reader.requireText(field, what)
    let index = Int(try reader.insert(field, into: &ids))
    while seen.count <= index { seen.append(false) }
    guard !seen[index] else {
      throw reader.malformed(field: field, expected: "\(what) that had no row before")
    }
    seen[index] = true
    return index
  }
}
