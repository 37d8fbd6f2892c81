import Foundation

/// A value inside a parsed JSON text.
///
/// The text is parsed once into flat arrays; values are indices into them, so copying one is cheap and strings are
/// decoded only when asked for. Accessors throw with the path of keys that led to the value:
/// `config.json: wrong type or range at rope_scaling.factor: expected a number, found a string.`
///
/// ```swift
/// let config = try JSONValue(contentsOf: folder.appending(path: "config.json"))
/// let layers = try config.member("num_hidden_layers").int(in: 1...1000)
/// let theta = try config.optionalMember("rope_theta")?.double() ?? 10_000
/// ```
///
/// The text must be strict JSON (RFC 8259) in UTF-8 without byte order mark, comments, trailing commas, `NaN` or
/// repeated keys; escaped surrogates must come in pairs. Keys are compared byte by byte, not by canonical equivalence.
public struct JSONValue: Sendable {
  /// The kinds of JSON values.
  public enum Kind: String, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool
    /// A number, whole or not.
    case number
    /// A string.
    case string
    /// An array.
    case array
    /// An object: members by name.
    case object
  }

  let document: JSONDocument
  let index: Int

  /// Parses bytes in memory, which are copied.
  ///
  /// - Parameters:
  ///   - bytes: The text.
  ///   - source: What errors call the text: a path, or words such as "chat template".
  ///   - limits: Bounds on size and nesting.
  /// - Throws: ``FormatError/malformed(_:)``, ``FormatError/duplicate(_:)`` or ``FormatError/limitExceeded(_:)``.
  public init(
    parsing bytes: UnsafeRawBufferPointer, source: String = "JSON text", limits: JSONLimits = JSONLimits()
  ) throws(FormatError) {
    document = try JSONParser.parse(bytes, source: source, limits: limits)
    index = 0
  }

  /// Parses a string; see ``init(parsing:source:limits:)-(UnsafeRawBufferPointer,_,_)``.
  public init(
    parsing text: String, source: String = "JSON text", limits: JSONLimits = JSONLimits()
  ) throws(FormatError) {
    var text = text
    let result = text.withUTF8 { bytes in
      Result { () throws(FormatError) in
        try JSONValue(parsing: UnsafeRawBufferPointer(bytes), source: source, limits: limits)
      }
    }
    self = try result.get()
  }

  /// Parses a file, which is read in full first: what another process does to it meanwhile changes nothing.
  ///
  /// - Throws: The errors of ``init(parsing:source:limits:)-(UnsafeRawBufferPointer,_,_)`` and
  ///   ``FormatError/cannotRead(_:)``.
  public init(contentsOf url: URL, limits: JSONLimits = JSONLimits()) throws(FormatError) {
    let file = try MappedFile(url, access: .copied)
    self = try MappedBytes(file: file, range: 0..<file.count).withUnsafeBytes { bytes throws(FormatError) in
      try JSONValue(parsing: bytes, source: url.path, limits: limits)
    }
  }

  init(document: JSONDocument, index: Int) {
    self.document = document
    self.index = index
  }

  private var node: JSONNode { document.nodes[index] }

  /// The value's kind.
  public var kind: Kind {
    switch node.kind {
    case .null: .null
    case .no, .yes: .bool
    case .number: .number
    case .string: .string
    case .array: .array
    case .object: .object
    }
  }

  /// Whether the value is `null`.
  public var isNull: Bool { node.kind == .null }

  /// The keys and indices that lead from the root to this value, for example `model.merges[3]`; empty for the root.
  public var path: String {
    var steps: [String] = []
    var current = index
    while current != 0 {
      let parent = Int(document.nodes[current].parent)
      if document.nodes[parent].kind == .object {
        // The node right before a member's value is its key.
        steps.append((parent == 0 ? "" : ".") + document.string(current - 1))
      } else {
        var (position, child) = (0, parent + 1)
        while child < current {
          child = Int(document.nodes[child].next)
          position += 1
        }
        steps.append("[\(position)]")
      }
      current = parent
    }
    return steps.reversed().joined()
  }

  // MARK: Scalars

  /// The value as a Boolean.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func bool() throws(FormatError) -> Bool {
    switch node.kind {
    case .yes: return true
    case .no: return false
    default: throw wrongType("true or false")
    }
  }

  /// The value as a string; a run of more than 30 combining marks is broken by U+034F, so that comparing and hashing
  /// the string takes linear time. ``withUTF8(_:)`` gives the bytes as they are.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func string() throws(FormatError) -> String {
    guard node.kind == .string else { throw wrongType("a string") }
    return document.string(index)
  }

  /// Calls `body` with the string's characters as UTF-8, without making a `String`.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func withUTF8<Result>(_ body: (UnsafeRawBufferPointer) -> Result) throws(FormatError) -> Result {
    guard node.kind == .string else { throw wrongType("a string") }
    return document.withCharacters(of: index, body)
  }

  /// The value as an integer: a number without fraction and exponent that lies in `range`.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func int(in range: ClosedRange<Int> = .min ... .max) throws(FormatError) -> Int {
    func failure() -> FormatError {
      wrongType(range == .min ... .max ? "an integer" : "an integer in \(range)")
    }
    guard node.kind == .number else { throw failure() }
    let value = document.withCharacters(of: index) { characters -> Int? in
      var magnitude: UInt = 0
      let isNegative = characters[0] == UInt8(ascii: "-")
      for byte in characters[(isNegative ? 1 : 0)...] {
        let digit = byte &- UInt8(ascii: "0")
        guard digit < 10 else { return nil }
        let (product, productOverflow) = magnitude.multipliedReportingOverflow(by: 10)
        let (sum, sumOverflow) = product.addingReportingOverflow(UInt(digit))
        if productOverflow || sumOverflow { return nil }
        magnitude = sum
      }
      if isNegative, magnitude == Int.min.magnitude { return .min }
      return Int(exactly: magnitude).map { isNegative ? -$0 : $0 }
    }
    guard let value, range.contains(value) else { throw failure() }
    return value
  }

  /// The value as a finite double-precision number; integers are converted.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func double() throws(FormatError) -> Double {
    guard node.kind == .number, let value = Double(document.string(index)), value.isFinite else {
      throw wrongType("a finite number")
    }
    return value
  }

  // MARK: Containers

  /// The value as an array.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func array() throws(FormatError) -> JSONArray {
    guard node.kind == .array else { throw wrongType("an array") }
    return JSONArray(value: self)
  }

  /// The value as an object.
  ///
  /// - Throws: ``FormatError/wrongType(_:)``.
  public func object() throws(FormatError) -> JSONObject {
    guard node.kind == .object else { throw wrongType("an object") }
    return JSONObject(value: self)
  }

  /// The value of `key` in this object.
  ///
  /// - Throws: ``FormatError/wrongType(_:)`` if this is no object, ``FormatError/missing(_:)`` without the key.
  public func member(_ key: String) throws(FormatError) -> JSONValue {
    guard let value = try object()[key] else {
      throw .missing(
        .init(
          document.source, at: path.isEmpty ? "the root" : path, expected: "the key \"\(key)\"",
          found: "none"))
    }
    return value
  }

  /// The value of `key` in this object, `nil` if it is absent or `null`.
  ///
  /// - Throws: ``FormatError/wrongType(_:)`` if this is no object.
  public func optionalMember(_ key: String) throws(FormatError) -> JSONValue? {
    guard let value = try object()[key], !value.isNull else { return nil }
    return value
  }

  /// The value of `key`, `nil` if this is no object or lacks the key.
  public subscript(key: String) -> JSONValue? {
    node.kind == .object ? JSONObject(value: self)[key] : nil
  }

  /// An error about this value, for callers that check more than the type.
  public func wrongType(_ expected: String) -> FormatError {
    .wrongType(
      .init(document.source, at: path.isEmpty ? "the root" : path, expected: expected, found: summary))
  }

  /// The nodes below this one, an object's keys among them.
  fileprivate var children: Range<Int> { index + 1..<Int(node.next) }

  /// The value in a few words, for errors.
  private var summary: String {
    switch node.kind {
    case .null: return "null"
    case .yes: return "true"
    case .no: return "false"
    case .number:
      let digits = document.string(index)
      return "the number \(digits.prefix(40))\(digits.count > 40 ? "…" : "")"
    case .string:
      let characters = document.string(index)
      return "the string \"\(characters.prefix(40))\(characters.count > 40 ? "…" : "")\""
    case .array: return "an array of \(node.length)"
    case .object: return "an object of \(node.length)"
    }
  }
}

