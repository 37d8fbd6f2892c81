import TrestleTensor

/// What the command line asks for.
struct Options {
  var jsonPath: String?
  var filter: String?
  var threads: Int?
  var instructionSet: InstructionSet?
  var repeats = 9
  var showsHelp = false

  static let help = """
    Times the operations of TrestleTensor.

    usage: kernel-benchmarks [--filter TEXT] [--json FILE] [--threads N] [--isa NAME] [--repeats N]

      --filter TEXT   only the cases whose name contains TEXT
      --json FILE     also writes the rows to FILE, one JSON object a line
      --threads N     threads that take part (default: the number of cores, or TRESTLE_THREADS)
      --isa NAME      \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))
                      (default: the best of this machine, or TRESTLE_ISA)
      --repeats N     timed repetitions of each case (default: 9); the median is reported
    """

  struct Invalid: Error, CustomStringConvertible {
    let description: String
  }

  init(_ arguments: some Sequence<String>) throws {
    var rest = Array(arguments)[...]
    while let option = rest.popFirst() {
      func value() throws -> String {
        guard let value = rest.popFirst() else { throw Invalid(description: "\(option) needs a value") }
        return value
      }
      func count() throws -> Int {
        let text = try value()
        guard let count = Int(text), count > 0 else {
          throw Invalid(description: "\(option) needs a positive number, not '\(text)'")
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
          throw Invalid(description: "unknown instruction set '\(name)'")
        }
        instructionSet = set
      case "--help", "-h": showsHelp = true
      default: throw Invalid(description: "unknown option '\(option)'; see --help")
      }
    }
  }
}
