import Foundation
import TrestleFormats

/// How a file of data is written, told by its content.
struct FileLayout {
  /// The kinds of files that are known.
  enum Format: Equatable {
    /// Fields with a separator of one or two bytes between them.
    case delimited(separator: String, quotes: Bool)
    /// A JSON object on each line.
    case jsonLines
    /// RecBole's atomic files: tabs, and a header of `name:type`.
    case atomic
  }

  let format: Format
  let encoding: TextEncoding
  /// The names of the columns, from the header, from the objects' keys, or made up.
  let names: [String]
  /// Whether the first record names the columns.
  let hasHeader: Bool
  /// Whether fields have spaces around them that are none of theirs: `ann, b1, 5`.
  let hasSpaces: Bool
  /// What the format is called in messages.
  let description: String

  /// Looks at the beginning of a file.
  ///
  /// - Throws: ``DataError`` if the file cannot be read, is empty, or is none of the known kinds.
  init(_ file: URL) throws(DataError) {
    let sample = try Self.beginning(of: file)
    try Self.refuseOtherKinds(sample, file.path)
    let isUTF8 = Self.isUTF8(sample)
    let encoding: TextEncoding = isUTF8 ? .utf8 : .windows1252
    self.encoding = encoding
    let text =
      isUTF8
      ? String(decoding: sample, as: UTF8.self).streamSafe
      : String(sample.map { Character(encoding.character($0)) })
    var lines = text.split(whereSeparator: \.isNewline).map(String.init)
    // The last line of a sample may be cut.
    if sample.count >= Self.sampleSize, lines.count > 1 { lines.removeLast() }
    guard let first = lines.first(where: { !$0.allSatisfy(\.isWhitespace) }) else {
      throw .malformed(path: file.path, line: 1, column: 1, expected: "data", found: "an empty file")
    }
    let note = isUTF8 ? "" : " in Windows-1252"
    if first.drop(while: \.isWhitespace).first == "{" {
      (format, hasHeader, hasSpaces, description) = (.jsonLines, false, false, "JSON Lines" + note)
      names = try Self.keys(lines, file.path)
      return
    }
    if let atomic = Self.atomicNames(first) {
      (format, hasHeader, hasSpaces, description) = (.atomic, true, false, "RecBole's atomic file")
      names = atomic
      return
    }
    let separator = Self.separator(lines)
    let known = Self.nativeNames(first, separator)
    (format, description) = (
      .delimited(separator: separator, quotes: known == nil), (known?.0 ?? Self.name(of: separator)) + note
    )
    if let known {
      (names, hasHeader, hasSpaces) = (known.1, false, false)
      return
    }
    hasSpaces = Self.hasSpaces(lines, separator)
    let fields = Self.cut(first, separator, trimsSpaces: true)
    hasHeader = !fields.contains { Double($0) != nil || DateParser.seconds($0) != nil }
    names = hasHeader ? fields : fields.indices.map { "column \($0 + 1)" }
    guard Set(names).count == names.count, !names.contains("") else {
      throw .malformed(
        path: file.path, line: 1, column: 1, expected: "column names that are not empty and not repeated",
        found: "\"\(first.prefix(60))\"")
    }
    guard !hasHeader || lines.contains(where: { $0 != first }) else {
      throw .malformed(
        path: file.path, line: 1, column: 1, expected: "lines of data under the names of the columns",
        found: "none")
    }
  }

  private static let sampleSize = 1 << 20

  private static func beginning(of file: URL) throws(DataError) -> [UInt8] {
    let source = try FileSource(file.path)
    var bytes: [UInt8] = []
    while bytes.count < sampleSize, try source.read(appendingTo: &bytes) > 0 {}
    bytes.removeLast(max(0, bytes.count - sampleSize))
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
    return bytes
  }

