import Foundation
import TrestleFormats

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

  private let source: FileSource
  private let separator: [UInt8]
  private let quotes: Bool
  private let trimsSpaces: Bool
  private let encoding: TextEncoding
  private let progress: (@Sendable (ReadProgress) -> Void)?
  private let totalBytes: Int
  private var bytesRead = 0
  private var position = 0
  private var linesInRecord = 1
  private var atEnd = false
  private var isASCII = true
  private var escaped: [Bool] = []
  /// Where the first line of a record of several ends, from the record's start.
  private var firstLineEnd: Int?
  /// The bytes gone back over so far, and what may be beside four times the bytes read.
  private var reread = 0
  private let rereadBudget = 1 << 20

  /// Opens `file`; `separator` has one or two bytes, `quotes` allows fields in double quotes, which may hold
  /// separators, line ends and doubled quotes, and `trimsSpaces` takes spaces around a field for none of it.
  init(
    _ file: URL, separator: String, quotes: Bool, trimsSpaces: Bool = false, encoding: TextEncoding,
    options: ReadOptions
  ) throws(DataError) {
    path = file.path
    self.separator = Array(separator.utf8)
    self.quotes = quotes
    self.trimsSpaces = trimsSpaces
    self.encoding = options.encoding ?? encoding
    progress = options.progress
    guard (1...2).contains(self.separator.count) else {
      throw .invalidParameter(
        operation: "reading \(path)", expected: "a separator of one or two bytes", found: "\"\(separator)\"")
    }
    source = try FileSource(path)
    totalBytes = source.size
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
    if !isASCII && encoding == .utf8,
      let bad = buffer.withUnsafeBytes({ firstInvalidUTF8(UnsafeRawBufferPointer(rebasing: $0[record])) })
    {
      let bad = record.lowerBound + bad
      throw malformed(
        at: bad, expected: "UTF-8 text (save the file as UTF-8)",
        found: "the byte 0x\(String(buffer[bad], radix: 16))")
    }
  }

  /// Checks the current record's encoding and cuts it into ``fields``.
  mutating func splitFields() throws(DataError) {
    try checkEncoding()
    fields.removeAll(keepingCapacity: true)
    escaped.removeAll(keepingCapacity: true)
    var start = record.lowerBound
    while true {
      if trimsSpaces { while start < record.upperBound, buffer[start] == space { start += 1 } }
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

  /// The text of a field; runs of combining marks are bounded as `String.init(streamSafe:)` says.
  func text(_ field: Int) -> String {
    let range = fields[field]
    guard encoding == .utf8 || isASCII else {
      var text = ""
      for byte in unescaped(field) { text.unicodeScalars.append(encoding.character(byte)) }
      return text
    }
    if isASCII && !escaped[field] { return String(decoding: buffer[range], as: UTF8.self) }
    return (escaped[field] ? unescaped(field) : Array(buffer[range])).withUnsafeBytes {
      String(streamSafe: $0)
    }
  }

  /// Calls `body` with the bytes of the whole current record.
  func withRecordBytes<Value, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    var result: Result<Value, Failure>?
    buffer.withUnsafeBytes { bytes in
      result = Result { () throws(Failure) in try body(UnsafeRawBufferPointer(rebasing: bytes[record])) }
    }
    guard let result else { preconditionFailure("RecordReader.withRecordBytes: the body did not run") }
    return try result.get()
  }

  /// The index of the field's text in `ids`, added if new.
  ///
  /// - Throws: an error for an empty id, and when the map is full.
  func insert(_ field: Int, into ids: inout IDMap) throws(DataError) -> Int32 {
    guard ids.hasRoom(for: fields[field].count * 2) else {
      throw .tooLarge(path: path, expected: "at most 2³¹ ids in 4 GiB", found: "more")
    }
    if escaped[field] || (encoding != .utf8 && !isASCII) { return Int32(ids.insert(text(field))) }
    return Int32(ids.insert(buffer, fields[field]))
  }

  /// Checks that a field is not empty.
  func requireText(_ field: Int, _ expected: String) throws(DataError) {
    if fields[field].isEmpty { throw malformed(field: field, expected: expected) }
  }

  /// The index of the field's text in `ids`, `nil` if unknown.
  func lookUp(_ field: Int, in ids: IDMap) -> Int? {
    if escaped[field] || (encoding != .utf8 && !isASCII) { return ids.index(of: text(field)) }
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
    var state = QuoteState()
    isASCII = true
    firstLineEnd = nil
    while true {
      var index = scanned
      let end = buffer.count
      while index < end {
        let byte = buffer[index]
        if byte == 10 {
          linesInRecord += 1
          if !state.isInside { break }
          if firstLineEnd == nil { firstLineEnd = index - position }
        } else if byte >= 0x80 {
          isASCII = false
        }
        if quotes { state.advance(byte, separator[0], trimsSpaces: trimsSpaces) }
        index += 1
      }
      if index < end || atEnd {
        guard index < end || index > position else { return false }
        setRecord(upTo: index, next: min(index + 1, end))
        return true
      }
      guard index - position <= Self.longestRecord else {
        let start = position
        setRecord(upTo: index, next: index)
        throw malformed(
          at: start, expected: "a record of at most \(Self.longestRecord >> 20) MiB", found: "a longer one")
      }
      scanned = index - position
      try fill()
    }
  }

  private mutating func setRecord(upTo end: Int, next: Int) {
    record = position..<end
    position = next
    if !record.isEmpty && buffer[record.upperBound - 1] == 13 {
      record = record.lowerBound..<(record.upperBound - 1)
    }
  }

  /// After a bad record of several lines: goes back to its second line, since a stray quote may have made them one.
  ///
  /// Reading lines again is paid for out of a budget in proportion to the file, so that quotes on every line cannot make
  /// it quadratic; when that is used up, records are left out whole.
  /// - Returns: how many lines were given up; `nil` if the reader is inside a line too long to be of this format.
  mutating func giveUp() -> Int? {
    if firstLineEnd == nil && record.count >= Self.longestRecord { return nil }
    guard let firstLineEnd, position - record.lowerBound <= rereadBudget + bytesRead * 4 - reread else {
      return max(linesInRecord, 1)
    }
    let next = record.lowerBound + firstLineEnd + 1
    reread += position - next
    position = next
    linesInRecord = 1
    return 1
  }

  /// Drops what has been read and appends the next block; `position` becomes 0.
  private mutating func fill() throws(DataError) {
    buffer.removeFirst(position)
    position = 0
    let count = try source.read(appendingTo: &buffer)
    guard count > 0 else {
      atEnd = true
      return
    }
    bytesRead += count
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
        appendPlain(start..<index)
        return index + separator.count
      }
      index += 1
    }
    appendPlain(start..<record.upperBound)
    return nil
  }

  private mutating func appendPlain(_ range: Range<Int>) {
    var end = range.upperBound
    if trimsSpaces { while end > range.lowerBound, buffer[end - 1] == space { end -= 1 } }
    fields.append(range.lowerBound..<end)
    escaped.append(false)
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
    var after = index + 1
    if trimsSpaces { while after < record.upperBound, buffer[after] == space { after += 1 } }
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
}

