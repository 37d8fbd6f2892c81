/// A NumPy array of one dimension in the format `.npy`.
struct NumPyArray {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

  private let data: UnsafeRawBufferPointer
  private let header: NumPyHeader
  private let path: String

  /// Reads the header and checks the size. The caller keeps the bytes alive.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws(FormatError) {
    self.path = path
    var reader = ByteReader(bytes, path: path)
    let magic = bytes[try reader.skip(6, "the magic number")]
    guard magic.elementsEqual(Self.magic) else {
      throw reader.malformed("the magic number", expected: "a NumPy array", found: "other bytes")
    }
    let version = try reader.read(UInt8.self, "the version")
    _ = try reader.read(UInt8.self, "the minor version")
    guard (1...3).contains(version) else {
      throw .unsupported(.init(path, at: "byte 6", expected: "version 1, 2 or 3", found: "\(version)"))
    }
    let length =
      version == 1
      ? UInt64(try reader.read(UInt16.self, "the header's length"))
      : UInt64(try reader.read(UInt32.self, "the header's length"))
    // NumPy refuses longer ones, too.
    guard length <= 10_000 else {
      throw .limitExceeded(
        .init(path, at: "byte 8", expected: "a header of 10,000 bytes", found: "\(length)"))
    }
    let text = Array(bytes[try reader.skip(length, "the header")])
    header = try NumPyHeader(text[...], path: path)
    data = UnsafeRawBufferPointer(rebasing: bytes[reader.position...])
    guard header.shape.count == 1 else {
      throw .unsupported(
        .init(
          path, at: "the header", expected: "an array of one dimension", found: "the shape \(header.shape)"))
    }
    let (size, overflow) = header.shape[0].multipliedReportingOverflow(by: header.byteCount)
    guard header.byteCount > 0, !overflow, size == data.count else {
      throw .malformed(
        .init(
          path, at: "byte \(reader.position)",
          expected: "\(header.shape[0]) elements of \(header.byteCount) bytes", found: "\(data.count) bytes"))
    }
  }

  /// The array as a column of this name, or its fields as columns.
  func columns(name: String) throws(FormatError) -> [Column] {
    var columns: [Column] = []
    var offset = 0
    for field in header.fields {
      let own = header.fields.count == 1 && field.name.isEmpty ? name : field.name
      columns.append(Column(name: own, values: try values(field.element, from: offset, own)))
      offset += field.element.byteCount
    }
    return columns
  }

  private var offsets: StrideTo<Int> { stride(from: 0, to: data.count, by: header.byteCount) }

  private func integers<Value: FixedWidthInteger>(_ type: Value.Type, _ start: Int) -> [Int64]? {
    var values: [Int64] = []
    values.reserveCapacity(header.shape[0])
    for offset in offsets {
      let value = Value(littleEndian: data.loadUnaligned(fromByteOffset: offset + start, as: type))
      guard let value = Int64(exactly: value) else { return nil }
      values.append(value)
    }
    return values
  }

  private func numbers<Bits: FixedWidthInteger & UnsignedInteger>(
    _ type: Bits.Type, _ start: Int, _ number: (Bits) -> Double
  ) -> [Double] {
    offsets.map { number(Bits(littleEndian: data.loadUnaligned(fromByteOffset: $0 + start, as: type))) }
  }

  private func values(
    _ element: NumPyHeader.Element, from start: Int, _ name: String
  ) throws(FormatError) -> Column.Values {
    switch (element.kind, element.byteCount) {
    case ("b", _):
      var values: [Bool] = []
      values.reserveCapacity(header.shape[0])
      for offset in offsets {
        guard data[offset + start] <= 1 else { throw unfit(name, "0 or 1", "\(data[offset + start])") }
        values.append(data[offset + start] == 1)
      }
      return .booleans(values)
    case ("f", 2): return .numbers(numbers(UInt16.self, start) { Double(halfBits: $0) })
    case ("f", 4): return .numbers(numbers(UInt32.self, start) { Double(Float(bitPattern: $0)) })
    case ("f", _): return .numbers(numbers(UInt64.self, start) { Double(bitPattern: $0) })
    case ("U", _), ("S", _): return .texts(try texts(element, start, name))
    default:
      let signed = element.kind == "i"
      let values: [Int64]? =
        switch element.byteCount {
        case 1: signed ? integers(Int8.self, start) : integers(UInt8.self, start)
        case 2: signed ? integers(Int16.self, start) : integers(UInt16.self, start)
        case 4: signed ? integers(Int32.self, start) : integers(UInt32.self, start)
        default: signed ? integers(Int64.self, start) : integers(UInt64.self, start)
        }
      guard let values else { throw unfit(name, "whole numbers below 2^63", "a larger one") }
      return .integers(values)
    }
  }

  /// Texts of fixed width, with zeros behind.
  private func texts(
    _ element: NumPyHeader.Element, _ start: Int, _ name: String
  ) throws(FormatError) -> [String] {
    var texts: [String] = []
    texts.reserveCapacity(header.shape[0])
    for offset in offsets {
      let bytes = UnsafeRawBufferPointer(
        rebasing: data[offset + start..<offset + start + element.byteCount])
      if element.kind == "S" {
        let end = bytes.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
        guard let text = String(validating: bytes[..<end], as: UTF8.self) else {
          throw unfit(name, "texts in UTF-8", "other bytes")
        }
        texts.append(text)
        continue
      }
      var text = String.UnicodeScalarView()
      for place in stride(from: 0, to: bytes.count, by: 4) {
        let code = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self))
        guard let scalar = Unicode.Scalar(code) else { throw unfit(name, "characters of Unicode", "\(code)") }
        text.append(scalar)
      }
      while text.last == "\0" { text.removeLast() }
      texts.append(String(text))
    }
    return texts
  }

  private func unfit(_ name: String, _ expected: String, _ found: String) -> FormatError {
    .wrongType(.init(path, at: "column \(name)", expected: expected, found: found))
  }
}

extension Double {
  /// The number of an IEEE 754 half-precision pattern.
  init(halfBits bits: UInt16) {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    let (exponent, fraction) = (Int(bits >> 10) & 0x1F, Double(bits & 0x3FF))
    switch exponent {
    case 0: self = sign * fraction * 0x1p-24
    case 31: self = fraction == 0 ? sign * .infinity : .nan
    default:
      self = sign * (1 + fraction / 1024) * Double(sign: .plus, exponent: exponent - 15, significand: 1)
    }
  }
}
