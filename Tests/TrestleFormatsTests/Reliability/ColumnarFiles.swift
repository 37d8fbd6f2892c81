import TrestleFormats
import TrestleTestSupport

/// A FlatBuffers value, written as plainly as the format allows.
private indirect enum FlatValue {
  case byte(UInt8)
  case word(Int32)
  case long(Int64)
  case text(String)
  case table([FlatValue?])
  case tables([FlatValue])
  /// Structs of whole numbers, so many of them.
  case structs(count: Int, words: [Int64])

  /// A message with a table as its root.
  static func message(_ root: [FlatValue?]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 4)
    let place = FlatValue.table(root).append(to: &bytes)
    set(UInt32(place), at: 0, &bytes)
    return bytes
  }

  private static func set<Value: FixedWidthInteger>(_ value: Value, at place: Int, _ bytes: inout [UInt8]) {
    for (offset, byte) in GGUFWriter.encode(value).enumerated() { bytes[place + offset] = byte }
  }

  /// Appends the value and returns where it is.
  private func append(to bytes: inout [UInt8]) -> Int {
    let place = bytes.count
    switch self {
    case .byte(let value): bytes.append(value)
    case .word(let value): bytes += GGUFWriter.encode(value)
    case .long(let value): bytes += GGUFWriter.encode(value)
    case .text(let text): bytes += GGUFWriter.encode(UInt32(text.utf8.count)) + Array(text.utf8)
    case .structs(let count, let words):
      bytes += GGUFWriter.encode(UInt32(count)) + words.flatMap { GGUFWriter.encode($0) }
    case .tables(let tables):
      bytes += GGUFWriter.encode(UInt32(tables.count)) + [UInt8](repeating: 0, count: 4 * tables.count)
      for (index, table) in tables.enumerated() {
        let own = place + 4 + 4 * index
        let target = table.append(to: &bytes)
        Self.set(UInt32(target - own), at: own, &bytes)
      }
    case .table(let fields): return Self.append(fields, to: &bytes)
    }
    return place
  }

  /// A table: the list of its fields' places, then the fields, then what they refer to.
  private static func append(_ fields: [FlatValue?], to bytes: inout [UInt8]) -> Int {
    let list = bytes.count
    bytes += GGUFWriter.encode(UInt16(4 + 2 * fields.count))
    bytes += [UInt8](repeating: 0, count: 2 + 2 * fields.count)
    let place = bytes.count
    bytes += GGUFWriter.encode(Int32(place - list))
    var references: [(at: Int, value: FlatValue)] = []
    for (index, field) in fields.enumerated() {
      guard let field else { continue }
      set(UInt16(bytes.count - place), at: list + 4 + 2 * index, &bytes)
      switch field {
      case .byte, .word, .long: _ = field.append(to: &bytes)
      default:
        references.append((bytes.count, field))
        bytes += [0, 0, 0, 0]
      }
    }
    for (at, value) in references {
      let target = value.append(to: &bytes)
      set(UInt32(target - at), at: at, &bytes)
    }
    return place
  }
}

/// Columnar files of any size, for tests of how long reading takes.
enum ColumnarFiles {
  /// An Arrow file of columns of whole numbers, or of texts of one letter.
  static func arrow(columns: [String], rows: Int, batches: Int = 1, texts: Bool = false) -> [UInt8] {
    var bytes = Array("ARROW1\0\0".utf8)
    var blocks: [Int64] = []
    for _ in 0..<batches {
      var (body, buffers): ([UInt8], [Int64]) = ([], [])
      func add(_ part: [UInt8]) {
        buffers += [Int64(body.count), Int64(part.count)]
        body += part
      }
      for _ in columns {
        add([])
        if texts {
          add((0...rows).flatMap { GGUFWriter.encode(Int32($0)) })
          add([UInt8](repeating: 97, count: rows))
        } else {
          add((0..<rows).flatMap { GGUFWriter.encode(Int64($0)) })
        }
      }
      let record: [FlatValue?] = [
        .long(Int64(rows)),
        .structs(count: columns.count, words: columns.flatMap { _ in [Int64(rows), 0] }),
        .structs(count: buffers.count / 2, words: buffers),
      ]
      let message = FlatValue.message([nil, .byte(3), .table(record), .long(Int64(body.count))])
      blocks += [Int64(bytes.count), Int64(message.count + 8), Int64(body.count)]
      for part in [GGUFWriter.encode(UInt32.max), GGUFWriter.encode(UInt32(message.count)), message, body] {
        bytes += part
      }
    }
    let fields = columns.map { name in
      FlatValue.table([
        .text(name), nil, .byte(texts ? 5 : 2), .table(texts ? [] : [.word(64), .byte(1)]),
      ])
    }
    let footer = FlatValue.message([
      nil, .table([nil, .tables(fields)]), nil, .structs(count: batches, words: blocks),
    ])
    for part in [footer, GGUFWriter.encode(Int32(footer.count)), Array("ARROW1".utf8)] { bytes += part }
    return bytes
  }

  /// A NumPy array: its type as it stands in the header, the number of elements and their bytes.
  static func npy(_ type: String, _ count: Int, _ data: [UInt8]) -> [UInt8] {
    let header = "{'descr': \(type), 'fortran_order': False, 'shape': (\(count),), }\n"
    let length = GGUFWriter.encode(UInt16(header.utf8.count))
    return Array([[0x93], Array("NUMPY".utf8), [1, 0], length, Array(header.utf8), data].joined())
  }

  /// An archive of stored entries.
  static func npz(_ entries: [(name: String, bytes: [UInt8])]) -> [UInt8] {
    var (bytes, directory): ([UInt8], [UInt8]) = ([], [])
    for (name, content) in entries {
      let size = GGUFWriter.encode(UInt32(content.count))
      // Version, flags, method, time and date; checksum and sizes; lengths of the name and of what follows it.
      let common = Array(
        [
          [UInt8](repeating: 0, count: 10), GGUFWriter.encode(checksum(content)), size, size,
          GGUFWriter.encode(UInt16(name.utf8.count)), [0, 0],
        ].joined())
      let place = GGUFWriter.encode(UInt32(bytes.count))
      let entry = [
        GGUFWriter.encode(UInt32(0x0201_4B50)), [0, 0], common, [UInt8](repeating: 0, count: 10), place,
        Array(name.utf8),
      ]
      directory += Array(entry.joined())
      bytes += Array([GGUFWriter.encode(UInt32(0x0403_4B50)), common, Array(name.utf8), content].joined())
    }
    let count = GGUFWriter.encode(UInt16(entries.count))
    let end = [
      GGUFWriter.encode(UInt32(0x0605_4B50)), [0, 0, 0, 0], count, count,
      GGUFWriter.encode(UInt32(directory.count)), GGUFWriter.encode(UInt32(bytes.count)), [0, 0],
    ]
    return bytes + directory + Array(end.joined())
  }

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
  }

  private static func checksum(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(UInt32.max) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ ($0 >> 8) }
  }
}
