import TrestleTensor

/// How the negatives of pairwise training are chosen.
public enum NegativeSampling: Codable, Sendable, Hashable {
  /// Every item that the user does not have is equally likely.
  case uniform
  /// In proportion to the items' training interactions to a power.
  case popularity(exponent: Double = 0.75)
  /// Other rows' positives of the same batch.
  case inBatch
  /// Of several uniform draws the one that the model, as it stands, scores highest.
  case dynamic(candidates: Int = 8)

  /// What draws the negatives; `nil` for uniform ones, which ``PairwiseBatches`` draws itself.
  ///
  /// - Parameter snapshot: the model's scores as they stand, asked for once a batch by dynamic sampling.
  func sampler(
    avoiding training: Interactions, snapshot: @escaping @Sendable () -> DynamicNegativeSampler.Scores
  ) -> (any NegativeSampler)? {
    if self == .uniform { return nil }
    let positives = UserItemMatrix(training)
    switch self {
    case .uniform: return nil
    case .popularity(let exponent): return PopularityNegativeSampler(avoiding: positives, exponent: exponent)
    case .inBatch: return InBatchNegativeSampler(avoiding: positives)
    case .dynamic(let candidates):
      return DynamicNegativeSampler(avoiding: positives, candidates: candidates, snapshot: snapshot)
    }
  }
}

/// The batches of pairwise training: every training interaction once an epoch, in random order, each with a negative.
///
/// An epoch's batches depend on the seed and the epoch's number only (and on the sampler, if it asks a model), so a
/// resumed training sees the same ones. Rows of users who have every item are left out.
public struct PairwiseBatches: Sendable {
  private let users: [Int32]
  private let items: [Int32]
  private let positives: PositiveSet
  private let sampler: (any NegativeSampler)?
  private let batchSize: Int
  private let generator: RandomGenerator

  /// Triples that draw their negatives from one stream of random numbers.
  private static let grain = 1024

  /// The batches over the interactions of `training`.
  ///
  /// - Parameters:
  ///   - training: every one of its rows is a positive once an epoch.
  ///   - batchSize: triples a batch; the last one of an epoch may be smaller.
  ///   - seed: decides order and negatives.
  ///   - negatives: what draws the negatives; `nil` for uniform ones, drawn on several threads.
  public init(
    training: Interactions, batchSize: Int, seed: UInt64, negatives: (any NegativeSampler)? = nil
  ) {
    precondition(batchSize > 0, "PairwiseBatches: batches of \(batchSize)")
    let matrix = UserItemMatrix(training)
    let set = PositiveSet(matrix)
    let hasFullUser = (0..<Int32(matrix.userCount)).contains { !set.hasNegatives($0) }
    let rows = hasFullUser ? training.users.indices.filter { set.hasNegatives(training.users[$0]) } : []
    users = hasFullUser ? rows.map { training.users[$0] } : training.users
    items = hasFullUser ? rows.map { training.items[$0] } : training.items
    positives = set
    sampler = negatives
    self.batchSize = batchSize
    generator = RandomGenerator(seed: seed)
  }

  /// The number of batches of an epoch.
  public var count: Int { (users.count + batchSize - 1) / batchSize }

  /// The number of interactions, and so of triples an epoch.
  public var interactionCount: Int { users.count }

  /// The batches of epoch `epoch`, made one by one as they are asked for.
  public func epoch(_ epoch: Int) -> some Sequence<PairwiseBatch> {
    self.epoch(epoch) { _ in true }.lazy.map(\.batch)
  }

  /// Some of the batches of epoch `epoch`, chosen by their number; no others are made.
  func epoch(
    _ epoch: Int, where isWanted: @escaping (Int) -> Bool
  ) -> some Sequence<(number: Int, batch: PairwiseBatch)> {
    let source = generator.split(UInt64(epoch))
    var first = source
    let order = first.permutation(of: users.count)
    return sequence(state: 0) { next -> (number: Int, batch: PairwiseBatch)? in
      while next < count && !isWanted(next) { next += 1 }
      guard next < count else { return nil }
      defer { next += 1 }
      let start = next * batchSize
      let rows = order[start..<Swift.min(start + batchSize, order.count)]
      return (next, makeBatch(rows, source.split(UInt64(next))))
    }
  }

  private func makeBatch(_ rows: ArraySlice<Int32>, _ source: RandomGenerator) -> PairwiseBatch {
    let first = rows.startIndex
    let batchUsers = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      for index in chunk.indices { chunk[index] = users[Int(rows[first + start + index])] }
    }
    let wanted = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      for index in chunk.indices { chunk[index] = items[Int(rows[first + start + index])] }
    }
    if let sampler {
      var generator = source
      var negatives: [Int32] = []
      sampler.sample(
        users: batchUsers.scalars(), positives: wanted.scalars(), into: &negatives, generator: &generator)
      return PairwiseBatch(users: batchUsers, positives: wanted, negatives: Tensor(negatives))
    }
    let negatives = Tensor.int32s(rows.count, grain: Self.grain) { start, chunk in
      var generator = source.split(UInt64(start / Self.grain))
      for index in chunk.indices {
        chunk[index] = negative(for: users[Int(rows[first + start + index])], &generator)
      }
    }
    return PairwiseBatch(users: batchUsers, positives: wanted, negatives: negatives)
  }

  /// An item that `user` has not interacted with.
  private func negative(for user: Int32, _ generator: inout RandomGenerator) -> Int32 {
    let matrix = positives.matrix
    let missing = matrix.itemCount - matrix.count(of: Int(user))
    // Few unknown items left: choose among them, instead of drawing until one is hit.
    if missing * 4 < matrix.itemCount {
      return matrix.missingItem(of: Int(user), at: generator.index(below: missing))
    }
    while true {
      let item = Int32(generator.index(below: matrix.itemCount))
      if !positives.contains(user: user, item: item) { return item }
    }
  }
}
