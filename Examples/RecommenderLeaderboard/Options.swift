import Foundation
import Trestle

/// What the command line asks for.
struct Options {
  var data: URL?
  var assets: URL
  var models = ModelKind.allCases
  var split = SplitStrategy.ratio()
  var seeds = 1
  var json: URL?
  var epochs = 500
  var patience: Int?
  var share = 1.0
  var checkpoints: URL?
  var threads: Int?
  var scale: Int?
  var showsHelp = false

  static let help = """
    Trains recommenders on one data set and prints a leaderboard.

    usage: recommender-leaderboard [--data DIR] [--models A,B] [--split NAME] [--seeds N] [--json FILE] …

      --data DIR         RecBole's atomic files, MovieLens' own files, Amazon reviews (reviews.jsonl and perhaps
                         meta.jsonl) or interactions.csv with the columns user_id, item_id and perhaps timestamp
                         (default: MovieLens-100K among the assets if it is there, else a synthetic world)
      --models A,B       \(ModelKind.allCases.map(\.rawValue).joined(separator: ", "))
                         (default: all)
      --split NAME       ratio (8:1:1 per user), leave-one-out or time (default: ratio)
      --seeds N          runs with the seeds 0 to N − 1, each with a split of its own where splits are random (default: 1)
      --json FILE        writes a line of JSON per model, seed, slice and measure
      --epochs N         the most epochs of a training (default: 500; early stopping ends it before)
      --patience N       epochs without improvement that end a training (default: 20)
      --share X          trains on this share of each user's training rows, at least one (default: 1)
      --checkpoints DIR  saves trainings after every epoch, and goes on with those that were stopped
      --assets DIR       the folder that Scripts/fetch-assets fills (default: TRESTLE_ASSETS, or .assets)
      --threads N        threads that take part (default: the number of cores, or TRESTLE_THREADS)
      --scale N          instead of all that: a synthetic world of N interactions, one epoch of MF-BPR and LightGCN,
                         and the evaluation of 10,000 users, with times and peak memory
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
      func number<Number: LosslessStringConvertible & Comparable>(_ range: ClosedRange<Number>) throws
        -> Number
      {
        let text = try value()
        guard let number = Number(text), range.contains(number) else {
          throw Invalid(
            description:
              "\(option) needs a number from \(range.lowerBound) to \(range.upperBound), not '\(text)'")
        }
        return number
      }
      switch option {
      case "--data": data = URL(fileURLWithPath: try value())
      case "--assets": assets = URL(fileURLWithPath: try value())
      case "--models": models = try Self.models(value())
      case "--split": split = try Self.split(value())
      case "--seeds": seeds = try number(1...1000)
      case "--json": json = URL(fileURLWithPath: try value())
      case "--epochs": epochs = try number(1...100_000)
      case "--patience": patience = try number(1...100_000)
      case "--share": share = try number(0.0...1.0)
      case "--checkpoints": checkpoints = URL(fileURLWithPath: try value())
      case "--threads": threads = try number(1...1024)
      case "--scale": scale = try number(1000...1_000_000_000)
      case "--help", "-h": showsHelp = true
      default: throw Invalid(description: "unknown option '\(option)'; see --help")
      }
    }
  }

  private static func models(_ text: String) throws -> [ModelKind] {
    try text.split(separator: ",").map { name in
      guard let kind = ModelKind.allCases.first(where: { $0.rawValue.lowercased() == name.lowercased() })
      else {
        throw Invalid(
          description: "unknown model '\(name)'; there are "
            + ModelKind.allCases.map(\.rawValue).joined(separator: ", "))
      }
      return kind
    }
  }

  private static func split(_ text: String) throws -> SplitStrategy {
    switch text {
    case "ratio": .ratio()
    case "leave-one-out": .leaveOneOut
    case "time": .globalTime()
    default: throw Invalid(description: "unknown split '\(text)'; there are ratio, leave-one-out and time")
    }
  }
}
