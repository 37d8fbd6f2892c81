import TrestleFormats

/// A merge of byte-pair encoding: two neighbouring tokens become one. Earlier merges of a list go first.
public struct TokenMerge: Sendable, Hashable {
  /// The token on the left.
  public var left: Int32
  /// The token on the right.
  public var right: Int32
  /// The token that both become.
  public var result: Int32

  /// Creates a merge of two tokens into a third.
  public init(left: Int32, right: Int32, result: Int32) {
    self.left = left
    self.right = right
    self.result = result
  }
}

/// The merges by pair: a hash table with open addressing and integer keys, seeded so that no file's pairs all collide.
package struct MergeTable: Sendable {
  /// What an absent pair yields; its rank is beyond every merge's.
  package static let absent = UInt64.max

  private var keys: [UInt64]
  private var values: [UInt64]
  private let mask: Int
  private let seed: UInt64
  private let multiplier: UInt64

  /// Creates the table of the merges, each with the rank at its index (lower ranks merge first). The first
  /// entry of a pair counts.
  package init(_ merges: [TokenMerge], ranks: [UInt32]) {
    precondition(merges.count == ranks.count, "MergeTable: \(merges.count) merges, \(ranks.count) ranks")
    var bits = 4
    while 1 << bits < merges.count * 2 { bits += 1 }
    keys = [UInt64](repeating: .max, count: 1 << bits)
    values = [UInt64](repeating: Self.absent, count: 1 << bits)
    mask = 1 << bits - 1
    (seed, multiplier) = SeededHash.integerKeys()
    for (merge, rank) in zip(merges, ranks) {
      let key = Self.key(merge.left, merge.right)
      var slot = firstSlot(key)
      while keys[slot] != .max && keys[slot] != key { slot = (slot + 1) & mask }
      guard keys[slot] == .max else { continue }
      keys[slot] = key
      values[slot] = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: merge.result))
    }
  }

  /// The merge of a pair as `rank << 32 | result`, or ``absent``.
  @inline(__always)
  package func merge(_ left: Int32, _ right: Int32) -> UInt64 {
    let key = Self.key(left, right)
    var slot = firstSlot(key)
    while true {
      let found = keys[slot]
      if found == key { return values[slot] }
      if found == .max { return Self.absent }
      slot = (slot + 1) & mask
    }
  }

  @inline(__always)
  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  @inline(__always)
  private func firstSlot(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: SeededHash.fold(key ^ seed, multiplier)) & mask
  }
}
