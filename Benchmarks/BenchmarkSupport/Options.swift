import TrestleTensor

/// What every benchmark's command line may ask for.
package struct Options {
  /// Where the rows are written as JSON.
  package private(set) var jsonPath: String?
  /// A part of the wanted cases' names.
  package private(set) var filter: String?
  package private(set) var showsHelp = false
  private(set) var threads: Int?
  private(set) var instructionSet: InstructionSet?
  private var repeats: Int?

  /// The options' lines of a help text.
  package static let help = """
      --filter TEXT   only the cases whose name contains TEXT
      --json FILE     also writes the rows to FILE, one JSON object a line
      --threads N     threads that take part (default: the number of cores, or TRESTLE_THREADS)
      --isa NAME      \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))
                      (default: the best of this machine, or TRESTLE_ISA)
      --repeats N     timed repetitions of each case (default: 9, fewer for long cases); the median is reported
    """

  /// A command line that makes no sense.
  package struct Invalid: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
  }

  /// Reads the arguments.
  ///
  /// - Parameter other: takes an option that is not among the common ones; false if it does not know it either.
  package init(
    _ arguments: some Sequence<String>,
    other: (_ option: String, _ value: () throws -> String) throws -> Bool = { _, _ in false }
  ) throws {
    var rest = Array(arguments)[...]
    while let option = rest.popFirst() {
      func value() throws -> String {
        guard let value = rest.popFirst() else { throw Invalid("\(option) needs a value") }
        return value
      }
      func count() throws -> Int {
        let text = try value()
        guard let count = Int(text), count > 0 else {
          throw Invalid("\(option) needs a positive number, not '\(text)'")
        }
        return count
      }
      switch option {
      case "--json": jsonPath = try value()
      case "--filter": filter = try value()
      case "--threads": threads = try count()
      case "--repeats": repeats = try count()
      case "--isa":
        let name = try value()
        guard let set = InstructionSet(rawValue: name) else {
          throw Invalid("unknown instruction set '\(name)'")
        }
        instructionSet = set
      case "--help", "-h": showsHelp = true
      default:
        guard try other(option, value) else { throw Invalid("unknown option '\(option)'; see --help") }
      }
    }
  }

  /// Sets the threads and the instruction set that were asked for.
  package func apply() throws {
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    if let instructionSet { try InstructionSet.select(instructionSet) }
  }

  /// Whether a case is wanted.
  package func wants(_ name: String) -> Bool { filter.map { name.contains($0) } ?? true }

  /// How often a case is timed that is timed `standard` times by default.
  package func repeats(standard: Int) -> Int { repeats ?? standard }
}
