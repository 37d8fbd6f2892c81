/// The items whose scores stand next to each other in a buffer.
enum ScoredItems {
  /// Consecutive items, of which `masked` (ascending) are not candidates; their scores are −∞.
  case tile(Range<Int>, masked: ArraySlice<Int32>)
  /// Single items, ascending.
  case list([Int32])

  /// Where an item's score stands, `nil` if it is not among them.
  func offset(of item: Int) -> Int? {
    switch self {
    case .tile(let range, _): range.contains(item) ? item - range.lowerBound : nil
    case .list(let items): items.sortedIndex(of: Int32(item))
    }
  }
}

extension TopItems {
  /// Offers scored items in ascending order; the first item whose score is NaN, if any.
  mutating func offer(_ scores: [Float], from start: Int, items: ScoredItems) -> Int? {
    switch items {
    case .tile(let range, _):
      return offer(scores, from: start, count: range.count, first: range.lowerBound)
    case .list(let list):
      for (offset, item) in list.enumerated() {
        if let bad = offer(scores, from: start + offset, count: 1, first: Int(item)) { return bad }
      }
      return nil
    }
  }
}

extension RankingEvaluator {
  /// Scores the candidates of a batch of users and hands them over, per user in ascending order of items.
  ///
  /// `body` gets the row in the batch, the items, the buffer and where in it their scores start.
  ///
  /// - Parameter range: the part of the catalogue that is scored; `nil` for all of it.
  func forEachScoredRange(
    _ batchUsers: [Int32], _ scorer: some CatalogueScorer, among range: Range<Int>? = nil,
    _ body: (Int, ScoredItems, [Float], Int) throws -> Void
  ) throws {
    if let candidates, let scorer = scorer as? any CandidateScorer {
      for (row, user) in batchUsers.enumerated() {
        let items = candidates.list(of: user)
        let scores = try scorer.scores(user: user, items: items)
        precondition(
          scores.count == items.count, "CandidateScorer: \(scores.count) scores for \(items.count) items")
        try body(row, .list(items), scores, 0)
      }
      return
    }
    var prepared = try scorer.prepare(users: batchUsers)
    let range = range ?? 0..<relevant.itemCount
    let tileSize = min(configuration.tileSize, max(1, relevant.itemCount))
    var scores = [Float](repeating: 0, count: batchUsers.count * tileSize)
    // Where each user's masked items (or candidates) of the tiles to come start.
    var cursors = batchUsers.map { user in
      candidates == nil ? masked.place(of: user, from: range.lowerBound) : 0
    }
    var setCursor =
      candidateItems.map { set in set.indices.partitionPoint { Int(set[$0]) < range.lowerBound } } ?? 0
    for first in stride(from: range.lowerBound, to: range.upperBound, by: tileSize) {
      let tile = first..<min(first + tileSize, range.upperBound)
      let set = candidateItems.map { $0[setCursor...].prefix { Int($0) < tile.upperBound } }
      if let set {
        setCursor = set.endIndex
        if set.isEmpty { continue }
      }
      try prepared.write(items: tile, into: &scores)
      for (row, user) in batchUsers.enumerated() {
        let start = row * tile.count
        if let candidates {
          let list = candidates.list(of: user)
          let items = list[cursors[row]...].prefix { Int($0) < tile.upperBound }
          cursors[row] += items.count
          try body(row, .list(Array(items)), items.map { scores[start + Int($0) - first] }, 0)
        } else if let set {
          let items = set.filter { !masked.contains(user: Int(user), item: $0) }
          try body(row, .list(items), items.map { scores[start + Int($0) - first] }, 0)
        } else {
          let from = cursors[row]
          while cursors[row] < masked.offsets[Int(user) + 1],
            Int(masked.items[cursors[row]]) < tile.upperBound
          {
            scores[start + Int(masked.items[cursors[row]]) - first] = -.infinity
            cursors[row] += 1
          }
          try body(row, .tile(tile, masked: masked.items[from..<cursors[row]]), scores, start)
        }
      }
    }
  }
}

extension UserItemMatrix {
  /// Where the items of a user from `item` on begin in ``items``.
  func place(of user: Int32, from item: Int) -> Int {
    (offsets[Int(user)]..<offsets[Int(user) + 1]).partitionPoint { Int(items[$0]) < item }
  }

  /// The pairs of the given items, which are ascending.
  func restricted(to wanted: [Int32]) -> UserItemMatrix {
    var isWanted = [Bool](repeating: false, count: itemCount)
    for item in wanted { isWanted[Int(item)] = true }
    var offsets = [0]
    offsets.reserveCapacity(userCount + 1)
    var kept: [Int32] = []
    for user in 0..<userCount {
      for item in items(of: user) where isWanted[Int(item)] { kept.append(item) }
      offsets.append(kept.count)
    }
    return UserItemMatrix(offsets: offsets, items: kept, itemCount: itemCount)
  }

  /// The pairs that `other` does not have.
  func subtracting(_ other: UserItemMatrix) -> UserItemMatrix {
    var offsets = [0]
    offsets.reserveCapacity(userCount + 1)
    var kept: [Int32] = []
    kept.reserveCapacity(items.count)
    for user in 0..<userCount {
      for item in items(of: user) where !other.contains(user: user, item: item) { kept.append(item) }
      offsets.append(kept.count)
    }
    return UserItemMatrix(offsets: offsets, items: kept, itemCount: itemCount)
  }
}
