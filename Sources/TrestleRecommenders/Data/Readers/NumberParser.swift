/// Reads decimal numbers from bytes without making strings.
enum NumberParser {
  private static let powersOfTen: [Double] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19,
    1e20, 1e21, 1e22,
  ]

  /// The integer that all of `bytes[range]` spells, `nil` if it is none or exceeds 64 bits.
  static func integer(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
    var index = range.lowerBound
    guard index < range.upperBound else { return nil }
    let negative = bytes[index] == UInt8(ascii: "-")
    if negative || bytes[index] == UInt8(ascii: "+") { index += 1 }
    guard index < range.upperBound else { return nil }
    var value: Int64 = 0
    while index < range.upperBound {
      let digit = bytes[index] &- UInt8(ascii: "0")
      guard digit < 10 else { return nil }
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = scaled.subtractingReportingOverflow(Int64(digit))
      guard !overflow && !carry else { return nil }
      value = sum
      index += 1
    }
    // Summed as a negative number, whose range is the larger one.
    if negative { return value }
    return value == Int64.min ? nil : -value
  }

  /// The finite decimal number that all of `bytes[range]` spells, `nil` if it is none.
  ///
  /// Up to 15 digits and powers of ten up to 22 are exact in `Double`; the rest goes through the standard library.
  static func number(_ bytes: [UInt8], _ range: Range<Int>) -> Double? {
    var index = range.lowerBound
    guard index < range.upperBound, range.count <= 400 else { return nil }
    let negative = bytes[index] == UInt8(ascii: "-")
    if negative || bytes[index] == UInt8(ascii: "+") { index += 1 }
    var mantissa: Int64 = 0
    var digits = 0
    var decimals = 0
    var seenPoint = false
    while index < range.upperBound {
      let byte = bytes[index]
      if byte == UInt8(ascii: ".") && !seenPoint {
        seenPoint = true
      } else if byte &- UInt8(ascii: "0") < 10 {
        digits += 1
        if digits <= 15 { mantissa = mantissa * 10 + Int64(byte &- UInt8(ascii: "0")) }
        if seenPoint { decimals += 1 }
      } else {
        break
      }
      index += 1
    }
    guard digits > 0 else { return nil }
    if index == range.upperBound && digits <= 15 {
      let value = Double(mantissa) / powersOfTen[decimals]
      return negative ? -value : value
    }
    return general(bytes, range, exponentAt: index)
  }

  /// Many digits or an exponent: checks the form, since `Double(_:)` also takes hexadecimal and words.
  private static func general(_ bytes: [UInt8], _ range: Range<Int>, exponentAt start: Int) -> Double? {
    var index = start
    if index < range.upperBound {
      guard bytes[index] | 0x20 == UInt8(ascii: "e") else { return nil }
      index += 1
      if index < range.upperBound && (bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+"))
      {
        index += 1
      }
      guard index < range.upperBound else { return nil }
      while index < range.upperBound {
        guard bytes[index] &- UInt8(ascii: "0") < 10 else { return nil }
        index += 1
      }
    }
    guard let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite else {
      return nil
    }
    return value
  }
}
