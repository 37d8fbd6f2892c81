/// A strict parser (RFC 8259, UTF-8, no duplicate keys) that builds the flat nodes of a ``JSONDocument``.
///
/// It keeps its own stack, so nesting costs no call depth. The text ends in a zero byte, which no rule of JSON accepts:
/// reading the byte at `position` is therefore always inside the text's memory.
struct JSONParser {
  private let source: String
  private let text: JSONText
  private let limits: JSONLimits
  private let base: UnsafePointer<UInt8>
  private var position = 0
  private var nodes: [JSONNode] = []
  private var unescaped: [UInt8] = []
  private var tables: [[UInt32]] = []
  /// The open containers, outermost first.
  private var stack: [Int] = []

  static func parse(
    _ bytes: UnsafeRawBufferPointer, source: String, limits: JSONLimits
  ) throws(FormatError) -> JSONDocument {
    guard bytes.count <= min(limits.byteCount, Int(UInt32.max) - 1) else {
      throw .limitExceeded(
        .init(source, expected: "at most \(limits.byteCount) bytes of JSON", found: "\(bytes.count) bytes"))
    }
    let text = JSONText(copying: bytes)
    var parser = JSONParser(source: source, text: text, limits: limits)
    if let offset = firstInvalidUTF8(UnsafeRawBufferPointer(start: text.base, count: text.count)) {
      parser.position = offset
      throw parser.malformed(expected: "well-formed UTF-8")
    }
    try parser.run()
    return JSONDocument(
      source: source, text: text, nodes: parser.nodes, unescaped: parser.unescaped, tables: parser.tables)
  }

  private init(source: String, text: JSONText, limits: JSONLimits) {
    self.source = source
    self.text = text
    self.limits = limits
    base = text.base
    nodes.reserveCapacity(min(text.count / 8 + 4, limits.nodeCount))
  }

  // MARK: Structure

  private mutating func run() throws(FormatError) {
    skipSpace()
    repeat {
      try parseValue()
      try finishValue()
    } while !stack.isEmpty
    skipSpace()
    guard position == text.count else { throw malformed(expected: "the end of the text") }
  }

  /// Parses a scalar, or opens containers down to their first scalar or to an empty container.
  private mutating func parseValue() throws(FormatError) {
    while true {
      switch base[position] {
      case UInt8(ascii: "{"):
        try open(.object)
        if base[position] == UInt8(ascii: "}") { return }
        try parseKey()
      case UInt8(ascii: "["):
        try open(.array)
        if base[position] == UInt8(ascii: "]") { return }
      case UInt8(ascii: "\""): return try parseString()
      case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
      case UInt8(ascii: "t"): return try parseWord("true", .yes)
      case UInt8(ascii: "f"): return try parseWord("false", .no)
      case UInt8(ascii: "n"): return try parseWord("null", .null)
      default: throw malformed(expected: "a JSON value")
      }
    }
  }

  /// After a value (or at the end of an empty container): closes what ends here and moves to the next value, if any.
  private mutating func finishValue() throws(FormatError) {
    while let top = stack.last {
      let isObject = nodes[top].kind == .object
      let end = isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")
      if nodes.count > top + 1 { nodes[top].length += 1 }
      skipSpace()
      if base[position] == UInt8(ascii: ","), nodes[top].length > 0 {
        position += 1
        skipSpace()
        if isObject { try parseKey() }
        return
      }
      guard base[position] == end else {
        throw malformed(expected: isObject ? "',' or '}'" : "',' or ']'")
      }
      position += 1
      nodes[top].next = UInt32(nodes.count)
      if isObject { try indexMembers(of: top) }
      stack.removeLast()
    }
  }

  private mutating func open(_ kind: JSONNode.Kind) throws(FormatError) {
    guard stack.count < limits.depth else {
      throw .limitExceeded(
        .init(source, at: place(position), expected: "nesting of at most \(limits.depth)", found: "more"))
    }
    try append(kind, start: position, length: 0)
    stack.append(nodes.count - 1)
    position += 1
    skipSpace()
  }

