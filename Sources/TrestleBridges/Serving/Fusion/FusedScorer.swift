import TrestleRecommenders
import TrestleTensor

/// Two scorers as one: α · z(language) + (1 − α) · z(domain), with each user's scores standardised over the catalogue.
///
/// α may differ from user to user. Standardisation takes one pass over the catalogue when a batch is prepared, so the
/// scores themselves are never held in full. Mean and deviation are those of a user's finite scores; scores that are all alike
/// count as 0, and −∞ stays −∞ unless its side has no weight.
public struct FusedScorer: CatalogueScorer {
  private let domain: any CatalogueScorer
  private let language: any CatalogueScorer
  /// The language side's weight for each user.
  public let weights: [Float]

  /// A fusion of two scorers of one catalogue.
  ///
  /// - Parameters:
  ///   - domain: the scorer of the domain side.
  ///   - language: the scorer of the language side.
  ///   - weights: α for each user, between 0 (the domain side alone) and 1.
  public init(domain: any CatalogueScorer, language: any CatalogueScorer, weights: [Float]) {
    precondition(
      domain.itemCount == language.itemCount,
      "FusedScorer: catalogues of \(domain.itemCount) and \(language.itemCount) items")
    self.domain = domain
    self.language = language
    self.weights = weights
  }

  /// The number of items.
  public var itemCount: Int { domain.itemCount }

  /// Prepares both scorers and measures each user's scores.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    try Batch(
      domain: StandardScores(of: domain, users: users), language: StandardScores(of: language, users: users),
      weights: users.map { weights[Int($0)] })
  }

  private struct Batch: UserBatchScores {
    var domain: StandardScores
    var language: StandardScores
    let weights: [Float]

    mutating func write(items: Range<Int>, into scores: inout [Float]) throws {
      var other = [Float](repeating: 0, count: weights.count * items.count)
      try domain.write(items: items, into: &scores)
      try language.write(items: items, into: &other)
      for (user, weight) in weights.enumerated() {
        ScoreStandardization.fuse(
          other, into: &scores, at: user * items.count..<(user + 1) * items.count, alpha: weight)
      }
    }
  }
}
