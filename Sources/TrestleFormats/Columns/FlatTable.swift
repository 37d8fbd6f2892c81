/// A table of a FlatBuffers message, whose places are checked before they are read.
///
/// The caller keeps the bytes alive.
///
/// Source: *FlatBuffers Internals*.
struct FlatTable {
  /// The message.
  let bytes: UnsafeRawBufferPointer
  /// The file and the place of the message in it, for errors.
  let path: String
  let origin: Int
  /// Where the table and its list of fields begin, and the list's length in bytes.
  private let place: Int
  private let list: Int
  private let listSize: Int

  /// The root table of a message that begins at byte `origin` of a file.
  init(rootOf bytes: UnsafeRawBufferPointer, path: String, origin: Int) throws(FormatError) {
    guard bytes.count >= 4 else {
      throw .malformed(
        .init(path, at: "byte \(origin)", expected: "a message", found: "\(bytes.count) bytes"))
    }
    let offset = UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
    try self.init(bytes, path, origin, at: Int(offset))
  }

  private init(
    _ bytes: UnsafeRawBufferPointer, _ path: String, _ origin: Int, at place: Int
  ) throws(FormatError) {
    (self.bytes, self.path, self.origin, self.place) = (bytes, path, origin, place)
    func fault(_ found: String) -> FormatError {
      .malformed(
        .init(path, at: "byte \(origin + place)", expected: "a table inside the message", found: found))
    }
    guard place >= 0, place <= bytes.count - 4 else { throw fault("its end") }
    let back = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Int32.self)))
    list = place - back
    guard list >= 0, list <= bytes.count - 4 else { throw fault("fields elsewhere") }
    listSize = Int(UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: list, as: UInt16.self)))
    guard listSize >= 4, listSize <= bytes.count - list else { throw fault("\(listSize) bytes of fields") }
  }

  private func malformed(_ at: Int, _ expected: String, _ found: String) -> FormatError {
    .malformed(.init(path, at: "byte \(origin + at)", expected: expected, found: found))
  }

  /// Where a field's value is; `nil` if the table leaves it out.
  private func position(_ field: Int) -> Int? {
    let entry = 4 + 2 * field
    guard entry + 2 <= listSize else { return nil }
    let offset = UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: list + entry, as: UInt16.self))
    return offset == 0 ? nil : place + Int(offset)
  }

  private func load<Value: FixedWidthInteger>(_ type: Value.Type, _ at: Int) throws(FormatError) -> Value {
    guard at >= 0, at <= bytes.count - MemoryLayout<Value>.size else {
      throw malformed(at, "\(MemoryLayout<Value>.size) bytes of the message", "its end")
    }
    return Value(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: type))
  }

  /// A number; what it is without one if the table leaves it out.
  func number<Value: FixedWidthInteger>(_ field: Int, default value: Value) throws(FormatError) -> Value {
    guard let at = position(field) else { return value }
    return try load(Value.self, at)
  }

  /// Where what a field points to begins.
  private func target(_ field: Int) throws(FormatError) -> Int? {
    guard let at = position(field) else { return nil }
    return at + Int(try load(UInt32.self, at))
  }

  /// Whether the table has a field.
  func has(_ field: Int) -> Bool { position(field) != nil }

  /// A table.
  func table(_ field: Int) throws(FormatError) -> FlatTable? {
    guard let at = try target(field) else { return nil }
    return try FlatTable(bytes, path, origin, at: at)
  }

  /// Where the elements of a vector begin, each of so many bytes, and how many there are; none if the table leaves it out.
  func vector(_ field: Int, size: Int) throws(FormatError) -> (start: Int, count: Int) {
    guard let at = try target(field) else { return (0, 0) }
    let count = Int(try load(UInt32.self, at))
    guard count <= (bytes.count - at - 4) / size else {
      throw malformed(at, "elements inside the message", "\(count) of \(size) bytes")
    }
    return (at + 4, count)
  }

  /// The tables of a vector.
  func tables(_ field: Int) throws(FormatError) -> [FlatTable] {
    let (start, count) = try vector(field, size: 4)
    var tables: [FlatTable] = []
    for index in 0..<count {
      let at = start + 4 * index
      tables.append(try FlatTable(bytes, path, origin, at: at + Int(try load(UInt32.self, at))))
    }
    return tables
  }

  /// Pairs and more of 64-bit numbers: the structs of a vector, each of so many words.
  func words(_ field: Int, each count: Int) throws(FormatError) -> [[Int64]] {
    let (start, rows) = try vector(field, size: 8 * count)
    var result: [[Int64]] = []
    for row in 0..<rows {
      var words: [Int64] = []
      for word in 0..<count { words.append(try load(Int64.self, start + 8 * (row * count + word))) }
      result.append(words)
    }
    return result
  }

  /// A text; empty if the table leaves it out.
  func text(_ field: Int) throws(FormatError) -> String {
    let (start, count) = try vector(field, size: 1)
    guard let text = String(validating: bytes[start..<start + count], as: UTF8.self) else {
      throw malformed(start, "a text in UTF-8", "other bytes")
    }
    return text
  }
}
