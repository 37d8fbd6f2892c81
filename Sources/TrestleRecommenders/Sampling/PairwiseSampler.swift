import TrestleTensor

/// A batch of (user, positive, negative) triples in columns of equal length.
public struct PairwiseBatch: Sendable, Equatable {
  /// The users.
  public var users: [Int32] = []
  /// An item of each user.
  public var positives: [Int32] = []
  /// An item that each user does not have.
  public var negatives: [Int32] = []

  /// Creates an empty batch.
  public init() {}

  /// The number of triples.
  public var count: Int { users.count }
}

/// Cuts training interactions into shuffled batches with negatives, as BPR and its relatives need them.
///
/// Epoch `e` depends on the seed and on `e` alone, so a training that stopped between epochs goes on with the same
/// batches. Rows of users who have every item are left out.
public struct PairwiseSampler: Sendable {
  private let users: [Int32]
  private let items: [Int32]
  private let sampler: any NegativeSampler
  /// The number of triples in a full batch.
  public let batchSize: Int
  private let source: RandomGenerator

  /// Creates a sampler over the rows of `training`.
  ///
  /// - Parameters:
  ///   - training: the positives.
  ///   - negatives: the negatives; `nil` for uniform ones.
  ///   - batchSize: triples per batch; the last batch of an epoch may be smaller.
  ///   - seed: decides order and negatives.
  public init(
    _ training: Interactions, negatives: (any NegativeSampler)? = nil, batchSize: Int, seed: UInt64
  ) {
    precondition(batchSize > 0, "PairwiseSampler: batches of \(batchSize)")
    let matrix = UserItemMatrix(training)
    let full = (0..<matrix.userCount).contains { matrix.count(of: $0) == matrix.itemCount }
    let rows =
      full
      ? training.users.indices.filter { matrix.count(of: Int(training.users[$0])) < matrix.itemCount } : []
    users = full ? rows.map { training.users[$0] } : training.users
    items = full ? rows.map { training.items[$0] } : training.items
    sampler = negatives ?? UniformNegativeSampler(avoiding: matrix)
    self.batchSize = batchSize
    source = RandomGenerator(seed: seed)
  }

  /// The number of triples of an epoch.
  public var count: Int { users.count }

  /// The number of batches of an epoch.
  public var batchCount: Int { (users.count + batchSize - 1) / batchSize }

  /// Runs `body` on each batch of an epoch in turn; the batch's memory is reused.
  public func forEachBatch(epoch: Int, _ body: (PairwiseBatch) throws -> Void) rethrows {
    var generator = source.split(UInt64(epoch))
    var order = [Int32](repeating: 0, count: users.count)
    for row in order.indices { order[row] = Int32(row) }
    generator.shuffle(&order)
    var batch = PairwiseBatch()
    for start in stride(from: 0, to: order.count, by: batchSize) {
      batch.users.removeAll(keepingCapacity: true)
      batch.positives.removeAll(keepingCapacity: true)
      for place in start..<min(order.count, start + batchSize) {
        batch.users.append(users[Int(order[place])])
        batch.positives.append(items[Int(order[place])])
      }
      sampler.sample(
        users: batch.users, positives: batch.positives, into: &batch.negatives, generator: &generator)
      try body(batch)
    }
  }
}
