import Foundation
import Trestle
import TrestleCommand

/// `trestle compare`: a leaderboard of models on your files.
struct Compare: ProgramCommand {
  static let name = "compare"
  static let summary =
    "Trains several recommenders, or mechanisms that bridge one and a language model, and ranks them."
  static var options: [CommandOption<Self>] {
    DataOptions.options.map { $0.part(\.data) } + [
      .choices("--models", "A,B", "the recommenders", \.models),
      .choice("--split", "NAME", "how a tenth is held out for choosing and a tenth for measuring", \.split),
      .number(
        "--windows", "N", in: 1...8,
        "the successive tenths in time that --split rolling measures on, each by models of what was before (5 if absent)",
        \.windows),
      .file(
        "--given-split", "DIR", "takes the split that --write-split wrote, whatever the seed", \.givenSplit),
      .file("--write-split", "DIR", "keeps the split as a folder of text files", \.writtenSplit),
      .number("--seed", "N", in: 0...UInt64.max, "the first seed", \.seed),
      .number("--seeds", "N", in: 1...1000, "how many seeds, each with a split of its own", \.seeds),
      .number("--epochs", "N", in: 1...100_000, "the most epochs", \.epochs),
      .number(
        "--patience", "N", in: 1...100_000, "the epochs without improvement that end a training", \.patience),
      .number(
        "--search", "N", in: 1...10_000,
        "tries so many settings of each model on the validation data first, the recommended ones among them",
        \.search),
      .file(
        "--tried", "FILE", "where --search keeps what it tried, a line of JSON each, and goes on from",
        \.tried),
      .text(
        "--serving", "NAME",
        "measures what comes after the training instead: fold-in (new users), update (new interactions, without training) or refit (all of it anew, with the settings of --search N)",
        \.serving),
      .list(
        "--bridges", "A,B",
        "compares mechanisms by which a language model and a recommender learn from each other; 'all' for all of them",
        \.bridges),
      .flag("--list-bridges", "prints the names of these mechanisms, one a line", \.listsBridges),
      .file("--data", "DIR", "a folder of data, as --interactions takes it", \.folder),
      .file(
        "--labelled", "DIR",
        "compares them on a given split with labels, by AUC and UAUC beside matrix factorisation: train, valid, test and items, .tsv or .csv",
        \.labelled),
      .file(
        "--model", "PATH",
        "the language model of --bridges: a GGUF file or a Hugging Face folder (SmolLM2 if absent)", \.model),
      .text("--noun", "WORD", "what the items of --bridges are called, in front of each text", \.noun),
      .choice("--budget", "NAME", "how long the mechanisms of --bridges train", \.budget),
      .file(
        "--json", "FILE", "writes a line of JSON for every model, seed, window, slice and measure", \.json),
      .list("--metrics", "A,B", TableColumns.help, \.metrics),
      .number("--threads", "N", in: 1...1024, "how many threads take part (all cores if absent)", \.threads),
    ]
  }

  static let notes = """
    Nothing is saved but figures: train --domain MODEL saves a recommender, and train --settings FILE takes what --search kept in
    --tried FILE.
    """

  var data = DataOptions()
  var models: [ModelKind] = [.popularity, .itemKNN, .ease, .implicitALS, .lightGCN]
  var split = ComparedSplit.single(.ratio)
  var windows: Int?
  var givenSplit: URL?
  var writtenSplit: URL?
  var seed: UInt64 = 0
  var seeds = 1
  var epochs: Int?
  var patience: Int?
  var search: Int?
  var tried = URL(filePath: "trestle-search.jsonl")
  var json: URL?
  var metrics: [String]?
  var threads: Int?
  var serving: String?
  var bridges: [String]?
  var listsBridges = false
  var folder: URL?
  var labelled: URL?
  var model: URL?
  var noun = ""
  var budget = Budget.default

  enum Budget: String, CaseIterable { case quick, `default`, full }

  mutating func run() throws {
    if listsBridges {
      for mechanism in BridgeMechanism.all + BridgeMechanism.written { print(mechanism.name) }
      return
    }
    if let threads { ThreadPool.shared.setThreadCount(threads) }
    if let json { try AtomicFile.checkDestination(json) }
    if search != nil { try AtomicFile.checkDestination(tried) }
    Interrupts.handle()
    var data = data
    if let folder {
      guard data.interactions == nil else {
        throw UsageError("--data and --interactions both name the data: give one of them")
      }
      data.interactions = folder
    }
    if metrics != nil && (bridges != nil || serving != nil || labelled != nil) {
      throw UsageError(
        "--metrics names the columns of the leaderboard; --bridges, --serving and --labelled have their own")
    }
    try checkWindows()
    if let labelled { return try compare(labelled: labelled) }
    let mechanisms = try bridges.map(Self.mechanisms)
    if mechanisms != nil && (givenSplit != nil || writtenSplit != nil) {
      throw UsageError("--bridges makes splits with new items: leave --given-split and --write-split out")
    }
    if search != nil && mechanisms != nil {
      throw UsageError("--search looks for the settings of --models; --bridges has none")
    }
    if mechanisms != nil {
      model = try languageModel(model)
    } else if model != nil {
      throw UsageError("--model is the language model of --bridges or --labelled: give one of them")
    }
    let serving = try servingProtocol()
    let given = try givenSplit.map { try NamedSplit(contentsOf: $0) }
    let dataset = try self.dataset(data, given)
    if let mechanisms { return try compare(mechanisms, dataset) }
    if let serving { return try measure(serving, dataset) }
    let columns = try TableColumns.names(metrics, for: dataset.items)
    if let writtenSplit { try write(given, dataset, to: writtenSplit) }
    var table = Leaderboard(dataset: dataset.name)
    do {
      try run(dataset, given, &table)
    } catch let interruption as Interruption {
      if !table.runs.isEmpty { say("\n" + table.table(metrics: columns)) }
      throw interruption
    }
    say("")
    say(table.table(metrics: columns))
  }

  /// Ranks the models on the splits of all seeds.
  private func run(_ dataset: Dataset, _ given: NamedSplit?, _ table: inout Leaderboard) throws {
    let rolling = try rollingSplits(dataset)
    for seed in seed..<seed + UInt64(seeds) {
      guard let rolling else {
        try run(dataset, given?.split ?? singleSplit(of: dataset, seed: seed), seed, &table)
        continue
      }
      for (place, split) in rolling.enumerated() {
        say("  window \(place + 1) of \(rolling.count): \(split.sizes)")
        try run(dataset, split, seed, window: place + 1, &table)
      }
    }
  }

  /// Ranks the models on one split.
  private func run(
    _ dataset: Dataset, _ split: DataSplit, _ seed: UInt64, window: Int? = nil,
    _ table: inout Leaderboard
  ) throws {
    var options = FitOptions()
    (options.seed, options.epochs, options.patience) = (seed, epochs, patience)
    let genreMetrics = dataset.items.genreMetrics(training: split.training)
    for kind in models {
      let found = try searched(kind, split, seed: seed)
      options.settings = found?.best.settings ?? [:]
      let fitting = Fitting(kind: kind, options: options, kept: { "The models before are in the table" })
      let (model, seconds) = try fitting.fit(dataset, split)
      let result = try model.evaluate(on: split, customMetrics: genreMetrics)
      table.add(
        model: kind.rawValue, seed: seed, window: window, result: result, trainingSeconds: seconds,
        search: found)
      if let json { try AtomicFile.write(Array(table.jsonLines().utf8), to: json) }
      if Interrupts.isRequested { throw Interruption("stopped after \(kind.rawValue). \(fitting.kept())") }
    }
  }
}
