import Foundation
import Trestle
import TrestleCommand

/// `trestle train`: from files to a saved recommender, measured on the way.
struct Train: ProgramCommand {
  static let name = "train"
  static let summary = "Trains a recommender on your files, measures it, and saves it as a folder."
  static var options: [CommandOption<Self>] {
    DataOptions.options.map { $0.part(\.data) } + [
      .choice("--domain", "MODEL", "the recommender", \.kind),
      .file("--output", "DIR", "where it is saved; an older one there is replaced in one step", \.output),
      .choice("--split", "NAME", "how a tenth is held out for choosing and a tenth for measuring", \.split),
      .number("--seed", "N", in: 0...UInt64.max, "where the split and random numbers come from", \.seed),
      .number(
        "--epochs", "N", in: 1...100_000, "the most epochs (the model's recommended number if absent)",
        \.epochs),
      .number(
        "--patience", "N", in: 1...100_000, "the epochs without improvement that end the training", \.patience
      ),
      .flag(
        "--no-refit", "keeps the model that was measured, instead of fitting it anew on all data",
        \.skipsRefit),
      .flag("--resume", "goes on where an interrupted training of the same options stopped", \.resumes),
      .number("--threads", "N", in: 1...1024, "how many threads take part (all cores if absent)", \.threads),
    ]
  }
  static let notes = """
    Example:
      trestle train --interactions loans.csv --items books.csv --output my-recommender
      trestle recommend --recommender my-recommender --likes "Emma" "Persuasion"
    """

  var data = DataOptions()
  var kind = ModelKind.lightGCN
  var output = URL(filePath: "trestle-output")
  var split = SplitChoice.ratio
  var seed: UInt64 = 0
  var epochs: Int?
  var patience: Int?
  var skipsRefit = false
  var resumes = false
  var threads: Int?

  func run() throws {
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    let checkpoint = URL(filePath: output.relativePath + ".training")
    if !resumes { try? FileManager.default.removeItem(at: checkpoint) }
    Interrupts.handle()
    let dataset = try data.read()
    let split = try dataset.interactions.split(self.split.strategy, seed: seed)
    say(
      "  split \(split.strategy): \(split.training.count) to train on, \(split.validation.count) to choose on, "
        + "\(split.test.count) to measure on")
    say("  \(kind.rawValue) \(kind.recommendation(for: split.training))")
    var options = FitOptions()
    (options.seed, options.epochs, options.patience, options.checkpoint) = (
      seed, epochs, patience, checkpoint
    )
    let fitting = Fitting(
      kind: kind, options: options,
      kept: "Everything so far is in \(checkpoint.relativePath); the same command with --resume goes on")
    var (model, seconds) = try fitting.fit(dataset, split)
    try measure(model, split, seconds, dataset)
    if Interrupts.isRequested { throw Interruption("stopped before fitting on all data. \(fitting.kept)") }
    if !skipsRefit {
      model = try fitting.refit(dataset, epochs: model.card.settings["epochs"].flatMap { Int($0) } ?? 1)
    }
    try model.save(to: output)
    try? FileManager.default.removeItem(at: checkpoint)
    say("  saved in \(output.relativePath)")
    let user = model.catalogue.userIDs[0]
    say("  Now try: trestle recommend --recommender \(output.relativePath) --user \(printable(user))")
  }

  /// Says how the model ranks the items held out, beside popularity.
  private func measure(_ model: FittedRecommender, _ split: DataSplit, _ seconds: Double, _ dataset: Dataset)
    throws
  {
    guard !split.test.isEmpty else { return say("  no interactions are left to measure on") }
    var table = Leaderboard(dataset: dataset.name)
    let evaluator = RankingEvaluator(split)
    let popularity = try evaluator.evaluate(Popularity(training: split.training).makeScorer())
    if kind != .popularity {
      table.add(
        model: kind.rawValue, seed: seed, result: try model.evaluate(on: split), trainingSeconds: seconds)
    }
    table.add(model: ModelKind.popularity.rawValue, seed: seed, result: popularity, trainingSeconds: 0)
    say("")
    say(table.table())
  }
}
