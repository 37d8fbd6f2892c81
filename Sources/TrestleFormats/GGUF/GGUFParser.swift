/// Reads the head of a GGUF file. Every rule has one place here and one hostile file among the tests.
struct GGUFParser {
  /// Bounds on what the format leaves open.
  enum Limit {
    static let keyBytes = 65_535
    static let tensorNameBytes = 63
    static let dimensions = 4
    static let alignments = 8...4096
    static let arrayDepth = 4
    static let nestedArrays = 65_536
  }

  private let file: MappedFile
  private var reader: ByteReader
  private var nestedArrays = 0
  private(set) var version = 0
  private(set) var alignment = 32
  private(set) var metadata: GGUFMetadata
  private(set) var tensors: [GGUFTensor] = []
  private(set) var tensorsByName: [ByteKey: GGUFTensor] = [:]

  init(_ file: MappedFile) {
    self.file = file
    reader = ByteReader(file.bytes, path: file.path)
    metadata = GGUFMetadata(path: file.path)
  }

  mutating func parse() throws(FormatError) {
    let (tensorCount, keyCount) = try readHeader()
    for position in 0..<keyCount { try readKeyAndValue(position) }
    try readAlignment()
    try readTensors(tensorCount)
  }

  // MARK: Header

  private mutating func readHeader() throws(FormatError) -> (tensors: Int, keys: Int) {
    let magic = try reader.read(UInt32.self, "the magic number")
    guard magic == 0x4655_4747 else {
      throw .malformed(
        .init(
          file.path, at: "byte 0", expected: "the letters GGUF", found: "0x\(String(magic, radix: 16))"))
    }
    let version = try reader.read(UInt32.self, "the version")
    guard version == 2 || version == 3 else {
      let isBigEndian = version.byteSwapped == 2 || version.byteSwapped == 3
      throw .unsupported(
        .init(
          file.path, at: "byte 4", expected: "version 2 or 3, little endian",
          found: isBigEndian ? "a big-endian file" : "version \(version)"))
    }
    self.version = Int(version)
    // The least tensor record: a name of one byte (8 + 1), the number of dimensions (4), the type (4), the offset (8).
    let tensors = try reader.readCount(minimumSize: 25, "the number of tensors")
    // The least key record: a key of one byte (8 + 1), the value's type (4), a value of one byte.
    let keys = try reader.readCount(minimumSize: 14, "the number of metadata keys")
    return (tensors, keys)
  }

