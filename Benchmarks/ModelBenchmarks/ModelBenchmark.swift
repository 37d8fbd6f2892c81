import Foundation

/// One thing to time.
struct ModelBenchmark {
  /// What is reported of the time of one run.
  enum Measure {
    /// The time itself, in seconds.
    case duration
    /// An amount of work by time: `rate(tokens, "tok/s")`.
    case rate(Double, String)
  }

  let name: String
  let shape: String
  let measure: Measure
  /// Runs before the first that counts.
  var warmups = 2
  /// Makes the inputs and returns what is timed; `nil` if the files that it needs are not there.
  ///
  /// - Parameter assets: the folder that `Scripts/fetch-assets` fills.
  let prepare: (_ assets: URL) throws -> (() throws -> Void)?

  /// The times of a benchmark.
  struct Result {
    let median: Double
    let low: Double
    let high: Double
    let rate: Double
    let unit: String

    init(seconds: [Double], _ measure: Measure) {
      let sorted = seconds.sorted()
      func quantile(_ q: Double) -> Double {
        let position = q * Double(sorted.count - 1)
        let low = Int(position)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (sorted[high] - sorted[low]) * (position - Double(low))
      }
      (median, low, high) = (quantile(0.5), quantile(0.25), quantile(0.75))
      switch measure {
      case .duration: (rate, unit) = (median, "s")
      case .rate(let amount, let unit): (rate, self.unit) = (amount / median, unit)
      }
    }
  }

  /// Times the benchmark; `nil` if its files are missing.
  func run(assets: URL, repeats: Int) throws -> Result? {
    guard let body = try prepare(assets) else { return nil }
    func once() throws -> Double {
      let start = DispatchTime.now().uptimeNanoseconds
      try body()
      return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }
    for _ in 0..<warmups { _ = try once() }
    return Result(seconds: try (0..<repeats).map { _ in try once() }, measure)
  }
}
