import TrestleTensor

extension FittedRecommender {
  /// An index of the items' rows, by which ``recommend(for:count:by:probes:filter:reasons:)`` looks at a part of the catalogue
  /// alone: of models whose scores are inner products of rows, which sequential models and autoencoders are too.
  ///
  /// - Parameters:
  ///   - cells: how many cells; about 4·√items if `nil`.
  ///   - seed: determines the first centres and the sample.
  /// - Returns: `nil` for a model whose scores come in another way: linear models, neighbours, NeuMF, popularity.
  public func makeItemIndex(cells: Int? = nil, seed: UInt64 = 0) -> ItemIndex? {
    guard let rows = scorer as? InnerProductScorer, itemCount > 0 else { return nil }
    return ItemIndex(rows.items, cells: cells, seed: seed)
  }

  /// The best items for a user, of those that an index looks at.
  ///
  /// - Parameters:
  ///   - user: the user's id.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - index: of this recommender's items, see ``makeItemIndex(cells:seed:)``.
  ///   - probes: how many cells are looked into.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the user's items are named that speak most for each.
  /// - Throws: ``ServingError`` for an id that nobody has, a count below 0, an index of other items, or a model whose scores are
  ///   not inner products.
  public func recommend(
    for user: String, count: Int = 10, by index: ItemIndex, probes: Int = 32,
    filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let place = try catalogue.user(user)
    let rows = try rows(of: index)
    let history = histories.items(of: place)
    if history.isEmpty { return try recommend(for: user, count: count, filter: filter) }
    return try list(
      rows.users.row(place), index, probes, count, try filter.removed(from: catalogue, known: history),
      Array(history), reasons)
  }

  /// The best items for someone new who likes some items, of those that an index looks at.
  ///
  /// - Parameters:
  ///   - items: the ids of the items liked, at least one; sequence models read them in this order.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - index: of this recommender's items, see ``makeItemIndex(cells:seed:)``.
  ///   - probes: how many cells are looked into.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the liked items are named that speak most for each.
  /// - Throws: as ``recommend(for:count:by:probes:filter:reasons:)``, and for no items.
  public func recommend(
    liking items: [String], count: Int = 10, by index: ItemIndex, probes: Int = 32,
    filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let liked = try distinct(items)
    let rows = try rows(of: index)
    guard let row = served.row(liking: liked) else {
      return try recommend(liking: items, count: count, filter: filter, reasons: reasons)
    }
    precondition(row.shape == [1, rows.users.width], "FittedRecommender: a row \(row.shape)")
    return try list(
      row, index, probes, count, try filter.removed(from: catalogue, known: liked), liked, reasons)
  }

  /// The rows that an index is of.
  private func rows(of index: ItemIndex) throws -> InnerProductScorer {
    guard let rows = scorer as? InnerProductScorer, index.rows.shape == rows.items.shape else {
      throw ServingError.otherData(
        expected: "an index of the rows of this \(fittedCard.model)", found: "one of \(index.rows.shape)")
    }
    return rows
  }

  private func list(
    _ row: Tensor, _ index: ItemIndex, _ probes: Int, _ count: Int, _ removed: Set<Int32>, _ own: [Int32],
    _ reasons: Int
  ) throws -> RecommendationList {
    guard count >= 0 else {
      throw ServingError.invalidRequest(expected: "a count of at least 0", found: "\(count)")
    }
    let best = index.search(row, count: count, probes: probes, without: removed)
    let distinct = Set(own).sorted()
    return RecommendationList(
      items: best.map {
        described($0, reasons > 0 ? self.reasons(for: $0.item, among: distinct, reasons) : [])
      }, source: .domain)
  }
}
