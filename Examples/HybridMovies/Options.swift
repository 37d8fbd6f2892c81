import Foundation
import Trestle
import TrestleCommand

/// What the command line asks for.
struct Options: ProgramCommand {
  enum Command: Equatable {
    case run
    case recommend(user: String?, titles: [String])
    case table
  }

  var isQuick = false
  var minutes = 12
  var isFull = false
  var seed: UInt64 = 0
  var resumes = false
  var writer = HybridJob.Writer.languageModel
  var output = URL(filePath: "hybrid-movies-output")
  var results = URL(filePath: "Documentation/Results")
  var data: URL?
  var noun: String?
  var model: URL?
  var assets: URL?
  var isSynthetic = false
  /// Of the full protocol: only these variants, and at most this many runs.
  var variants: [String]?
  var maximumRuns: Int?
  var count = 10

  /// The word after the program's name.
  enum Word: String, CaseIterable { case run, recommend, table }

  static let name = "hybrid-movies"
  static let summary =
    "A language model and a recommender that teach each other, on MovieLens-100K with SmolLM2-135M."
  static var options: [CommandOption<Self>] {
    [
      .choice(
        "COMMAND", "COMMAND",
        "run trains, compares and writes a report (at most twelve minutes); recommend asks the trained hybrid; table writes "
          + "Documentation/Results.md from the finished runs of --full, and the README's table from a kept results.json",
        \.word),
      .flag("--quick", "the shortest training, whatever the machine can do", \.isQuick),
      .number(
        "--minutes", "N", in: 1...1440,
        "how long a seed may take (12): the machine is measured first, and the longest training chosen that fits",
        \.minutes),
      .flag(
        "--full",
        "the whole protocol: every variant, share of the training data and seed as a run of its own; finished runs are "
          + "kept on a line of a file each, and skipped the next time", \.isFull),
      .list("--variants", "A,B", "of --full, only these variants", \.variants),
      .list(
        "--shares", "X,Y", "of --full, only these shares of the training data, such as 1,0.2", \.shareWords),
      .number("--runs", "N", in: 1...Int.max, "of --full, at most N runs now", \.maximumRuns),
      .number("--seed", "N", in: 0...UInt64.max, "the first seed", \.seed),
      .number(
        "--seeds", "N", in: 1...1000, "how many seeds, one after the other (1; with --full 5)", \.seedCount),
      .choice(
        "--writer", "NAME",
        "who reads known items' texts for the store: language-model, or sentence-encoder (MiniLM, a baseline)",
        \.writer),
      .flag("--resume", "continues an interrupted run", \.resumes),
      .file("--output", "DIR", "the folder of the results", \.output),
      .file("--data", "DIR", "a folder of RecBole's atomic files instead of MovieLens-100K", \.data),
      .text("--noun", "WORD", "what the items of --data are called, in front of each text: Book", \.noun),
      .file("--model", "PATH", "a GGUF file or a Hugging Face folder instead of SmolLM2-135M", \.model),
      .file("--assets", "DIR", "where fetched data and weights lie", \.assets),
      .flag(
        "--synthetic", "the built-in world and a small language model trained on its texts; needs no files",
        \.isSynthetic),
      .text("--user", "ID", "of recommend: a user of the data set", \.user),
      .texts("--title", "TEXT", "of recommend: what someone new likes", \.titles),
      .number("--count", "N", in: 1...100_000, "of recommend: how many items", \.count),
    ]
  }

  private var word = Word.run
  private var shareWords: [String]?
  private var seedCount: Int?
  private var user: String?
  private var titles: [String] = []

  /// Of the full protocol: only these shares.
  var shares: [Double]? { shareWords.map { $0.compactMap { Double($0) } } }
  /// How many seeds, one after the other.
  var seeds: Int {
    get { seedCount ?? (isFull ? 5 : 1) }
    set { seedCount = newValue }
  }

  /// What is to be done.
  var command: Command {
    switch word {
    case .run: .run
    case .recommend: .recommend(user: user, titles: titles)
    case .table: .table
    }
  }

  func run() throws {
    guard (shares ?? [1]).allSatisfy({ $0 > 0 && $0 <= 1 }), shares?.count == shareWords?.count else {
      throw UsageError(
        "--shares: expected numbers above 0, at most 1, found '\(shareWords?.joined(separator: ",") ?? "")'")
    }
    if case .recommend = command, (user == nil) == titles.isEmpty {
      throw UsageError("recommend needs either --user ID or one or more --title \"…\"")
    }
    try HybridMovies.run(self)
  }
}
