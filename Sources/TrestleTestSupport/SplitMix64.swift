/// Steele, Lea and Flood's generator: every run makes the same mutations, and the random strings of the fixtures.
package struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  /// A generator that starts from `state`.
  package init(state: UInt64) { self.state = state }

  /// The next 64 bits.
  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }

  /// A number in `0..<bound`.
  package mutating func index(below bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
