/// An Arrow IPC file: a schema and batches of rows, which a footer names.
struct ArrowFile {
  private let bytes: UnsafeRawBufferPointer
  private let path: String
  private let fields: [ArrowField]
  /// Where each batch's message and its body are.
  private var batches: [(message: Range<Int>, body: Range<Int>)] = []

  /// Reads the footer. The caller keeps the bytes alive.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FormatError) {
    (self.bytes, self.path) = (bytes, path)
    let magic = "ARROW1"
    guard bytes.count >= 8 + 4 + 6, bytes.suffix(6).elementsEqual(magic.utf8) else {
      throw .malformed(
        .init(
          path, at: "byte \(bytes.count)", expected: "the mark at the end of an Arrow file", found: "none"))
    }
    let end = bytes.count - 10
    let size = Int(Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: end, as: Int32.self)))
    guard size > 0, size <= end - 8 else {
      throw .malformed(
        .init(path, at: "byte \(end)", expected: "the size of a footer inside the file", found: "\(size)"))
    }
    let footer = try FlatTable(
      rootOf: UnsafeRawBufferPointer(rebasing: bytes[end - size..<end]), path: path, origin: end - size)
    guard let schema = try footer.table(1) else {
      throw .missing(.init(path, at: "the footer", expected: "a schema", found: "none"))
    }
    fields = try ArrowField.all(schema)
    var total = 0
    for block in try footer.words(3, each: 3) {
      // The second word has 32 bits of padding behind.
      let (offset, length, body) = (block[0], Int64(Int32(truncatingIfNeeded: block[1])), block[2])
      guard offset >= 0, length >= 8, body >= 0, offset <= end, length <= Int64(end) - offset,
        body <= Int64(end) - offset - length
      else {
        throw .malformed(
          .init(path, at: "the footer", expected: "a batch inside the file", found: "\(block)"))
      }
      let start = Int(offset)
      batches.append((start..<start + Int(length), start + Int(length)..<start + Int(length + body)))
      // Batches do not share bytes: what is read grows with the file and no faster.
      total += Int(length + body)
      guard total <= bytes.count else {
        throw .malformed(
          .init(path, at: "the footer", expected: "batches that do not overlap", found: "larger ones"))
      }
    }
  }

  /// All columns.
  func columns() throws(FormatError) -> [Column] {
    var parts: [[Column]] = fields.map { _ in [] }
    for batch in batches {
      for (index, column) in try columns(of: batch).enumerated() { parts[index].append(column) }
    }
    var columns: [Column] = []
    for (field, parts) in zip(fields, parts) {
      columns.append(Column.joined(parts) ?? Column(name: field.name, values: Self.nothing(field.kind)))
    }
    return columns
  }

  private static func nothing(_ kind: ArrowField.Kind) -> Column.Values {
    switch kind {
    case .integer: .integers([])
    case .number: .numbers([])
    case .text: .texts([])
    case .boolean: .booleans([])
    case .list(_, let entries):
      .lists(starts: [0], entries: Column(name: entries.name, values: nothing(entries.kind)))
    }
  }

  private func columns(of batch: (message: Range<Int>, body: Range<Int>)) throws(FormatError) -> [Column] {
    let start = batch.message.lowerBound
    func malformed(_ expected: String, _ found: String) -> FormatError {
      .malformed(.init(path, at: "the batch at byte \(start)", expected: expected, found: found))
    }
    func word(_ place: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: start + place, as: UInt32.self))
    }
    // Before version 0.15 there was no mark before the length.
    let prefix = word(0) == 0xFFFF_FFFF ? 8 : 4
    let size = Int(word(prefix - 4))
    guard size <= batch.message.count - prefix else {
      throw malformed("a message inside its block", "\(size) bytes")
    }
    let place = start + prefix
    let message = try FlatTable(
      rootOf: UnsafeRawBufferPointer(rebasing: bytes[place..<place + size]), path: path, origin: place)
    guard try message.number(1, default: UInt8(0)) == 3, let record = try message.table(2) else {
      throw malformed("a batch of rows", "another message")
    }
    guard !record.has(3) else {
      throw .unsupported(
        .init(
          path, at: "the batch at byte \(start)", expected: "uncompressed columns", found: "compressed ones"))
    }
    var reader = try ArrowBatch(
      UnsafeRawBufferPointer(rebasing: bytes[batch.body]), record, path: path, origin: batch.body.lowerBound)
    var columns: [Column] = []
    for field in fields {
      let column = try reader.column(field)
      guard Int64(column.count) == reader.rowCount else {
        throw malformed("\(reader.rowCount) rows of \(field.name)", "\(column.count)")
      }
      columns.append(column)
    }
    return columns
  }
}
