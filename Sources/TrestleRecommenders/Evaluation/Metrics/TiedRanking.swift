import Foundation

/// Items of equal score, whose order is open.
public struct TieGroup: Sendable, Equatable {
  /// The number of items.
  public let size: Int
  /// How many of them are relevant.
  public let relevant: Int

  /// A group.
  ///
  /// - Precondition: there is an item, and no more relevant ones than items.
  public init(size: Int, relevant: Int) {
    precondition(
      size > 0 && relevant >= 0 && relevant <= size, "TieGroup: \(relevant) relevant of \(size) items")
    self.size = size
    self.relevant = relevant
  }
}

extension RankingMetric {
  /// The mean of ``value(relevance:relevantCount:)`` over all orders of the items within their groups, in closed form.
  ///
  /// At each place of a group of n items with m relevant ones stands a relevant item with probability m/n. Precision,
  /// recall and NDCG are linear in that; the hit rate needs the chance C(n − m, t)/C(n, t) that the first t places of a
  /// group hold no relevant item, MRR the chance that the first relevant one stands at a place, and MAP that, given a
  /// relevant item at a place, each other place holds a relevant one with probability (m − 1)/(n − 1).
  ///
  /// Source: McSherry and Najork, *Computing Information Retrieval Performance Measures Efficiently in the Presence of
  /// Tied Scores* (2008).
  ///
  /// - Parameters:
  ///   - groups: the ranking, best first; groups wholly behind the cutoff do not matter.
  ///   - relevantCount: the number of relevant items, at least 1.
  /// - Precondition: the measure has a cutoff of at least 1 and `relevantCount` is positive.
  public func expectedValue(of groups: [TieGroup], relevantCount: Int) -> Double {
    guard let k = cutoff else { preconditionFailure("RankingMetric.expectedValue: \(name) needs scores") }
    precondition(
      k > 0 && relevantCount > 0, "RankingMetric.expectedValue: \(name) with \(relevantCount) relevant items")
    switch self {
    case .recall: return Self.gain(groups, k) { _ in 1 } / Double(relevantCount)
    case .precision: return Self.gain(groups, k) { _ in 1 } / Double(k)
    case .ndcg:
      func discount(_ place: Int) -> Double { 1 / log2(Double(place + 1)) }
      let ideal = (1...min(k, relevantCount)).reduce(0) { $0 + discount($1) }
      return Self.gain(groups, k, discount) / ideal
    case .hit: return 1 - Self.chanceOfNone(groups, k)
    case .mrr: return Self.expectedReciprocalRank(groups, k)
    case .map: return Self.expectedPrecisionSum(groups, k) / Double(min(k, relevantCount))
    case .auc, .gauc: preconditionFailure("RankingMetric.expectedValue: \(name) needs scores")
    }
  }

  /// Σ over the first `k` places (from 1) of the chance of a relevant item times `weight`.
  private static func gain(_ groups: [TieGroup], _ k: Int, _ weight: (Int) -> Double) -> Double {
    var sum = 0.0
    var start = 0
    for group in groups where start < k {
      let chance = Double(group.relevant) / Double(group.size)
      if chance > 0 { for place in start..<min(start + group.size, k) { sum += chance * weight(place + 1) } }
      start += group.size
    }
    return sum
  }

  private static func chanceOfNone(_ groups: [TieGroup], _ k: Int) -> Double {
    var chance = 1.0
    var start = 0
    for group in groups where start < k {
      for place in 0..<min(group.size, k - start) {
        // No relevant item at this place, if there was none at those before.
        chance *= Double(max(0, group.size - group.relevant - place)) / Double(group.size - place)
      }
      start += group.size
    }
    return chance
  }

  private static func expectedReciprocalRank(_ groups: [TieGroup], _ k: Int) -> Double {
    var start = 0
    for group in groups where start < k {
      guard group.relevant > 0 else {
        start += group.size
        continue
      }
      var sum = 0.0
      var none = 1.0
      for place in 0..<min(group.size, k - start) {
        let chance = min(1, Double(group.relevant) / Double(group.size - place))
        sum += none * chance / Double(start + place + 1)
        none *= 1 - chance
      }
      return sum
    }
    return 0
  }

  private static func expectedPrecisionSum(_ groups: [TieGroup], _ k: Int) -> Double {
    var sum = 0.0
    var start = 0
    var hits = 0.0
    for group in groups where start < k {
      let (size, relevant) = (Double(group.size), Double(group.relevant))
      let others = group.size > 1 ? (relevant - 1) / (size - 1) : 0
      if group.relevant > 0 {
        for place in 0..<min(group.size, k - start) {
          sum += relevant / size * (hits + 1 + Double(place) * others) / Double(start + place + 1)
        }
      }
      hits += relevant
      start += group.size
    }
    return sum
  }
}
