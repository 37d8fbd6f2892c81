import Foundation
import FuzzTargets

/// Shares the inputs out among targets and their processes.
struct Campaign {
  private let options: Options
  private static let limitOfSignals = 20

  init(_ options: Options) { self.options = options }

  /// Runs all targets and prints a row for each.
  ///
  /// - Returns: whether nothing was found.
  func run() throws -> Bool {
    let names = options.targets.isEmpty ? FuzzTarget.all.map(\.name) : options.targets
    let each = options.inputs / max(names.count, 1)
    print(
      "target | inputs | accepted | refused | other errors | signals | over 1 s | over 64 MB + 20 × | slowest (s)"
    )
    var total = Tally()
    var signals = 0
    var inputs = 0
    for name in names {
      let (tally, crashes) = try run(name, each)
      let count = tally.accepted + tally.refused + tally.foreign + crashes
      print(
        "\(name) | \(count) | \(tally.accepted) | \(tally.refused) | \(tally.foreign) | \(crashes) | \(tally.slow) | "
          + "\(tally.large) | \((tally.slowest * 1000).rounded() / 1000)")
      total = total + tally
      signals += crashes
      inputs += count
    }
    print(
      "all | \(inputs) | \(total.accepted) | \(total.refused) | \(total.foreign) | \(signals) | \(total.slow) | "
        + "\(total.large) | \((total.slowest * 1000).rounded() / 1000)")
    return signals == 0 && total.foreign == 0 && total.slow == 0 && total.large == 0
  }

  private func run(_ name: String, _ count: Int) throws -> (Tally, signals: Int) {
    var (total, signals, next) = (Tally(), 0, 0)
    while next < count && signals < Self.limitOfSignals {
      let process = Process()
      process.executableURL = URL(filePath: CommandLine.arguments[0])
      process.arguments = ["--seed", "\(options.seed)", "--worker", name, "\(next)", "\(count - next)"]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      var text = ""
      while let data = try output.fileHandleForReading.read(upToCount: 1 << 16), !data.isEmpty {
        text += String(decoding: data, as: UTF8.self)
      }
      process.waitUntilExit()
      var (last, tally) = (next, Tally())
      for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        if ["at", "done"].contains(words.first), words.count == 8, let index = Int(words[1]) {
          last = index
          tally = Tally(Array(words.dropFirst(2))) ?? tally
        } else {
          print("  \(name): \(line)")
        }
      }
      if process.terminationReason == .uncaughtSignal || process.terminationStatus != 0 {
        // The signal came within the sixteen inputs from here: run one by one, they show which.
        print("  \(name): signal \(process.terminationStatus) at an input from \(last), seed \(options.seed)")
        signals += 1
        last += 16
      }
      total = total + tally
      next = max(last, next + 1)
    }
    return (total, signals)
  }
}
