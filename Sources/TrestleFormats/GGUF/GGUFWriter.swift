/// Builds GGUF files in memory, for tests and small fixtures: each part can be made wrong on purpose.
package struct GGUFWriter {
  /// A tensor's record and bytes.
  package struct Tensor {
    package var name: [UInt8]
    /// The dimensions in the file's order, innermost first.
    package var dimensions: [UInt64]
    package var type: UInt32
    /// The offset to declare; `nil` for the right one.
    package var offset: UInt64?
    package var bytes: [UInt8]

    package init(
      _ name: String, dimensions: [UInt64], type: UInt32, offset: UInt64? = nil, bytes: [UInt8] = []
    ) {
      self.name = Array(name.utf8)
      self.dimensions = dimensions
      self.type = type
      self.offset = offset
      self.bytes = bytes
    }
  }

  package var magic: [UInt8] = Array("GGUF".utf8)
  package var version: UInt32 = 3
  package var alignment = 32
  /// The number of tensors to declare; `nil` for the right one.
  package var tensorCount: UInt64?
  /// The number of keys to declare; `nil` for the right one.
  package var keyCount: UInt64?
  /// The metadata: key and encoded value, beginning with its type.
  package var metadata: [(key: [UInt8], value: [UInt8])] = []
  package var tensors: [Tensor] = []

  package init() {}

  package mutating func add(_ key: String, _ value: [UInt8]) {
    metadata.append((Array(key.utf8), value))
  }

  /// The file's bytes. Every tensor but the last is padded to the alignment.
  package func serialized() -> [UInt8] {
    var output = magic
    output += Self.encode(version)
    output += Self.encode(tensorCount ?? UInt64(tensors.count))
    output += Self.encode(keyCount ?? UInt64(metadata.count))
    for (key, value) in metadata { output += Self.encode(UInt64(key.count)) + key + value }
    var data: [UInt8] = []
    for tensor in tensors {
      pad(&data)
      output += Self.encode(UInt64(tensor.name.count)) + tensor.name
      output += Self.encode(UInt32(tensor.dimensions.count)) + tensor.dimensions.flatMap { Self.encode($0) }
      output += Self.encode(tensor.type) + Self.encode(tensor.offset ?? UInt64(data.count))
      data += tensor.bytes
    }
    pad(&output)
    return output + data
  }

  private func pad(_ bytes: inout [UInt8]) {
    bytes += [UInt8](repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
  }

  /// `value` in little endian.
  package static func encode<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// A value of an integer type, preceded by the type.
  package static func value<Value: FixedWidthInteger>(_ type: GGUFValueType, _ value: Value) -> [UInt8] {
    encode(type.rawValue) + encode(value)
  }

  /// A string, preceded by its type.
  package static func value(_ text: String) -> [UInt8] {
    encode(GGUFValueType.string.rawValue) + encode(UInt64(text.utf8.count)) + Array(text.utf8)
  }

  /// An array of already encoded elements, preceded by its type.
  package static func array(_ type: GGUFValueType, _ elements: [[UInt8]], count: UInt64? = nil) -> [UInt8] {
    encode(GGUFValueType.array.rawValue) + encode(type.rawValue) + encode(count ?? UInt64(elements.count))
      + elements.flatMap { $0 }
  }
}
