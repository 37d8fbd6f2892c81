/// One thing to time.
struct Case {
  /// The work behind a rate.
  enum Work {
    /// Floating-point operations of one call.
    case operations(Double)
    /// Bytes that one call has to move.
    case bytes(Double)
    /// Calls in a chain, of which the time of one is reported.
    case chain(Int)
  }

  let name: String
  let shape: String
  let work: Work
  /// Calls in a timed repetition, so that short ones can be timed.
  var calls = 1
  /// Makes the inputs and returns what is timed.
  let prepare: () -> () -> Void
}

/// The time of a case.
struct Result {
  let name: String
  let shape: String
  let milliseconds: Double
  let rate: Double
  let unit: String
  /// The difference of the third and first quartile, as a share of the median.
  let spread: Double

  init(_ item: Case, seconds: [Double]) {
    let sorted = seconds.sorted()
    func quantile(_ q: Double) -> Double {
      let position = q * Double(sorted.count - 1)
      let low = Int(position)
      let high = min(low + 1, sorted.count - 1)
      return sorted[low] + (sorted[high] - sorted[low]) * (position - Double(low))
    }
    let median = quantile(0.5)
    name = item.name
    shape = item.shape
    milliseconds = median * 1e3
    spread = (quantile(0.75) - quantile(0.25)) / median
    switch item.work {
    case .operations(let count): (rate, unit) = (count / median / 1e9, "GFLOP/s")
    case .bytes(let count): (rate, unit) = (count / median / 1e9, "GB/s")
    case .chain(let count): (rate, unit) = (median * 1e9 / Double(count), "ns")
    }
  }

  /// The rate as a share of what the machine can do at most; `nil` for times.
  func share(of machine: Machine) -> Double? {
    switch unit {
    case "GFLOP/s": rate / machine.peakGigaflops
    case "GB/s": rate / machine.bandwidth
    default: nil
    }
  }
}
