import BenchmarkSupport
import Foundation
import Trestle

/// One thing to time.
struct ModelBenchmark {
  /// What is reported of the time of one run.
  enum Measure {
    /// The time itself, in seconds.
    case duration
    /// An amount of work by time: `rate(tokens, "tok/s")`.
    case rate(Double, String)
  }

  /// What the command line says about the models.
  struct Setting {
    /// The folder that `Scripts/fetch-assets` fills.
    var assets: URL
    /// In what cases compute that leave it open.
    var arithmetic = Arithmetic.float32
    /// The processes that take part.
    var communicator: any Communicator = SingleProcess()
  }

  let name: String
  let shape: String
  let measure: Measure
  /// Runs before the first that counts.
  var warmups = 2
  /// Runs that count, unless the command line says otherwise.
  var repeats = 9
  /// In what products are computed, for cases where there is a choice.
  var arithmetic: (@Sendable (Setting) -> Arithmetic)?
  /// Makes the inputs and returns what is timed; `nil` if the files that it needs are not there.
  let prepare: (Setting) throws -> (() throws -> Void)?

  /// What is reported of the time of one run.
  func rate(seconds: Double) -> (rate: Double, unit: String) {
    switch measure {
    case .duration: (seconds, "s")
    case .rate(let amount, let unit): (amount / seconds, unit)
    }
  }
}
