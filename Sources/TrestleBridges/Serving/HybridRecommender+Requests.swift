import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

extension HybridRecommender: ServableRecommender {
  /// The best items for a user, by both sides.
  public func recommend(for user: String, count: Int, filter: ItemFilter, reasons: Int) throws
    -> RecommendationList
  {
    try recommend(for: user, count: count, by: .fused, filter: filter, reasons: reasons)
  }

  /// The best items for someone new who likes some items, by both sides.
  public func recommend(liking items: [String], count: Int, filter: ItemFilter, reasons: Int) throws
    -> RecommendationList
  {
    try recommend(
      liking: items, languageState: nil, count: count, by: .fused, filter: filter, reasons: reasons)
  }

  /// A scorer of the users that the hybrid knows, by one of the three recommenders; a side that is not loaded is stood in
  /// for by the other.
  public func makeScorer(by part: Part = .fused) -> any CatalogueScorer {
    switch asked(part, domainRows, languageRows) {
    case (let first?, let second?):
      return FusedScorer(
        domain: first, language: second,
        weights: trainingCounts.array.map { Float(fusion.alpha(interactions: Int($0))) })
    case (let rows?, nil), (nil, let rows?): return rows
    case (nil, nil): return RowScorer(itemCount: popularity.count) { [popularity] _ in popularity.array }
    }
  }

  /// A scorer of people who are new to the hybrid, by the items that each of them likes: what evaluates fold-in. Of someone
  /// without items the scores are the items' popularity.
  public func makeNewUserScorer(
    liking histories: UserHistories, by part: Part = .fused
  ) -> any CatalogueScorer {
    RowScorer(itemCount: popularity.count) { [self] user in
      let liked = Set(histories.items(of: Int(user))).sorted()
      guard !liked.isEmpty else { return popularity.array }
      let own = asked(part, scores(liking: liked, of: .domain), scores(liking: liked, of: .language))
      switch (own.domain, own.language) {
      case (let first?, let second?):
        return Self.fused(first, second, alpha: fusion.alpha(interactions: liked.count))
      case (let scores?, nil), (nil, let scores?): return scores
      case (nil, nil): return popularity.array
      }
    }
  }

  /// Both sides' scores, standardised and weighed.
  static func fused(_ domain: [Float], _ language: [Float], alpha: Double) -> [Float] {
    var scores = ScoreStandardization.standardized(domain)
    ScoreStandardization.fuse(
      ScoreStandardization.standardized(language), into: &scores, at: scores.indices, alpha: Float(alpha))
    return scores
  }
}

/// A saved recommender of either kind, told apart by its manifest.
public enum SavedRecommender: Sendable {
  /// A recommender alone.
  case fitted(FittedRecommender)
  /// A hybrid.
  case hybrid(HybridRecommender)

  /// Loads whatever a folder holds.
  ///
  /// - Throws: as ``HybridRecommender/init(contentsOf:sides:)``.
  public init(contentsOf folder: URL) throws {
    // A hybrid's history says how much of it each user's training had; a recommender alone has its model beside it.
    let isFitted = FileManager.default.fileExists(atPath: folder.appending(path: "model.safetensors").path)
    let hasManifest = FileManager.default.fileExists(atPath: folder.appending(path: "manifest.json").path)
    if isFitted || !hasManifest {
      self = .fitted(try FittedRecommender(contentsOf: folder))
    } else {
      self = .hybrid(try HybridRecommender(contentsOf: folder))
    }
  }

  /// Looks whether a recommender can be saved at `folder`, before work is done that ends there.
  ///
  /// - Throws: `FormatError.cannotWrite` if other files are there, or nothing can be written.
  public static func checkDestination(_ folder: URL) throws {
    try AtomicFolder.checkDestination(folder, holding: HybridRecommender.manifestName)
  }

  /// What answers requests.
  public var servable: any ServableRecommender {
    switch self {
    case .fitted(let model): model
    case .hybrid(let hybrid): hybrid
    }
  }

  /// A scorer of the users it knows, by all that they have had.
  public func makeScorer() -> any CatalogueScorer {
    switch self {
    case .fitted(let model): model.makeScorer()
    case .hybrid(let hybrid): hybrid.makeScorer()
    }
  }
}
