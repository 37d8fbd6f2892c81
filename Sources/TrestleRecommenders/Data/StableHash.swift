/// A 128-bit hash of integers and bytes that is the same on every machine and in every release.
///
/// Two 64-bit lanes, each of the FNV-1a form `h ← (h ⊕ word) · prime` with a rotation between words, and the
/// finaliser of SplitMix64. It names splits and id vocabularies; it is no protection against forgery.
public struct StableHash: Sendable {
  private var low: UInt64 = 0xCBF2_9CE4_8422_2325
  private var high: UInt64 = 0x6C62_272E_07BB_0142
  private var count: UInt64 = 0

  /// Creates the hash of nothing.
  public init() {}

  /// Feeds one 64-bit word.
  public mutating func combine(_ word: UInt64) {
    low = (low ^ word) &* 0x0000_0100_0000_01B3
    low = (low << 29) | (low >> 35)
    high = (high ^ word) &* 0x9E37_79B9_7F4A_7C15
    high = (high << 31) | (high >> 33)
    count &+= 1
  }

  /// Feeds an integer.
  public mutating func combine(_ value: Int) { combine(UInt64(bitPattern: Int64(value))) }

  /// Feeds the length and the UTF-8 bytes of a text.
  public mutating func combine(_ text: String) { combine(bytes: Array(text.utf8)) }

  /// Feeds a length and that many bytes, eight to a word.
  public mutating func combine(bytes: [UInt8]) {
    combine(bytes.count)
    var word: UInt64 = 0
    var filled = 0
    for byte in bytes {
      word |= UInt64(byte) << (8 * UInt64(filled))
      filled += 1
      if filled == 8 {
        combine(word)
        word = 0
        filled = 0
      }
    }
    if filled > 0 { combine(word) }
  }

  /// Feeds a length and that many integers, two to a word.
  public mutating func combine(_ values: [Int32]) { combine(each: values) }

  /// Feeds what an array of the same integers would.
  mutating func combine(each values: some Collection<Int32>) {
    combine(values.count)
    var first: UInt64?
    for value in values {
      let half = UInt64(UInt32(bitPattern: value))
      if let low = first {
        combine(low | half << 32)
        first = nil
      } else {
        first = half
      }
    }
    if let first { combine(first) }
  }

  /// The first half of the hash.
  var firstHalf: UInt64 { Self.finish(high ^ count) }

  /// The 32 hexadecimal digits of the hash.
  public var hexadecimal: String {
    let first = firstHalf
    let second = Self.finish(low &+ first)
    return Self.digits(first) + Self.digits(second)
  }

  private static func finish(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  private static func digits(_ value: UInt64) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}
