/// Which probabilities attention drops, as the kernels' header says it.
package enum DroppedProbability {
  /// The number of 32 bits of a query and a key under a seed; below the threshold the probability is dropped.
  ///
  /// - Parameters:
  ///   - seed: the seed of the sequence and head.
  ///   - query: the query's position, counted from the first key; it may be before it.
  ///   - key: the key's position.
  package static func number(seed: UInt64, query: Int, key: Int) -> UInt32 {
    let row = scattered(UInt32(truncatingIfNeeded: query) ^ UInt32(truncatingIfNeeded: seed))
    return scattered(row &+ UInt32(truncatingIfNeeded: key) &* 0x9e37_79b9 &+ UInt32(seed >> 32))
  }

  /// The finaliser of MurmurHash3.
  private static func scattered(_ x: UInt32) -> UInt32 {
    var x = (x ^ x >> 16) &* 0x85eb_ca6b
    x = (x ^ x >> 13) &* 0xc2b2_ae35
    return x ^ x >> 16
  }
}
