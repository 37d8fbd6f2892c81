import Foundation
import TrestleCommand
import TrestleTensor

/// What every benchmark's command line may ask for.
package struct Options {
  /// Where the rows are written as JSON.
  package var json: URL?
  /// Parts of the wanted cases' names; empty for all cases.
  package var filters: [String] = []
  var threads: Int?
  var instructionSet: String?
  var repeats: Int?

  /// The defaults.
  package init() {}

  /// The options, for a command that has them as a part.
  package static var options: [CommandOption<Options>] {
    let sets = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
    return [
      .texts("--filter", "TEXT", "only the cases whose name contains one of the texts", \.filters),
      .file("--json", "FILE", "also writes the rows to FILE, one JSON object a line", \.json),
      .number(
        "--threads", "N", in: 1...1024,
        "threads that take part (default: the number of cores, or TRESTLE_THREADS)", \.threads),
      .text(
        "--isa", "NAME", "\(sets) (default: the best of this machine, or TRESTLE_ISA)",
        \.instructionSet),
      .number(
        "--repeats", "N", in: 1...1_000_000,
        "timed repetitions of each case (default: 9, fewer for long cases); the median is reported",
        \.repeats),
    ]
  }

  /// Sets the threads and the instruction set that were asked for.
  ///
  /// - Throws: `UsageError` for an unknown instruction set, and what selecting it throws.
  package func apply() throws {
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    guard let instructionSet else { return }
    guard let set = InstructionSet(rawValue: instructionSet) else {
      let names = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("--isa: expected one of \(names), found '\(instructionSet)'")
    }
    try InstructionSet.select(set)
  }

  /// The cases that are wanted of those there are.
  ///
  /// - Throws: `UsageError` if there are none.
  package func wanted<Case>(_ cases: [Case], name: (Case) -> String) throws(UsageError) -> [Case] {
    let wanted = cases.filter { item in filters.isEmpty || filters.contains { name(item).contains($0) } }
    guard !wanted.isEmpty else {
      throw UsageError("no case's name contains '\(filters.joined(separator: "' or '"))'")
    }
    return wanted
  }

  /// How often a case is timed that is timed `standard` times by default.
  package func repeats(standard: Int) -> Int { repeats ?? standard }
}
