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
    precondition(count >= 0, "recommend: \(count) items")
    let excluded = Set(seen)
    var best = TopItems(limit: min(count, itemCount))
    var prepared = try prepare(users: [Int32(user)])
    let tileSize = min(16_384, max(itemCount, 1))
    var scores = [Float](repeating: 0, count: tileSize)
    for first in stride(from: 0, to: itemCount, by: tileSize) {
      let tile = first..<min(first + tileSize, itemCount)
      try prepared.write(items: tile, into: &scores)
      for item in excluded where tile.contains(Int(item)) { scores[Int(item) - first] = -.infinity }
      if let item = best.offer(scores, from: 0, count: tile.count, first: first) {
        throw DataError.notANumber(operation: "recommend", user: user, item: item)
      }
    }
    return best.sorted().map { Recommendation(item: Int($0.item), score: $0.score) }
  }
}
