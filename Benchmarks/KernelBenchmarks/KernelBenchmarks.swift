import BenchmarkSupport
import TrestleTensor

/// Runs the cases and reports them.
enum KernelBenchmarks {
  static let help = """
    Times the operations of TrestleTensor.

    usage: kernel-benchmarks [--filter TEXT] [--json FILE] [--threads N] [--isa NAME] [--repeats N]

    \(Options.help)
    """

  static func run(_ options: Options) throws {
    try options.apply()
    let cases = Cases.all.filter { options.wants($0.name) }
    guard !cases.isEmpty else { throw Options.Invalid("no case's name contains '\(options.filter ?? "")'") }
    var report = Report(options)
    for item in cases {
      let timing = Timing(repeats: options.repeats(standard: 9), calls: item.calls, item.prepare())
      let (rate, unit) = item.rate(seconds: timing.median)
      try report.add(item.name, shape: item.shape, timing, rate: rate, unit: unit)
    }
    try report.finish()
  }
}
