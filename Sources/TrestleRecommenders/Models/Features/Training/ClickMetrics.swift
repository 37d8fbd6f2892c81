import Foundation

/// How well logits tell clicked examples from others.
public struct ClickMetrics: Codable, Sendable, Equatable {
  /// The area under the ROC curve: the chance that a random clicked example has a higher logit than a random other one,
  /// ties counting half; `nil` unless there are examples of both kinds.
  public let auc: Double?
  /// The area under the curve of each user's examples, averaged with the number of clicks as weight, over users with
  /// examples of both kinds (GAUC, as ``RankingMetric/gauc``); `nil` without such users.
  public let userAUC: Double?
  /// The mean negative log-likelihood of the labels, in nats; `nil` without examples.
  public let logLoss: Double?

  /// Measures logits.
  ///
  /// - Parameters:
  ///   - logits: the logarithms of the odds of a click.
  ///   - labels: whether each example was clicked.
  ///   - users: whom each example was shown to; empty if that is not known.
  /// - Precondition: there are as many labels as logits, and as many users or none; no logit is NaN.
  public init(logits: [Float], labels: [Bool], users: [Int32] = []) {
    precondition(
      labels.count == logits.count && (users.isEmpty || users.count == logits.count),
      "ClickMetrics: \(logits.count) logits, \(labels.count) labels, \(users.count) users")
    precondition(!logits.contains { $0.isNaN }, "ClickMetrics: a logit is NaN")
    auc = Self.area(logits, labels, rows: Array(logits.indices))?.value
    var rowsOfUser: [Int32: [Int]] = [:]
    for (row, user) in users.enumerated() { rowsOfUser[user, default: []].append(row) }
    var sum = 0.0
    var weight = 0
    for user in rowsOfUser.keys.sorted() {
      guard let area = Self.area(logits, labels, rows: rowsOfUser[user] ?? []) else { continue }
      sum += area.value * Double(area.clicks)
      weight += area.clicks
    }
    userAUC = weight > 0 ? sum / Double(weight) : nil
    let losses = zip(logits, labels).reduce(0.0) { total, example in
      let x = example.1 ? -Double(example.0) : Double(example.0)
      return total + max(x, 0) + log1p(exp(-abs(x)))
    }
    logLoss = logits.isEmpty ? nil : losses / Double(logits.count)
  }

  /// The area under the curve of some rows and the clicks among them; `nil` unless there are rows of both kinds.
  private static func area(
    _ logits: [Float], _ labels: [Bool], rows: [Int]
  ) -> (value: Double, clicks: Int)? {
    let clicked = rows.filter { labels[$0] }.map { logits[$0] }.sorted()
    guard !clicked.isEmpty, clicked.count < rows.count else { return nil }
    var counts = PairCounts()
    for row in rows { counts.add(logits[row], against: clicked) }
    return counts.area(relevant: clicked.count).map { ($0, clicked.count) }
  }
}
