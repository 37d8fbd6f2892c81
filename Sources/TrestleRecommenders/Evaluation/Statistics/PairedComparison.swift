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
    try self.init(candidate, over: baseline, metric: metric.name, on: slice, seed: seed)
  }

  /// Compares runs by the measure with a name, such as a ``CustomRankingMetric``, as the comparison by a ``RankingMetric`` does.
  /// Users for whom it is not defined do not count.
  ///
  /// - Parameters:
  ///   - candidate: the results of the candidate's runs.
  ///   - baseline: the results of the baseline's runs.
  ///   - metric: the name of a measure with values per user.
  ///   - slice: the test items that count.
  ///   - seed: the seed of the bootstrap.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if a side has no run, a run lacks the
  ///   measure or slice, or the runs are of different splits or users.
  public init(
    _ candidate: [EvaluationResult], over baseline: [EvaluationResult], metric: String,
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
        guard let own = run.slice(slice), let other = first.slice(slice) else { return false }
        return own.users == other.users && own.perUser[metric] != nil
          && own.usersWithoutValue?[metric] == other.usersWithoutValue?[metric]
      })
    else {
      throw invalid("\(metric) on \(slice.rawValue) for the same users in each run", "runs that differ")
    }
    let ours = Self.average(candidate, metric, slice)
    let theirs = Self.average(baseline, metric, slice)
    difference = .bootstrap(zip(ours, theirs).map { $0 - $1 }, seed: seed)
    studentT = PairedTests.studentT(ours, theirs)
    wilcoxon = PairedTests.wilcoxon(ours, theirs)
    let baselineMean = theirs.isEmpty ? 0 : theirs.reduce(0, +) / Double(theirs.count)
    relativeDifference = baselineMean == 0 ? nil : difference.mean / baselineMean
  }

  /// The mean over the runs for each user for whom the measure is defined.
  private static func average(_ runs: [EvaluationResult], _ metric: String, _ slice: ItemSlice) -> [Double] {
    var sums: [Double] = []
    for run in runs {
      let all = run.values(metric, on: slice)
      let values = run.slice(slice)?.places(metric).map { all[$0] } ?? []
      if sums.isEmpty { sums = [Double](repeating: 0, count: values.count) }
      for (index, value) in values.enumerated() { sums[index] += Double(value) }
    }
    return sums.map { $0 / Double(runs.count) }
  }
}
