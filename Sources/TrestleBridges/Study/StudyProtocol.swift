import TrestleRecommenders
import TrestleTensor

/// How a study parts the data.
public enum StudyProtocol: String, CaseIterable, Codable, Sendable {
  /// Each user's interactions 8:1:1 at random.
  case warm
  /// The same validation and test data, and a tenth of the training data.
  case sparse
  /// `NewItemSplit`: some items have no training interaction.
  case newItems = "new-items"

  /// The slices that figures are of.
  public var slices: [String] { self == .newItems ? ["new", "all"] : ["all"] }

  /// Parts the data; the same seed gives the same split.
  ///
  /// - Throws: `DataError` if there are too few items to hold any out.
  func split(
    _ interactions: Interactions, seed: UInt64, newItems: NewItemSplit.Configuration
  ) throws -> StudySplit {
    switch self {
    case .newItems:
      let new = try NewItemSplit(interactions, seed: seed, configuration: newItems)
      return StudySplit(split: new.split, validationItems: new.validationItems, testItems: new.testItems)
    case .warm:
      let split = try interactions.split(.ratio(), seed: seed)
      return StudySplit(split: split, validationItems: [], testItems: [])
    case .sparse:
      let split = try interactions.split(.ratio(), seed: seed)
      var generator = RandomGenerator(seed: seed).split(9)
      var rows = Array(0..<Int32(split.training.count))
      generator.shuffle(&rows)
      let kept = rows.prefix(max(rows.count / 10, 1)).sorted()
      return StudySplit(
        split: DataSplit(
          training: split.training.selecting(rows: kept), validation: split.validation, test: split.test,
          strategy: split.strategy + ", a tenth of the training data"), validationItems: [], testItems: [])
    }
  }
}

/// A study's data, parted.
struct StudySplit {
  let split: DataSplit
  /// The items that are new in the validation data; empty if none are.
  let validationItems: [Int32]
  /// The items that are new in the test data; empty if none are.
  let testItems: [Int32]

  var hasNewItems: Bool { !testItems.isEmpty }

  /// The items that are known when settings are chosen on validation data: those of the training data and those that are new in
  /// the validation data. `nil` for all.
  var knownItems: [Int32]? {
    guard hasNewItems else { return nil }
    let counts = split.training.itemCounts()
    return counts.indices.filter { counts[$0] > 0 }.map { Int32($0) } + validationItems
  }
}

/// What is measured: a model, and what is done to it.
public struct StudyCase: Hashable, Sendable, Codable {
  /// `Random`, one of `ModelKind`'s names, `language model`, or `fusion`.
  public var model: String
  /// What is done to it.
  public var variant: HybridStudy.Variant

  /// A case.
  public init(_ model: String, _ variant: HybridStudy.Variant) {
    (self.model, self.variant) = (model, variant)
  }
}
