import TrestleTensor

/// The batches of pairwise training: every training interaction once an epoch, in random order, each with a uniform
/// negative.
///
/// An epoch's batches depend on the seed and the epoch's number only, so a resumed training sees the same ones.
public struct PairwiseBatches: Sendable {
  private let users: [Int32]
  private let items: [Int32]
  private let seen: UserItemMatrix
  private let known: KnownPairs
  private let batchSize: Int
  private let generator: RandomGenerator

  /// Triples that draw their negatives from one stream of random numbers.
  private static let grain = 1024

  /// The batches over the interactions of `training`.
  ///
  /// - Parameter batchSize: triples a batch; the last one of an epoch may be smaller.
  public init(training: Interactions, batchSize: Int, seed: UInt64) {
    precondition(batchSize > 0, "PairwiseBatches: batches of \(batchSize)")
    users = training.users
    items = training.items
    seen = UserItemMatrix(training)
    known = KnownPairs(seen)
    self.batchSize = batchSize
    generator = RandomGenerator(seed: seed)
  }

  /// The number of batches of an epoch.
  public var count: Int { (users.count + batchSize - 1) / batchSize }

  /// The number of interactions, and so of triples an epoch.
  public var interactionCount: Int { users.count }

  /// The batches of epoch `epoch`, made one by one as they are asked for.
  public func epoch(_ epoch: Int) -> some Sequence<PairwiseBatch> {
    let source = generator.split(UInt64(epoch))
    var first = source
    let order = first.permutation(of: users.count)
    return sequence(state: 0) { batch -> PairwiseBatch? in
      let start = batch * batchSize
      guard start < order.count else { return nil }
      let made = makeBatch(
        order[start..<Swift.min(start + batchSize, order.count)], source.split(UInt64(batch)))
      batch += 1
      return made
    }
  }

  private func makeBatch(_ rows: ArraySlice<Int32>, _ source: RandomGenerator) -> PairwiseBatch {
    let first = rows.startIndex
    let batchUsers = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      for index in chunk.indices { chunk[index] = users[Int(rows[first + start + index])] }
    }
    let positives = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      for index in chunk.indices { chunk[index] = items[Int(rows[first + start + index])] }
    }
    let negatives = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      var generator = source.split(UInt64(start / Self.grain))
      for index in chunk.indices {
        chunk[index] = negative(for: users[Int(rows[first + start + index])], &generator)
      }
    }
    return PairwiseBatch(users: batchUsers, positives: positives, negatives: negatives)
  }

  /// An item that `user` has not interacted with; any item for a user who has interacted with all.
  private func negative(for user: Int32, _ generator: inout RandomGenerator) -> Int32 {
    let count = seen.count(of: Int(user))
    let missing = seen.itemCount - count
    if missing == 0 { return Int32(generator.index(below: Swift.max(seen.itemCount, 1))) }
    // Few unknown items left: choose among them, instead of drawing until one is hit.
    if missing * 4 < seen.itemCount {
      return seen.missingItem(of: Int(user), at: generator.index(below: missing))
    }
    while true {
      let item = Int32(generator.index(below: seen.itemCount))
      if !known.contains(user: Int(user), item: Int(item), in: seen) { return item }
    }
  }
}

/// A bit for each pair of user and item, where the table is small enough; a search in the user's row otherwise.
private struct KnownPairs: Sendable {
  private let bits: [UInt64]
  private let itemCount: Int

  init(_ matrix: UserItemMatrix) {
    itemCount = matrix.itemCount
    guard matrix.userCount.multipliedReportingOverflow(by: max(itemCount, 1)).partialValue <= 1 << 28,
      !matrix.userCount.multipliedReportingOverflow(by: max(itemCount, 1)).overflow
    else {
      bits = []
      return
    }
    var bits = [UInt64](repeating: 0, count: matrix.userCount * itemCount / 64 + 1)
    for user in 0..<matrix.userCount {
      for item in matrix.items(of: user) {
        let pair = user * itemCount + Int(item)
        bits[pair >> 6] |= 1 << UInt64(pair & 63)
      }
    }
    self.bits = bits
  }

  func contains(user: Int, item: Int, in matrix: UserItemMatrix) -> Bool {
    if bits.isEmpty { return matrix.contains(user: user, item: Int32(item)) }
    let pair = user * itemCount + item
    return bits[pair >> 6] >> UInt64(pair & 63) & 1 == 1
  }
}
