/// Hashes whose values differ from process to process, so that no file can be made whose keys all collide.
package enum SeededHash {
  private static let seed = UInt64.random(in: .min ... .max)
  private static let multiplier = UInt64.random(in: .min ... .max) | 1
  private static let finalMultiplier = UInt64.random(in: .min ... .max) | 1

  /// The hash of bytes: each word is folded in by the two halves of a 128-bit product with a secret factor.
  package static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    let multiplier = multiplier
    var hash = seed ^ UInt64(bytes.count)
    var index = 0
    while index + 8 <= bytes.count {
      hash = fold(hash ^ bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self), multiplier)
      index += 8
    }
    var tail: UInt64 = 0
    while index < bytes.count {
      tail = tail << 8 | UInt64(bytes[index])
      index += 1
    }
    return fold(hash ^ tail, finalMultiplier)
  }

  /// The hash of `bytes[start..<end]`.
  package static func hash(_ bytes: [UInt8], from start: Int, to end: Int) -> UInt64 {
    bytes.withUnsafeBytes { hash(UnsafeRawBufferPointer(rebasing: $0[start..<end])) }
  }

  /// A secret pair for tables with integer keys, hashed as `fold(key ^ seed, multiplier)`.
  package static func integerKeys() -> (seed: UInt64, multiplier: UInt64) {
    (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max) | 1)
  }

  /// Both halves of the product, one over the other.
  @inline(__always)
  package static func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let product = left.multipliedFullWidth(by: right)
    return product.high ^ product.low
  }
}
