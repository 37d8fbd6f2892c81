/// Which items a request may be answered with.
public struct ItemFilter: Sendable {
  /// The ids of the only items that may be recommended; `nil` for all.
  public var allowed: Set<String>?
  /// The ids of items that may not be recommended.
  public var excluded: Set<String> = []
  /// Whether items that the user has had may be recommended again.
  public var includesKnown = false
  /// A further condition, on an item's id and title.
  public var condition: (@Sendable (_ id: String, _ title: String) -> Bool)?

  /// All items but those that the user has had.
  public init(allowed: Set<String>? = nil, excluded: Set<String> = [], includesKnown: Bool = false) {
    self.allowed = allowed
    self.excluded = excluded
    self.includesKnown = includesKnown
  }

  /// The items that may not be recommended, besides `known` ones.
  ///
  /// - Throws: ``ServingError/unknownItem(id:count:examples:)`` for an id that no item has.
  package func removed(from catalogue: Catalogue, known: some Sequence<Int32>) throws(ServingError) -> Set<
    Int32
  > {
    var removed: Set<Int32> = includesKnown ? [] : Set(known)
    for id in excluded { removed.insert(Int32(try catalogue.item(id))) }
    if let allowed {
      var kept: Set<Int32> = []
      for id in allowed { kept.insert(Int32(try catalogue.item(id))) }
      for item in 0..<Int32(catalogue.titles.count) where !kept.contains(item) { removed.insert(item) }
    }
    if let condition {
      for item in catalogue.titles.indices where !condition(catalogue.itemIDs[item], catalogue.titles[item]) {
        removed.insert(Int32(item))
      }
    }
    return removed
  }
}

/// An item of an answer.
public struct RecommendedItem: Sendable, Equatable {
  /// The item's id.
  public let id: String
  /// Its title, or the id if it has none.
  public let title: String
  /// Its score; comparable within one list only.
  public let score: Float
  /// The titles of the items of the user that speak for it most, if reasons were asked for.
  public let reasons: [String]

  /// An item of an answer.
  public init(id: String, title: String, score: Float, reasons: [String] = []) {
    (self.id, self.title, self.score, self.reasons) = (id, title, score, reasons)
  }
}

/// An answer: items, the best first, and who gave it.
public struct RecommendationList: Sendable, Equatable, RandomAccessCollection {
  /// Who answered.
  public enum Source: String, Sendable, Codable, CaseIterable {
    /// Domain and language side together.
    case fused
    /// The recommender.
    case domain
    /// The language model.
    case language
    /// The most popular items, for want of anything better.
    case popularity
  }

  /// The items.
  public let items: [RecommendedItem]
  /// Who answered.
  public let source: Source
  /// Why somebody else answered than was asked; `nil` if nobody else did.
  public let note: String?

  /// An answer.
  public init(items: [RecommendedItem], source: Source, note: String? = nil) {
    (self.items, self.source, self.note) = (items, source, note)
  }

  /// 0.
  public var startIndex: Int { 0 }
  /// The number of items.
  public var endIndex: Int { items.count }
  /// The item at a place, the best at 0.
  public subscript(place: Int) -> RecommendedItem { items[place] }
}
