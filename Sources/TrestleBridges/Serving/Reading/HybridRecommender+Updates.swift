import TrestleRecommenders
import TrestleTensor

extension HybridRecommender {
  /// The hybrid with further items, which the language model has read: they are recommended like any other, and may be
  /// liked. The hybrid that was asked stays as it is.
  ///
  /// ```swift
  /// let reader = try ItemTextReader(hybrid.reading!)
  /// let now = try hybrid.adding([NewItem(id: "n1", title: "Emma", text: "Book: Emma by Jane Austen")], reading: reader)
  /// ```
  ///
  /// - Parameters:
  ///   - items: with ids that no item has and texts that are not empty.
  ///   - reader: the language model.
  /// - Throws: `ServingError/invalidRequest(expected:found:)` for an id that is taken, an empty text, or a hybrid that was
  ///   trained without reading.
  public func adding(_ items: [NewItem], reading reader: ItemTextReader) throws -> HybridRecommender {
    guard let reading else {
      throw ServingError.invalidRequest(
        expected: "a hybrid whose language model reads the items' texts", found: "one without a reading")
    }
    guard reader.reader == reading.reader || reader.reader.hash == reading.reader.hash else {
      throw ServingError.otherData(
        expected: "the language model \(reading.reader.name)", found: reader.reader.name)
    }
    var ids = catalogue.itemIDs
    for item in items {
      guard ids.index(of: item.id) == nil else {
        throw ServingError.invalidRequest(
          expected: "an id that no item has", found: "'\(item.id)', which is taken")
      }
      guard !item.text.isEmpty else {
        throw ServingError.invalidRequest(
          expected: "a text for the new item '\(item.id)'", found: "an empty one")
      }
      ids.insert(item.id)
    }
    if items.isEmpty { return self }
    let states = reader.states(of: items.map(\.text))
    let rows = reading.domainRows(of: states)
    func extended(_ side: Representations?, _ rows: Tensor) -> Representations? {
      side.map { Representations(users: $0.users, items: .concatenated([$0.items, rows], along: 0)) }
    }
    return try HybridRecommender(
      catalogue: Catalogue(
        userIDs: catalogue.userIDs, itemIDs: ids, titles: catalogue.titles + items.map(\.title)),
      splitHash: splitHash, domain: extended(domain, rows * reading.scale),
      language: extended(language, rows),
      fusion: fusion,
      histories: histories.over(itemCount: ids.count), trainingCounts: trainingCounts.array,
      popularity: popularity.array + items.map { _ in 0 }, reading: reading.appending(states),
      folding: folding,
      card: card)
  }

  /// The hybrid after further interactions, without training: see `FittedRecommender.adding(_:)`; both sides' users are
  /// brought up to date as a recommender's of the same kind are, the items' rows stay. The time goes by what is new and by what
  /// these users have had.
  ///
  /// - Throws: `ServingError/unknownItem(id:count:examples:)`.
  public func adding(_ interactions: [UserItemPair]) throws -> HybridRecommender {
    let update = try HistoryUpdate(interactions, to: catalogue, histories)
    func updated(_ side: InnerProductScorer?, _ folding: RowFolding) -> InnerProductScorer? {
      side.map {
        InnerProductScorer(users: update.rows($0.users, $0.items, folding), items: $0.items)
      }
    }
    var counts = trainingCounts
    while counts.count < update.catalogue.userIDs.count { counts.append(0) }
    for (user, items) in update.added { counts[user] += Int32(items.count) }
    let domain = updated(domainRows, folding)
    var language = languageRows
    if reading != nil, let domain {
      // A language side that reads in the recommender's terms has the recommender's users.
      language = language.map { InnerProductScorer(users: domain.users, items: $0.items) }
    } else {
      language = updated(language, .mean)
    }
    return HybridRecommender(
      self, after: update, domain: domain, language: language, trainingCounts: counts)
  }
}
