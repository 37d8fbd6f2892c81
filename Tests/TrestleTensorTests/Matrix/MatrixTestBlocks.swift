import TrestleTensor

/// Random quantised matrices and, written from the definition of each format, their numbers.
struct TestBlocks {
  let format: QuantizationFormat
  let rows: Int
  let columns: Int
  let bytes: [UInt8]

  init(format: QuantizationFormat, rows: Int, columns: Int, random: inout TestNumbers) {
    self.format = format
    self.rows = rows
    self.columns = columns
    let count = rows * columns / format.blockSize
    var bytes = (0..<count * format.bytesPerBlock).map { _ in UInt8(truncatingIfNeeded: random.bits() >> 20) }
    for block in 0..<count {
      let start = block * format.bytesPerBlock
      for offset in Self.halfOffsets(format) {
        let half = Self.halfBits(random.number() * 0.1)
        bytes[start + offset] = UInt8(half & 255)
        bytes[start + offset + 1] = UInt8(half >> 8)
      }
      Self.setOtherScale(format, Float(random.number() * 0.1), at: start, in: &bytes)
    }
    self.bytes = bytes
  }

  /// Where a block keeps 16-bit floating-point numbers.
  private static func halfOffsets(_ format: QuantizationFormat) -> [Int] {
    switch format {
    case .q8_0, .q4_0, .q5_0: [0]
    case .q4_1, .q5_1, .q4_K, .q5_K: [0, 2]
    case .q6_K: [208]
    case .q2_K: [80, 82]
    case .q3_K: [108]
    case .iq4_nl, .iq4_xs: [0]
    case .q8_K, .mxfp4: []
    }
  }

  /// Writes the scale of a block that is no half-precision number.
  private static func setOtherScale(
    _ format: QuantizationFormat, _ scale: Float, at start: Int, in bytes: inout [UInt8]
  ) {
    if format == .q8_K {
      for byte in 0..<4 { bytes[start + byte] = UInt8(truncatingIfNeeded: scale.bitPattern >> (8 * byte)) }
    }
    if format == .mxfp4 { bytes[start] = 110 + bytes[start] % 16 }
  }

  /// Any half-precision number close to `x`; below 2⁻¹⁴ a subnormal one.
  private static func halfBits(_ x: Double) -> UInt16 {
    let sign: UInt16 = x < 0 ? 0x8000 : 0
    let magnitude = abs(x)
    if magnitude < 0x1p-14 { return sign | UInt16(magnitude * 0x1p24) }
    let exponent = Int(magnitude.exponent)
    return sign | UInt16((exponent + 15) << 10) | UInt16((magnitude.significand - 1) * 1024)
  }

  private static func half(_ low: UInt8, _ high: UInt8) -> Double {
    let bits = Int(low) | Int(high) << 8
    let exponent = bits >> 10 & 31
    let fraction = Double(bits & 1023)
    var value = exponent == 0 ? fraction * 0x1p-24 : 1 + fraction / 1024
    for _ in 15..<max(15, exponent) { value *= 2 }
    if exponent > 0 { for _ in min(15, exponent)..<15 { value /= 2 } }
    return bits >> 15 == 1 ? -value : value
  }

  /// The numbers, `[rows, columns]`.
  var numbers: [Double] {
    (0..<rows * columns / format.blockSize).flatMap { block in
      let start = block * format.bytesPerBlock
      return Self.decode(format, Array(bytes[start..<start + format.bytesPerBlock]))
    }
  }

