import TrestleTensor

extension FittedRecommender {
  /// The recommender after further interactions, without training: users it knows have them behind what they had, users it
  /// does not know are folded in. Neighbours, linear models, autoencoders, iALS and sequential models answer by what is new at
  /// once; of the other models' known users the trained rows stay, and a refit on all data
  /// (``Dataset/refit(_:epochs:options:progress:)``) is what takes it up.
  ///
  /// The time goes by what is new and by what these users have had, whatever else there is: the rest is shared with this value.
  ///
  /// ```swift
  /// let now = try model.adding([UserItemPair(user: "42", item: "b7")])
  /// ```
  ///
  /// - Parameter interactions: by ids, in the order of time; what a user has had already is not added again.
  /// - Throws: ``ServingError/unknownItem(id:count:examples:)``; ``ServingError/invalidRequest(expected:found:)`` for a user
  ///   who is new to a model that knows nobody new.
  public func adding(_ interactions: [UserItemPair]) throws -> FittedRecommender {
    let update = try HistoryUpdate(interactions, to: catalogue, histories)
    let newUsers = update.catalogue.userIDs.count - userCount
    guard newUsers == 0 || served.form != .network else {
      throw ServingError.invalidRequest(
        expected: "users whom \(fittedCard.model) was fitted on", found: "\(newUsers) others")
    }
    let popularity = update.counts(popularity)
    return FittedRecommender(
      self, after: update, popularity: popularity, scorer(after: update, popularity: popularity))
  }

  /// The scorer with the rows of those users brought up to date who have something new.
  private func scorer(after update: HistoryUpdate, popularity: SharedArray<Float>) -> any CatalogueScorer {
    guard let rows = scorer as? InnerProductScorer else {
      // What is not computed from rows looks histories up, if it reads them at all.
      return served.lookingScorer(update.histories, popularity: popularity) ?? scorer
    }
    switch served.form {
    case .rows:
      return InnerProductScorer(
        users: update.rows(rows.users, rows.items, served.folding), items: rows.items)
    case .sequence, .set:
      guard let network = served.network else { return scorer }
      return InnerProductScorer(
        users: update.states(rows.users) { network.states($0) }, items: rows.items)
    case .popularity, .itemWeights, .neighbors, .userNeighbors, .network: return scorer
    }
  }
}
