import TrestleTensor

/// The batches of pairwise training: every training interaction once an epoch, in random order, each with a uniform
/// negative.
///
/// An epoch's batches depend on the seed and the epoch's number only, so a resumed training sees the same ones.
public struct PairwiseBatches: Sendable {
  private let users: [Int32]
  private let items: [Int32]
  private let seen: UserItemMatrix
  private let batchSize: Int
  private let generator: RandomGenerator

  /// The batches over the interactions of `training`.
  ///
  /// - Parameter batchSize: triples a batch; the last one of an epoch may be smaller.
  public init(training: Interactions, batchSize: Int, seed: UInt64) {
    precondition(batchSize > 0, "PairwiseBatches: batches of \(batchSize)")
    users = training.users
    items = training.items
    seen = UserItemMatrix(training)
    self.batchSize = batchSize
    generator = RandomGenerator(seed: seed)
  }

  /// The number of batches of an epoch.
  public var count: Int { (users.count + batchSize - 1) / batchSize }

  /// The number of interactions, and so of triples an epoch.
  public var interactionCount: Int { users.count }

  /// The batches of epoch `epoch`, made one by one as they are asked for.
  public func epoch(_ epoch: Int) -> some Sequence<PairwiseBatch> {
    var generator = generator.split(UInt64(epoch))
    var order = Array(0..<Int32(users.count))
    generator.shuffle(&order)
    return sequence(state: (0, generator)) { state -> PairwiseBatch? in
      let (start, _) = state
      guard start < order.count else { return nil }
      let rows = order[start..<Swift.min(start + batchSize, order.count)]
      let batch = makeBatch(rows, &state.1)
      state.0 = start + rows.count
      return batch
    }
  }

  private func makeBatch(_ rows: ArraySlice<Int32>, _ generator: inout RandomGenerator) -> PairwiseBatch {
    let batchUsers = rows.map { users[Int($0)] }
    let positives = rows.map { items[Int($0)] }
    let negatives = batchUsers.map { negative(for: $0, &generator) }
    return PairwiseBatch(users: batchUsers, positives: positives, negatives: negatives)
  }

  /// An item that `user` has not interacted with; any item for a user who has interacted with all.
  private func negative(for user: Int32, _ generator: inout RandomGenerator) -> Int32 {
    let known = seen.count(of: Int(user))
    let missing = seen.itemCount - known
    if missing == 0 { return Int32(generator.index(below: Swift.max(seen.itemCount, 1))) }
    // Few unknown items left: choose among them, instead of drawing until one is hit.
    if missing * 4 < seen.itemCount {
      return seen.missingItem(of: Int(user), at: generator.index(below: missing))
    }
    while true {
      let item = Int32(generator.index(below: seen.itemCount))
      if !seen.contains(user: Int(user), item: item) { return item }
    }
  }
}