  private static func decode(_ format: QuantizationFormat, _ b: [UInt8]) -> [Double] {
    switch format {
    case .q8_0: return (0..<32).map { half(b[0], b[1]) * Double(Int8(bitPattern: b[2 + $0])) }
    case .q4_0: return (0..<32).map { half(b[0], b[1]) * Double(nibble(b, 2, $0, 16) - 8) }
    case .q4_1: return (0..<32).map { half(b[0], b[1]) * Double(nibble(b, 4, $0, 16)) + half(b[2], b[3]) }
    case .q5_0:
      return (0..<32).map { half(b[0], b[1]) * Double(nibble(b, 6, $0, 16) + 16 * bit(b, 2, $0) - 16) }
    case .q5_1:
      return (0..<32).map {
        half(b[0], b[1]) * Double(nibble(b, 8, $0, 16) + 16 * bit(b, 4, $0)) + half(b[2], b[3])
      }
    case .q4_K:
      return (0..<256).map { i in
        let (scale, minimum) = scaleAndMinimum(b, i / 32)
        let q = nibble(b, 16 + i / 64 * 32, i % 64, 32)
        return half(b[0], b[1]) * Double(scale * q) - half(b[2], b[3]) * Double(minimum)
      }
    case .q5_K:
      return (0..<256).map { i in
        let (scale, minimum) = scaleAndMinimum(b, i / 32)
        let q = nibble(b, 48 + i / 64 * 32, i % 64, 32) + 16 * (Int(b[16 + i % 32]) >> (i / 32) & 1)
        return half(b[0], b[1]) * Double(scale * q) - half(b[2], b[3]) * Double(minimum)
      }
    case .q6_K:
      return (0..<256).map { i in
        let (part, l) = (i / 128, i % 128)
        let low = Int(b[part * 64 + l % 64]) >> (l < 64 ? 0 : 4) & 15
        let high = Int(b[128 + part * 32 + l % 32]) >> (l / 32 * 2) & 3
        let scale = Int(Int8(bitPattern: b[192 + i / 16]))
        return half(b[208], b[209]) * Double(scale * (low + 16 * high - 32))
      }
    case .q2_K, .q3_K: return decodeFewBits(format, b)
    case .iq4_nl: return (0..<32).map { half(b[0], b[1]) * Double(table[nibble(b, 2, $0, 16)]) }
    case .iq4_xs:
      return (0..<256).map { i in
        let group = i / 32
        let low = Int(b[4 + group / 2]) >> (group % 2 * 4) & 15
        let high = (Int(b[2]) | Int(b[3]) << 8) >> (2 * group) & 3
        let number = table[nibble(b, 8 + 16 * group, i % 32, 16)]
        return half(b[0], b[1]) * Double((low + 16 * high - 32) * number)
      }
    case .mxfp4:
      let numbers = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
      let scale = Double(sign: .plus, exponent: Int(b[0]) - 127, significand: 1)
      return (0..<32).map { i in
        let code = nibble(b, 1, i, 16)
        return (code < 8 ? scale : -scale) * numbers[code % 8]
      }
    case .q8_K:
      let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(b[$1]) << (8 * $1) }
      return (0..<256).map { Double(Float(bitPattern: bits)) * Double(Int8(bitPattern: b[4 + $0])) }
    }
  }

  private static func decodeFewBits(_ format: QuantizationFormat, _ b: [UInt8]) -> [Double] {
    (0..<256).map { i in
      let (part, pair, half16) = (i / 128, i % 128 / 32 * 2, i / 16)
      if format == .q2_K {
        let q = Int(b[16 + part * 32 + i % 32]) >> pair & 3
        let (scale, minimum) = (Int(b[half16]) & 15, Int(b[half16]) >> 4)
        return half(b[80], b[81]) * Double(scale * q) - half(b[82], b[83]) * Double(minimum)
      }
      let q = Int(b[32 + part * 32 + i % 32]) >> pair & 3
      let third = Int(b[i % 32]) >> (i / 32) & 1
      let low = Int(b[96 + half16 % 8]) >> (half16 / 8 * 4) & 15
      let high = Int(b[104 + half16 % 4]) >> (half16 / 4 * 2) & 3
      return half(b[108], b[109]) * Double((low + 16 * high - 32) * (q + 4 * third - 4))
    }
  }

  /// The numbers that the four bits of `iq4_nl` and `iq4_xs` stand for.
  private static let table = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]

  /// Number `i` of 2 × `width`: the low nibbles of `width` bytes, then the high ones.
  private static func nibble(_ b: [UInt8], _ start: Int, _ i: Int, _ width: Int) -> Int {
    Int(b[start + i % width]) >> (i < width ? 0 : 4) & 15
  }

  private static func bit(_ b: [UInt8], _ start: Int, _ i: Int) -> Int {
    Int(b[start + i / 8]) >> (i % 8) & 1
  }

  private static func scaleAndMinimum(_ b: [UInt8], _ group: Int) -> (Int, Int) {
    let s = b[4..<16].map { Int($0) }
    if group < 4 { return (s[group] & 63, s[group + 4] & 63) }
    let (scaleTop, minimumTop) = (s[group - 4] >> 6, s[group] >> 6)
    return (s[group + 4] & 15 | scaleTop << 4, s[group + 4] >> 4 | minimumTop << 4)
  }
}
