import TrestleTensor

/// Interactions that came after a recommender was fitted, in its own indices; new users have the indices behind the known.
package struct HistoryUpdate {
  /// The ids and titles, with the new users.
  package let catalogue: Catalogue
  /// The histories, with what is new at their ends.
  package let histories: UserHistories
  /// What is new of each user who has anything new.
  package let added: [Int: [Int32]]

  /// Looks the ids up; what a user has had already is not added again.
  ///
  /// - Throws: ``ServingError/unknownItem(id:count:examples:)``.
  package init(_ pairs: [UserItemPair], to catalogue: Catalogue, _ histories: UserHistories)
    throws(ServingError)
  {
    var users = catalogue.userIDs
    var added: [Int: [Int32]] = [:]
    for pair in pairs {
      let item = Int32(try catalogue.item(pair.item))
      let user = users.insert(pair.user)
      let had = user < histories.userCount && histories.items(of: user).contains(item)
      if !had, added[user]?.contains(item) != true { added[user, default: []].append(item) }
    }
    var starts = [0]
    var items: [Int32] = []
    starts.reserveCapacity(users.count + 1)
    items.reserveCapacity(histories.items.count + pairs.count)
    for user in 0..<users.count {
      if user < histories.userCount { items += histories.items(of: user) }
      items += added[user] ?? []
      starts.append(items.count)
    }
    self.catalogue = Catalogue(userIDs: users, itemIDs: catalogue.itemIDs, titles: catalogue.titles)
    self.histories = UserHistories(starts: starts, items: items, itemCount: histories.itemCount)
    self.added = added
  }

  /// Each item's count, with what is new.
  package func counts(_ counts: [Float]) -> [Float] {
    var counts = counts
    for item in added.values.joined() { counts[Int(item)] += 1 }
    return counts
  }

  /// Users' rows with those of the users who have something new brought up to date; the items' rows stay.
  ///
  /// Someone who had nothing before is folded in. By least squares so is everybody else: the row is the one that a sweep over
  /// the items' rows gives. Other trained rows stay as they are: moving them towards the items' rows was measured to make
  /// LightGCN's lists worse, and a refit is what helps there.
  ///
  /// - Parameters:
  ///   - users: `[known users, width]`.
  ///   - items: `[items, width]`.
  ///   - folding: how a row of someone new comes of the rows of the items liked.
  /// - Returns: `[users, width]`.
  package func rows(_ users: Tensor, _ items: Tensor, _ folding: RowFolding) -> Tensor {
    let known = users.shape[0]
    let result = Tensor.zeros([catalogue.userIDs.count, users.shape[1]])
    result.scatterAddInPlace(users, at: Tensor((0..<Int32(known)).map { $0 }))
    let changed = added.keys.sorted().filter { user in
      folding != .mean || user >= known || histories.items(of: user).count == added[user]?.count
    }
    guard !changed.isEmpty else { return result }
    let ids = Tensor(changed.map { Int32($0) })
    let rows = changed.map { folding.row(Array(histories.items(of: $0)), items) }
    result.scatterAddInPlace(Tensor.concatenated(rows, along: 0) - result.gatheredRows(ids), at: ids)
    return result
  }
}

extension UserHistories {
  /// The same histories in a catalogue with further items.
  package func over(itemCount: Int) -> UserHistories {
    precondition(itemCount >= self.itemCount, "UserHistories: \(itemCount) items, had \(self.itemCount)")
    return UserHistories(starts: starts, items: items, itemCount: itemCount)
  }
}
