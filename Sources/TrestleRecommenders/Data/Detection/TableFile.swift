import Foundation
import TrestleFormats

/// A record of a table, whatever the format of its file.
protocol TableRow {
  /// The text of a column, empty if it is absent.
  func text(_ column: Int) -> String
  /// The parts of a column that holds a list; one part for text.
  func list(_ column: Int) -> [String]
  /// Adds the id in a column to `ids` if it is new.
  ///
  /// - Throws: ``DataError`` if there is none, or the map is full.
  func insert(_ column: Int, into ids: inout IDMap, what: String) throws(DataError) -> Int32
  /// The error for a column that does not hold what was expected.
  func unexpected(_ column: Int, expected: String) -> DataError
}

/// What is done with the records of a table.
protocol RowVisitor {
  /// Looks at a record.
  mutating func visit(_ row: some TableRow) throws(DataError)
}

/// A table of text whose layout has been found.
struct TableFile {
  let url: URL
  let layout: FileLayout

  /// Looks at a file.
  init(_ url: URL) throws(DataError) {
    self.url = url
    layout = try FileLayout(url)
  }

  /// The names of the columns.
  var names: [String] { layout.names }

  /// The place of a column.
  func column(_ name: String) throws(DataError) -> Int {
    guard let place = names.firstIndex(of: name) else {
      throw .missingColumn(path: url.path, expected: "a column \(name)", found: names)
    }
    return place
  }

  /// Shows every record to a visitor.
  ///
  /// - Parameter limit: how many records at most.
  func read(
    _ options: ReadOptions, _ report: inout ReadReport, limit: Int = .max, _ visitor: inout some RowVisitor
  ) throws(DataError) {
    var options = options
    options.encoding = options.encoding ?? layout.encoding
    switch layout.format {
    case .jsonLines:
      var reader = try RecordReader(url, separator: ",", quotes: false, encoding: .utf8, options: options)
      try readRecords(&reader, options, &report, isJSON: true, limit: limit) { reader throws(DataError) in
        try visitor.visit(try ObjectRow(reader, names))
      }
    case .atomic, .delimited:
      var (separator, quotes) = ("\t", false)
      if case .delimited(let found, let hasQuotes) = layout.format {
        (separator, quotes) = (found, hasQuotes)
      }
      var reader = try RecordReader(
        url, separator: separator, quotes: quotes, trimsSpaces: layout.hasSpaces, encoding: .utf8,
        options: options)
      if layout.hasHeader { _ = try reader.advance() }
      try readRecords(&reader, options, &report, limit: limit) { reader throws(DataError) in
        try reader.requireFields(names)
        try visitor.visit(reader)
      }
    }
  }
}

extension RecordReader: TableRow {
  func list(_ column: Int) -> [String] { [text(column)] }

  func insert(_ column: Int, into ids: inout IDMap, what: String) throws(DataError) -> Int32 {
    try requireText(column, what)
    return try insert(column, into: &ids)
  }

  func unexpected(_ column: Int, expected: String) -> DataError {
    malformed(field: column, expected: expected)
  }
}

/// A JSON object of a line.
private struct ObjectRow: TableRow {
  private let object: JSONValue
  private let names: [String]
  private let path: String
  private let line: Int

  init(_ reader: RecordReader, _ names: [String]) throws(DataError) {
    (path, line, self.names) = (reader.path, reader.line, names)
    do {
      object = try reader.withRecordBytes { (bytes) throws(FormatError) in
        try JSONValue(parsing: bytes, source: reader.path)
      }
    } catch {
      throw .malformed(
        path: reader.path, line: reader.line, column: error.details.column, expected: error.details.expected,
        found: error.details.found)
    }
    guard object.kind == .object else {
      throw .malformed(
        path: path, line: line, column: 1, expected: "a JSON object", found: "a JSON \(object.kind.rawValue)")
    }
  }

  func text(_ column: Int) -> String { list(column).joined(separator: " ") }

  func list(_ column: Int) -> [String] { object[names[column]].map(Self.flatten) ?? [] }

  func insert(_ column: Int, into ids: inout IDMap, what: String) throws(DataError) -> Int32 {
    let id = text(column)
    guard !id.isEmpty else { throw unexpected(column, expected: what) }
    guard ids.hasRoom(for: id.utf8.count) else {
      throw .tooLarge(path: path, expected: "at most 2³¹ ids in 4 GiB", found: "more")
    }
    return Int32(ids.insert(id))
  }

  func unexpected(_ column: Int, expected: String) -> DataError {
    let found = text(column)
    return .malformed(
      path: path, line: line, column: 1, expected: "\(expected) in \(names[column])",
      found: found.isEmpty ? "nothing" : "\"\(found.prefix(60))\"")
  }

  /// The texts in a value; numbers as JSON writes them, objects left out.
  private static func flatten(_ value: JSONValue) -> [String] {
    switch value.kind {
    case .null, .object: []
    case .bool: [(try? value.bool()) == true ? "true" : "false"]
    case .string: [(try? value.string()) ?? ""]
    case .number: [(try? value.int()).map { "\($0)" } ?? (try? value.double()).map { "\($0)" } ?? ""]
    case .array: ((try? value.array()).map { $0.flatMap(flatten) }) ?? []
    }
  }
}
