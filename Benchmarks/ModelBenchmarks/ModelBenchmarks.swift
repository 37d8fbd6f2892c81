import Foundation
import Trestle

/// Runs the benchmarks and reports them.
struct ModelBenchmarks {
  private let options: Options

  init(_ options: Options) { self.options = options }

  func run(_ all: [ModelBenchmark]) throws {
    if let threads = options.threads { ThreadPool.shared.setThreadCount(threads) }
    if let set = options.instructionSet { try InstructionSet.select(set) }
    let benchmarks = all.filter { item in options.filter.map { item.name.contains($0) } ?? true }
    guard !benchmarks.isEmpty else {
      throw Options.Invalid(description: "no case's name contains '\(options.filter ?? "")'")
    }
    let machine = Machine()
    let threads = ThreadPool.shared.threadCount
    print(
      """
      \(machine.name), \(machine.cores) cores; \(InstructionSet.current.rawValue), \(threads) threads; \
      release build of \(machine.revision)
      products reach \(text(machine.productGigaflops)) GFLOP/s in float32, memory \(text(machine.bandwidth)) GB/s

      """)
    print(row("case", "shape", "ms", "spread", "rate", ""))
    var rows: [Row] = []
    for item in benchmarks {
      guard let result = try item.run(assets: options.assets, repeats: options.repeats) else {
        print(row(item.name, item.shape, "–", "", "", "left out: files are missing"))
        continue
      }
      let spread = (result.high - result.low) / result.median * 100
      print(
        row(
          item.name, item.shape, text(result.median * 1e3), text(spread) + " %", text(result.rate),
          result.unit))
      rows.append(
        Row(
          case: item.name, shape: item.shape, ms: result.median * 1e3, ms_low: result.low * 1e3,
          ms_high: result.high * 1e3, rate: result.rate, unit: result.unit, threads: threads,
          isa: InstructionSet.current.rawValue, machine: machine.name, revision: machine.revision))
    }
    guard let path = options.jsonPath else { return }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let lines = try rows.map { try encoder.encode($0) + Data("\n".utf8) }
    try Data(lines.joined()).write(to: URL(fileURLWithPath: path))
  }

  private func text(_ number: Double) -> String {
    String(format: abs(number) < 1 ? "%.4f" : abs(number) < 10 ? "%.3f" : "%.1f", number)
  }

  private func row(_ columns: String...) -> String {
    let widths = [26, 28, 10, 8, 10, 8]
    return zip(columns, widths).enumerated().map { index, column in
      let padding = String(repeating: " ", count: max(0, column.1 - column.0.count))
      return index < 2 || index == 5 ? column.0 + padding : padding + column.0
    }.joined(separator: " ")
  }

  /// A row of the results file; the names are those of the peers' rows.
  private struct Row: Encodable {
    let `case`: String
    let shape: String
    let ms: Double
    let ms_low: Double
    let ms_high: Double
    let rate: Double
    let unit: String
    let threads: Int
    let isa: String
    let machine: String
    let configuration = "release"
    let revision: String
  }
}
