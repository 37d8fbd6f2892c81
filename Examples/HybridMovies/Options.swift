import CommandLineOptions
import Foundation

/// What the command line asks for.
struct Options {
  enum Command: Equatable {
    case run
    case recommend(user: String?, titles: [String])
    case table
    case help
  }

  var command = Command.run
  var isQuick = false
  var isFull = false
  var seed: UInt64 = 0
  var seeds = 1
  var resumes = false
  var output = URL(filePath: "hybrid-movies-output")
  var results = URL(filePath: "Documentation/Results")
  var data: URL?
  var model: URL?
  var assets: URL?
  var isSynthetic = false
  /// Of the full protocol: only these variants and shares, and at most this many runs.
  var variants: [String]?
  var shares: [Double]?
  var maximumRuns: Int?
  var count = 10

  static let help = """
    hybrid-movies: a language model and a recommender that teach each other, on MovieLens-100K with SmolLM2-135M.

      hybrid-movies [options]                     trains, compares, and writes a report (about ten minutes)
      hybrid-movies recommend --user ID           what the trained hybrid recommends to a user of the data set
      hybrid-movies recommend --title "…" …       and to someone new who likes the titles given
      hybrid-movies table                         writes Documentation/Results.md from the finished runs of --full

    Options
      --quick            shorter training: about three minutes
      --full             the whole protocol: every variant, share of the training data and seed as a run of its own;
                         finished runs are kept as small files, and skipped the next time
      --variants A,B     of --full, only these variants   --shares 1,0.2,0.1   only these shares of the training data
      --runs N           of --full, at most N runs now
      --seed N           the first seed (0)             --seeds N       how many seeds, one after the other (1; --full: 5)
      --resume           continues an interrupted run   --output DIR    the folder of the results (hybrid-movies-output)
      --data DIR         a folder of RecBole's atomic files instead of MovieLens-100K
      --model PATH       a GGUF file or a Hugging Face folder instead of SmolLM2-135M
      --assets DIR       where fetched data and weights lie (.assets, or TRESTLE_ASSETS)
      --synthetic        the built-in world and a small language model trained on its texts; needs no files
      --count N          how many items to recommend (10)
      --help             this text
    """

  init(_ arguments: [String]) throws(UsageError) {
    var rest = arguments[...]
    var user: String?
    var titles: [String] = []
    if let first = rest.first, !first.hasPrefix("-") {
      rest = rest.dropFirst()
      switch first {
      case "recommend": command = .recommend(user: nil, titles: [])
      case "table": command = .table
      case "help": command = .help
      default: throw UsageError("unknown command '\(first)'; expected recommend, table or an option")
      }
    }
    func value(_ option: String) throws(UsageError) -> String {
      guard let value = rest.popFirst() else { throw UsageError("\(option) needs a value") }
      return value
    }
    func number<Number: LosslessStringConvertible & Comparable>(
      _ option: String, atLeast minimum: Number
    ) throws(UsageError) -> Number {
      let text = try value(option)
      guard let number = Number(text), number >= minimum else {
        throw UsageError("\(option): expected a number of at least \(minimum), found '\(text)'")
      }
      return number
    }
    while let option = rest.popFirst() {
      switch option {
      case "--quick": isQuick = true
      case "--full": isFull = true
      case "--resume": resumes = true
      case "--synthetic": isSynthetic = true
      case "--seed": seed = try number(option, atLeast: UInt64(0))
      case "--seeds": seeds = try number(option, atLeast: 1)
      case "--runs": maximumRuns = try number(option, atLeast: 1)
      case "--count": count = try number(option, atLeast: 1)
      case "--output": output = URL(filePath: try value(option))
      case "--data": data = URL(filePath: try value(option))
      case "--model": model = URL(filePath: try value(option))
      case "--assets": assets = URL(filePath: try value(option))
      case "--variants": variants = try value(option).split(separator: ",").map(String.init)
      case "--shares":
        let text = try value(option)
        let parts = text.split(separator: ",").map { Double($0) }
        guard !parts.isEmpty, parts.allSatisfy({ ($0 ?? 0) > 0 && ($0 ?? 2) <= 1 }) else {
          throw UsageError("--shares: expected numbers between 0 and 1, found '\(text)'")
        }
        shares = parts.compactMap { $0 }
      case "--user": user = try value(option)
      case "--title": titles.append(try value(option))
      case "--help", "-h": command = .help
      default: throw UsageError("unknown option '\(option)'; see hybrid-movies --help")
      }
    }
    if isFull && !arguments.contains("--seeds") { seeds = 5 }
    if case .recommend = command {
      guard (user == nil) != titles.isEmpty else {
        throw UsageError("recommend needs either --user ID or one or more --title \"…\"")
      }
      command = .recommend(user: user, titles: titles)
    }
  }
}
