import Trestle

/// Damages inputs: single bytes, pieces, numbers and words; in safetensors files the header alone as often as not, with its
/// length put right.
struct Mutator {
  private static let words = [
    "null", "true", "-1", "0", "1", "1e9", "1e999", "-9223372036854775808", "9223372036854775807",
    "4611686018427387904",
    "18446744073709551615", "2147483647", "\"\"", "[]", "{}", ",", "\u{0}", "0.5", "-0.0", "\u{301}\u{316}",
    "\u{338}",
    "../", "\"", "\n", "\t", ":",
  ].map { Array($0.utf8) }
  private static let exchanges = [
    ("F32", "I32"), ("F32", "U32"), ("F32", "F64"), ("F64", "I64"), ("true", "null"),
  ]
  .map { (Array($0.0.utf8), Array($0.1.utf8)) }

  private var generator: RandomGenerator

  init(_ generator: RandomGenerator) { self.generator = generator }

  mutating func damaged(_ original: [UInt8]) -> [UInt8] {
    let length = Self.headerLength(original)
    if let length, generator.index(below: 4) > 0 {
      var header = Array(original[8..<8 + length])
      damage(&header)
      let size = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
      return size + header + original[(8 + length)...]
    }
    var bytes = original
    damage(&bytes)
    return bytes
  }

  /// The length of a safetensors header.
  private static func headerLength(_ bytes: [UInt8]) -> Int? {
    guard bytes.count > 8, bytes[8] == UInt8(ascii: "{") else { return nil }
    var length = 0
    for place in (0..<8).reversed() {
      guard length < 1 << 40 else { return nil }
      length = length << 8 | Int(bytes[place])
    }
    return length <= bytes.count - 8 ? length : nil
  }

  private mutating func damage(_ bytes: inout [UInt8]) {
    for _ in 0...generator.index(below: 3) where !bytes.isEmpty {
      let place = generator.index(below: bytes.count)
      switch generator.index(below: 8) {
      case 0: bytes[place] = UInt8(generator.index(below: 256))
      case 1: bytes[place] ^= 1 << UInt8(generator.index(below: 8))
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + generator.index(below: 12)))
      case 3: bytes.insert(contentsOf: Self.words[generator.index(below: Self.words.count)], at: place)
      case 4, 5: replaceNumber(after: place, &bytes)
      case 6: exchangeWord(after: place, &bytes)
      default:
        let length = min(1 + generator.index(below: 24), bytes.count - place)
        let from = generator.index(below: bytes.count - length + 1)
        bytes.replaceSubrange(place..<place + length, with: bytes[from..<from + length])
      }
    }
  }

  /// Another number: what sizes and counts are made of.
  private mutating func replaceNumber(after place: Int, _ bytes: inout [UInt8]) {
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    guard let first = bytes[place...].firstIndex(where: digits.contains) else { return }
    let end = bytes[first...].firstIndex { !digits.contains($0) } ?? bytes.count
    bytes.replaceSubrange(first..<end, with: Self.words[generator.index(below: Self.words.count)])
  }

  /// Another type of the same spelling's length.
  private mutating func exchangeWord(after place: Int, _ bytes: inout [UInt8]) {
    let (word, other) = Self.exchanges[generator.index(below: Self.exchanges.count)]
    guard bytes.count >= word.count else { return }
    for start in place..<max(place, bytes.count - word.count + 1)
    where bytes[start] == word[0] && bytes[start..<start + word.count].elementsEqual(word) {
      bytes.replaceSubrange(start..<start + word.count, with: other)
      return
    }
  }
}
