import Foundation
import Trestle
import TrestleCommand

/// What the recommender is joined with.
enum BridgeChoice: String, CaseIterable {
  case none
  case bdlm = "BDLM"
}

/// `trestle train`: from files to a saved recommender, measured on the way.
struct Train: ProgramCommand {
  static let name = "train"
  static let summary = "Trains a recommender on your files, measures it, and saves it as a folder."
  static var options: [CommandOption<Self>] {
    DataOptions.options.map { $0.part(\.data) } + [
      .choice("--domain", "MODEL", "the recommender", \.kind),
      .file("--output", "DIR", "where it is saved; an older one there is replaced in one step", \.output),
      .choice(
        "--bridge", "NAME",
        "BDLM lets a language model read the items' texts in the recommender's terms: a hybrid is saved, which gives reasons and takes new items",
        \.bridge),
      .file(
        "--model", "PATH",
        "the bridge's language model: a GGUF file or a Hugging Face folder (SmolLM2 if absent)", \.model),
      .text("--noun", "WORD", "what the items are called, in front of each text: Movie, Book …", \.noun),
      .number(
        "--reading-epochs", "N", in: 0...1000,
        "the most epochs of the language model; 0 leaves it as it is", \.readingEpochs),
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
      .number(
        "--accumulate", "N", in: 1...100_000,
        "how many batches' gradients make a step (one of each rank if absent): the same result on 1 to N ranks",
        \.accumulation),
      .flag("--resume", "goes on where an interrupted training of the same options stopped", \.resumes),
      .number("--threads", "N", in: 1...1024, "how many threads take part (all cores if absent)", \.threads),
    ]
  }
  static let notes = """
    Example:
      trestle train --interactions loans.csv --items books.csv --output my-recommender
      trestle recommend --recommender my-recommender --likes "Emma" "Persuasion"
      trestle train --interactions loans.csv --items books.csv --bridge BDLM --noun Book --output my-hybrid
      mpirun -n 4 trestle train --interactions loans.csv --output my-recommender
    """

  var data = DataOptions()
  var kind = ModelKind.lightGCN
  var bridge = BridgeChoice.none
  var model: URL?
  var noun = ""
  var readingEpochs = 6
  var output = URL(filePath: "trestle-output")
  var split = SplitChoice.ratio
  var seed: UInt64 = 0
  var epochs: Int?
  var patience: Int?
  var accumulation: Int?
  var skipsRefit = false
  var resumes = false
  var threads: Int?

  func run() throws { try Ranks.run(threads: threads, train) }

  private func train(_ communicator: any Communicator) throws {
    let isFirst = communicator.rank == 0
    let languageModel = try bridgedModel()
    try SavedRecommender.checkDestination(output)
    let checkpoint = URL(filePath: output.relativePath + ".training")
    if !resumes && isFirst { try? FileManager.default.removeItem(at: checkpoint) }
    if resumes && !FileManager.default.fileExists(atPath: checkpoint.path) {
      say("  nothing to resume in \(checkpoint.relativePath): the training begins")
    }
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
    (options.communicator, options.accumulation) = (communicator, accumulation)
    let fitting = Fitting(
      kind: kind, options: options,
      kept: "Everything so far is in \(checkpoint.relativePath); the same command with --resume goes on")
    let reading = try languageModel.map {
      try tuned($0, dataset, communicator, checkpoint, fitting.kept)
    }
    var (model, seconds) = try fitting.fit(dataset, split)
    let measured = model
    if isFirst { try measure(measured, split, seconds, dataset, reading) }
    if try communicator.any(Interrupts.isRequested) {
      throw Interruption("stopped before fitting on all data. \(fitting.kept)")
    }
    if !skipsRefit {
      model = try fitting.refit(dataset, epochs: model.card.settings["epochs"].flatMap { Int($0) } ?? 1)
    }
    guard isFirst else { return }
    if let reading {
      let training = skipsRefit ? split.training : nil
      try reading.fit.hybrid(reading.tuned, measured: (measured, split), final: model, training: training)
        .save(to: output)
    } else {
      try model.save(to: output)
    }
    try? FileManager.default.removeItem(at: checkpoint)
    say("  saved in \(output.relativePath)")
    let user = model.catalogue.userIDs[0]
    say(
      "  Now try: trestle recommend --recommender \(output.relativePath) --user \(printable(user)) --reasons 2"
    )
  }

