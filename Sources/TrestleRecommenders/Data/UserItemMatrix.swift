import TrestleTensor

/// The set of items of each user in compressed sparse rows: what a user has seen, for masking and sampling.
///
/// Rows are sorted by item and hold each item once, however often the interactions repeat it.
public struct UserItemMatrix: Sendable, Equatable {
  /// Where each user's row starts in ``items``, `[userCount + 1]`.
  public let offsets: [Int]
  /// The items of all rows, row after row, ascending within a row.
  public let items: [Int32]
  /// The number of items that exist.
  public let itemCount: Int

  /// Builds the matrix of the union of several interactions (say, training and validation) in linear time.
  ///
  /// - Precondition: all parts have the same `userCount` and `itemCount`.
  public init(_ parts: Interactions..., userCount: Int, itemCount: Int) {
    precondition(
      parts.allSatisfy { $0.userCount == userCount && $0.itemCount == itemCount },
      "UserItemMatrix: parts of \(parts.map { [$0.userCount, $0.itemCount] }), expected \([userCount, itemCount])"
    )
    let users = parts.count == 1 ? parts[0].users : parts.flatMap(\.users)
    let all = parts.count == 1 ? parts[0].items : parts.flatMap(\.items)
    // Two stable counting sorts, by item and then by user, leave every row sorted.
    let byItem = IndexOrder.grouped(all, below: itemCount).positions
    var ends = [Int](repeating: 0, count: userCount + 1)
    for user in users { ends[Int(user) + 1] += 1 }
    for user in 0..<userCount { ends[user + 1] += ends[user] }
    var next = ends
    var sorted = [Int32](repeating: 0, count: users.count)
    for row in byItem {
      let user = Int(users[Int(row)])
      sorted[next[user]] = all[Int(row)]
      next[user] += 1
    }
    // Repeated items are dropped in place.
    var offsets = [Int](repeating: 0, count: userCount + 1)
    var kept = 0
    for user in 0..<userCount {
      let start = kept
      for position in ends[user]..<ends[user + 1]
      where kept == start || sorted[kept - 1] != sorted[position] {
        sorted[kept] = sorted[position]
        kept += 1
      }
      offsets[user + 1] = kept
    }
    sorted.removeLast(sorted.count - kept)
    self.offsets = offsets
    self.items = sorted
    self.itemCount = itemCount
  }

  /// Takes rows that are already sorted and distinct.
  init(offsets: [Int], items: [Int32], itemCount: Int) {
    self.offsets = offsets
    self.items = items
    self.itemCount = itemCount
  }

  /// Builds the matrix of one set of interactions.
  public init(_ interactions: Interactions) {
    self.init(interactions, userCount: interactions.userCount, itemCount: interactions.itemCount)
  }

  /// The number of users.
  public var userCount: Int { offsets.count - 1 }

  /// The number of distinct user–item pairs.
  public var count: Int { items.count }

  /// The items of `user`, ascending.
  public func items(of user: Int) -> ArraySlice<Int32> { items[offsets[user]..<offsets[user + 1]] }

  /// The number of distinct items of `user`.
  public func count(of user: Int) -> Int { offsets[user + 1] - offsets[user] }

  /// Whether `user` has `item`.
  public func contains(user: Int, item: Int32) -> Bool {
    let row = offsets[user]..<offsets[user + 1]
    if row.count <= 64 {
      // No branch depends on the items: the processor need not wait for a row's memory before it goes on.
      return items.withUnsafeBufferPointer { items in
        var difference = UInt32.max
        for place in row { difference = min(difference, UInt32(bitPattern: items[place] ^ item)) }
        return difference == 0
      }
    }
    let place = row.partitionPoint { items[$0] < item }
    return place < row.upperBound && items[place] == item
  }

  /// The item at `place` (from 0) among those that `user` does not have, ascending.
  ///
  /// - Precondition: `place` is below `itemCount - count(of: user)`.
  public func missingItem(of user: Int, at place: Int) -> Int32 {
    precondition(
      place >= 0 && place < itemCount - count(of: user),
      "UserItemMatrix.missingItem: place \(place) of \(itemCount - count(of: user))")
    // The row's entry at index r has `items[r] - r` missing items before it.
    let first = offsets[user]
    let index = (first..<offsets[user + 1]).partitionPoint { Int(items[$0]) - ($0 - first) <= place }
    return Int32(place + index - first)
  }

  /// The user of each entry of ``items``.
  func owners() -> [Int32] {
    var owners = [Int32](repeating: 0, count: count)
    for user in 0..<userCount {
      for place in offsets[user]..<offsets[user + 1] { owners[place] = Int32(user) }
    }
    return owners
  }

  /// The users of all items, item after item and ascending within an item, and where each item's begin.
  func usersByItem() -> (starts: [Int], users: [Int32]) {
    let owners = owners()
    let (starts, places) = IndexOrder.grouped(items, below: itemCount)
    return (starts, places.map { owners[Int($0)] })
  }

  /// The number of users of each item, `[itemCount]`.
  public func itemCounts() -> [Int32] { Interactions.counts(of: items, below: itemCount) }

  /// The users that have at least one item, ascending.
  public func activeUsers() -> [Int32] {
    (0..<userCount).filter { offsets[$0 + 1] > offsets[$0] }.map { Int32($0) }
  }
}
