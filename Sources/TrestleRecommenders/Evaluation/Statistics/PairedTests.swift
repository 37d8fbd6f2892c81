import Foundation
import TrestleTensor

/// A mean with the interval that holds it at a given level of confidence.
public struct MeanInterval: Sendable, Codable, Equatable {
  /// The mean.
  public let mean: Double
  /// The lower end.
  public let lower: Double
  /// The upper end.
  public let upper: Double
  /// The number of values.
  public let count: Int

  /// Creates an interval.
  public init(mean: Double, lower: Double, upper: Double, count: Int) {
    self.mean = mean
    self.lower = lower
    self.upper = upper
    self.count = count
  }

  /// The mean of values (of several seeds, say) with Student's interval; without spread information, for fewer than
  /// two values, the interval is the mean alone. No values give a mean of 0.
  public static func student(_ values: [Double], level: Double = 0.95) -> MeanInterval {
    guard let spread = Moments(values) else {
      let mean = values.first ?? 0
      return MeanInterval(mean: mean, lower: mean, upper: mean, count: values.count)
    }
    let quantile = SpecialFunctions.studentQuantile(level: level, degreesOfFreedom: Double(values.count - 1))
    let half = quantile * spread.standardError
    return MeanInterval(
      mean: spread.mean, lower: spread.mean - half, upper: spread.mean + half, count: values.count)
  }

  /// The mean of values with the percentile bootstrap interval: the values are redrawn with repetition
  /// `resamples` times.
  public static func bootstrap(
    _ values: [Double], level: Double = 0.95, resamples: Int = 2000, seed: UInt64
  ) -> MeanInterval {
    guard values.count > 1, resamples > 0 else { return student(values, level: level) }
    var generator = RandomGenerator(seed: seed)
    var means = (0..<resamples).map { _ in
      var sum = 0.0
      for _ in values.indices { sum += values[generator.index(below: values.count)] }
      return sum / Double(values.count)
    }
    means.sort()
    let tail = (1 - level) / 2
    return MeanInterval(
      mean: values.reduce(0, +) / Double(values.count), lower: quantile(means, tail),
      upper: quantile(means, 1 - tail), count: values.count)
  }

  /// The quantile of ascending values, interpolated linearly between neighbours.
  private static func quantile(_ sorted: [Double], _ share: Double) -> Double {
    let place = share * Double(sorted.count - 1)
    let low = min(sorted.count - 1, max(0, Int(place)))
    let high = min(sorted.count - 1, low + 1)
    return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
  }
}

/// The outcome of a paired test.
public struct TestOutcome: Sendable, Codable, Equatable {
  /// The test's statistic: `t`, or Wilcoxon's smaller rank sum.
  public let statistic: Double
  /// The two-sided p-value.
  public let pValue: Double
  /// The number of pairs that took part.
  public let pairs: Int
}

/// Tests of whether paired values (the same users under two models) differ.
public enum PairedTests {
  /// Student's paired t-test, two-sided.
  ///
  /// `t = mean(d) / (s_d / √n)` with `n − 1` degrees of freedom. Fewer than two pairs, or differences that are all 0,
  /// give `t = 0`, `p = 1`; equal differences other than 0 give an infinite `t`, `p = 0`.
  ///
  /// - Precondition: as many first values as second ones.
  public static func studentT(_ first: [Double], _ second: [Double]) -> TestOutcome {
    let differences = differences(first, second)
    guard let moments = Moments(differences) else {
      return TestOutcome(statistic: 0, pValue: 1, pairs: differences.count)
    }
    if moments.standardError == 0 {
      return moments.mean == 0
        ? TestOutcome(statistic: 0, pValue: 1, pairs: differences.count)
        : TestOutcome(
          statistic: moments.mean > 0 ? .infinity : -.infinity, pValue: 0, pairs: differences.count)
    }
    let t = moments.mean / moments.standardError
    let p = SpecialFunctions.studentTwoSided(t, degreesOfFreedom: Double(differences.count - 1))
    return TestOutcome(statistic: t, pValue: p, pairs: differences.count)
  }

  /// Wilcoxon's signed-rank test, two-sided.
  ///
  /// Pairs without a difference are left out and tied sizes share their mean rank. Up to 50 pairs the p-value is
  /// exact (over all sign patterns of the ranks at hand); beyond it is normal with the tie correction and without a
  /// continuity correction. No pair left gives `p = 1`.
  ///
  /// - Precondition: as many first values as second ones.
  public static func wilcoxon(_ first: [Double], _ second: [Double]) -> TestOutcome {
    let differences = differences(first, second).filter { $0 != 0 }
    let count = differences.count
    guard count > 0 else { return TestOutcome(statistic: 0, pValue: 1, pairs: 0) }
    let order = differences.indices.sorted { abs(differences[$0]) < abs(differences[$1]) }
    // Ranks are kept doubled, so that means of ties stay integers.
    var doubledRanks = [Int](repeating: 0, count: count)
    var tieTerm = 0.0
    var start = 0
    while start < count {
      var end = start + 1
      while end < count, abs(differences[order[end]]) == abs(differences[order[start]]) { end += 1 }
      for place in start..<end { doubledRanks[order[place]] = start + 1 + end }
      let ties = Double(end - start)
      tieTerm += ties * ties * ties - ties
      start = end
    }
    let positive = differences.indices.filter { differences[$0] > 0 }.reduce(0) { $0 + doubledRanks[$1] }
    let smaller = min(positive, count * (count + 1) - positive)
    let n = Double(count)
    let pValue: Double
    if count <= 50 {
      pValue = exactTail(doubledRanks, upTo: smaller)
    } else {
      let variance = n * (n + 1) * (2 * n + 1) / 24 - tieTerm / 48
      pValue = SpecialFunctions.normalTwoSided(
        (Double(smaller) / 2 - n * (n + 1) / 4) / variance.squareRoot())
    }
    return TestOutcome(statistic: Double(smaller) / 2, pValue: min(1, pValue), pairs: count)
  }

  /// Holm's step-down correction: p-values adjusted so that the family-wise error holds, in the order given.
  public static func holm(_ pValues: [Double]) -> [Double] {
    var adjusted = pValues
    var largest = 0.0
    let order = pValues.indices.sorted { pValues[$0] < pValues[$1] }
    for (place, index) in order.enumerated() {
      largest = max(largest, min(1, Double(pValues.count - place) * pValues[index]))
      adjusted[index] = largest
    }
    return adjusted
  }

  private static func differences(_ first: [Double], _ second: [Double]) -> [Double] {
    precondition(
      first.count == second.count, "PairedTests: \(first.count) first values, \(second.count) second ones")
    return zip(first, second).map { $0 - $1 }
  }

  /// Twice the chance that random signs give a rank sum of at most `limit`.
  private static func exactTail(_ doubledRanks: [Int], upTo limit: Int) -> Double {
    var chances = [Double](repeating: 0, count: limit + 1)
    chances[0] = 1
    for rank in doubledRanks {
      for sum in stride(from: limit, through: 0, by: -1) {
        chances[sum] = 0.5 * (chances[sum] + (sum >= rank ? chances[sum - rank] : 0))
      }
    }
    return 2 * chances.reduce(0, +)
  }
}

/// The mean and its standard error; exists for two values or more.
private struct Moments {
  let mean: Double
  let standardError: Double

  init?(_ values: [Double]) {
    guard values.count > 1 else { return nil }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
    self.mean = mean
    standardError = (squares / (count - 1) / count).squareRoot()
  }
}
