import Foundation
import TrestleTensor

/// The table on standard output, and the same as JSON.
package struct Report {
  private let options: Options
  private let machine: Machine
  private let threads = ThreadPool.shared.threadCount
  private var lines: [Data] = []

  /// Measures the machine and prints the heading.
  package init(_ options: Options) {
    self.options = options
    machine = Machine()
    print(
      """
      \(machine.name), \(machine.cores) cores; \(InstructionSet.current.rawValue), \(threads) threads; \
      release build of \(machine.revision)
      peak \(Self.text(machine.peakGigaflops)) GFLOP/s in float32, memory \(Self.text(machine.bandwidth)) GB/s

      """)
    Self.printRow("case", "shape", "ms", "spread", "rate", "", "of limit")
  }

  /// Adds the row of a case, and prints it.
  ///
  /// - Parameters:
  ///   - name: the case's name.
  ///   - shape: what was computed on.
  ///   - timing: how long it took.
  ///   - rate: what is reported, in `unit`; GFLOP/s and GB/s are set beside the machine's limits.
  ///   - unit: the rate's unit.
  ///   - arithmetic: in what products were computed, where there was a choice.
  package mutating func add(
    _ name: String, shape: String, _ timing: Timing, rate: Double, unit: String, arithmetic: Arithmetic? = nil
  ) throws {
    let share: Double? =
      switch unit {
      case "GFLOP/s": rate / machine.peakGigaflops
      case "GB/s": rate / machine.bandwidth
      default: nil
      }
    Self.printRow(
      name, shape, Self.text(timing.median * 1e3), String(format: "%.0f %%", timing.spread * 100),
      Self.text(rate), unit, share.map { String(format: "%.0f %%", $0 * 100) } ?? "")
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    lines.append(
      try encoder.encode(
        Row(
          case: name, shape: shape, ms: timing.median * 1e3, ms_low: timing.low * 1e3,
          ms_high: timing.high * 1e3,
          rate: rate, unit: unit, share: share, arithmetic: arithmetic?.rawValue, threads: threads,
          isa: InstructionSet.current.rawValue, machine: machine.name, revision: machine.revision)))
  }

  /// Says why a case was not timed.
  package func leaveOut(_ name: String, shape: String, because reason: String) {
    Self.printRow(name, shape, "–", "", "", "left out: " + reason, "")
  }

  /// Writes the JSON file, if one was asked for.
  package func finish() throws {
    guard let url = options.json else { return }
    try Data(lines.map { $0 + Data("\n".utf8) }.joined()).write(to: url)
  }

  private static func text(_ number: Double) -> String {
    String(format: abs(number) < 1 ? "%.4f" : abs(number) < 10 ? "%.3f" : "%.1f", number)
  }

  private static func printRow(_ columns: String...) {
    let widths = [26, 28, 10, 8, 10, 8, 9]
    let cells = zip(columns, widths).enumerated().map { index, column in
      let padding = String(repeating: " ", count: max(0, column.1 - column.0.count))
      let isLeft = index < 2 || index == 5
      return isLeft ? column.0 + padding : padding + column.0
    }
    print(cells.joined(separator: " "))
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
    let share: Double?
    let arithmetic: String?
    let threads: Int
    let isa: String
    let machine: String
    let configuration = "release"
    let revision: String
  }
}

/// The seconds that a case took: the median of its repetitions, and the quartiles.
package struct Timing {
  package let median: Double
  package let low: Double
  package let high: Double
  /// The distance of the quartiles, relative to the median.
  package var spread: Double { (high - low) / median }

  /// Runs `body` `warmups` times, and then `repeats` times on the clock.
  ///
  /// - Parameter calls: runs within one repetition, so that short ones can be timed.
  package init(warmups: Int = 2, repeats: Int, calls: Int = 1, _ body: () throws -> Void) rethrows {
    func once() throws -> Double {
      let start = DispatchTime.now().uptimeNanoseconds
      for _ in 0..<calls { try body() }
      return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 / Double(calls)
    }
    for _ in 0..<warmups { _ = try once() }
    let sorted = try (0..<repeats).map { _ in try once() }.sorted()
    func quantile(_ q: Double) -> Double {
      let position = q * Double(sorted.count - 1)
      let low = Int(position)
      let high = min(low + 1, sorted.count - 1)
      return sorted[low] + (sorted[high] - sorted[low]) * (position - Double(low))
    }
    (median, low, high) = (quantile(0.5), quantile(0.25), quantile(0.75))
  }
}
