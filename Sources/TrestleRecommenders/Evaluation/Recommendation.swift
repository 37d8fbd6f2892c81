/// An item with its score.
public struct Recommendation: Sendable, Equatable {
  /// The item.
  public let item: Int
  /// Its score; comparable within one list only.
  public let score: Float

  /// An item with its score.
  public init(item: Int, score: Float) {
    self.item = item
    self.score = score
  }
}

extension CatalogueScorer {
  /// The best items of the catalogue for one user.
  ///
  /// ```swift
  /// let seen = UserItemMatrix(split.training)
  /// let list = try model.makeScorer().recommend(user: 7, count: 10, without: seen.items(of: 7))
  /// ```
  ///
  /// - Parameters:
  ///   - user: one of those that the scorer knows.
  ///   - count: how many items are wanted.
  ///   - seen: items that are not to be recommended, in any order; numbers beyond the catalogue are ignored.
  /// - Returns: at most `count` items, the best first, of equal scores the lower item first; items whose score is −∞ are
  ///   never among them.
  /// - Throws: what the scorer throws, and ``DataError/notANumber(operation:user:item:)`` for a NaN score.
  public func recommend(
    user: Int, count: Int, without seen: some Sequence<Int32> = EmptyCollection<Int32>()
  ) throws -> [Recommendation] {
    try best(count, for: [Int32(user)], among: 0..<itemCount, without: [Set(seen)])[0].recommendations
  }

  /// The best items of a part of the catalogue for some users.
  ///
  /// - Parameters:
  ///   - count: how many items each user is to have.
  ///   - users: those of one batch.
  ///   - range: the part.
  ///   - seen: what is not wanted, for each of the users.
  /// - Throws: as ``recommend(user:count:without:)``.
  func best(
    _ count: Int, for users: [Int32], among range: Range<Int>, without seen: [Set<Int32>]
  ) throws -> [TopItems] {
    precondition(count >= 0, "recommend: \(count) items")
    var best = users.map { _ in TopItems(limit: min(count, itemCount)) }
    var prepared = try prepare(users: users)
    let tileSize = min(16_384, max(range.count, 1))
    var scores = [Float](repeating: 0, count: users.count * tileSize)
    for first in stride(from: range.lowerBound, to: range.upperBound, by: tileSize) {
      let tile = first..<min(first + tileSize, range.upperBound)
      try prepared.write(items: tile, into: &scores)
      for (row, user) in users.enumerated() {
        let start = row * tile.count
        for item in seen[row] where tile.contains(Int(item)) {
          scores[start + Int(item) - first] = -.infinity
        }
        if let item = best[row].offer(scores, from: start, count: tile.count, first: first) {
          throw DataError.notANumber(operation: "recommend", user: Int(user), item: item)
        }
      }
    }
    return best
  }
}

extension TopItems {
  /// The items with their scores, from the best to the worst.
  var recommendations: [Recommendation] {
    sorted().map { Recommendation(item: Int($0.item), score: $0.score) }
  }
}
