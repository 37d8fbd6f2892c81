import BenchmarkSupport
import TrestleCommand
import TrestleTensor

/// Runs the cases and reports them.
struct KernelBenchmarks: ProgramCommand {
  static let name = "kernel-benchmarks"
  static let summary = "Times the operations of TrestleTensor."
  static var options: [CommandOption<Self>] { Options.options.map { $0.part(\.common) } }
  static let notes = """
    Example:
      kernel-benchmarks --filter matmul --filter softmax --json rows.jsonl
    """

  var common = Options()

  func run() throws {
    try common.apply()
    let cases = try common.wanted(Cases.all) { $0.name }
    var report = Report(common)
    for item in cases {
      let timing = Timing(repeats: common.repeats(standard: 9), calls: item.calls, item.prepare())
      let (rate, unit) = item.rate(seconds: timing.median)
      try report.add(item.name, shape: item.shape, timing, rate: rate, unit: unit)
    }
    try report.finish()
  }
}
