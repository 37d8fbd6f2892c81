/// Reads little-endian values one after another, refusing to read past the end.
///
/// The caller keeps the bytes alive while the reader is used.
struct ByteReader {
  let bytes: UnsafeRawBufferPointer
  let path: String
  private(set) var position = 0

  var remaining: Int { bytes.count - position }

  init(_ bytes: UnsafeRawBufferPointer, path: String) {
    self.bytes = bytes
    self.path = path
  }

  mutating func read<Value: FixedWidthInteger>(
    _ type: Value.Type, _ place: @autoclosure () -> String
  ) throws(FormatError) -> Value {
    guard remaining >= MemoryLayout<Value>.size else {
      throw truncated("\(MemoryLayout<Value>.size) bytes", place())
    }
    defer { position += MemoryLayout<Value>.size }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Value.self))
  }

  /// Skips `count` bytes and returns their range.
  mutating func skip(_ count: UInt64, _ place: @autoclosure () -> String) throws(FormatError) -> Range<Int> {
    guard count <= UInt64(remaining) else { throw truncated("\(count) bytes", place()) }
    defer { position += Int(count) }
    return position..<(position + Int(count))
  }

  /// Reads a number of records, refusing it unless so many records of `minimumSize` bytes can follow.
  mutating func readCount(
    minimumSize: Int, _ place: @autoclosure () -> String
  ) throws(FormatError) -> Int {
    let start = position
    let count = try read(UInt64.self, place())
    guard count <= UInt64(remaining / minimumSize) else {
      throw .malformed(
        .init(
          path, at: "byte \(start), \(place())",
          expected: "at most \(remaining / minimumSize), which fit into the file's rest", found: "\(count)"))
    }
    return Int(count)
  }

  func malformed(_ place: String, expected: String, found: String) -> FormatError {
    .malformed(.init(path, at: "byte \(position), \(place)", expected: expected, found: found))
  }

  private func truncated(_ expected: String, _ place: String) -> FormatError {
    malformed(place, expected: expected, found: "the end of the file after \(remaining)")
  }
}

/// `shape`'s number of elements, `nil` if it overflows. Zeros count as ones in the overflow check, so that strides
/// computed from an accepted shape cannot overflow either.
func checkedElementCount(_ shape: [Int]) -> Int? {
  var (count, bound) = (1, 1)
  for dimension in shape {
    let (product, overflow) = bound.multipliedReportingOverflow(by: max(dimension, 1))
    guard dimension >= 0, !overflow else { return nil }
    bound = product
    count *= dimension
  }
  return count
}