  /// Reads a length and so many bytes of UTF-8, between 1 and `limit`.
  private mutating func readName(limit: Int, _ place: String) throws(FormatError) -> String {
    let length = try reader.read(UInt64.self, place)
    guard length >= 1, length <= UInt64(limit) else {
      throw .limitExceeded(
        .init(
          file.path, at: "byte \(reader.position - 8), \(place)", expected: "a name of 1 to \(limit) bytes",
          found: "\(length)"))
    }
    let range = try reader.skip(length, place)
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[range])
    guard firstInvalidUTF8(bytes) == nil else {
      throw reader.malformed(place, expected: "UTF-8", found: "other bytes")
    }
    return String(streamSafe: bytes)
  }

  // MARK: Metadata

  private mutating func readKeyAndValue(_ position: Int) throws(FormatError) {
    let key = try readName(limit: Limit.keyBytes, "metadata key \(position)")
    guard metadata.values[key] == nil else {
      throw .duplicate(
        .init(
          file.path, at: "byte \(reader.position), metadata key \(position)", expected: "each key once",
          found: "\"\(key)\" twice"))
    }
    let type = try readType(key)
    metadata.values[key] = try readValue(type, key)
    metadata.keys.append(key)
  }

  private mutating func readType(_ key: String) throws(FormatError) -> GGUFValueType {
    let number = try reader.read(UInt32.self, "the type of \"\(key)\"")
    guard let type = GGUFValueType(rawValue: number) else {
      throw reader.malformed("the type of \"\(key)\"", expected: "a value type 0 to 12", found: "\(number)")
    }
    return type
  }

  private mutating func readValue(_ type: GGUFValueType, _ key: String) throws(FormatError) -> GGUFValue {
    switch type {
    case .uint8: return .int(Int(try reader.read(UInt8.self, key)), type)
    case .int8: return .int(Int(try reader.read(Int8.self, key)), type)
    case .uint16: return .int(Int(try reader.read(UInt16.self, key)), type)
    case .int16: return .int(Int(try reader.read(Int16.self, key)), type)
    case .uint32: return .int(Int(try reader.read(UInt32.self, key)), type)
    case .int32: return .int(Int(try reader.read(Int32.self, key)), type)
    case .int64: return .int(Int(try reader.read(Int64.self, key)), type)
    case .uint64:
      let value = try reader.read(UInt64.self, key)
      return Int(exactly: value).map { .int($0, type) } ?? .large(value)
    case .float32: return .float(Double(Float(bitPattern: try reader.read(UInt32.self, key))), type)
    case .float64: return .float(Double(bitPattern: try reader.read(UInt64.self, key)), type)
    case .bool:
      let byte = try reader.read(UInt8.self, key)
      guard byte <= 1 else { throw reader.malformed(key, expected: "a Boolean 0 or 1", found: "\(byte)") }
      return .bool(byte == 1)
    case .string:
      let length = try reader.read(UInt64.self, key)
      return .string(MappedBytes(file: file, range: try reader.skip(length, "the string \"\(key)\"")))
    case .array: return try readArray(key, depth: 1)
    }
  }

  private mutating func readArray(_ key: String, depth: Int) throws(FormatError) -> GGUFValue {
    let type = try readType(key)
    let count = try reader.readCount(minimumSize: type.minimumSize, "the length of the array \"\(key)\"")
    switch type {
    case .string: return .strings(try readStrings(count, key))
    case .array:
      nestedArrays += count
      guard depth < Limit.arrayDepth, nestedArrays <= Limit.nestedArrays else {
        throw .limitExceeded(
          .init(
            file.path, at: "byte \(reader.position), array \"\(key)\"",
            expected: "at most \(Limit.nestedArrays) nested arrays, \(Limit.arrayDepth) deep", found: "more"))
      }
      var elements: [GGUFValue] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try readArray(key, depth: depth + 1)) }
      return .arrays(elements)
    default:
      // The count was bounded by the bytes that remain, so this product cannot overflow.
      let range = try reader.skip(UInt64(count * type.minimumSize), "the array \"\(key)\"")
      if type == .bool, let wrong = file.bytes[range].first(where: { $0 > 1 }) {
        throw reader.malformed("the array \"\(key)\"", expected: "Booleans 0 or 1", found: "\(wrong)")
      }
      return .numbers(GGUFNumberArray(type: type, count: count, bytes: MappedBytes(file: file, range: range)))
    }
  }

  private mutating func readStrings(_ count: Int, _ key: String) throws(FormatError) -> GGUFStringArray {
    var offsets: [Int] = []
    offsets.reserveCapacity(count + 1)
    offsets.append(reader.position)
    for _ in 0..<count {
      let length = try reader.read(UInt64.self, key)
      _ = try reader.skip(length, "a string of the array \"\(key)\"")
      offsets.append(reader.position)
    }
    return GGUFStringArray(file: file, offsets: offsets)
  }

  private mutating func readAlignment() throws(FormatError) {
    let key = "general.alignment"
    guard let value = metadata[key] else { return }
    guard case .int(let alignment, .uint32) = value, Limit.alignments.contains(alignment),
      alignment & (alignment - 1) == 0
    else {
      throw metadata.wrongType(
        key,
        "a uint32 that is a power of two in \(Limit.alignments.lowerBound) to \(Limit.alignments.upperBound)")
    }
    self.alignment = alignment
  }

  // MARK: Tensors

  private mutating func readTensors(_ count: Int) throws(FormatError) {
    var records: [(tensor: GGUFTensor, offset: Int)] = []
    records.reserveCapacity(count)
    var next = 0
    for position in 0..<count {
      let record = try readTensorRecord(position, expectedOffset: &next)
      records.append(record)
    }
    guard let start = aligned(reader.position) else { throw overflow("the start of the data") }
    tensors.reserveCapacity(count)
    tensorsByName.reserveCapacity(count)
    for (tensor, offset) in records {
      let (lower, lowerOverflow) = start.addingReportingOverflow(offset)
      let (upper, upperOverflow) = lower.addingReportingOverflow(tensor.range.count)
      guard !lowerOverflow, !upperOverflow, upper <= file.count else {
        throw .malformed(
          .init(
            file.path, at: "tensor \"\(tensor.name)\"",
            expected: "bytes inside the file of \(file.count) bytes",
            found: "\(tensor.range.count) bytes at offset \(offset) of the data, which starts at \(start)"))
      }
      let placed = GGUFTensor(name: tensor.name, type: tensor.type, shape: tensor.shape, range: lower..<upper)
      guard tensorsByName.updateValue(placed, forKey: ByteKey(tensor.name)) == nil else {
        throw .duplicate(
          .init(
            file.path, at: "the list of tensors", expected: "each name once",
            found: "\"\(tensor.name)\" twice"))
      }
      tensors.append(placed)
    }
  }

  /// Reads one record. The tensor's range is still relative to its own start; `expectedOffset` moves to its end.
  private mutating func readTensorRecord(
    _ position: Int, expectedOffset: inout Int
  ) throws(FormatError) -> (tensor: GGUFTensor, offset: Int) {
    let name = try readName(limit: Limit.tensorNameBytes, "the name of tensor \(position)")
    let place = "tensor \"\(name)\""
    let rank = try reader.read(UInt32.self, place)
    guard rank <= Limit.dimensions else {
      throw reader.malformed(place, expected: "at most \(Limit.dimensions) dimensions", found: "\(rank)")
    }
    var shape: [Int] = []
    for _ in 0..<rank {
      let dimension = try reader.read(UInt64.self, place)
      guard let dimension = Int(exactly: dimension) else {
        throw reader.malformed(place, expected: "dimensions below 2^63", found: "\(dimension)")
      }
      shape.append(dimension)
    }
    shape.reverse()
    let number = try reader.read(UInt32.self, place)
    guard let type = GGUFTensorType(rawValue: number) else {
      throw .unsupported(
        .init(file.path, at: place, expected: "a known tensor type", found: "type number \(number)"))
    }
    let byteCount = try byteCount(shape, type, place)
    let offset = try reader.read(UInt64.self, place)
    guard offset == UInt64(expectedOffset) else {
      throw reader.malformed(
        place, expected: "the offset \(expectedOffset), where the tensor before ends", found: "\(offset)")
    }
    let (end, sumOverflow) = expectedOffset.addingReportingOverflow(byteCount)
    guard !sumOverflow, end <= file.count, let next = aligned(end) else {
      throw reader.malformed(
        place, expected: "bytes inside the file of \(file.count) bytes",
        found: "\(byteCount) bytes at offset \(offset) of the data")
    }
    defer { expectedOffset = next }
    return (GGUFTensor(name: name, type: type, shape: shape, range: 0..<byteCount), expectedOffset)
  }

  private func byteCount(_ shape: [Int], _ type: GGUFTensorType, _ place: String) throws(FormatError) -> Int {
    guard let elements = checkedElementCount(shape) else {
      throw reader.malformed(place, expected: "a shape whose size fits 64 bits", found: "\(shape)")
    }
    let row = shape.last ?? 1
    guard row % type.blockSize == 0 else {
      throw reader.malformed(
        place, expected: "rows in whole blocks of \(type.blockSize) elements of \(type.name)", found: "\(row)"
      )
    }
    let (bytes, isOverflow) = (elements / type.blockSize).multipliedReportingOverflow(by: type.bytesPerBlock)
    guard !isOverflow else { throw overflow(place) }
    return bytes
  }

  /// `value` rounded up to the alignment, `nil` if that overflows.
  private func aligned(_ value: Int) -> Int? {
    let (sum, isOverflow) = value.addingReportingOverflow(alignment - 1)
    return isOverflow ? nil : sum & ~(alignment - 1)
  }

  private func overflow(_ place: String) -> FormatError {
    reader.malformed(place, expected: "a size that fits 64 bits", found: "a larger one")
  }
}
