import TrestleTensor

/// Interactions that came after a recommender was fitted, in its own indices; new users have the indices behind the known.
///
/// What it costs goes by what is new and by what the users who have anything new have had: the rest is shared.
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
    var newUsers: [String: Int] = [:]
    var newIDs: [String] = []
    var added: [Int: [Int32]] = [:]
    for pair in pairs {
      let item = Int32(try catalogue.item(pair.item))
      let user: Int
      if let known = catalogue.userIDs.index(of: pair.user) ?? newUsers[pair.user] {
        user = known
      } else {
        user = catalogue.userIDs.count + newIDs.count
        newUsers[pair.user] = user
        newIDs.append(pair.user)
      }
      let had = user < histories.userCount && histories.items(of: user).contains(item)
      if !had, added[user]?.contains(item) != true { added[user, default: []].append(item) }
    }
    self.catalogue =
      newIDs.isEmpty
      ? catalogue
      : Catalogue(
        userIDs: catalogue.userIDs.adding(newIDs), itemIDs: catalogue.itemIDs, titles: catalogue.titles)
    self.histories = histories.adding(added)
    self.added = added
  }

  /// Each item's count, with what is new.
  package func counts(_ counts: SharedArray<Float>) -> SharedArray<Float> {
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
  ///   - users: of the known users.
  ///   - items: `[items, width]`.
  ///   - folding: how a row of someone new comes of the rows of the items liked.
  package func rows(_ users: UserRows, _ items: Tensor, _ folding: RowFolding) -> UserRows {
    var result = users
    for user in added.keys.sorted() {
      let isNew = user >= users.count || histories.items(of: user).count == added[user]?.count
      guard folding != .mean || isNew else { continue }
      result.set(folding.row(Array(histories.items(of: user)), items), of: user)
    }
    return result
  }

  /// Users' states with those of the users who have something new computed anew.
  ///
  /// - Parameters:
  ///   - states: of the known users.
  ///   - compute: the states of histories, `[users, width]`.
  func states(_ states: UserRows, _ compute: (UserHistories) -> Tensor) -> UserRows {
    let users = added.keys.sorted()
    guard !users.isEmpty else { return states }
    var (starts, items) = ([0], [Int32]())
    for user in users {
      items += histories.items(of: user)
      starts.append(items.count)
    }
    let made = compute(UserHistories(starts: starts, items: items, itemCount: histories.itemCount))
    var result = states
    for (place, user) in users.enumerated() {
      result.set(made.sliced(place..<place + 1, along: 0).copied(), of: user)
    }
    return result
  }
}
