/// The types of GGUF metadata values, by their numbers in the file.
public enum GGUFValueType: UInt32, Sendable, CaseIterable {
  /// Unsigned, 8 bits.
  case uint8 = 0
  /// Signed, 8 bits.
  case int8 = 1
  /// Unsigned, 16 bits.
  case uint16 = 2
  /// Signed, 16 bits.
  case int16 = 3
  /// Unsigned, 32 bits.
  case uint32 = 4
  /// Signed, 32 bits.
  case int32 = 5
  /// Single precision.
  case float32 = 6
  /// One byte, 0 or 1.
  case bool = 7
  /// A length of 8 bytes and UTF-8.
  case string = 8
  /// An element type, a count of 8 bytes and the elements.
  case array = 9
  /// Unsigned, 64 bits.
  case uint64 = 10
  /// Signed, 64 bits.
  case int64 = 11
  /// Double precision.
  case float64 = 12

  /// The fewest bytes that a value takes in a file.
  var minimumSize: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .string, .uint64, .int64, .float64: 8
    case .array: 12
    }
  }

  var isInteger: Bool {
    switch self {
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: true
    default: false
    }
  }
}

/// A metadata value of a GGUF file.
public enum GGUFValue: Sendable {
  /// A number that fits `Int`, and the type it had in the file.
  case int(Int, GGUFValueType)
  /// An unsigned number above `Int.max`.
  case large(UInt64)
  /// A floating-point number, and the type it had in the file.
  case float(Double, GGUFValueType)
  /// A Boolean.
  case bool(Bool)
  /// A string's bytes, not yet checked to be UTF-8.
  case string(MappedBytes)
  /// Strings, left in the file until asked for.
  case strings(GGUFStringArray)
  /// Numbers or Booleans, left in the file until asked for.
  case numbers(GGUFNumberArray)
  /// Arrays in an array.
  case arrays([GGUFValue])

  /// The value's type in the file.
  public var type: GGUFValueType {
    switch self {
    case .int(_, let type), .float(_, let type): type
    case .large: .uint64
    case .bool: .bool
    case .string: .string
    case .strings, .numbers, .arrays: .array
    }
  }

  /// The type in words, for errors.
  var summary: String {
    switch self {
    case .int(let value, let type): "\(type) \(value)"
    case .large(let value): "uint64 \(value)"
    case .float(let value, let type): "\(type) \(value)"
    case .bool(let value): "bool \(value)"
    case .string: "a string"
    case .strings(let array): "an array of \(array.count) strings"
    case .numbers(let array): "an array of \(array.count) \(array.type)"
    case .arrays(let array): "an array of \(array.count) arrays"
    }
  }
}

/// An array of strings in a GGUF file, such as a vocabulary: opened without decoding any of them.
public struct GGUFStringArray: RandomAccessCollection, Sendable {
  let file: MappedFile
  /// Where each string's record (8 bytes of length, then the characters) begins, and where the last one ends. The
  /// lengths are taken from here, never again from the file, which another process may have changed.
  let offsets: [Int]

  /// The first position.
  public var startIndex: Int { 0 }
  /// The number of strings.
  public var endIndex: Int { offsets.count - 1 }

  /// The string at `position`; bytes that are not UTF-8 become U+FFFD.
  ///
  /// - Precondition: `0 ≤ position < count`.
  public subscript(position: Int) -> String {
    withBytes(at: position) { String(streamSafe: $0) }
  }

  /// The bytes of the string at `position`.
  ///
  /// - Precondition: `0 ≤ position < count`.
  public func bytes(at position: Int) -> MappedBytes {
    precondition(
      position >= 0 && position < count, "GGUFStringArray: position \(position) outside 0 ..< \(count)")
    return MappedBytes(file: file, range: (offsets[position] + 8)..<offsets[position + 1])
  }

  /// Calls `body` with the bytes of the string at `position`: the fast way through a vocabulary.
  ///
  /// - Precondition: `0 ≤ position < count`.
  @inlinable
  public func withBytes<Result>(at position: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    bytes(at: position).withUnsafeBytes(body)
  }
}

/// An array of numbers or Booleans in a GGUF file.
public struct GGUFNumberArray: Sendable {
  /// The elements' type.
  public let type: GGUFValueType
  /// The number of elements.
  public let count: Int
  let bytes: MappedBytes

  /// The elements as integers, `nil` if the type is no integer or an element does not fit.
  func ints() -> [Int]? {
    switch type {
    case .uint8: map(UInt8.self)
    case .int8: map(Int8.self)
    case .uint16: map(UInt16.self)
    case .int16: map(Int16.self)
    case .uint32: map(UInt32.self)
    case .int32: map(Int32.self)
    case .uint64: map(UInt64.self)
    case .int64: map(Int64.self)
    case .bool, .float32, .float64, .string, .array: nil
    }
  }

  /// The elements as they are in the file, `nil` unless they are of type `float32`.
  func floats() -> [Float]? {
    guard type == .float32 else { return nil }
    return bytes.withUnsafeBytes { buffer in
      (0..<count).map {
        Float(bitPattern: UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self)))
      }
    }
  }

  /// The elements as they are in the file, `nil` unless they are of type `float64`.
  func doubles() -> [Double]? {
    guard type == .float64 else { return nil }
    return bytes.withUnsafeBytes { buffer in
      (0..<count).map {
        Double(
          bitPattern: UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self)))
      }
    }
  }

  /// The elements, `nil` unless they are Booleans.
  func bools() -> [Bool]? {
    guard type == .bool else { return nil }
    return bytes.withUnsafeBytes { buffer in buffer.map { $0 != 0 } }
  }

  private func map<Value: FixedWidthInteger>(_: Value.Type) -> [Int]? {
    bytes.withUnsafeBytes { buffer -> [Int]? in
      var values: [Int] = []
      values.reserveCapacity(count)
      for position in 0..<count {
        let offset = position * MemoryLayout<Value>.size
        let value = Value(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: Value.self))
        guard let value = Int(exactly: value) else { return nil }
        values.append(value)
      }
      return values
    }
  }
}
