import TrestleTensor

extension FittedRecommender {
  /// The recommender after further interactions, without training: users it knows have them behind what they had, users it
  /// does not know are folded in. Neighbours, linear models, autoencoders, iALS and sequential models answer by what is new at
  /// once; of the other models' known users the trained rows stay, and a refit on all data
  /// (``Dataset/refit(_:epochs:options:progress:)``) is what takes it up.
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
        expected: "users whom \(card.model) was fitted on", found: "\(newUsers) others")
    }
    var tensors = served.tensors
    if served.form == .rows {
      tensors["users"] = update.rows(served.tensor("users"), served.tensor("items"), served.folding)
    }
    var settings = card.settings
    let before = settings["interactions added since"].flatMap { Int($0) } ?? 0
    settings["interactions added since"] = "\(before + update.added.values.reduce(0) { $0 + $1.count })"
    let card = RecommenderCard(
      model: card.model, dataset: card.dataset, vocabularyHash: update.catalogue.vocabularyHash,
      trainingHash: card.trainingHash, trainingCount: card.trainingCount, settings: settings)
    return try FittedRecommender(
      card: card, catalogue: update.catalogue, histories: update.histories,
      popularity: update.counts(popularity),
      served: ServedModel(
        form: served.form, tensors: tensors, folding: served.folding, network: served.network,
        neighborhood: served.neighborhood))
  }
}
