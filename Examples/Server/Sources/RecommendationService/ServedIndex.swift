import Trestle

/// The index by which a recommender is asked, if it is not to look at every item.
enum ServedIndex: Sendable {
  case items(ItemIndex)
  case hybrid(HybridIndex)

  /// The index of a recommender; `nil` for one whose scores are not inner products of rows: it looks at every item.
  init?(_ recommender: SavedRecommender) throws {
    switch recommender {
    case .fitted(let model):
      guard let index = model.makeItemIndex() else { return nil }
      self = .items(index)
    case .hybrid(let hybrid): self = .hybrid(try HybridIndex(hybrid))
    }
  }

  /// The index after items have been added to a hybrid.
  func adding(itemsOf hybrid: HybridRecommender) throws -> ServedIndex {
    guard case .hybrid(let index) = self else { return self }
    return .hybrid(try index.adding(itemsOf: hybrid))
  }
}
