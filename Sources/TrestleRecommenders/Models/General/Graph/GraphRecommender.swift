import TrestleTensor

/// A recommender whose rows are propagated over a graph of interactions.
public protocol GraphRecommender: PairwiseRecommender {
  /// Puts the graph of other interactions in place of the present one. The tables stay as they are.
  ///
  /// - Parameter interactions: between the model's users and items; repeated ones count once.
  func setGraph(_ interactions: Interactions)
}

extension GraphRecommender {
  /// Stops a graph of other users or items.
  func checkGraph(_ interactions: Interactions) {
    precondition(
      interactions.userCount == userCount && interactions.itemCount == itemCount,
      "\(name).setGraph: \(interactions.userCount) users and \(interactions.itemCount) items, expected \(userCount) and \(itemCount)"
    )
  }
}