/// The elements of a JSON array, in order.
public struct JSONArray: Sequence, Sendable {
  let value: JSONValue

  /// The number of elements.
  public var count: Int { Int(value.document.nodes[value.index].length) }
  /// Whether there are no elements.
  public var isEmpty: Bool { count == 0 }

  /// The element at `position`: in constant time if no element is a container, otherwise by counting.
  ///
  /// - Precondition: `0 ≤ position < count`.
  public subscript(position: Int) -> JSONValue {
    precondition(
      position >= 0 && position < count, "JSONArray: position \(position) outside 0 ..< \(count)")
    let node = value.document.nodes[value.index]
    let first = value.index + 1
    if Int(node.next) - first == count { return JSONValue(document: value.document, index: first + position) }
    var child = first
    for _ in 0..<position { child = Int(value.document.nodes[child].next) }
    return JSONValue(document: value.document, index: child)
  }

  /// Walks over the elements.
  public func makeIterator() -> Iterator {
    Iterator(document: value.document, rest: value.children)
  }

  /// Walks over the elements of a ``JSONArray``.
  public struct Iterator: IteratorProtocol {
    let document: JSONDocument
    var rest: Range<Int>

    /// The next element.
    public mutating func next() -> JSONValue? {
      guard let first = rest.first else { return nil }
      rest = Int(document.nodes[first].next)..<rest.upperBound
      return JSONValue(document: document, index: first)
    }
  }
}

