import TrestleTensor

/// Ranks all items by the number of their training interactions, the same for everybody.
public final class Popularity: Recommender {
  /// Popularity.
  public let name = "Popularity"
  /// The number of users.
  public let userCount: Int
  private let counts: [Float]

  /// Counts the interactions of each item.
  public init(training: Interactions) {
    userCount = training.userCount
    counts = training.itemCounts().map(Float.init)
  }

  /// The number of items.
  public var itemCount: Int { counts.count }

  /// A scorer that gives every user the counts.
  public func makeScorer() -> any CatalogueScorer {
    RowScorer(itemCount: counts.count) { [counts] _ in counts }
  }
}
