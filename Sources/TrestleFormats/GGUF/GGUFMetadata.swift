/// The metadata of a GGUF file: values by key, with accessors that throw when the type is another.
///
/// Integers of any width are read by ``int(_:in:)``; a floating-point number is never taken for an integer, an array
/// of one type never for another.
public struct GGUFMetadata: Sendable {
  /// The file's path, for errors.
  let path: String
  /// The keys in the order of the file.
  public internal(set) var keys: [String] = []
  var values: [ByteKey: GGUFValue] = [:]

  init(path: String) { self.path = path }

  /// The number of keys.
  public var count: Int { keys.count }

  /// The value of `key`, `nil` if absent.
  public subscript(key: String) -> GGUFValue? { values[key] }

  /// Whether the file has `key`.
  public func contains(_ key: String) -> Bool { values[key] != nil }

  /// The value of `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``.
  public func value(_ key: String) throws(FormatError) -> GGUFValue {
    guard let value = values[key] else {
      throw .missing(.init(path, expected: "the metadata key \"\(key)\"", found: "none of that name"))
    }
    return value
  }

  /// The integer at `key`, whatever its width.
  ///
  /// - Throws: ``FormatError/missing(_:)``; ``FormatError/wrongType(_:)`` if it is no integer or outside `range`.
  public func int(_ key: String, in range: ClosedRange<Int> = .min ... .max) throws(FormatError) -> Int {
    let value = try value(key)
    guard case .int(let integer, _) = value, range.contains(integer) else {
      throw wrongType(key, range == .min ... .max ? "an integer" : "an integer in \(range)", value)
    }
    return integer
  }

  /// The floating-point number at `key`, of either precision.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func double(_ key: String) throws(FormatError) -> Double {
    let value = try value(key)
    guard case .float(let number, _) = value else { throw wrongType(key, "a floating-point number", value) }
    return number
  }

  /// The Boolean at `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func bool(_ key: String) throws(FormatError) -> Bool {
    let value = try value(key)
    guard case .bool(let flag) = value else { throw wrongType(key, "a Boolean", value) }
    return flag
  }

  /// The string at `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``; ``FormatError/wrongType(_:)`` if it is no string or not UTF-8.
  public func string(_ key: String) throws(FormatError) -> String {
    let value = try value(key)
    guard case .string(let bytes) = value else { throw wrongType(key, "a string", value) }
    let text = bytes.withUnsafeBytes { buffer in
      firstInvalidUTF8(buffer) == nil ? String(streamSafe: buffer) : nil
    }
    guard let text else {
      throw .wrongType(
        .init(path, at: "metadata \"\(key)\"", expected: "a string in UTF-8", found: "other bytes"))
    }
    return text
  }

  /// The strings at `key`, left in the file until asked for.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func strings(_ key: String) throws(FormatError) -> GGUFStringArray {
    let value = try value(key)
    guard case .strings(let array) = value else { throw wrongType(key, "an array of strings", value) }
    return array
  }

  /// The integers at `key`, whatever their width.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func ints(_ key: String) throws(FormatError) -> [Int] {
    let value = try value(key)
    guard case .numbers(let array) = value, let integers = array.ints() else {
      throw wrongType(key, "an array of integers", value)
    }
    return integers
  }

  /// The single-precision numbers at `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func floats(_ key: String) throws(FormatError) -> [Float] {
    let value = try value(key)
    guard case .numbers(let array) = value, let numbers = array.floats() else {
      throw wrongType(key, "an array of float32", value)
    }
    return numbers
  }

  /// The double-precision numbers at `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func doubles(_ key: String) throws(FormatError) -> [Double] {
    let value = try value(key)
    guard case .numbers(let array) = value, let numbers = array.doubles() else {
      throw wrongType(key, "an array of float64", value)
    }
    return numbers
  }

  /// The Booleans at `key`.
  ///
  /// - Throws: ``FormatError/missing(_:)``, ``FormatError/wrongType(_:)``.
  public func bools(_ key: String) throws(FormatError) -> [Bool] {
    let value = try value(key)
    guard case .numbers(let array) = value, let flags = array.bools() else {
      throw wrongType(key, "an array of Booleans", value)
    }
    return flags
  }

  /// An error about the value of `key`, for callers that check more than the type.
  public func wrongType(_ key: String, _ expected: String) -> FormatError {
    .wrongType(
      .init(path, at: "metadata \"\(key)\"", expected: expected, found: values[key]?.summary ?? "nothing"))
  }

  private func wrongType(_ key: String, _ expected: String, _ value: GGUFValue) -> FormatError {
    .wrongType(.init(path, at: "metadata \"\(key)\"", expected: expected, found: value.summary))
  }
}
