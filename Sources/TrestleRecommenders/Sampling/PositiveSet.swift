/// Fast answers to "has this user this item?", for rejection sampling.
///
/// Up to 2²⁸ user–item pairs (32 MiB) a bit per pair; beyond that, binary search in the user's row.
struct PositiveSet: Sendable {
  let matrix: UserItemMatrix
  private let bits: [UInt64]

  init(_ matrix: UserItemMatrix) {
    self.matrix = matrix
    let (pairs, overflow) = matrix.userCount.multipliedReportingOverflow(by: matrix.itemCount)
    guard !overflow && pairs <= 1 << 28 else {
      bits = []
      return
    }
    var bits = [UInt64](repeating: 0, count: (pairs + 63) / 64)
    for user in 0..<matrix.userCount {
      for item in matrix.items(of: user) {
        let pair = user * matrix.itemCount + Int(item)
        bits[pair >> 6] |= 1 << UInt64(pair & 63)
      }
    }
    self.bits = bits
  }

  func contains(user: Int32, item: Int32) -> Bool {
    if bits.isEmpty { return matrix.contains(user: Int(user), item: item) }
    let pair = Int(user) * matrix.itemCount + Int(item)
    return bits[pair >> 6] >> UInt64(pair & 63) & 1 == 1
  }

  /// Whether there is an item that the user does not have.
  func hasNegatives(_ user: Int32) -> Bool { matrix.count(of: Int(user)) < matrix.itemCount }
}
