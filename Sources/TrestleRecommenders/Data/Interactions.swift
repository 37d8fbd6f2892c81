import TrestleTensor

/// User–item interactions in columns: row `r` says that `users[r]` interacted with `items[r]`.
///
/// Users and items are dense indices; what they stand for is kept in a ``Dataset``. A row takes 8 bytes, and 4 and 8
/// more with a rating and a timestamp.
public struct Interactions: Sendable, Equatable {
  /// The user of each row, in `0..<userCount`.
  public let users: [Int32]
  /// The item of each row, in `0..<itemCount`.
  public let items: [Int32]
  /// The rating of each row, `nil` if the data has none.
  public let ratings: [Float]?
  /// The time of each row in the data's own unit (mostly seconds since 1970), `nil` if the data has none.
  public let timestamps: [Int64]?
  /// The number of users that exist, with or without a row.
  public let userCount: Int
  /// The number of items that exist, with or without a row.
  public let itemCount: Int

  /// Creates interactions from columns of equal length.
  ///
  /// - Precondition: the columns have one length, and the ids lie in `0..<userCount` and `0..<itemCount`.
  public init(
    users: [Int32], items: [Int32], ratings: [Float]? = nil, timestamps: [Int64]? = nil, userCount: Int,
    itemCount: Int
  ) {
    precondition(
      users.count == items.count && (ratings?.count ?? users.count) == users.count
        && (timestamps?.count ?? users.count) == users.count,
      "Interactions: columns of \(users.count) users, \(items.count) items, "
        + "\(ratings?.count ?? users.count) ratings, \(timestamps?.count ?? users.count) timestamps")
    precondition(
      users.allSatisfy { $0 >= 0 && Int($0) < userCount }, "Interactions: a user is outside 0..<\(userCount)")
    precondition(
      items.allSatisfy { $0 >= 0 && Int($0) < itemCount }, "Interactions: an item is outside 0..<\(itemCount)"
    )
    self.users = users
    self.items = items
    self.ratings = ratings
    self.timestamps = timestamps
    self.userCount = userCount
    self.itemCount = itemCount
  }

  /// Interactions without a row.
  public static func empty(userCount: Int, itemCount: Int) -> Interactions {
    Interactions(users: [], items: [], userCount: userCount, itemCount: itemCount)
  }

  /// The number of rows.
  public var count: Int { users.count }

  /// Whether there is no row.
  public var isEmpty: Bool { users.isEmpty }

  /// The share of the user–item pairs that have a row, `count / (userCount · itemCount)`; 0 for empty data.
  public var density: Double {
    let pairs = Double(userCount) * Double(itemCount)
    return pairs > 0 ? Double(count) / pairs : 0
  }

  /// The number of rows of each user, `[userCount]`.
  public func userCounts() -> [Int32] { Self.counts(of: users, below: userCount) }

  /// The number of rows of each item, `[itemCount]`.
  public func itemCounts() -> [Int32] { Self.counts(of: items, below: itemCount) }

  /// The rows with the given numbers, in that order.
  ///
  /// - Precondition: every row number is below ``count``.
  public func selecting(rows: [Int32]) -> Interactions {
    Interactions(
      users: rows.map { users[Int($0)] }, items: rows.map { items[Int($0)] },
      ratings: ratings.map { column in rows.map { column[Int($0)] } },
      timestamps: timestamps.map { column in rows.map { column[Int($0)] } },
      userCount: userCount, itemCount: itemCount)
  }

  /// The row numbers grouped by user in ascending order, rows of one user in their own order: user `u` has
  /// `rows[offsets[u]..<offsets[u + 1]]`.
  public func rowsByUser() -> (offsets: [Int], rows: [Int32]) {
    let (offsets, rows) = IndexOrder.grouped(users, below: userCount)
    return (offsets, rows)
  }

  /// The row numbers grouped by user, rows of one user by time; rows of equal time keep their order.
  ///
  /// - Throws: ``DataError/missingField(operation:expected:)`` without timestamps.
  public func rowsByUserInTimeOrder() throws(DataError) -> (offsets: [Int], rows: [Int32]) {
    guard let timestamps else {
      throw .missingField(operation: "Interactions.rowsByUserInTimeOrder", expected: "timestamps")
    }
    let (offsets, grouped) = rowsByUser()
    var rows = grouped
    for user in 0..<userCount where offsets[user + 1] - offsets[user] > 1 {
      let range = offsets[user]..<offsets[user + 1]
      let sorted = rows[range].sorted { first, second in
        let (a, b) = (timestamps[Int(first)], timestamps[Int(second)])
        return a == b ? first < second : a < b
      }
      rows.replaceSubrange(range, with: sorted)
    }
    return (offsets, rows)
  }

  /// A hash of the columns and sizes, the same on every machine.
  public var hash: String {
    var hash = StableHash()
    combine(into: &hash)
    return hash.hexadecimal
  }

  func combine(into hash: inout StableHash) { combine(users.indices, into: &hash) }

  /// Feeds the sizes and the given rows of all columns, as those rows alone would be fed.
  func combine(_ rows: some Collection<Int>, into hash: inout StableHash) {
    hash.combine(userCount)
    hash.combine(itemCount)
    hash.combine(each: rows.lazy.map { users[$0] })
    hash.combine(each: rows.lazy.map { items[$0] })
    hash.combine(ratings == nil ? -1 : rows.count)
    if let ratings { for row in rows { hash.combine(UInt64(ratings[row].bitPattern)) } }
    hash.combine(timestamps == nil ? -1 : rows.count)
    if let timestamps { for row in rows { hash.combine(UInt64(bitPattern: timestamps[row])) } }
  }

  static func counts(of ids: [Int32], below limit: Int) -> [Int32] {
    var counts = [Int32](repeating: 0, count: limit)
    for id in ids { counts[Int(id)] += 1 }
    return counts
  }
}
