import Foundation

/// The distribution functions behind the tests.
enum SpecialFunctions {
  /// The regularised incomplete beta function `I_x(a, b)`, by its continued fraction (Lentz's method).
  static func incompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
    if x <= 0 { return 0 }
    if x >= 1 { return 1 }
    let front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x))
    // The fraction converges fast below the mean of the beta distribution; the mirror image serves above.
    if x < (a + 1) / (a + b + 2) { return front * betaFraction(x, a, b) / a }
    return 1 - front * betaFraction(1 - x, b, a) / b
  }

  /// `P(|T| ≥ |t|)` for Student's distribution.
  static func studentTwoSided(_ t: Double, degreesOfFreedom: Double) -> Double {
    if t.isInfinite { return 0 }
    return incompleteBeta(degreesOfFreedom / (degreesOfFreedom + t * t), degreesOfFreedom / 2, 0.5)
  }

  /// The `t` with `P(|T| ≤ t) = level` for Student's distribution, by bisection.
  static func studentQuantile(level: Double, degreesOfFreedom: Double) -> Double {
    var low = 0.0
    var high = 1.0
    while studentTwoSided(high, degreesOfFreedom: degreesOfFreedom) > 1 - level, high < 1e12 { high *= 2 }
    for _ in 0..<200 {
      let middle = (low + high) / 2
      if studentTwoSided(middle, degreesOfFreedom: degreesOfFreedom) > 1 - level {
        low = middle
      } else {
        high = middle
      }
    }
    return (low + high) / 2
  }

  /// `P(|Z| ≥ |z|)` for the standard normal distribution.
  static func normalTwoSided(_ z: Double) -> Double { erfc(abs(z) / 2.0.squareRoot()) }

  private static func betaFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
    let tiny = 1e-300
    var c = 1.0
    var d = 1 - (a + b) * x / (a + 1)
    d = 1 / (abs(d) < tiny ? tiny : d)
    var result = d
    for m in 1...1000 {
      let step = Double(m)
      for numerator in [
        step * (b - step) * x / ((a + 2 * step - 1) * (a + 2 * step)),
        -(a + step) * (a + b + step) * x / ((a + 2 * step) * (a + 2 * step + 1)),
      ] {
        d = 1 + numerator * d
        d = 1 / (abs(d) < tiny ? tiny : d)
        c = 1 + numerator / c
        if abs(c) < tiny { c = tiny }
        result *= d * c
      }
      if abs(d * c - 1) < 1e-15 { break }
    }
    return result
  }
}
