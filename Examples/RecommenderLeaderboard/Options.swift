import Foundation
import Trestle
import TrestleCommand

/// What the command line asks for.
struct Options: ProgramCommand {
  /// How the data is parted.
  enum Split: String, CaseIterable {
    case ratio, time
    case leaveOneOut = "leave-one-out"

    var strategy: SplitStrategy {
      switch self {
      case .ratio: .ratio()
      case .leaveOneOut: .leaveOneOut
      case .time: .globalTime()
      }
    }
  }

  static let name = "recommender-leaderboard"
  static let summary = "Trains recommenders on one data set and prints a leaderboard."
  static var options: [CommandOption<Self>] {
    [
      .file(
        "--data", "DIR",
        "RecBole's atomic files, MovieLens' own files, Amazon reviews (reviews.jsonl and perhaps meta.jsonl) or "
          + "interactions.csv (MovieLens-100K among the assets if absent, else a synthetic world)", \.data),
      .choices(
        "--models", "A,B", "the recommenders; all if absent, MF-BPR, iALS and LightGCN with --scale",
        \.models),
      .choice(
        "--split", "NAME", "8:1:1 per user, the last two items of each user, or one cut in time",
        \.splitChoice),
      .number(
        "--seeds", "N", in: 1...1000,
        "runs with the seeds 0 to N − 1, each with a split of its own where splits are random", \.seeds),
      .file("--json", "FILE", "writes a line of JSON per model, seed, slice and measure", \.json),
      .number(
        "--epochs", "N", in: 1...100_000, "the most epochs of a training; early stopping ends it before",
        \.epochs),
      .number(
        "--patience", "N", in: 1...100_000, "epochs without improvement that end a training", \.patience),
      .number(
        "--share", "X", in: 0...1, "trains on this share of each user's training rows, at least one", \.share),
      .file(
        "--checkpoints", "DIR", "saves trainings after every epoch, and goes on with those that were stopped",
        \.checkpoints),
      .file("--assets", "DIR", "the folder that Scripts/fetch-assets fills", \.assets),
      .number(
        "--threads", "N", in: 1...1024, "threads that take part (all cores, or TRESTLE_THREADS)", \.threads),
      .number(
        "--scale", "N", in: 1000...1_000_000_000,
        "instead of all that: a synthetic world of N interactions, one epoch of each model, and the evaluation "
          + "of 10,000 users by the last, with times and peak memory", \.scale),
      .flag(
        "--sharded",
        "--scale with ten interactions a user, and rows that are cut over the ranks of mpirun; as one process, beside models in "
          + "one piece", \.sharded),
      .number("--width", "N", in: 1...4096, "numbers a row for --scale", \.width),
      .flag(
        "--answers",
        "instead of a leaderboard: how long answers to single users take, exactly and by an index of the items, and what "
          + "the index misses; of the first of --models on the data, or of MF-BPR on --scale's world",
        \.answers),
    ]
  }

  var data: URL?
  var assets = Assets().folder
  var models = ModelKind.allCases
  var splitChoice = Split.ratio
  var seeds = 1
  var json: URL?
  var epochs = 500
  var patience: Int?
  var share = 1.0
  var checkpoints: URL?
  var threads: Int?
  var scale: Int?
  var sharded = false
  var width = 64
  var answers = false

  var split: SplitStrategy { splitChoice.strategy }

  func run() throws {
    guard !sharded || scale != nil else { throw UsageError("--sharded is for --scale N") }
    if sharded, let scale {
      return try ShardedScaleCheck(interactions: scale, dimension: width, threads: threads).run()
    }
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    if let scale {
      let models = models == ModelKind.allCases ? ScaleCheck.models : models
      if let other = models.first(where: { !ScaleCheck.models.contains($0) }) {
        let known = ScaleCheck.models.map(\.rawValue).joined(separator: ", ")
        throw UsageError("--models: expected names of \(known) with --scale, found '\(other.rawValue)'")
      }
      return try ScaleCheck(interactions: scale, models: models, dimension: width, answers: answers).run()
    }
    try LeaderboardRun(self).run()
  }
}
