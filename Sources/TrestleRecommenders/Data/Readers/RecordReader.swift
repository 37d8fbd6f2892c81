import Foundation

/// Reads delimited records from a file in blocks, so that memory does not grow with the file.
///
/// `advance()` finds the next record, `splitFields()` checks its encoding and cuts it; the split keeps bad records
/// apart from a file that cannot be read, so a caller may skip the former.
struct RecordReader {
  /// The longest record accepted; a longer one means that the file is not of this format.
  static let longestRecord = 16 << 20

  let path: String
  /// The line on which the current record starts, from 1.
  private(set) var line = 0
  /// The fields of the current record as ranges of `buffer`, without their quotes.
  private(set) var fields: [Range<Int>] = []
  private(set) var buffer: [UInt8] = []
  private(set) var record = 0..<0

  private let handle: FileHandle
  private let separator: [UInt8]
  private let quotes: Bool
  private let encoding: TextEncoding
  private let progress: (@Sendable (ReadProgress) -> Void)?
  private let totalBytes: Int
  private var bytesRead = 0
  private var position = 0
  private var linesInRecord = 1
  private var atEnd = false
  private var isASCII = true
  private var escaped: [Bool] = []

  /// Opens `file`; `separator` has one or two bytes, and `quotes` allows fields in double quotes, which may hold
  /// separators, line ends and doubled quotes.
  init(_ file: URL, separator: String, quotes: Bool, encoding: TextEncoding, options: ReadOptions)
    throws(DataError)
  {
    path = file.path
    self.separator = Array(separator.utf8)
    self.quotes = quotes
    self.encoding = options.encoding ?? encoding
    progress = options.progress
    guard (1...2).contains(self.separator.count) else {
      throw .invalidParameter(
        operation: "reading \(path)", expected: "a separator of one or two bytes", found: "\"\(separator)\"")
    }
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw .unreadable(path: path, reason: "no such file")
    }
    guard !isDirectory.boolValue else { throw .unreadable(path: path, reason: "it is a folder") }
    do {
      handle = try FileHandle(forReadingFrom: file)
      totalBytes = Int(clamping: try handle.seekToEnd())
      try handle.seek(toOffset: 0)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    try fill()
    if buffer.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
    line = 1
    linesInRecord = 0
  }

  /// Moves to the next record that is not blank; false at the end of the file.
  mutating func advance() throws(DataError) -> Bool {
    while true {
      line += linesInRecord
      linesInRecord = 0
      guard try findRecord() else { return false }
      if !record.isEmpty { return true }
    }
  }

  /// Checks that the current record is text in the file's encoding.
  func checkEncoding() throws(DataError) {
    if !isASCII && encoding == .utf8, let bad = firstInvalidUTF8(record) {
      throw malformed(at: bad, expected: "UTF-8 text", found: "the byte 0x\(String(buffer[bad], radix: 16))")
    }
  }

  /// Checks the current record's encoding and cuts it into ``fields``.
  mutating func splitFields() throws(DataError) {
    try checkEncoding()
    fields.removeAll(keepingCapacity: true)
    escaped.removeAll(keepingCapacity: true)
    var start = record.lowerBound
    while true {
      let next =
        quotes && start < record.upperBound && buffer[start] == UInt8(ascii: "\"")
        ? try cutQuoted(from: start) : cutPlain(from: start)
      guard let next else { return }
      start = next
    }
  }

  /// Checks that the record has as many fields as `names`.
  func requireFields(_ names: [String]) throws(DataError) {
    if fields.count < names.count {
      throw malformed(
        at: record.upperBound, expected: "\(names.count) columns, here \(names[fields.count])",
        found: "the end of the line after \(fields.count)")
    }
    if fields.count > names.count {
      throw malformed(
        at: fields[names.count].lowerBound, expected: "the end of the line after \(names.count) columns",
        found: quoted(fields[names.count]))
    }
  }

  /// The text of a field.
  func text(_ field: Int) -> String {
    let range = fields[field]
    guard encoding == .utf8 || isASCII else {
      var text = ""
      for byte in unescaped(field) { text.unicodeScalars.append(Unicode.Scalar(byte)) }
      return text
    }
    return escaped[field]
      ? String(decoding: unescaped(field), as: UTF8.self)
      : String(decoding: buffer[range], as: UTF8.self)
  }

