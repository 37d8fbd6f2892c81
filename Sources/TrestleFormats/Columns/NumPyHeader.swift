/// What stands before a NumPy array: its type, order and shape, as a literal of Python.
struct NumPyHeader {
  /// A type of elements.
  struct Element: Equatable {
    /// The letter of the kind: b, i, u, f, U or S.
    let kind: Character
    /// The bytes of an element; of U, four a character.
    let byteCount: Int
  }

  /// The fields of a record with their types; a single one without a name for plain arrays.
  let fields: [(name: String, element: Element)]
  /// The shape.
  let shape: [Int]

  /// The bytes of a record.
  var byteCount: Int { fields.reduce(0) { $0 + $1.element.byteCount } }

  init(_ text: ArraySlice<UInt8>, path: String) throws(FormatError) {
    func malformed(_ expected: String, _ found: String) -> FormatError {
      .malformed(.init(path, at: "the header", expected: expected, found: found))
    }
    var parser = PythonLiteral.Parser(text)
    guard case .dictionary(let entries)? = parser.parse(), parser.isAtEnd else {
      throw malformed("a dictionary of Python", String(decoding: text.prefix(200), as: UTF8.self))
    }
    guard let type = entries["descr"], case .tuple(let dimensions)? = entries["shape"] else {
      throw malformed("a type 'descr' and a tuple 'shape'", entries.keys.sorted().joined(separator: ", "))
    }
    var shape: [Int] = []
    for dimension in dimensions {
      guard case .integer(let count) = dimension, count >= 0 else {
        throw malformed("a shape of counts", "another")
      }
      shape.append(count)
    }
    self.shape = shape
    switch type {
    case .text(let code): fields = [("", try Self.element(code, path))]
    case .list(let parts):
      var fields: [(name: String, element: Element)] = []
      for part in parts {
        guard case .tuple(let pair) = part, pair.count == 2, case .text(let name) = pair[0],
          case .text(let code) = pair[1]
        else { throw malformed("fields of a name and a plain type", "other fields") }
        fields.append((name, try Self.element(code, path)))
      }
      self.fields = fields
    default: throw malformed("a type", "something else")
    }
  }

  private static func element(_ code: String, _ path: String) throws(FormatError) -> Element {
    let letters = Array(code)
    let known: [Character: ClosedRange<Int>] = [
      "b": 1...1, "i": 1...8, "u": 1...8, "f": 2...8, "U": 1...(1 << 20), "S": 1...(1 << 20),
    ]
    guard letters.count >= 3, letters[0] == "<" || letters[0] == "|", let sizes = known[letters[1]],
      let size = Int(String(letters[2...])), sizes.contains(size),
      !"iuf".contains(letters[1]) || size.nonzeroBitCount == 1
    else {
      throw .unsupported(
        .init(
          path, at: "the header",
          expected: "little-endian bool, int, uint, float16 to float64, or texts of fixed width", found: code)
      )
    }
    return Element(kind: letters[1], byteCount: letters[1] == "U" ? size * 4 : size)
  }
}

/// The literals that headers are made of.
enum PythonLiteral {
  case text(String)
  case integer(Int)
  case boolean(Bool)
  case tuple([PythonLiteral])
  case list([PythonLiteral])
  case dictionary([String: PythonLiteral])

  struct Parser {
    private let bytes: ArraySlice<UInt8>
    private var place: Int
    private static let mostLevels = 8

    init(_ bytes: ArraySlice<UInt8>) {
      self.bytes = bytes
      place = bytes.startIndex
    }

    /// Whether only spaces are left.
    var isAtEnd: Bool { bytes[place...].allSatisfy { $0 == 0x20 || $0 == 0x0A } }

    private mutating func skipSpaces() {
      while place < bytes.endIndex, bytes[place] == 0x20 || bytes[place] == 0x0A { place += 1 }
    }

    /// Whether the next byte is `character`, which is then passed.
    private mutating func take(_ character: Unicode.Scalar) -> Bool {
      skipSpaces()
      guard place < bytes.endIndex, bytes[place] == UInt8(ascii: character) else { return false }
      place += 1
      return true
    }

    private mutating func take(word: String) -> Bool {
      guard bytes[place...].starts(with: word.utf8) else { return false }
      place += word.utf8.count
      return true
    }

    /// The next literal; `nil` for anything else.
    mutating func parse(level: Int = 0) -> PythonLiteral? {
      guard level < Self.mostLevels else { return nil }
      skipSpaces()
      if take("{") { return dictionary(level) }
      if take("(") { return elements(until: ")", level).map { .tuple($0) } }
      if take("[") { return elements(until: "]", level).map { .list($0) } }
      if take(word: "True") { return .boolean(true) }
      if take(word: "False") { return .boolean(false) }
      if let text = text() { return .text(text) }
      let start = place
      while place < bytes.endIndex, (0x30...0x39).contains(bytes[place]) { place += 1 }
      return Int(String(decoding: bytes[start..<place], as: UTF8.self)).map { .integer($0) }
    }

    /// A text in single or double quotes, without escapes.
    private mutating func text() -> String? {
      guard place < bytes.endIndex, bytes[place] == 0x27 || bytes[place] == 0x22 else { return nil }
      let quote = bytes[place]
      guard let end = bytes[(place + 1)...].firstIndex(of: quote) else { return nil }
      let inside = bytes[place + 1..<end]
      guard !inside.contains(0x5C), let text = String(validating: inside, as: UTF8.self) else { return nil }
      place = end + 1
      return text
    }

    private mutating func elements(until end: Unicode.Scalar, _ level: Int) -> [PythonLiteral]? {
      var elements: [PythonLiteral] = []
      while !take(end) {
        guard let element = parse(level: level + 1) else { return nil }
        elements.append(element)
        guard take(",") else { return take(end) ? elements : nil }
      }
      return elements
    }

    private mutating func dictionary(_ level: Int) -> PythonLiteral? {
      var entries: [String: PythonLiteral] = [:]
      while !take("}") {
        skipSpaces()
        guard let key = text(), take(":"), let value = parse(level: level + 1),
          entries.updateValue(value, forKey: key) == nil
        else { return nil }
        guard take(",") else { return take("}") ? .dictionary(entries) : nil }
      }
      return .dictionary(entries)
    }
  }
}