/// The members of a JSON object, in the order of the text; look-ups take constant time.
public struct JSONObject: Sequence, Sendable {
  let value: JSONValue

  /// The number of members.
  public var count: Int { Int(value.document.nodes[value.index].length) }
  /// Whether there are no members.
  public var isEmpty: Bool { count == 0 }
  /// The keys, in the order of the text.
  public var keys: [String] { map(\.key) }

  /// The value of `key`, if present.
  public subscript(key: String) -> JSONValue? {
    var key = key
    return key.withUTF8 { self[UnsafeRawBufferPointer($0)] }
  }

  /// The value of the key with these UTF-8 bytes, if present.
  public subscript(keyBytes: UnsafeRawBufferPointer) -> JSONValue? {
    value.document.value(of: keyBytes, in: value.index).map {
      JSONValue(document: value.document, index: $0)
    }
  }

  /// Calls `body` with each key's UTF-8 bytes and its value, without making `String`s: the fast way through a
  /// vocabulary.
  public func forEachMember(
    _ body: (_ key: UnsafeRawBufferPointer, _ value: JSONValue) throws(FormatError) -> Void
  ) throws(FormatError) {
    let document = value.document
    var (child, end) = (value.children.lowerBound, value.children.upperBound)
    while child < end {
      let result = document.withCharacters(of: child) { key in
        Result { () throws(FormatError) in
          try body(key, JSONValue(document: document, index: child + 1))
        }
      }
      try result.get()
      child = Int(document.nodes[child + 1].next)
    }
  }

  /// Walks over the members.
  public func makeIterator() -> Iterator {
    Iterator(document: value.document, rest: value.children)
  }

  /// Walks over the members of a ``JSONObject``.
  public struct Iterator: IteratorProtocol {
    let document: JSONDocument
    var rest: Range<Int>

    /// The next key and its value.
    public mutating func next() -> (key: String, value: JSONValue)? {
      guard let key = rest.first else { return nil }
      rest = Int(document.nodes[key + 1].next)..<rest.upperBound
      return (document.string(key), JSONValue(document: document, index: key + 1))
    }
  }
}
