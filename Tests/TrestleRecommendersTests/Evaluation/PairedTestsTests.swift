import Foundation
import Testing
import TrestleRecommenders

/// Expected values are SciPy 1.17.1's (`ttest_rel`, `wilcoxon`, `t.ppf`).
@Suite struct PairedTestsTests {
  static let first = [0.9, 0.4, 0.35, 0.8, 0.55, 0.6, 0.2, 0.75]
  static let second = [0.7, 0.45, 0.3, 0.5, 0.5, 0.35, 0.28, 0.6]
  static let long = (0..<80).map { Double(($0 * 37) % 101) / 100 }
  static let other = (0..<80).map { Double(($0 * 53 + 11) % 97) / 100 }

  private func close(_ value: Double, _ expected: Double, _ tolerance: Double = 1e-10) -> Bool {
    abs(value - expected) <= tolerance * max(1, abs(expected))
  }

  @Test func studentsTestEqualsSciPy() {
    let small = PairedTests.studentT(Self.first, Self.second)
    #expect(close(small.statistic, 2.2207797297818614) && close(small.pValue, 0.06180609652192784))
    let large = PairedTests.studentT(Self.long, Self.other)
    #expect(close(large.statistic, 0.4716068883020274) && close(large.pValue, 0.6385073262421999))
    #expect(large.pairs == 80)
  }

  @Test func exactWilcoxonEqualsSciPy() {
    let differences: [Double] = [1, -2, 3, 4, -5, 6, 7, 8, 9, 10, 11]
    let distinct = PairedTests.wilcoxon(differences, differences.map { _ in 0 })
    #expect(distinct.statistic == 7 && close(distinct.pValue, 0.0185546875))
    // With ties, against SciPy's test over all permutations of signs.
    let tied = PairedTests.wilcoxon([1, -2, 2, 3, -1, 4, 5, 5], [Double](repeating: 0, count: 8))
    #expect(tied.statistic == 5 && close(tied.pValue, 0.0859375))
  }

  @Test func normalWilcoxonEqualsSciPy() {
    let outcome = PairedTests.wilcoxon(Self.long, Self.other)
    #expect(outcome.statistic == 1511.5 && close(outcome.pValue, 0.6027820963081381))
    func rounded(_ values: [Double]) -> [Double] { values.map { ($0 * 10).rounded(.toNearestOrEven) / 10 } }
    let zeros = PairedTests.wilcoxon(rounded(Self.long), rounded(Self.other))
    #expect(zeros.pairs == 72)
  }

  @Test func valuesWithoutDifferenceGiveNoEvidence() {
    #expect(PairedTests.studentT([1, 2], [1, 2]).pValue == 1)
    #expect(PairedTests.studentT([], []).pValue == 1)
    #expect(PairedTests.studentT([3], [1]).pValue == 1)
    #expect(PairedTests.studentT([2, 3], [1, 2]).pValue == 0)
    #expect(PairedTests.wilcoxon([1, 2], [1, 2]).pValue == 1)
    #expect(PairedTests.wilcoxon([], []).pValue == 1)
    #expect(PairedTests.wilcoxon([2], [1]).pValue == 1)
  }

  @Test func holmByHand() {
    // Ordered: .01·4, .02·3, .03·2, .04·1; each at least its predecessor.
    let adjusted = PairedTests.holm([0.04, 0.01, 0.03, 0.02])
    for (value, expected) in zip(adjusted, [0.06, 0.04, 0.06, 0.06]) { #expect(close(value, expected)) }
    #expect(PairedTests.holm([0.9, 0.8]) == [1, 1])
    #expect(PairedTests.holm([]).isEmpty)
  }

  @Test func studentsIntervalUsesItsQuantile() {
    // t.ppf(.975, 2) = 4.302652729749462; the standard error of 1, 2, 3 is 1/√3.
    let interval = MeanInterval.student([1, 2, 3])
    #expect(close(interval.upper - 2, 4.302652729749462 / 3.0.squareRoot(), 1e-9))
    #expect(interval.mean == 2 && interval.count == 3)
    #expect(MeanInterval.student([5]).lower == 5)
    #expect(MeanInterval.student([]).count == 0)
  }

  @Test func theBootstrapIsSeededAndCloseToStudent() {
    let once = MeanInterval.bootstrap(Self.long, seed: 1)
    #expect(once == MeanInterval.bootstrap(Self.long, seed: 1))
    #expect(once != MeanInterval.bootstrap(Self.long, seed: 2))
    let student = MeanInterval.student(Self.long)
    #expect(close(once.lower, student.lower, 0.02) && close(once.upper, student.upper, 0.02))
    #expect(MeanInterval.bootstrap([2], seed: 1).mean == 2)
  }

  @Test func comparisonAveragesSeedsAndPairsUsers() throws {
    let evaluator = RankingEvaluator(
      RankingEvaluatorTests.split, configuration: RankingEvaluatorTests.configuration([.mrr(6)]))
    let baseline = try evaluator.evaluate(RankingEvaluatorTests.untied)
    let better = try evaluator.evaluate(RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] })
    let comparison = try PairedComparison([better, baseline], over: [baseline], metric: .mrr(6))
    // Reciprocal ranks: user 0 has 1 in all runs, user 1 has 1 and ¼ against ¼.
    #expect(close(comparison.difference.mean, 0.1875))
    #expect(comparison.wilcoxon.pairs == 1)
    #expect(close(comparison.relativeDifference ?? 0, 0.1875 / 0.625))
    #expect(throws: DataError.self) { try PairedComparison([better], over: [], metric: .mrr(6)) }
    #expect(throws: DataError.self) { try PairedComparison([better], over: [baseline], metric: .hit(3)) }
  }
}
