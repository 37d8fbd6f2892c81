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

extension Case {
  /// What is reported of the time of one call.
  func rate(seconds: Double) -> (rate: Double, unit: String) {
    switch work {
    case .operations(let count): (count / seconds / 1e9, "GFLOP/s")
    case .bytes(let count): (count / seconds / 1e9, "GB/s")
    case .chain(let count): (seconds * 1e9 / Double(count), "ns")
    }
  }
}