  private mutating func parseKey() throws(FormatError) {
    guard base[position] == UInt8(ascii: "\"") else { throw malformed(expected: "a key in quotes") }
    try parseString()
    skipSpace()
    guard base[position] == UInt8(ascii: ":") else { throw malformed(expected: "':'") }
    position += 1
    skipSpace()
  }

  private mutating func append(
    _ kind: JSONNode.Kind, start: Int, length: Int, isUnescaped: Bool = false
  ) throws(FormatError) {
    guard nodes.count < limits.nodeCount else {
      throw .limitExceeded(
        .init(
          source, at: place(position), expected: "at most \(limits.nodeCount) values and keys", found: "more")
      )
    }
    nodes.append(
      JSONNode(
        start: UInt32(start), length: UInt32(length), parent: UInt32(stack.last ?? 0),
        next: UInt32(nodes.count + 1), kind: kind, isUnescaped: isUnescaped))
  }

  // MARK: Scalars

  private mutating func parseWord(_ word: StaticString, _ kind: JSONNode.Kind) throws(FormatError) {
    for offset in 0..<word.utf8CodeUnitCount where base[position + offset] != word.utf8Start[offset] {
      // A mismatch stops the scan, so no byte after the text's final zero is read.
      throw malformed(expected: "\(word)")
    }
    try append(kind, start: position, length: word.utf8CodeUnitCount)
    position += word.utf8CodeUnitCount
  }

  private mutating func parseNumber() throws(FormatError) {
    let start = position
    if base[position] == UInt8(ascii: "-") { position += 1 }
    if base[position] == UInt8(ascii: "0") {
      position += 1
      if isDigit { throw malformed(expected: "a number without leading zeros") }
    } else {
      try skipDigits()
    }
    if base[position] == UInt8(ascii: ".") {
      position += 1
      try skipDigits()
    }
    if base[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if base[position] == UInt8(ascii: "+") || base[position] == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
    try append(.number, start: start, length: position - start)
  }

  private var isDigit: Bool { base[position] &- UInt8(ascii: "0") < 10 }

  private mutating func skipDigits() throws(FormatError) {
    guard isDigit else { throw malformed(expected: "a digit") }
    while isDigit { position += 1 }
  }

  private mutating func parseString() throws(FormatError) {
    position += 1
    let start = position
    skipPlainCharacters()
    if base[position] == UInt8(ascii: "\"") {
      try append(.string, start: start, length: position - start)
      position += 1
      return
    }
    // There are escapes (or an error): copy piece by piece.
    let unescapedStart = unescaped.count
    var pieceStart = start
    while true {
      unescaped.append(
        contentsOf: UnsafeBufferPointer(start: base + pieceStart, count: position - pieceStart))
      switch base[position] {
      case UInt8(ascii: "\""):
        try append(
          .string, start: unescapedStart, length: unescaped.count - unescapedStart, isUnescaped: true)
        position += 1
        return
      case UInt8(ascii: "\\"): try parseEscape()
      default: throw malformed(expected: "a character of a string or '\"'")
      }
      pieceStart = position
      skipPlainCharacters()
    }
  }

  @inline(__always)
  private mutating func skipPlainCharacters() {
    while base[position] >= 0x20, base[position] != UInt8(ascii: "\""), base[position] != UInt8(ascii: "\\") {
      position += 1
    }
  }

  private mutating func parseEscape() throws(FormatError) {
    let escape = base[position + 1]
    switch escape {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(escape)
    case UInt8(ascii: "b"): unescaped.append(8)
    case UInt8(ascii: "f"): unescaped.append(12)
    case UInt8(ascii: "n"): unescaped.append(10)
    case UInt8(ascii: "r"): unescaped.append(13)
    case UInt8(ascii: "t"): unescaped.append(9)
    case UInt8(ascii: "u"): return try parseUnicodeEscape()
    default: throw malformed(expected: "an escape sequence")
    }
    position += 2
  }

  private mutating func parseUnicodeEscape() throws(FormatError) {
    var value = try parseFourHexDigits()
    if value & 0xFC00 == 0xD800, base[position] == UInt8(ascii: "\\"), base[position + 1] == UInt8(ascii: "u")
    {
      let low = try parseFourHexDigits()
      guard low & 0xFC00 == 0xDC00 else { throw malformed(expected: "a low surrogate before this place") }
      value = 0x10000 + (value & 0x3FF) << 10 + low & 0x3FF
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw malformed(expected: "surrogates in pairs before this place")
    }
    unescaped.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
  }

  /// Reads `\uXXXX` at the position and moves behind it.
  private mutating func parseFourHexDigits() throws(FormatError) -> UInt32 {
    var value: UInt32 = 0
    for offset in 2..<6 {
      let byte = base[position + offset]
      let digit: UInt8
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
      default: throw malformed(expected: "four hexadecimal digits after '\\u'")
      }
      value = value << 4 | UInt32(digit)
    }
    position += 6
    return value
  }

