/// How a candidate compares with a baseline, user by user, on one measure and slice.
public struct PairedComparison: Sendable, Codable {
  /// The mean difference, candidate minus baseline, with its bootstrap interval.
  public let difference: MeanInterval
  /// Student's paired test.
  public let studentT: TestOutcome
  /// Wilcoxon's signed-rank test.
  public let wilcoxon: TestOutcome
  /// The mean difference as a share of the baseline's mean, `nil` if that is 0.
  public let relativeDifference: Double?

  /// Compares runs of a candidate with runs of a baseline (one per seed) on the same split: each user's values are
  /// averaged over the runs, then paired.
  ///
  /// - Parameters:
  ///   - candidate: the results of the candidate's runs.
  ///   - baseline: the results of the baseline's runs.
  ///   - metric: a measure with values per user.
  ///   - slice: the test items that count.
  ///   - seed: the seed of the bootstrap.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if a side has no run, a run lacks the
  ///   measure or slice, or the runs are of different splits or users.
  public init(
    _ candidate: [EvaluationResult], over baseline: [EvaluationResult], metric: RankingMetric,
    on slice: ItemSlice = .all, seed: UInt64 = 0
  ) throws(DataError) {
    let runs = candidate + baseline
    func invalid(_ expected: String, _ found: String) -> DataError {
      .invalidParameter(operation: "PairedComparison", expected: expected, found: found)
    }
    guard let first = candidate.first, !baseline.isEmpty else {
      throw invalid("runs on both sides", "\(candidate.count) and \(baseline.count)")
    }
    guard runs.allSatisfy({ $0.splitHash == first.splitHash }) else {
      throw invalid("runs on one split", "\(Set(runs.map(\.splitHash)).count) splits")
    }
    guard runs.allSatisfy({ $0.candidates == first.candidates }) else {
      throw invalid("runs that rank the same candidates", "different ones")
    }
    guard
      runs.allSatisfy({ run in
        run.slice(slice).map { $0.users == first.slice(slice)?.users && $0.perUser[metric.name] != nil }
          ?? false
      })
    else {
      throw invalid("\(metric.name) on \(slice.rawValue) for the same users in each run", "runs that differ")
    }
    let ours = Self.average(candidate, metric, slice)
    let theirs = Self.average(baseline, metric, slice)
    difference = .bootstrap(zip(ours, theirs).map { $0 - $1 }, seed: seed)
    studentT = PairedTests.studentT(ours, theirs)
    wilcoxon = PairedTests.wilcoxon(ours, theirs)
    let baselineMean = theirs.isEmpty ? 0 : theirs.reduce(0, +) / Double(theirs.count)
    relativeDifference = baselineMean == 0 ? nil : difference.mean / baselineMean
  }

  private static func average(_ runs: [EvaluationResult], _ metric: RankingMetric, _ slice: ItemSlice)
    -> [Double]
  {
    var sums: [Double] = []
    for run in runs {
      let values = run.values(metric, on: slice)
      if sums.isEmpty { sums = [Double](repeating: 0, count: values.count) }
      for (index, value) in values.enumerated() { sums[index] += Double(value) }
    }
    return sums.map { $0 / Double(runs.count) }
  }
}