private let space = UInt8(ascii: " ")

/// Whether a place in a record is inside quotes. A quote opens at a field's start; inside, a doubled quote is text.
private struct QuoteState {
  private(set) var isInside = false
  private var isFieldStart = true
  private var hasJustClosed = false

  mutating func advance(_ byte: UInt8, _ separator: UInt8, trimsSpaces: Bool) {
    let isQuote = byte == UInt8(ascii: "\"")
    if isQuote && isInside {
      isInside = false
      hasJustClosed = true
    } else {
      if isQuote && (isFieldStart || hasJustClosed) { isInside = true }
      hasJustClosed = false
    }
    isFieldStart = byte == separator || (trimsSpaces && isFieldStart && byte == space)
  }
}

/// Runs `body` on every record, at most `limit` of them, cut into fields unless it is JSON, under the caller's policy for
/// bad ones.
func readRecords(
  _ reader: inout RecordReader, _ options: ReadOptions, _ report: inout ReadReport, isJSON: Bool = false,
  limit: Int = .max, _ body: (inout RecordReader) throws(DataError) -> Void
) throws(DataError) {
  var left = limit
  while left > 0 {
    left -= 1
    let before = report.lines
    do throws(DataError) {
      guard try reader.advance() else { return }
      report.lines += 1
      if isJSON { try reader.checkEncoding() } else { try reader.splitFields() }
      try body(&reader)
    } catch {
      guard case .malformed = error, options.onBadLine == .skip, let lines = reader.giveUp() else {
        throw error
      }
      report.lines = before + 1
      report.skip(error, lines: lines)
    }
  }
}
