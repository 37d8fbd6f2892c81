/// The columns of a batch of rows, read one after the other as their buffers stand.
struct ArrowBatch {
  /// The number of rows that the batch claims.
  let rowCount: Int64
  private let body: UnsafeRawBufferPointer
  private let path: String
  private let origin: Int
  private var lengths: ArraySlice<Int>
  private var buffers: ArraySlice<Range<Int>>

  /// - Parameters:
  ///   - body: the bytes of the buffers, which the caller keeps alive.
  ///   - record: the table that says where they are.
  init(
    _ body: UnsafeRawBufferPointer, _ record: FlatTable, path: String, origin: Int
  ) throws(FormatError) {
    (self.body, self.path, self.origin) = (body, path, origin)
    func malformed(_ expected: String, _ found: String) -> FormatError {
      .malformed(.init(path, at: "the batch's body at byte \(origin)", expected: expected, found: found))
    }
    rowCount = try record.number(0, default: Int64(0))
    var lengths: [Int] = []
    for node in try record.words(1, each: 2) {
      // No type takes less than a bit a row.
      guard node[0] >= 0, node[0] <= Int64(body.count) * 8 else {
        throw malformed("a number of rows that fits into the body", "\(node[0])")
      }
      lengths.append(Int(node[0]))
    }
    var buffers: [Range<Int>] = []
    var total = 0
    for buffer in try record.words(2, each: 2) {
      let (offset, count) = (buffer[0], buffer[1])
      guard offset >= 0, count >= 0, offset <= Int64(body.count), count <= Int64(body.count) - offset else {
        throw malformed("a buffer inside the body", "\(count) bytes from \(offset)")
      }
      total += Int(count)
      guard total <= body.count else { throw malformed("buffers that do not overlap", "larger ones") }
      buffers.append(Int(offset)..<Int(offset + count))
    }
    (self.lengths, self.buffers) = (lengths[...], buffers[...])
  }

  private func malformed(_ field: ArrowField, _ expected: String, _ found: String) -> FormatError {
    .malformed(
      .init(path, at: "column \(field.name) of the batch at byte \(origin)", expected: expected, found: found)
    )
  }

  private mutating func next(_ field: ArrowField) throws(FormatError) -> Range<Int> {
    guard let buffer = buffers.popFirst() else { throw malformed(field, "a buffer", "none") }
    return buffer
  }

  /// The next column.
  mutating func column(_ field: ArrowField) throws(FormatError) -> Column {
    guard let count = lengths.popFirst() else { throw malformed(field, "a number of rows", "none") }
    let marks = try next(field)
    var isAbsent: [Bool] = []
    if !marks.isEmpty {
      let isThere = try bits(marks, count, field)
      if isThere.contains(false) { isAbsent = isThere.map { !$0 } }
    }
    let values: Column.Values
    switch field.kind {
    case .integer(let size, let isSigned):
      values = .integers(
        try integers(try elements(size, count, field), size, isSigned, count, isAbsent, field))
    case .number(let size): values = .numbers(numbers(try elements(size, count, field), size, count))
    case .boolean: values = .booleans(try bits(try next(field), count, field))
    case .text(let isLarge):
      let places = try offsets(isLarge, count, field)
      values = .texts(try texts(places, try next(field), isAbsent, field))
    case .list(let isLarge, let entries):
      let places = try offsets(isLarge, count, field)
      let all = try column(entries)
      let (first, last) = (places.first ?? 0, places.last ?? 0)
      guard last <= all.count else { throw malformed(field, "\(last) entries", "\(all.count)") }
      values = .lists(starts: places.map { $0 - first }, entries: all.sliced(first..<last))
    }
    return Column(name: field.name, values: values, isAbsent: isAbsent)
  }

  /// A buffer of so many elements.
  private mutating func elements(
    _ size: Int, _ count: Int, _ field: ArrowField
  ) throws(FormatError) -> UnsafeRawBufferPointer {
    let buffer = try next(field)
    guard count <= buffer.count / size else {
      throw malformed(field, "\(count) elements of \(size) bytes", "\(buffer.count) bytes")
    }
    return UnsafeRawBufferPointer(rebasing: body[buffer])
  }

