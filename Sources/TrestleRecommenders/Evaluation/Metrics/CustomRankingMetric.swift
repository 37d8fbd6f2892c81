/// A measure of one user's list that is defined outside of this package: one file, and nothing else to change.
///
/// ```swift
/// struct Precision1: CustomRankingMetric {
///   let name = "Precision@1"
///   let cutoff = 1
///   func value(_ list: RankedList) -> Double { list.relevance.first == true ? 1 : 0 }
/// }
///
/// var evaluator = RankingEvaluator(split)
/// evaluator.customMetrics = [Precision1()]
/// let value = try evaluator.evaluate(scorer).mean("Precision@1")
/// ```
///
/// A ``RankingMetric`` is the mean over all orders of items of equal score, in closed form. What the package does not know it
/// cannot average: the list given here has the lower item first among equals.
public protocol CustomRankingMetric: Sendable {
  /// The name in results, which no other measure has.
  var name: String { get }
  /// How many places of the list are looked at, at least 1: lists are at least so long, if there are as many candidates.
  var cutoff: Int { get }

  /// Whether the measure has a value for a user, whatever their list; it has for everyone unless this says otherwise.
  ///
  /// Users for whom it has none are in no mean and no ``PairedComparison``; their entries of ``EvaluationResult/Slice/perUser`` are 0.
  func isDefined(for user: Int32) -> Bool

  /// The value for one user; users without a relevant item, and those for whom the measure is not defined, are not asked about.
  func value(_ list: RankedList) -> Double
}

extension CustomRankingMetric {
  /// True.
  public func isDefined(for user: Int32) -> Bool { true }
}

/// What a measure sees of one user's ranking.
public struct RankedList: Sendable {
  /// The user.
  public let user: Int32
  /// The items, best first; of equal scores the lower item first. At most ``CustomRankingMetric/cutoff`` of them.
  public let items: [Int32]
  /// Whether each of ``items`` is relevant: in the slice that is measured, if it is one.
  public let relevance: [Bool]
  /// The number of relevant items, at least 1, in the list or not.
  public let relevantCount: Int

  /// A list.
  public init(user: Int32, items: [Int32], relevance: [Bool], relevantCount: Int) {
    (self.user, self.items) = (user, items)
    (self.relevance, self.relevantCount) = (relevance, relevantCount)
  }
}
