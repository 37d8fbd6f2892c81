import Foundation
import TrestleTensor

/// Draws items that users have not interacted with, as counterparts of items that they have.
///
/// A negative is never a training positive of its user. A user who has every item gets −1; ``PairwiseBatches`` leaves
/// such users out. The same generator state gives the same draws.
public protocol NegativeSampler: Sendable {
  /// Draws one negative for each pair of a batch.
  ///
  /// - Parameters:
  ///   - users: the users of the batch.
  ///   - positives: their positive items, as many.
  ///   - negatives: replaced by as many negatives.
  ///   - generator: the source of the draws.
  func sample(
    users: [Int32], positives: [Int32], into negatives: inout [Int32], generator: inout RandomGenerator)
}

/// How often a sampler draws again before it chooses among the user's free items directly.
private let maximumDraws = 64

extension PositiveSet {
  /// Draws until an item is not the user's; after ``maximumDraws`` draws, or with none left, the choice is uniform
  /// among the free items, by their rank.
  fileprivate func negative(
    of user: Int32, _ generator: inout RandomGenerator, draw: (inout RandomGenerator) -> Int32
  ) -> Int32 {
    for _ in 0..<maximumDraws {
      let item = draw(&generator)
      if !contains(user: user, item: item) { return item }
    }
    let free = matrix.itemCount - matrix.count(of: Int(user))
    return free > 0 ? matrix.missingItem(of: Int(user), at: generator.index(below: free)) : -1
  }
}

/// Every item that the user does not have is equally likely.
public struct UniformNegativeSampler: NegativeSampler {
  private let positives: PositiveSet

  /// Creates a sampler that avoids `positives`.
  public init(avoiding positives: UserItemMatrix) { self.positives = PositiveSet(positives) }

  /// Draws one negative per pair.
  public func sample(
    users: [Int32], positives _: [Int32], into negatives: inout [Int32], generator: inout RandomGenerator
  ) {
    negatives.removeAll(keepingCapacity: true)
    let count = positives.matrix.itemCount
    for user in users {
      guard positives.hasNegatives(user) else {
        negatives.append(-1)
        continue
      }
      negatives.append(positives.negative(of: user, &generator) { Int32($0.index(below: count)) })
    }
  }
}

/// Items are drawn in proportion to their number of users to the power of `exponent`.
public struct PopularityNegativeSampler: NegativeSampler {
  private let positives: PositiveSet
  private let table: AliasTable?

  /// Creates a sampler that avoids `positives` and takes popularity from them; an exponent of 0 is uniform, 1 fully
  /// proportional, 0.75 word2vec's choice.
  public init(avoiding positives: UserItemMatrix, exponent: Double = 0.75) {
    self.positives = PositiveSet(positives)
    let weights = positives.itemCounts().map { pow(Double($0), exponent) }
    table = weights.isEmpty ? nil : AliasTable(weights: weights)
  }

  /// Draws one negative per pair.
  public func sample(
    users: [Int32], positives _: [Int32], into negatives: inout [Int32], generator: inout RandomGenerator
  ) {
    negatives.removeAll(keepingCapacity: true)
    for user in users {
      guard let table, positives.hasNegatives(user) else {
        negatives.append(-1)
        continue
      }
      negatives.append(positives.negative(of: user, &generator) { Int32(table.sample(&$0)) })
    }
  }
}

/// Negatives are positives of other rows of the same batch, so popular items are negatives in proportion to their
/// popularity and no further embedding row is needed.
public struct InBatchNegativeSampler: NegativeSampler {
  private let positives: PositiveSet

  /// Creates a sampler that avoids `positives`.
  public init(avoiding positives: UserItemMatrix) { self.positives = PositiveSet(positives) }

  /// Draws one negative per pair.
  public func sample(
    users: [Int32], positives batch: [Int32], into negatives: inout [Int32], generator: inout RandomGenerator
  ) {
    precondition(
      users.count == batch.count, "InBatchNegativeSampler: \(users.count) users, \(batch.count) positives")
    negatives.removeAll(keepingCapacity: true)
    for user in users {
      guard positives.hasNegatives(user) else {
        negatives.append(-1)
        continue
      }
      negatives.append(positives.negative(of: user, &generator) { batch[$0.index(below: batch.count)] })
    }
  }
}

/// Dynamic negative sampling: of several uniform draws, the one that the model scores highest.
///
/// Source: Zhang et al., *Optimizing Top-N Collaborative Filtering via Dynamic Negative Item Sampling* (SIGIR 2013).
public struct DynamicNegativeSampler: NegativeSampler {
  private let base: UniformNegativeSampler
  private let candidates: Int
  private let snapshot: @Sendable () -> Scores

  /// Scores of pairs of users and items.
  public typealias Scores = @Sendable (_ users: [Int32], _ items: [Int32]) -> [Float]

  /// Creates a sampler that draws `candidates` items per pair and lets `scores`, the model as it stands, choose; of
  /// equal scores the first draw wins. `scores` sees no user who has every item.
  public init(
    avoiding positives: UserItemMatrix, candidates: Int = 8,
    scores: @escaping Scores
  ) {
    self.init(avoiding: positives, candidates: candidates, snapshot: { scores })
  }

  /// The same for a model whose scores need preparation, such as propagated rows: `snapshot` is called once for each
  /// ``sample(users:positives:into:generator:)``.
  public init(
    avoiding positives: UserItemMatrix, candidates: Int = 8, snapshot: @escaping @Sendable () -> Scores
  ) {
    precondition(candidates > 0, "DynamicNegativeSampler: \(candidates) candidates")
    base = UniformNegativeSampler(avoiding: positives)
    self.candidates = candidates
    self.snapshot = snapshot
  }

  /// Draws one negative per pair.
  public func sample(
    users: [Int32], positives: [Int32], into negatives: inout [Int32], generator: inout RandomGenerator
  ) {
    var drawn: [Int32] = []
    base.sample(users: users, positives: positives, into: &negatives, generator: &generator)
    let rows = users.indices.filter { negatives[$0] >= 0 }
    let scored = rows.map { users[$0] }
    let scores = snapshot()
    var best = scores(scored, rows.map { negatives[$0] })
    for _ in 1..<candidates {
      base.sample(users: scored, positives: positives, into: &drawn, generator: &generator)
      let challengers = scores(scored, drawn)
      precondition(
        challengers.count == scored.count && best.count == scored.count,
        "DynamicNegativeSampler: \(challengers.count) scores for \(scored.count) pairs")
      for (place, row) in rows.enumerated() where challengers[place] > best[place] {
        best[place] = challengers[place]
        negatives[row] = drawn[place]
      }
    }
  }
}
