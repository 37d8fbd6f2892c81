import Foundation
import Trestle
import TrestleCommand

/// What the recommender is joined with: nothing, the reading, or a mechanism by which it learns from a language model.
struct BridgeChoice: RawRepresentable, CaseIterable, Equatable {
  static let none = BridgeChoice("none")
  static let bdlm = BridgeChoice("BDLM")
  static let allCases = [none, bdlm] + BridgeMechanism.served.map { BridgeChoice($0.name) }

  let rawValue: String

  private init(_ name: String) { rawValue = name }

  init?(rawValue: String) {
    guard let choice = Self.allCases.first(where: { $0.rawValue == rawValue }) else { return nil }
    self = choice
  }

  /// The mechanism that trains the recommender; `nil` if it trains alone.
  var mechanism: BridgeMechanism? { BridgeMechanism.served.first { $0.name == rawValue } }
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
        "BDLM lets a language model read the items' texts in the recommender's terms; the other names are published mechanisms by which the recommender learns from a language model besides: a hybrid is saved, which gives reasons and takes new items",
        \.bridge),
      .file(
        "--model", "PATH",
        "the bridge's language model: a GGUF file or a Hugging Face folder (SmolLM2 if absent)", \.model),
      .text("--noun", "WORD", "what the items are called, in front of each text: Movie, Book …", \.noun),
      .number(
        "--reading-epochs", "N", in: 0...1000,
        "the most epochs of the language model that reads; 0 leaves it as it is (6 for BDLM and 0 for the others if absent)",
        \.readingEpochs),
      .flag(
        "--less-memory",
        "computes the language model's blocks again when it learns, instead of keeping their values: for larger models",
        \.savesMemory),
      .choice("--split", "NAME", "how a tenth is held out for choosing and a tenth for measuring", \.split),
      .number("--seed", "N", in: 0...UInt64.max, "where the split and random numbers come from", \.seed),
      .number(
        "--epochs", "N", in: 1...100_000, "the most epochs (the model's recommended number if absent)",
        \.epochs),
      .number(
        "--patience", "N", in: 1...100_000, "the epochs without improvement that end the training", \.patience
      ),
      .file(
        "--settings", "FILE",
        "the model's best settings among those that compare --search N --tried FILE tried; the recommended ones if absent",
        \.settings),
      .flag(
        "--no-refit", "keeps the model that was measured, instead of fitting it anew on all data",
        \.skipsRefit),
      .number(
        "--accumulate", "N", in: 1...100_000,
        "how many batches' gradients make a step (one of each rank if absent): the same result on 1 to N ranks",
        \.accumulation),
      .flag(
        "--shard-tables",
        "cuts rows and moments over the ranks, each of which then needs its share of their memory alone (MF-BPR, LightGCN)",
        \.shardsTables),
      .flag("--resume", "goes on where an interrupted training of the same options stopped", \.resumes),
      .text("--user", "ID", "to whom it recommends in the end; someone with a few items if absent", \.user),
      .texts(
        "--likes", "TITLE", "recommends in the end to someone new who likes these: titles, or ids", \.likes),
      .number("--threads", "N", in: 1...1024, "how many threads take part (all cores if absent)", \.threads),
    ]
  }
  static let notes = """
    Example:
      trestle train --interactions loans.csv --items books.csv --output my-recommender --user ann
      trestle recommend --recommender my-recommender --likes "Emma" "Persuasion"
      trestle train --interactions loans.csv --items books.csv --bridge BDLM --noun Book --output my-hybrid
      trestle train --interactions loans.csv --items books.csv --bridge RLMRec-Con --noun Book --output my-hybrid
      mpirun -n 4 trestle train --interactions loans.csv --output my-recommender
      mpirun -n 4 trestle train --interactions loans.csv --domain MF-BPR --shard-tables --output my-recommender

    Ctrl-C stops after the epoch, and --resume goes on from there; a second one ends at once. A model without epochs (EASE, SLIM, iALS,
    neighbours) has nothing to go on from: it is left, and the one that was measured is saved if there is one.
    Ratings choose which interactions count (--minimum-rating), times their order; neither weighs them.
    """

  var data = DataOptions()
  var kind = ModelKind.lightGCN
  var bridge = BridgeChoice.none
  var model: URL?
  var noun = ""
  var readingEpochs: Int?
  var savesMemory = false
  var output = URL(filePath: "trestle-output")
  var split = SplitChoice.ratio
  var seed: UInt64 = 0
  var epochs: Int?
  var patience: Int?
  var accumulation: Int?
  var shardsTables = false
  var settings: URL?
  var skipsRefit = false
  var resumes = false
  var user: String?
  var likes: [String] = []
  var threads: Int?

  /// Where the state of the training is kept while it goes on.
  var checkpoint: URL { URL(filePath: output.relativePath + ".training") }

  func run() throws {
    guard !shardsTables || ModelKind.sharded.contains(kind) && bridge.mechanism == nil else {
      let names = ModelKind.sharded.map(\.name).joined(separator: " or ")
      throw UsageError(
        "--shard-tables cuts the rows of --domain \(names), without a mechanism that trains them besides")
    }
    try Ranks.run(threads: threads, train)
  }

  private func train(_ communicator: any Communicator) throws {
    do {
      try trainOnce(communicator)
    } catch {
      // A state that this training cannot go on from: what is in its way is named, and so is the way around it.
      guard resumes, !(error is Interruption), "\(error)".contains(checkpoint.relativePath) else {
        throw error
      }
      throw ResumeFailure(cause: error)
    }
  }

  private func trainOnce(_ communicator: any Communicator) throws {
    let isFirst = communicator.rank == 0
    let languageModel = try bridgedModel(communicator)
    try SavedRecommender.checkDestination(output)
    let dataset = try data.read()
    try checkWhom(dataset)
    begin(isFirst)
    let split = try dataset.interactions.split(self.split.strategy, seed: seed)
    say(
      "  split \(split.strategy): \(split.training.count) to train on, \(split.validation.count) to choose on, "
        + "\(split.test.count) to measure on")
    let options = try options(split, communicator)
    let fitting = Fitting(kind: kind, options: options, kept: kept)
    let reading = try languageModel.map { try tuned($0, dataset, options) }
    let bridged = try bridged(reading, split)
    var (measured, seconds) = try measured(bridged, fitting, dataset, split)
    if isFirst { measured = measured.saying(try measure(measured, split, seconds, dataset, reading)) }
    var final = measured
    if !skipsRefit {
      do {
        try stopIfAsked(communicator)
        final = try refitted(bridged, fitting, dataset, measured).saying(figures(of: measured))
      } catch is Interruption where isFirst && !hasCheckpoint {
        // Nothing else is left of the work.
        try save(measured, (measured, split), dataset, reading, training: split.training)
        throw Interruption(
          "stopped before fitting on all data: the model that was measured, fitted on the training part alone, "
            + "is saved in \(output.relativePath)")
      }
    }
    guard isFirst else { return }
    let saved = try save(
      final, (measured, split), dataset, reading, training: skipsRefit ? split.training : nil)
    try? FileManager.default.removeItem(at: checkpoint)
    say("  saved in \(output.relativePath)")
    try show(saved)
  }

  /// What the measured model's card says of how it did, for the one that is fitted on all data.
  private func figures(of model: FittedRecommender) -> [String: String] {
    model.card.settings.filter { name, _ in
      name == "split" || name.hasPrefix("test ") || name.hasPrefix("validation ")
    }
  }

  /// How the recommender is fitted; says so.
  private func options(_ split: DataSplit, _ communicator: any Communicator) throws -> FitOptions {
    var options = FitOptions()
    (options.seed, options.epochs, options.patience, options.checkpoint) = (
      seed, epochs, patience, checkpoint
    )
    (options.communicator, options.accumulation, options.shardsTables) = (
      communicator, accumulation, shardsTables
    )
    var why = kind.recommendation(for: split.training)
    do throws(DataError) {
      if let settings {
        let record = try SearchRecord.best(of: kind, in: settings)
        options.settings = record.settings
        let value = record.measured.map { String(format: " (%.4f on its validation data)", $0.value) } ?? ""
        why = "with the settings of trial \(record.trial) of \(settings.relativePath)\(value)"
      }
      let words = try kind.settingsInWords(for: split.training, options)
      say("  \(kind.rawValue) \(printable(why))\(words.isEmpty ? "" : ": " + words)")
    } catch {
      throw CommandDataError(error)
    }
    return options
  }

  /// Forgets an older training unless it is gone on with. From here on a signal asks, where it ended the program at once
  /// while there was nothing to keep.
  private func begin(_ isFirst: Bool) {
    if !resumes && isFirst { try? FileManager.default.removeItem(at: checkpoint) }
    if resumes && !hasCheckpoint {
      say("  nothing to resume in \(checkpoint.relativePath): the training begins")
    }
    Interrupts.handle()
  }

  /// Saves the recommender, or the hybrid of it and the language model, and returns what was saved.
  @discardableResult
  private func save(
    _ model: FittedRecommender, _ measured: (model: FittedRecommender, split: DataSplit), _ dataset: Dataset,
    _ reading: Reading?, training: Interactions?
  ) throws -> any ServableRecommender {
    guard let reading else {
      try model.save(to: output)
      return model
    }
    let hybrid = try reading.fit.hybrid(reading.tuned, measured: measured, final: model, training: training)
    try hybrid.save(to: output)
    return hybrid
  }

  private var hasCheckpoint: Bool { FileManager.default.fileExists(atPath: checkpoint.path) }

  /// What a signal leaves behind.
  func kept() -> String {
    hasCheckpoint
      ? "Everything so far is in \(checkpoint.relativePath); the same command with --resume goes on"
      : "Nothing had been kept yet: the same command begins anew"
  }

  private func stopIfAsked(_ communicator: any Communicator) throws {
    if try communicator.any(Interrupts.isRequested) {
      throw Interruption("stopped before fitting on all data. " + kept())
    }
  }
}

/// What keeps a training from going on, with the way around it.
private struct ResumeFailure: ExitCodeProviding, CustomStringConvertible {
  let cause: any Error

  var exitCode: ExitCode {
    (cause as? any ExitCodeProviding)?.exitCode ?? Program.exitCode(cause) ?? exitCodeOfLibrary(cause)
  }

  var description: String {
    "\(cause); --resume goes on with the same data and options: leave it out to begin anew"
  }
}
