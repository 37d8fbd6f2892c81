/// A JSON value made in code, to be written to a file.
///
/// ```swift
/// let manifest: JSONLiteral = ["version": 1, "name": "lightgcn", "widths": [64, 32]]
/// let bytes = try manifest.serialized(pretty: true)
/// ```
public enum JSONLiteral: Sendable, Equatable {
  /// The value `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// An integer.
  case int(Int)
  /// A finite number, written with the digits that give back the same bits.
  case double(Double)
  /// A string.
  case string(String)
  /// Values in order.
  case array([JSONLiteral])
  /// Keys and values in order; keys must differ.
  case object([(key: String, value: JSONLiteral)])

  /// Copies a parsed value. Numbers without fraction and exponent that fit become ``int(_:)``, others ``double(_:)``.
  ///
  /// - Throws: ``FormatError/wrongType(_:)`` for a number beyond the range of `Double`.
  public init(_ value: JSONValue) throws(FormatError) {
    switch value.kind {
    case .null: self = .null
    case .bool: self = .bool(try value.bool())
    case .string: self = .string(try value.string())
    case .number:
      if let integer = try? value.int() { self = .int(integer) } else { self = .double(try value.double()) }
    case .array:
      var elements: [JSONLiteral] = []
      for element in try value.array() { elements.append(try JSONLiteral(element)) }
      self = .array(elements)
    case .object:
      var members: [(key: String, value: JSONLiteral)] = []
      for (key, member) in try value.object() { members.append((key, try JSONLiteral(member))) }
      self = .object(members)
    }
  }

  /// Two values are equal if their kinds, contents and orders are.
  public static func == (left: JSONLiteral, right: JSONLiteral) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.bool(let left), .bool(let right)): left == right
    case (.int(let left), .int(let right)): left == right
    case (.double(let left), .double(let right)): left == right
    case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
    case (.array(let left), .array(let right)): left == right
    case (.object(let left), .object(let right)):
      left.elementsEqual(right) { $0.key.utf8.elementsEqual($1.key.utf8) && $0.value == $1.value }
    default: false
    }
  }

  /// The JSON text in UTF-8.
  ///
  /// - Parameters:
  ///   - pretty: Whether to break lines and indent by two spaces.
  ///   - sortedKeys: Whether members come in the order of their keys' bytes instead of their own order.
  /// - Throws: ``FormatError/wrongType(_:)`` for a number that is not finite, ``FormatError/duplicate(_:)`` for a key
  ///   that occurs twice.
  public func serialized(pretty: Bool = false, sortedKeys: Bool = false) throws(FormatError) -> [UInt8] {
    var writer = JSONWriter(isPretty: pretty, sortsKeys: sortedKeys)
    try writer.write(self, depth: 0)
    if pretty { writer.output.append(0x0A) }
    return writer.output
  }
}

extension JSONLiteral: ExpressibleByNilLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral,
  ExpressibleByDictionaryLiteral
{
  /// Makes ``null``.
  public init(nilLiteral: ()) { self = .null }
  /// Makes a ``bool(_:)``.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// Makes an ``int(_:)``.
  public init(integerLiteral value: Int) { self = .int(value) }
  /// Makes a ``double(_:)``.
  public init(floatLiteral value: Double) { self = .double(value) }
  /// Makes a ``string(_:)``.
  public init(stringLiteral value: String) { self = .string(value) }
  /// Makes an ``array(_:)``.
  public init(arrayLiteral elements: JSONLiteral...) { self = .array(elements) }
  /// Makes an ``object(_:)`` that keeps the order.
  public init(dictionaryLiteral elements: (String, JSONLiteral)...) {
    self = .object(elements.map { (key: $0.0, value: $0.1) })
  }
}

private struct JSONWriter {
  let isPretty: Bool
  let sortsKeys: Bool
  var output: [UInt8] = []

  mutating func write(_ value: JSONLiteral, depth: Int) throws(FormatError) {
    switch value {
    case .null: output.append(contentsOf: "null".utf8)
    case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
    case .int(let value): output.append(contentsOf: String(value).utf8)
    case .double(let value):
      guard value.isFinite else {
        throw .wrongType(.init("JSON text", expected: "finite numbers", found: "\(value)"))
      }
      output.append(contentsOf: "\(value)".utf8)
    case .string(let value): write(value)
    case .array(let elements):
      output.append(UInt8(ascii: "["))
      for (position, element) in elements.enumerated() {
        separate(position, depth: depth + 1)
        try write(element, depth: depth + 1)
      }
      close(UInt8(ascii: "]"), isEmpty: elements.isEmpty, depth: depth)
    case .object(let members):
      try write(members, depth: depth)
    }
  }

  private mutating func write(
    _ members: [(key: String, value: JSONLiteral)], depth: Int
  ) throws(FormatError) {
    var seen: Set<[UInt8]> = []
    for (key, _) in members where !seen.insert(Array(key.utf8)).inserted {
      throw .duplicate(.init("JSON text", expected: "each key once", found: "\"\(key)\" twice"))
    }
    let ordered =
      sortsKeys ? members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) } : members
    output.append(UInt8(ascii: "{"))
    for (position, member) in ordered.enumerated() {
      separate(position, depth: depth + 1)
      write(member.key)
      output.append(UInt8(ascii: ":"))
      if isPretty { output.append(0x20) }
      try write(member.value, depth: depth + 1)
    }
    close(UInt8(ascii: "}"), isEmpty: members.isEmpty, depth: depth)
  }

  private mutating func separate(_ position: Int, depth: Int) {
    if position > 0 { output.append(UInt8(ascii: ",")) }
    breakLine(depth)
  }

  private mutating func close(_ end: UInt8, isEmpty: Bool, depth: Int) {
    if !isEmpty { breakLine(depth) }
    output.append(end)
  }

  private mutating func breakLine(_ depth: Int) {
    guard isPretty else { return }
    output.append(0x0A)
    output.append(contentsOf: repeatElement(0x20, count: depth * 2))
  }

  private mutating func write(_ string: String) {
    output.append(UInt8(ascii: "\""))
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        output.append(UInt8(ascii: "\\"))
        output.append(byte)
      case 0x0A: output.append(contentsOf: "\\n".utf8)
      case 0x0D: output.append(contentsOf: "\\r".utf8)
      case 0x09: output.append(contentsOf: "\\t".utf8)
      case 0..<0x20:
        let digits = String(byte, radix: 16)
        output.append(contentsOf: "\\u\(String(repeating: "0", count: 4 - digits.count))\(digits)".utf8)
      default: output.append(byte)
      }
    }
    output.append(UInt8(ascii: "\""))
  }
}
