import TrestleRecommenders
import TrestleTensor

/// How the scores of two models for the same labelled pairs compare, in AUC and in UAUC.
///
/// Pairs of one user hang together, so users are what is drawn: the difference in AUC has its interval and its p-value from
/// drawing users with repetition, that in UAUC from paired tests over the users who have pairs of both labels.
public struct AreaComparison: Sendable, Equatable {
  /// The difference in AUC over all pairs, candidate less baseline, with the interval of 95 % and the number of users.
  public let auc: MeanInterval
  /// Twice the smaller share of drawn differences on one side of 0, itself counted among them.
  public let aucPValue: Double
  /// The mean difference of the users' AUC, with its bootstrap interval and the number of users with pairs of both labels.
  public let uauc: MeanInterval
  /// The larger p-value of Student's paired test and Wilcoxon's signed-rank test over these users.
  public let uaucPValue: Double

  /// Compares scores.
  ///
  /// - Parameters:
  ///   - candidate: one score for each example.
  ///   - baseline: likewise.
  ///   - examples: the pairs with their labels.
  ///   - resamples: how often users are drawn.
  ///   - seed: determines the draws.
  /// - Returns: `nil` unless there are pairs of both labels.
  public init?(
    _ candidate: [Float], over baseline: [Float], _ examples: [PromptExample], resamples: Int = 2000,
    seed: UInt64 = 0
  ) {
    precondition(
      candidate.count == examples.count && baseline.count == examples.count && resamples > 0,
      "AreaComparison: \(candidate.count) and \(baseline.count) scores of \(examples.count) pairs")
    let users = Array(Set(examples.map(\.user))).sorted()
    let places = Dictionary(uniqueKeysWithValues: users.enumerated().map { ($1, $0) })
    let owners = examples.map { places[$0.user] ?? 0 }
    let (ours, theirs) = (Ranked(candidate, examples, owners), Ranked(baseline, examples, owners))
    func difference(_ weights: [Double]) -> Double? {
      guard let a = ours.area(weights), let b = theirs.area(weights) else { return nil }
      return a - b
    }
    guard let whole = difference([Double](repeating: 1, count: users.count)) else { return nil }
    var generator = RandomGenerator(seed: seed)
    var drawn: [Double] = []
    for _ in 0..<resamples {
      var weights = [Double](repeating: 0, count: users.count)
      for _ in users { weights[generator.index(below: users.count)] += 1 }
      if let value = difference(weights) { drawn.append(value) }
    }
    drawn.sort()
    let sides = (drawn.count { $0 <= 0 } + 1, drawn.count { $0 >= 0 } + 1)
    aucPValue = Swift.min(1, 2 * Double(Swift.min(sides.0, sides.1)) / Double(drawn.count + 1))
    func quantile(_ share: Double) -> Double {
      drawn.isEmpty ? whole : drawn[Int((share * Double(drawn.count - 1)).rounded())]
    }
    auc = MeanInterval(mean: whole, lower: quantile(0.025), upper: quantile(0.975), count: users.count)

    var (first, second): ([Double], [Double]) = ([], [])
    for (_, rows) in Dictionary(grouping: examples.indices, by: { examples[$0].user })
      .sorted(by: { $0.key < $1.key })
    {
      let own = rows.map { examples[$0] }
      guard let a = PromptSide.areas(rows.map { candidate[$0] }, own).auc,
        let b = PromptSide.areas(rows.map { baseline[$0] }, own).auc
      else { continue }
      first.append(a)
      second.append(b)
    }
    uauc = .bootstrap(zip(first, second).map { $0 - $1 }, resamples: resamples, seed: seed)
    uaucPValue = Swift.max(
      PairedTests.studentT(first, second).pValue, PairedTests.wilcoxon(first, second).pValue)
  }
}

/// Pairs in the order of a model's scores, from which areas under weights of users follow in one walk.
private struct Ranked {
  /// The place of each pair's user, its label, and whether its score is that of the pair before.
  private let order: [(user: Int, isLiked: Bool, isTied: Bool)]

  init(_ scores: [Float], _ examples: [PromptExample], _ owners: [Int]) {
    let sorted = scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }
    order = sorted.enumerated().map { place, row in
      (owners[row], examples[row].label > 0.5, place > 0 && scores[row] == scores[sorted[place - 1]])
    }
  }

  /// The area when each user's pairs count so often; `nil` if that leaves only one label.
  func area(_ weights: [Double]) -> Double? {
    var (wins, liked, others): (Double, Double, Double) = (0, 0, 0)
    // Of the present run of equal scores.
    var (tiedLiked, tiedOthers): (Double, Double) = (0, 0)
    func close() {
      wins += tiedLiked * (others + tiedOthers / 2)
      liked += tiedLiked
      others += tiedOthers
      (tiedLiked, tiedOthers) = (0, 0)
    }
    for (user, isLiked, isTied) in order {
      if !isTied { close() }
      if isLiked { tiedLiked += weights[user] } else { tiedOthers += weights[user] }
    }
    close()
    return liked > 0 && others > 0 ? wins / (liked * others) : nil
  }
}
