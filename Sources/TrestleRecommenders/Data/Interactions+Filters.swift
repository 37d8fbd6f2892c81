import TrestleTensor

/// Which of several rows of the same user and item stays.
public enum DuplicatePolicy: Sendable, Codable {
  /// The first row.
  case keepFirst
  /// The last row.
  case keepLast
  /// The row with the latest timestamp; the last of those with equal ones.
  case keepLatest
}

extension Interactions {
  /// The rows with a rating of at least `threshold`; users and items stay, also those left without a row.
  ///
  /// - Throws: ``DataError/missingField(operation:expected:)`` without ratings.
  public func ratedAtLeast(_ threshold: Float) throws(DataError) -> Interactions {
    guard let ratings else {
      throw .missingField(operation: "Interactions.ratedAtLeast", expected: "ratings")
    }
    return selecting(rows: ratings.indices.filter { ratings[$0] >= threshold }.map { Int32($0) })
  }

  /// One row per user and item, in the order of the rows that stay.
  ///
  /// - Throws: ``DataError/missingField(operation:expected:)`` if the policy needs timestamps that are missing.
  public func withoutDuplicates(_ policy: DuplicatePolicy = .keepFirst) throws(DataError) -> Interactions {
    if policy == .keepLatest && timestamps == nil && !isEmpty {
      throw .missingField(operation: "Interactions.withoutDuplicates(.keepLatest)", expected: "timestamps")
    }
    // Rows of one user come together, so one entry per item tells whether this user has had it.
    let (offsets, rows) = rowsByUser()
    var keeper = [Int32](repeating: -1, count: itemCount)
    var stays = [Bool](repeating: false, count: count)
    for user in 0..<userCount {
      let own = rows[offsets[user]..<offsets[user + 1]]
      for row in own {
        let item = Int(items[Int(row)])
        if keeper[item] < 0 || replaces(row, keeper[item], policy) { keeper[item] = row }
      }
      for row in own {
        let item = Int(items[Int(row)])
        if keeper[item] == row { stays[Int(row)] = true }
      }
      for row in own { keeper[Int(items[Int(row)])] = -1 }
    }
    return selecting(rows: stays.indices.filter { stays[$0] }.map { Int32($0) })
  }

  private func replaces(_ row: Int32, _ kept: Int32, _ policy: DuplicatePolicy) -> Bool {
    switch policy {
    case .keepFirst: false
    case .keepLast: true
    case .keepLatest: timestamps.map { $0[Int(row)] >= $0[Int(kept)] } ?? true
    }
  }

  /// The k-core: rows are removed until each user left has at least `users` rows and each item left at least `items`.
  /// Users and items keep their indices; ``Dataset/compacted()`` drops those without a row.
  ///
  /// Linear in the rows: a user or item that falls below is queued once, and its rows are taken away once.
  public func core(users minimumOfUser: Int, items minimumOfItem: Int) -> Interactions {
    let byUser = rowsByUser()
    let byItem = IndexOrder.grouped(items, below: itemCount)
    var userLeft = userCounts()
    var itemLeft = itemCounts()
    var removed = [Bool](repeating: false, count: count)
    // Users are queued as themselves, items behind them.
    var queue = (0..<userCount).filter { Int(userLeft[$0]) < minimumOfUser }
    queue += (0..<itemCount).filter { Int(itemLeft[$0]) < minimumOfItem }.map { $0 + userCount }
    while let next = queue.popLast() {
      let isUser = next < userCount
      let index = isUser ? next : next - userCount
      let (offsets, rows) = isUser ? byUser : (byItem.starts, byItem.positions)
      for row in rows[offsets[index]..<offsets[index + 1]] where !removed[Int(row)] {
        removed[Int(row)] = true
        let user = Int(users[Int(row)])
        let item = Int(items[Int(row)])
        userLeft[user] -= 1
        itemLeft[item] -= 1
        // Each count falls below its minimum exactly once.
        if isUser, Int(itemLeft[item]) == minimumOfItem - 1 { queue.append(item + userCount) }
        if !isUser, Int(userLeft[user]) == minimumOfUser - 1 { queue.append(user) }
      }
    }
    return selecting(rows: removed.indices.filter { !removed[$0] }.map { Int32($0) })
  }
}

extension Dataset {
  /// The data set with other interactions over the same users and items, after a filter, say.
  ///
  /// - Precondition: the interactions have as many users and items.
  public func with(_ interactions: Interactions) -> Dataset {
    Dataset(
      name: name, interactions: interactions, userIDs: userIDs, itemIDs: itemIDs, items: items,
      userTexts: userTexts, report: report)
  }

  /// The data set without users and items that have no row; those that stay keep their order.
  public func compacted() -> Dataset {
    let keptUsers = interactions.userCounts().enumerated().filter { $0.element > 0 }.map { Int32($0.offset) }
    let keptItems = interactions.itemCounts().enumerated().filter { $0.element > 0 }.map { Int32($0.offset) }
    let newUsers = Self.inverse(keptUsers, count: userCount)
    let newItems = Self.inverse(keptItems, count: itemCount)
    return Dataset(
      name: name,
      interactions: Interactions(
        users: interactions.users.map { newUsers[Int($0)] },
        items: interactions.items.map { newItems[Int($0)] },
        ratings: interactions.ratings, timestamps: interactions.timestamps, userCount: keptUsers.count,
        itemCount: keptItems.count),
      userIDs: IDMap(keptUsers.lazy.map { userIDs[Int($0)] }),
      itemIDs: IDMap(keptItems.lazy.map { itemIDs[Int($0)] }), items: items.selecting(keptItems),
      userTexts: userTexts.isEmpty ? [] : keptUsers.map { userTexts[Int($0)] }, report: report)
  }

  private static func inverse(_ kept: [Int32], count: Int) -> [Int32] {
    var new = [Int32](repeating: -1, count: count)
    for (index, old) in kept.enumerated() { new[Int(old)] = Int32(index) }
    return new
  }
}