  /// The whole current record as text, in UTF-8.
  var recordText: String { String(decoding: buffer[record], as: UTF8.self) }

  /// The index of the field's text in `ids`, added if new.
  ///
  /// - Throws: an error for an empty id, and when the map is full.
  func insert(_ field: Int, into ids: inout IDMap) throws(DataError) -> Int32 {
    guard ids.hasRoom(for: fields[field].count * 2) else {
      throw .tooLarge(path: path, expected: "at most 2³¹ ids in 4 GiB", found: "more")
    }
    if escaped[field] || (encoding == .latin1 && !isASCII) { return Int32(ids.insert(text(field))) }
    return Int32(ids.insert(buffer, fields[field]))
  }

  /// Checks that a field is not empty.
  func requireText(_ field: Int, _ expected: String) throws(DataError) {
    if fields[field].isEmpty { throw malformed(field: field, expected: expected) }
  }

  /// The index of the field's text in `ids`, `nil` if unknown.
  func lookUp(_ field: Int, in ids: IDMap) -> Int? {
    if escaped[field] || (encoding == .latin1 && !isASCII) { return ids.index(of: text(field)) }
    return ids.lookUp(buffer, fields[field])
  }

  /// A finite number.
  func number(_ field: Int, _ expected: String) throws(DataError) -> Double {
    guard let value = NumberParser.number(buffer, fields[field]) else {
      throw malformed(field: field, expected: expected)
    }
    return value
  }

  /// A number that is finite in single precision.
  func float(_ field: Int, _ expected: String) throws(DataError) -> Float {
    let value = Float(try number(field, expected))
    guard value.isFinite else { throw malformed(field: field, expected: expected) }
    return value
  }

  /// A time: an integer, or a number whose fraction is dropped.
  func time(_ field: Int, _ expected: String) throws(DataError) -> Int64 {
    if let value = NumberParser.integer(buffer, fields[field]) { return value }
    guard let value = NumberParser.number(buffer, fields[field]), abs(value) < 9e18 else {
      throw malformed(field: field, expected: expected)
    }
    return Int64(value.rounded(.down))
  }

  /// The error for a field that does not hold what was expected.
  func malformed(field: Int, expected: String) -> DataError {
    malformed(at: fields[field].lowerBound, expected: expected, found: quoted(fields[field]))
  }

  /// The error for a byte of the current record.
  func malformed(at offset: Int, expected: String, found: String) -> DataError {
    .malformed(
      path: path, line: line, column: offset - record.lowerBound + 1, expected: expected, found: found)
  }

  private func quoted(_ range: Range<Int>) -> String {
    if range.isEmpty { return "nothing" }
    let text = String(decoding: buffer[range.prefix(60)], as: UTF8.self)
    return "\"\(text)\(range.count > 60 ? "…" : "")\""
  }
}

extension RecordReader {
  /// Sets `record` to the next one, without its line end; false at the end of the file.
  private mutating func findRecord() throws(DataError) -> Bool {
    var scanned = position
    var inQuotes = false
    var fieldStart = true
    isASCII = true
    while true {
      var index = scanned
      let end = buffer.count
      while index < end {
        let byte = buffer[index]
        if byte == 10 {
          linesInRecord += 1
          if !inQuotes { break }
        } else if byte >= 0x80 {
          isASCII = false
        } else if quotes {
          if byte == UInt8(ascii: "\"") && (inQuotes || fieldStart) { inQuotes.toggle() }
          fieldStart = byte == separator[0]
          index += 1
          continue
        }
        fieldStart = false
        index += 1
      }
      if index < end || atEnd {
        guard index < end || index > position else { return false }
        record = position..<index
        position = min(index + 1, end)
        if !record.isEmpty && buffer[record.upperBound - 1] == 13 {
          record = record.lowerBound..<(record.upperBound - 1)
        }
        return true
      }
      guard index - position <= Self.longestRecord else {
        record = position..<index
        throw malformed(
          at: position, expected: "a record of at most \(Self.longestRecord >> 20) MiB", found: "a longer one"
        )
      }
      scanned = index - position
      try fill()
    }
  }

