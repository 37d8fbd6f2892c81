import Foundation

/// A measure of a ranked list against the set of relevant items, with RecBole's definitions.
///
/// For one user: `R` the relevant items, `L` the list, `rel(j)` 1 if the item at place `j` (from 1) is relevant, else
/// 0. A list shorter than `k` (a catalogue with fewer candidates) counts as filled up with irrelevant items.
public enum RankingMetric: Hashable, Sendable, Codable {
  /// `Σ_{j≤k} rel(j) / |R|`.
  case recall(Int)
  /// 1 if any of the first `k` is relevant, else 0.
  case hit(Int)
  /// `Σ_{j≤k} rel(j)/log₂(j+1)` over its largest value, `Σ_{j≤min(k,|R|)} 1/log₂(j+1)`.
  case ndcg(Int)
  /// `1/j` of the first relevant place `j ≤ k`, 0 if there is none.
  case mrr(Int)
  /// `Σ_{j≤k} rel(j)·Precision@j / min(k, |R|)`.
  case map(Int)
  /// `Σ_{j≤k} rel(j) / k`.
  case precision(Int)
  /// The area under the ROC curve of the pooled pairs of all users: the chance that a random relevant (user, item)
  /// pair scores above a random irrelevant one, ties counting half. No per-user value.
  case auc
  /// The area under the curve of each user's ranking, averaged with the number of relevant items as weight.
  case gauc

  /// The cutoff `k`, `nil` for measures of the whole ranking.
  public var cutoff: Int? {
    switch self {
    case .recall(let k), .hit(let k), .ndcg(let k), .mrr(let k), .map(let k), .precision(let k): k
    case .auc, .gauc: nil
    }
  }

  /// The name in tables, such as `NDCG@10`.
  public var name: String {
    switch self {
    case .recall(let k): "Recall@\(k)"
    case .hit(let k): "Hit@\(k)"
    case .ndcg(let k): "NDCG@\(k)"
    case .mrr(let k): "MRR@\(k)"
    case .map(let k): "MAP@\(k)"
    case .precision(let k): "Precision@\(k)"
    case .auc: "AUC"
    case .gauc: "GAUC"
    }
  }

  /// Recall, Hit, NDCG, MRR, MAP and Precision at 10 and 20.
  public static let standard: [RankingMetric] = [10, 20].flatMap {
    [.recall($0), .hit($0), .ndcg($0), .mrr($0), .map($0), .precision($0)]
  }

  /// The value of a measure with a cutoff for one user.
  ///
  /// - Parameters:
  ///   - relevance: whether each item of the list is relevant, best first; at most the first `k` are looked at.
  ///   - relevantCount: `|R|`, at least 1.
  /// - Precondition: the measure has a cutoff of at least 1 and `relevantCount` is positive.
  public func value(relevance: [Bool], relevantCount: Int) -> Double {
    guard let k = cutoff else { preconditionFailure("RankingMetric.value: \(name) needs scores, not a list") }
    precondition(
      k > 0 && relevantCount > 0, "RankingMetric.value: \(name) with \(relevantCount) relevant items")
    let list = relevance.prefix(k)
    switch self {
    case .recall:
      return Double(list.count { $0 }) / Double(relevantCount)
    case .hit:
      return list.contains(true) ? 1 : 0
    case .precision:
      return Double(list.count { $0 }) / Double(k)
    case .mrr:
      return list.firstIndex(of: true).map { 1 / Double($0 + 1) } ?? 0
    case .map:
      var hits = 0.0
      var sum = 0.0
      for (place, relevant) in list.enumerated() where relevant {
        hits += 1
        sum += hits / Double(place + 1)
      }
      return sum / Double(min(k, relevantCount))
    case .ndcg:
      var gain = 0.0
      for (place, relevant) in list.enumerated() where relevant { gain += 1 / log2(Double(place + 2)) }
      return gain == 0 ? 0 : gain / Self.idealGain(min(k, relevantCount))
    case .auc, .gauc:
      preconditionFailure("RankingMetric.value: \(name) needs scores, not a list")
    }
  }

  private static func idealGain(_ count: Int) -> Double {
    var gain = 0.0
    for place in 0..<count { gain += 1 / log2(Double(place + 2)) }
    return gain
  }
}

/// A measure of all recommended lists together, beyond accuracy.
public enum ListMetric: Hashable, Sendable, Codable {
  /// The share of the catalogue that appears in at least one list.
  case coverage(Int)
  /// The Gini index of how often each item of the catalogue is recommended: 0 if all are equally often, near 1 if
  /// few items fill all lists.
  case gini(Int)
  /// The mean over users of the mean number of training interactions of the recommended items.
  case averagePopularity(Int)
  /// The mean over users of the mean self-information `−log₂(max(1, interactions of the item) / users)` of the
  /// recommended items, with counts in the training data; unusual items are novel.
  case novelty(Int)

  /// The cutoff `k`.
  public var cutoff: Int {
    switch self {
    case .coverage(let k), .gini(let k), .averagePopularity(let k), .novelty(let k): k
    }
  }

  /// The name in tables, such as `Coverage@10`.
  public var name: String {
    switch self {
    case .coverage(let k): "Coverage@\(k)"
    case .gini(let k): "Gini@\(k)"
    case .averagePopularity(let k): "AveragePopularity@\(k)"
    case .novelty(let k): "Novelty@\(k)"
    }
  }

  /// The four measures at 10.
  public static let standard: [ListMetric] = [
    .coverage(10), .gini(10), .averagePopularity(10), .novelty(10),
  ]
}