  private func bits(_ buffer: Range<Int>, _ count: Int, _ field: ArrowField) throws(FormatError) -> [Bool] {
    guard (count + 7) / 8 <= buffer.count else {
      throw malformed(field, "\(count) bits", "\(buffer.count) bytes")
    }
    let start = buffer.lowerBound
    return (0..<count).map { body[start + $0 / 8] >> UInt8($0 % 8) & 1 == 1 }
  }

  /// Where rows begin in the buffer behind, with the end of the last: ascending, from 0.
  private mutating func offsets(
    _ isLarge: Bool, _ count: Int, _ field: ArrowField
  ) throws(FormatError) -> [Int] {
    // Without rows there may be no offset either.
    if count == 0 {
      _ = try next(field)
      return [0]
    }
    let source = try elements(isLarge ? 8 : 4, count + 1, field)
    var places: [Int] = []
    places.reserveCapacity(count + 1)
    var before = 0
    for index in 0...count {
      let place =
        isLarge
        ? Int(Int64(littleEndian: source.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self)))
        : Int(Int32(littleEndian: source.loadUnaligned(fromByteOffset: 4 * index, as: Int32.self)))
      guard place >= before else {
        throw malformed(field, "ascending offsets from 0", "\(place) in row \(index)")
      }
      before = place
      places.append(place)
    }
    return places
  }

  private func integers(
    _ source: UnsafeRawBufferPointer, _ size: Int, _ isSigned: Bool, _ count: Int, _ isAbsent: [Bool],
    _ field: ArrowField
  ) throws(FormatError) -> [Int64] {
    func all<Value: FixedWidthInteger>(_ type: Value.Type) -> [Int64] {
      (0..<count).map {
        Int64(
          truncatingIfNeeded:
            Value(littleEndian: source.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Value>.size, as: type))
        )
      }
    }
    switch (size, isSigned) {
    case (1, true): return all(Int8.self)
    case (1, false): return all(UInt8.self)
    case (2, true): return all(Int16.self)
    case (2, false): return all(UInt16.self)
    case (4, true): return all(Int32.self)
    case (4, false): return all(UInt32.self)
    case (_, true): return all(Int64.self)
    case (_, false):
      let values = all(UInt64.self)
      for (row, value) in values.enumerated() where value < 0 && (isAbsent.isEmpty || !isAbsent[row]) {
        throw .wrongType(
          .init(
            path, at: "column \(field.name)", expected: "whole numbers below 2^63",
            found: "\(UInt64(bitPattern: value))"))
      }
      return values
    }
  }

  private func numbers(_ source: UnsafeRawBufferPointer, _ size: Int, _ count: Int) -> [Double] {
    func bits<Value: FixedWidthInteger>(_ row: Int, _ type: Value.Type) -> Value {
      Value(littleEndian: source.loadUnaligned(fromByteOffset: row * MemoryLayout<Value>.size, as: type))
    }
    switch size {
    case 2: return (0..<count).map { Double(halfBits: bits($0, UInt16.self)) }
    case 4: return (0..<count).map { Double(Float(bitPattern: bits($0, UInt32.self))) }
    default: return (0..<count).map { Double(bitPattern: bits($0, UInt64.self)) }
    }
  }

  private func texts(
    _ places: [Int], _ buffer: Range<Int>, _ isAbsent: [Bool], _ field: ArrowField
  ) throws(FormatError) -> [String] {
    guard (places.last ?? 0) <= buffer.count else {
      throw malformed(field, "texts of \(places.last ?? 0) bytes", "\(buffer.count)")
    }
    var texts: [String] = []
    texts.reserveCapacity(places.count - 1)
    for row in 0..<places.count - 1 {
      guard isAbsent.isEmpty || !isAbsent[row] else {
        texts.append("")
        continue
      }
      let bytes = body[buffer.lowerBound + places[row]..<buffer.lowerBound + places[row + 1]]
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw malformed(field, "texts in UTF-8", "other bytes in row \(row)")
      }
      texts.append(text)
    }
    return texts
  }
}
