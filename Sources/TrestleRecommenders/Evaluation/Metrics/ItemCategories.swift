/// The categories of items, such as genres, by which the items of a list are told apart.
public struct ItemCategories: Sendable, Equatable {
  /// The names of the categories that occur, ascending.
  public let names: [String]
  /// Where each item's categories start, `[itemCount + 1]`.
  private let offsets: [Int]
  /// The categories of all items, item after item.
  private let categories: [Int32]

  /// Takes the categories of each item by their names; a name that an item has twice counts once.
  ///
  /// - Parameter categories: the names, `[itemCount]`; none for an item of which nothing is known.
  public init(_ categories: [[String]]) {
    names = Set(categories.joined()).sorted()
    let places = Dictionary(uniqueKeysWithValues: names.enumerated().map { ($1, Int32($0)) })
    var offsets = [0]
    offsets.reserveCapacity(categories.count + 1)
    var all: [Int32] = []
    for own in categories {
      all += Set(own).compactMap { places[$0] }.sorted()
      offsets.append(all.count)
    }
    (self.offsets, self.categories) = (offsets, all)
  }

  /// The number of items, with or without categories.
  public var itemCount: Int { offsets.count - 1 }

  /// The categories of an item, ascending places among ``names``; empty if nothing is known of it.
  ///
  /// - Precondition: the item lies in `0..<itemCount`.
  public func categories(of item: Int) -> ArraySlice<Int32> {
    precondition(
      item >= 0 && item < itemCount, "ItemCategories: item \(item) of \(itemCount) items")
    return categories[offsets[item]..<offsets[item + 1]]
  }

  /// The share of each category in some items, those without categories left out: an item's weight of 1 is shared equally by
  /// its categories. Empty if no item has any.
  ///
  /// - Parameter items: the items; one that comes twice counts twice.
  func distribution(of items: some Sequence<Int32>) -> [Int32: Double] {
    var shares: [Int32: Double] = [:]
    var count = 0.0
    for item in items {
      let own = categories(of: Int(item))
      guard !own.isEmpty else { continue }
      count += 1
      for category in own { shares[category, default: 0] += 1 / Double(own.count) }
    }
    return shares.mapValues { $0 / count }
  }

  /// `1 − |A ∩ B| / |A ∪ B|` of two items' categories; `nil` if one has none.
  func distance(_ first: Int32, _ second: Int32) -> Double? {
    let (own, other) = (categories(of: Int(first)), categories(of: Int(second)))
    guard !own.isEmpty, !other.isEmpty else { return nil }
    let shared = own.count { other.contains($0) }
    return 1 - Double(shared) / Double(own.count + other.count - shared)
  }
}

extension ItemAttributes {
  /// What of recommended lists is measured by the items' genres: ``IntraListDiversity`` and ``Miscalibration``; nothing if no item
  /// has a genre.
  ///
  /// ```swift
  /// var evaluator = RankingEvaluator(split)
  /// evaluator.customMetrics = dataset.items.genreMetrics(training: split.training)
  /// ```
  ///
  /// - Parameters:
  ///   - training: the interactions with which lists are to be in proportion, of these items.
  ///   - cutoff: how many places of a list are looked at, at least 1.
  public func genreMetrics(training: Interactions, cutoff: Int = 10) -> [any CustomRankingMetric] {
    guard genres.contains(where: { !$0.isEmpty }) else { return [] }
    let categories = ItemCategories(genres)
    return [
      IntraListDiversity(categories, cutoff: cutoff),
      Miscalibration(categories, training: training, cutoff: cutoff),
    ]
  }
}