  @inline(__always)
  private mutating func skipSpace() {
    while true {
      switch base[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return
      }
    }
  }

  // MARK: Members

  /// Refuses duplicate keys and gives large objects their hash table.
  private mutating func indexMembers(of index: Int) throws(FormatError) {
    let members = Int(nodes[index].length)
    let end = nodes.count
    if members <= JSONDocument.scannedMembers {
      var child = index + 1
      while child < end {
        var earlier = index + 1
        while earlier < child {
          if isSameKey(earlier, child) { throw duplicateKey(child) }
          earlier = Int(nodes[earlier + 1].next)
        }
        child = Int(nodes[child + 1].next)
      }
      return
    }
    var capacity = 32
    while capacity < members * 2 { capacity *= 2 }
    var slots = [UInt32](repeating: 0, count: capacity)
    var child = index + 1
    while child < end {
      var slot = Int(truncatingIfNeeded: withCharacters(of: child, SeededHash.hash)) & (capacity - 1)
      while slots[slot] != 0 {
        if isSameKey(Int(slots[slot]), child) { throw duplicateKey(child) }
        slot = (slot + 1) & (capacity - 1)
      }
      slots[slot] = UInt32(child)
      child = Int(nodes[child + 1].next)
    }
    tables.append(slots)
    nodes[index].table = UInt32(tables.count)
  }

  @inline(__always)
  private func withCharacters<Result>(of index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    let node = nodes[index]
    let (start, length) = (Int(node.start), Int(node.length))
    if node.isUnescaped {
      return unescaped.withUnsafeBytes {
        body(UnsafeRawBufferPointer(rebasing: $0[start..<(start + length)]))
      }
    }
    return body(UnsafeRawBufferPointer(start: base + start, count: length))
  }

  private func isSameKey(_ left: Int, _ right: Int) -> Bool {
    withCharacters(of: left) { left in withCharacters(of: right) { left.hasSameBytes(as: $0) } }
  }

  // MARK: Errors

  private func duplicateKey(_ index: Int) -> FormatError {
    let key = withCharacters(of: index) { String(streamSafe: $0) }
    return .duplicate(
      .init(
        source, at: "the object that ends at \(place(position - 1))", expected: "each key once",
        found: "\"\(key.prefix(80))\" twice"))
  }

  private func malformed(expected: String) -> FormatError {
    let found: String
    let byte = base[position]
    if position >= text.count {
      found = "the end of the text"
    } else if byte > 0x20, byte < 0x7F {
      found = "'\(Unicode.Scalar(byte))'"
    } else {
      found = "the byte 0x\(String(byte, radix: 16, uppercase: true))"
    }
    return .malformed(.init(source, at: place(position), expected: expected, found: found))
  }

  /// "byte 17 (line 2, column 5)": the offset counts from 0, line and column from 1, the column in bytes.
  private func place(_ offset: Int) -> String {
    var line = 1
    var lineStart = 0
    for index in 0..<min(offset, text.count) where base[index] == 0x0A {
      line += 1
      lineStart = index + 1
    }
    return "byte \(offset) (line \(line), column \(offset - lineStart + 1))"
  }
}