  /// Kinds of files that people have, and that are not tables of text.
  private static func refuseOtherKinds(_ bytes: [UInt8], _ path: String) throws(DataError) {
    let kinds: [([UInt8], String)] = [
      ([0x1F, 0x8B], "a gzip archive: unpack it first"),
      (Array("PK\u{3}\u{4}".utf8), "a zip archive or a spreadsheet: save it as CSV"),
      ([0x28, 0xB5, 0x2F, 0xFD], "a zstd archive: unpack it first"),
      (Array("PAR1".utf8), "a Parquet file: save it as CSV"),
      (Array("BZh".utf8), "a bzip2 archive: unpack it first"),
      ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "an xz archive: unpack it first"),
      (Array("7z".utf8) + [0xBC, 0xAF], "a 7-Zip archive: unpack it first"),
      ([0xD0, 0xCF, 0x11, 0xE0], "an old document of Microsoft Office: save it as CSV"),
      (Array("ARROW1".utf8), "an Arrow file: save it as CSV"),
      ([0x93] + Array("NUMPY".utf8), "a NumPy array"),
      ([0x89, 0x50, 0x4E, 0x47], "a picture (PNG)"), ([0xFF, 0xD8, 0xFF], "a picture (JPEG)"),
      (Array("GGUF".utf8), "a GGUF model"), (Array("%PDF".utf8), "a PDF document"),
      ([0xFF, 0xFE], "UTF-16 text: save it as UTF-8"),
      ([0xFE, 0xFF], "UTF-16 text: save it as UTF-8"),
      (Array("SQLite format 3".utf8), "an SQLite database: export its tables as CSV"),
    ]
    let start = bytes.drop { $0 == 0x20 || (9...13).contains($0) }.prefix(16)
    var found = kinds.first { bytes.starts(with: $0.0) }?.1
    if start.first == UInt8(ascii: "[") { found = "a JSON array: write one object a line" }
    if start.first == UInt8(ascii: "<") { found = "markup, such as HTML or XML" }
    if found == nil, isBinary(bytes.prefix(4096)) { found = "binary data" }
    if found == nil, !bytes.contains(10), bytes.contains(13) {
      found = "lines that end in CR alone, as old Macs wrote them: save it with LF or CRLF"
    }
    if let found {
      throw .malformed(path: path, line: 1, column: 1, expected: "CSV, TSV or JSON Lines", found: found)
    }
  }

  /// Whether there are zeros, or many other control codes that are no white space.
  private static func isBinary(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.contains(0) || bytes.count { $0 < 0x20 && !(9...13).contains($0) } * 50 > bytes.count
  }

  /// Whether the bytes are UTF-8, but for a character cut at the end.
  private static func isUTF8(_ bytes: [UInt8]) -> Bool {
    (0...min(3, bytes.count)).contains { cut in
      (cut == 0 || bytes.count >= sampleSize) && String(validating: bytes.dropLast(cut), as: UTF8.self) != nil
    }
  }

  /// The keys of the first objects, in the order of their appearance.
  private static func keys(_ lines: [String], _ path: String) throws(DataError) -> [String] {
    var keys: [String] = []
    var known = Set<String>()
    for (place, line) in lines.prefix(200).enumerated() where !line.allSatisfy(\.isWhitespace) {
      do {
        let object = try JSONValue(parsing: line, source: path).object()
        for (key, _) in object where known.insert(key).inserted { keys.append(key) }
      } catch {
        let isDocument = place == 0 && lines.count > 1 && lines[1].first(where: { !$0.isWhitespace }) != "{"
        throw .malformed(
          path: path, line: place + 1, column: error.details.column, expected: "a JSON object",
          found: isDocument
            ? "one JSON document of several lines: write one object a line" : error.details.found)
      }
    }
    return keys
  }

  private static func atomicNames(_ line: String) -> [String]? {
    let parts = line.split(separator: "\t", omittingEmptySubsequences: false).map {
      $0.split(separator: ":", omittingEmptySubsequences: false)
    }
    let types: Set<Substring> = ["token", "token_seq", "float", "float_seq"]
    guard parts.allSatisfy({ $0.count == 2 && types.contains($0[1]) }) else { return nil }
    return parts.map { String($0[0]) }
  }

  /// The separator that cuts the first lines into the same number of fields, and into the most.
  private static func separator(_ lines: [String]) -> String {
    let sample = lines.prefix(50)
    var best = (separator: ",", columns: 1, share: 0.0)
    for separator in ["::", "\t", ",", ";", "|"] {
      let counts = sample.map { cut($0, separator).count }
      guard let columns = counts.first, columns > 1 else { continue }
      let share = Double(counts.count { $0 == columns }) / Double(counts.count)
      if share > best.share + 0.05
        || (share > best.share - 0.05 && columns > best.columns && best.separator != "::")
      {
        best = (separator, columns, share)
      }
    }
    return best.separator
  }

  /// Whether nine tenths of the fields behind a separator begin with a space.
  private static func hasSpaces(_ lines: [String], _ separator: String) -> Bool {
    let fields = lines.prefix(50).flatMap { cut($0, separator).dropFirst() }.filter { !$0.isEmpty }
    return !fields.isEmpty && fields.count { $0.hasPrefix(" ") } * 10 >= fields.count * 9
  }

  /// The fields of a line, without quotes around them.
  private static func cut(_ line: String, _ separator: String, trimsSpaces: Bool = false) -> [String] {
    var fields: [String] = []
    var field = ""
    var isQuoted = false
    var rest = Substring(line)
    while let character = rest.first {
      if character == "\"", isQuoted || field.isEmpty {
        isQuoted.toggle()
        rest = rest.dropFirst()
      } else if character == " ", trimsSpaces, field.isEmpty, !isQuoted {
        rest = rest.dropFirst()
      } else if !isQuoted, rest.hasPrefix(separator) {
        fields.append(field)
        field = ""
        rest = rest.dropFirst(separator.count)
      } else {
        field.append(character)
        rest = rest.dropFirst()
      }
    }
    fields.append(field)
    return trimsSpaces ? fields.map { String($0.reversed().drop { $0 == " " }.reversed()) } : fields
  }

  private static func name(of separator: String) -> String {
    switch separator {
    case ",": "CSV"
    case "\t": "TSV"
    default: "text with “\(separator)” between fields"
    }
  }

  /// MovieLens' older files have no header: told by their separators and the form of their first line.
  private static func nativeNames(_ line: String, _ separator: String) -> (String, [String])? {
    let fields = cut(line, separator)
    let numbers = fields.map { Int($0) != nil }
    switch (separator, fields.count) {
    case ("\t", 4) where numbers == [true, true, true, true]:
      return ("MovieLens 100K's ratings", ["user id", "item id", "rating", "timestamp"])
    case ("::", 4) where numbers[0] && numbers[1] && numbers[3]:
      return ("MovieLens' ratings", ["user id", "item id", "rating", "timestamp"])
    case ("::", 3) where numbers[0]: return ("MovieLens' movies", ["item id", "title", "genres"])
    case ("::", 5) where numbers[0]:
      return ("MovieLens' users", ["user id", "gender", "age", "occupation", "zip code"])
    case ("|", 24) where numbers[0]:
      let flags = (0..<19).map { "genre \($0)" }
      return (
        "MovieLens 100K's movies",
        ["item id", "title", "release date", "video release date", "IMDb URL"] + flags
      )
    case ("|", 5) where numbers[0]:
      return ("MovieLens 100K's users", ["user id", "age", "gender", "occupation", "zip code"])
    default: return nil
    }
  }
}

extension FormatError.Details {
  /// The column that the place names, 1 if it names none.
  var column: Int {
    guard let range = place.range(of: "column ") else { return 1 }
    return Int(place[range.upperBound...].prefix(while: \.isNumber)) ?? 1
  }
}
