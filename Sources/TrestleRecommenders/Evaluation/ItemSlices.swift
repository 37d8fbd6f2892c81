/// A part of the catalogue by how much training data its items have.
public enum ItemSlice: String, Sendable, Codable, CaseIterable {
  /// All items.
  case all
  /// Items outside the other slices: popular ones with enough data.
  case warm
  /// Items outside the most popular ones that hold 80 % of the training interactions, but not cold.
  case longTail = "long-tail"
  /// Items with 1 to 4 training interactions.
  case cold
  /// Items without any training interaction, reported apart from the cold ones.
  case unseen

  /// The place among ``allCases``.
  var index: Int {
    switch self {
    case .all: 0
    case .warm: 1
    case .longTail: 2
    case .cold: 3
    case .unseen: 4
    }
  }
}

/// The slice of every item; an item is in one only (besides ``ItemSlice/all``).
public struct ItemSlices: Sendable, Equatable {
  /// The slice of each item, `[itemCount]`.
  public let slices: [ItemSlice]

  /// Sorts items into slices by their numbers of training interactions.
  ///
  /// The head holds the fewest items, most popular first and lower id first among equals, whose interactions reach
  /// `headShare` of all. Cold comes before long-tail: an item below `coldBelow` interactions is cold (unseen with
  /// none) wherever it stands.
  public init(training: Interactions, coldBelow: Int = 5, headShare: Double = 0.8) {
    let counts = training.itemCounts()
    let order = counts.indices.sorted { counts[$0] == counts[$1] ? $0 < $1 : counts[$0] > counts[$1] }
    let goal = headShare * Double(training.count)
    var slices = [ItemSlice](repeating: .longTail, count: counts.count)
    var held = 0
    for item in order {
      if Double(held) >= goal { break }
      held += Int(counts[item])
      slices[item] = .warm
    }
    for item in counts.indices where Int(counts[item]) < coldBelow {
      slices[item] = counts[item] == 0 ? .unseen : .cold
    }
    self.slices = slices
  }

  /// The items of a slice, ascending.
  public func items(of slice: ItemSlice) -> [Int32] {
    slices.indices.filter { slice == .all || slices[$0] == slice }.map { Int32($0) }
  }
}
