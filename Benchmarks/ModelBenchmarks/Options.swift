import Foundation
import Trestle

/// What the command line asks for.
struct Options {
  var jsonPath: String?
  var filter: String?
  var threads: Int?
  var instructionSet: InstructionSet?
  var repeats = 9
  var assets: URL
  var showsHelp = false

  static let help = """
    Times language models and recommenders.

    usage: model-benchmarks [--filter TEXT] [--json FILE] [--threads N] [--isa NAME] [--repeats N] [--assets DIR]

      --filter TEXT   only the cases whose name contains TEXT
      --json FILE     also writes the rows to FILE, one JSON object a line
      --threads N     threads that take part (default: the number of cores, or TRESTLE_THREADS)
      --isa NAME      \(InstructionSet.allCases.map(\.rawValue).joined(separator: ", "))
                      (default: the best of this machine, or TRESTLE_ISA)
      --repeats N     timed repetitions of each case (default: 9); the median is reported
      --assets DIR    the folder that Scripts/fetch-assets fills (default: TRESTLE_ASSETS, or .assets)
    """

  struct Invalid: Error, CustomStringConvertible {
    let description: String
  }

  init(_ arguments: some Sequence<String>) throws {
    let environment = ProcessInfo.processInfo.environment
    assets = URL(fileURLWithPath: environment["TRESTLE_ASSETS"] ?? ".assets")
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
      case "--assets": assets = URL(fileURLWithPath: try value())
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
