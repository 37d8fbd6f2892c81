import Foundation
import TrestleTensor

/// Runs the cases and reports them.
struct KernelBenchmarks {
  private let options: Options

  init(_ options: Options) { self.options = options }

  func run() throws {
    if let threads = options.threads { ThreadPool.shared.setThreadCount(threads) }
    if let set = options.instructionSet { try InstructionSet.select(set) }
    let cases = Cases.all.filter { item in options.filter.map { item.name.contains($0) } ?? true }
    guard !cases.isEmpty else {
      throw Options.Invalid(description: "no case's name contains '\(options.filter ?? "")'")
    }
    let machine = Machine()
    let threads = ThreadPool.shared.threadCount
    print(
      """
      \(machine.name), \(machine.cores) cores; \(InstructionSet.current.rawValue), \(threads) threads; \
      release build of \(machine.revision)
      peak \(text(machine.peakGigaflops, 1)) GFLOP/s in float32, memory \(text(machine.bandwidth, 1)) GB/s

      """)
    print(row("case", "shape", "ms", "spread", "rate", "", "of limit"))
    var lines: [Data] = []
    for item in cases {
      let result = Result(item, seconds: time(item))
      let share = result.share(of: machine).map { text($0 * 100, 0) + " %" } ?? ""
      print(
        row(
          result.name, result.shape, text(result.milliseconds, 3), text(result.spread * 100, 0) + " %",
          text(result.rate, 1), result.unit, share))
      lines.append(try json(result, machine, threads))
    }
    if let path = options.jsonPath {
      try Data(lines.joined(separator: Data("\n".utf8)) + Data("\n".utf8)).write(
        to: URL(fileURLWithPath: path))
    }
  }

  /// The seconds of a call in each repetition, after two that do not count.
  private func time(_ item: Case) -> [Double] {
    let body = item.prepare()
    func once() -> Double {
      let start = DispatchTime.now().uptimeNanoseconds
      for _ in 0..<item.calls { body() }
      return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 / Double(item.calls)
    }
    _ = (once(), once())
    return (0..<options.repeats).map { _ in once() }
  }

  private func text(_ number: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", number) }

  private func row(_ columns: String...) -> String {
    let widths = [26, 24, 10, 7, 10, 8, 9]
    return zip(columns, widths).enumerated().map { index, column in
      let padding = String(repeating: " ", count: max(0, column.1 - column.0.count))
      let isLeft = index < 2 || index == 5
      return isLeft ? column.0 + padding : padding + column.0
    }.joined(separator: " ")
  }

  private struct JSONRow: Encodable {
    let `case`: String
    let shape: String
    let ms: Double
    let rate: Double
    let unit: String
    let spread: Double
    let share: Double?
    let threads: Int
    let isa: String
    let machine: String
    let configuration = "release"
    let revision: String
  }

  private func json(_ result: Result, _ machine: Machine, _ threads: Int) throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(
      JSONRow(
        case: result.name, shape: result.shape, ms: result.milliseconds, rate: result.rate, unit: result.unit,
        spread: result.spread, share: result.share(of: machine), threads: threads,
        isa: InstructionSet.current.rawValue, machine: machine.name, revision: machine.revision))
  }
}
