import TrestleRecommenders

/// What a saved hybrid says of itself: of what it was made, how, and what it reached.
public struct HybridCard: Codable, Sendable, Equatable {
  /// The data set's name.
  public var dataset: String
  /// The recommender whose rows the domain side's are, with its configuration, seed and epochs; `nil` if they are nobody's.
  public var domain: RecommenderCard?
  /// What was chosen and found beside it: the seed, how the language model learnt to read (as JSON), and figures.
  public var settings: [String: String]

  /// A card.
  public init(dataset: String, domain: RecommenderCard? = nil, settings: [String: String] = [:]) {
    (self.dataset, self.domain, self.settings) = (dataset, domain, settings)
  }
}