  private typealias Reading = (fit: HybridFit, tuned: TunedReading)

  /// The bridge's language model; `nil` without a bridge.
  private func bridgedModel() throws -> URL? {
    guard bridge != .none else {
      for (name, isGiven) in [("--model", model != nil), ("--noun", !noun.isEmpty)] where isGiven {
        throw UsageError("\(name) is for a language model that reads: add --bridge BDLM")
      }
      return nil
    }
    guard HybridFit.kinds.contains(kind) else {
      let names = HybridFit.kinds.map(\.name).joined(separator: ", ")
      throw UsageError(
        "--bridge \(bridge.rawValue) reads in the terms of a recommender with rows: --domain \(names)")
    }
    return try languageModel(model)
  }

  /// Lets the language model learn to read, and says how well it does.
  private func tuned(
    _ url: URL, _ dataset: Dataset, _ communicator: any Communicator, _ checkpoint: URL, _ kept: String
  ) throws -> Reading {
    let texts = ItemTexts(dataset: dataset, noun: noun)
    guard texts.texts.contains(where: { !$0.isEmpty }) else {
      throw UsageError("the items have no texts to read; --items FILE names a file with titles")
    }
    let name = url.deletingPathExtension().lastPathComponent
    let empty = texts.texts.count { $0.isEmpty }
    say(
      "  \(printable(name)) reads the items' texts, such as “\(printable(String((texts.texts.first { !$0.isEmpty } ?? "").prefix(120))))”"
        + (empty == 0 ? "" : "; \(empty) items have none"))
    var configuration = HybridFit.Configuration()
    configuration.seed = seed
    configuration.bridge.readingEpochs = readingEpochs
    var fit = HybridFit(dataset: dataset, texts: texts, kind: kind, configuration: configuration)
    (fit.communicator, fit.accumulation) = (communicator, accumulation)
    fit.log = { say("  " + $0) }
    let stages = StageProgress()
    fit.onProgress = { what, done, total in
      stages.update(what, done, total)
      // A lost rank is found by the next step.
      return (try? communicator.any(Interrupts.isRequested)) ?? false
    }
    do {
      let tuned = try fit.tune(
        LoadedModel(contentsOf: url), name: name, path: url, checkpoint: checkpoint.appending(path: "bridge"))
      let figures = tuned.figures
      stages.finish(
        String(
          format:
            "NDCG@10 of items that nobody had touched, ranked among themselves: %.4f (untuned %.4f, in random order %.4f)",
          figures.tuned, figures.untuned, figures.random))
      return (fit, tuned)
    } catch BridgeError.interrupted {
      stages.clear()
      throw Interruption("stopped. \(kept)")
    }
  }

  /// Says how the model ranks the items held out, beside popularity.
  private func measure(
    _ model: FittedRecommender, _ split: DataSplit, _ seconds: Double, _ dataset: Dataset, _ reading: Reading?
  ) throws {
    guard !split.test.isEmpty else { return say("  no interactions are left to measure on") }
    var table = Leaderboard(dataset: dataset.name)
    let evaluator = RankingEvaluator(split)
    let popularity = try evaluator.evaluate(Popularity(training: split.training).makeScorer())
    if kind != .popularity {
      table.add(
        model: kind.rawValue, seed: seed, result: try model.evaluate(on: split), trainingSeconds: seconds)
    }
    if let reading {
      let hybrid = try reading.fit.hybrid(
        reading.tuned, measured: (model, split), final: model, training: split.training)
      for part in [HybridRecommender.Part.language, .fused] {
        table.add(
          model: "\(bridge.rawValue), \(part.rawValue)", seed: seed,
          result: try evaluator.evaluate(hybrid.makeScorer(by: part)), trainingSeconds: seconds)
      }
    }
    table.add(model: ModelKind.popularity.rawValue, seed: seed, result: popularity, trainingSeconds: 0)
    say("")
    say(table.table())
  }
}