  /// Drops what has been read and appends the next block; `position` becomes 0.
  private mutating func fill() throws(DataError) {
    buffer.removeFirst(position)
    position = 0
    let block: Data?
    do {
      block = try handle.read(upToCount: 4 << 20)
    } catch {
      throw .unreadable(path: path, reason: "\(error)")
    }
    guard let block, !block.isEmpty else {
      atEnd = true
      return
    }
    buffer.append(contentsOf: block)
    bytesRead += block.count
    progress?(ReadProgress(path: path, bytesRead: bytesRead, totalBytes: totalBytes))
  }

  /// Cuts an unquoted field; the start of the next one, `nil` after the last.
  private mutating func cutPlain(from start: Int) -> Int? {
    var index = start
    let first = separator[0]
    while index < record.upperBound {
      if buffer[index] == first
        && (separator.count == 1
          || (index + 1 < record.upperBound && buffer[index + 1] == separator[1]))
      {
        fields.append(start..<index)
        escaped.append(false)
        return index + separator.count
      }
      index += 1
    }
    fields.append(start..<record.upperBound)
    escaped.append(false)
    return nil
  }

  /// Cuts a field in quotes that starts at `start`; the start of the next one, `nil` after the last.
  private mutating func cutQuoted(from start: Int) throws(DataError) -> Int? {
    var index = start + 1
    var hasEscapes = false
    while index < record.upperBound {
      if buffer[index] == UInt8(ascii: "\"") {
        guard index + 1 < record.upperBound && buffer[index + 1] == UInt8(ascii: "\"") else { break }
        hasEscapes = true
        index += 1
      }
      index += 1
    }
    guard index < record.upperBound else {
      throw malformed(at: start, expected: "a closing quote", found: "the end of the record")
    }
    fields.append((start + 1)..<index)
    escaped.append(hasEscapes)
    let after = index + 1
    if after == record.upperBound { return nil }
    guard buffer[after...].starts(with: separator) else {
      throw malformed(
        at: after, expected: "a separator after the closing quote",
        found: quoted(after..<record.upperBound))
    }
    return after + separator.count
  }

  private func unescaped(_ field: Int) -> [UInt8] {
    guard escaped[field] else { return Array(buffer[fields[field]]) }
    var bytes: [UInt8] = []
    var index = fields[field].lowerBound
    while index < fields[field].upperBound {
      bytes.append(buffer[index])
      index += buffer[index] == UInt8(ascii: "\"") ? 2 : 1
    }
    return bytes
  }

  /// The first byte of `range` that cannot be part of UTF-8 text (no overlong forms, no surrogates).
  private func firstInvalidUTF8(_ range: Range<Int>) -> Int? {
    var index = range.lowerBound
    while index < range.upperBound {
      let lead = buffer[index]
      let length: Int
      var second: ClosedRange<UInt8> = 0x80...0xBF
      switch lead {
      case 0..<0x80: length = 1
      case 0xC2...0xDF: length = 2
      case 0xE0...0xEF:
        length = 3
        if lead == 0xE0 { second = 0xA0...0xBF }
        if lead == 0xED { second = 0x80...0x9F }
      case 0xF0...0xF4:
        length = 4
        if lead == 0xF0 { second = 0x90...0xBF }
        if lead == 0xF4 { second = 0x80...0x8F }
      default: return index
      }
      guard index + length <= range.upperBound else { return index }
      if length > 1 && !second.contains(buffer[index + 1]) { return index }
      for offset in 2..<max(length, 2) where buffer[index + offset] & 0xC0 != 0x80 { return index }
      index += length
    }
    return nil
  }
}

/// Runs `body` on every record, cut into fields unless it is JSON, under the caller's policy for bad ones.
func readRecords(
  _ reader: inout RecordReader, _ options: ReadOptions, _ report: inout ReadReport, isJSON: Bool = false,
  _ body: (inout RecordReader) throws(DataError) -> Void
) throws(DataError) {
  while try reader.advance() {
    report.lines += 1
    do throws(DataError) {
      if isJSON { try reader.checkEncoding() } else { try reader.splitFields() }
      try body(&reader)
    } catch {
      guard case .malformed = error, options.onBadLine == .skip else { throw error }
      report.skip(error)
    }
  }
}
