/// A ZIP archive whose entries are stored as they are.
struct StoredArchive {
  struct Entry {
    let name: String
    let range: Range<Int>
  }

  let bytes: UnsafeRawBufferPointer
  let path: String
  private(set) var entries: [Entry] = []

  /// Reads the directory and checks each entry's place and checksum. The caller keeps the bytes alive.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FormatError) {
    (self.bytes, self.path) = (bytes, path)
    let end = try directoryEnd()
    let (count, offset) = (try number(UInt16.self, end + 10), try number(UInt32.self, end + 16))
    guard count != 0xFFFF, offset != 0xFFFF_FFFF else {
      throw .unsupported(
        .init(path, at: "byte \(end)", expected: "an archive below 4 GiB and 65,535 entries", found: "ZIP64"))
    }
    var position = Int(offset)
    var total = 0
    for _ in 0..<count {
      let (entry, next) = try entry(at: position)
      // Entries do not share bytes: what is read grows with the file and no faster.
      total += entry.range.count
      guard total <= bytes.count else {
        throw malformed(position, "entries that fit into the file", "larger ones")
      }
      entries.append(entry)
      position = next
    }
  }

  private func malformed(_ place: Int, _ expected: String, _ found: String) -> FormatError {
    .malformed(.init(path, at: "byte \(place)", expected: expected, found: found))
  }

  private func number<Value: FixedWidthInteger>(
    _ type: Value.Type, _ place: Int
  ) throws(FormatError) -> Int {
    guard place >= 0, place <= bytes.count - MemoryLayout<Value>.size else {
      throw malformed(place, "\(MemoryLayout<Value>.size) bytes", "the end of the file")
    }
    return Int(Value(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: Value.self)))
  }

  /// Where the record at the end is: behind it there is a comment of up to 65,535 bytes.
  private func directoryEnd() throws(FormatError) -> Int {
    let size = 22
    for place in stride(from: bytes.count - size, through: max(0, bytes.count - size - 0xFFFF), by: -1)
    where bytes[place] == 0x50 {
      if try number(UInt32.self, place) == 0x0605_4B50 { return place }
    }
    throw malformed(bytes.count, "the end of an archive's directory", "none")
  }

  private func entry(at place: Int) throws(FormatError) -> (Entry, next: Int) {
    guard try number(UInt32.self, place) == 0x0201_4B50 else {
      throw malformed(place, "an entry of the archive's directory", "something else")
    }
    let (flags, method) = (try number(UInt16.self, place + 8), try number(UInt16.self, place + 10))
    let checksum = try number(UInt32.self, place + 16)
    let (packed, size) = (try number(UInt32.self, place + 20), try number(UInt32.self, place + 24))
    let (nameLength, extra) = (try number(UInt16.self, place + 28), try number(UInt16.self, place + 30))
    let (comment, local) = (try number(UInt16.self, place + 32), try number(UInt32.self, place + 42))
    let next = place + 46 + nameLength + extra + comment
    guard next <= bytes.count else { throw malformed(place, "an entry inside the file", "its end") }
    guard let name = String(validating: bytes[place + 46..<place + 46 + nameLength], as: UTF8.self) else {
      throw malformed(place + 46, "a name in UTF-8", "other bytes")
    }
    guard method == 0, flags & 1 == 0 else {
      let found = flags & 1 != 0 ? "encrypted" : method == 8 ? "deflated" : "method \(method)"
      throw .unsupported(
        .init(
          path, at: "entry \(name)", expected: "stored entries (numpy.savez), not compressed", found: found))
    }
    guard try number(UInt32.self, local) == 0x0403_4B50 else {
      throw malformed(local, "the entry \(name)", "something else")
    }
    let start = try local + 30 + number(UInt16.self, local + 26) + number(UInt16.self, local + 28)
    guard packed == size, start <= bytes.count, size <= bytes.count - start else {
      throw malformed(place, "an entry of \(packed) bytes inside the file", "\(size) bytes from \(start)")
    }
    let range = start..<start + size
    let found = CRC32.checksum(UnsafeRawBufferPointer(rebasing: bytes[range]))
    guard found == UInt32(checksum) else {
      throw malformed(start, "the entry \(name) with the checksum \(checksum)", "\(found)")
    }
    return (Entry(name: name, range: range), next)
  }
}

/// The checksum of ZIP archives (ISO 3309): polynomial 0xEDB88320, bits reflected.
enum CRC32 {
  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
  }

  static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    table.withUnsafeBufferPointer { table in
      var value: UInt32 = 0xFFFF_FFFF
      for byte in bytes { value = table[Int((value ^ UInt32(byte)) & 0xFF)] ^ (value >> 8) }
      return value ^ 0xFFFF_FFFF
    }
  }
}
