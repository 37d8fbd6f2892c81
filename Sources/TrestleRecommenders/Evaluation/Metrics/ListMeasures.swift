import Foundation

/// Computes the measures of all lists together.
struct ListMeasures {
  let lists: [[Int32]]
  let itemCount: Int
  /// The training interactions of each item.
  let popularity: [Int32]
  /// The users with training interactions.
  let activeUsers: Int

  func values(_ metrics: [ListMetric]) -> [String: Double] {
    var values: [String: Double] = [:]
    guard !lists.isEmpty, itemCount > 0 else { return values }
    for metric in metrics {
      let k = metric.cutoff
      switch metric {
      case .coverage:
        values[metric.name] = Double(recommendations(k).count { $0 > 0 }) / Double(itemCount)
      case .gini:
        values[metric.name] = gini(recommendations(k))
      case .averagePopularity:
        values[metric.name] = meanOverLists(k) { Double(popularity[$0]) }
      case .novelty:
        values[metric.name] = meanOverLists(k) {
          -log2(Double(max(1, popularity[$0])) / Double(max(1, activeUsers)))
        }
      }
    }
    return values
  }

  /// How often each item stands in the first `k` of a list.
  private func recommendations(_ k: Int) -> [Int] {
    var counts = [Int](repeating: 0, count: itemCount)
    for list in lists { for item in list.prefix(k) { counts[Int(item)] += 1 } }
    return counts
  }

  /// `Σ_i (2i − n − 1)·c_(i) / (n·Σ c)` over ascending counts `c_(1) ≤ … ≤ c_(n)` of all `n` items.
  private func gini(_ counts: [Int]) -> Double? {
    let total = counts.reduce(0, +)
    guard total > 0 else { return nil }
    var sum = 0.0
    for (index, count) in counts.sorted().enumerated() where count > 0 {
      sum += Double(2 * (index + 1) - itemCount - 1) * Double(count)
    }
    return sum / (Double(itemCount) * Double(total))
  }

  /// The mean over non-empty lists of the mean over a list's first `k` items.
  private func meanOverLists(_ k: Int, _ value: (Int) -> Double) -> Double? {
    var sum = 0.0
    var count = 0
    for list in lists where !list.isEmpty {
      let head = list.prefix(k)
      sum += head.reduce(0) { $0 + value(Int($1)) } / Double(head.count)
      count += 1
    }
    return count > 0 ? sum / Double(count) : nil
  }
}
