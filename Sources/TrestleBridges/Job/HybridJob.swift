import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// A language model and a recommender that teach each other on one data set, beside each of them alone, with a report.
///
/// Items that are known (a random split of each user's interactions): popularity, EASE, LightGCN and the language model alone, both
/// bridged by ``BDLMStrategy``, and their fusion. Items that are new (a fifth of them has no training interaction): what
/// recommenders rank there with a reading of the texts, and with controls in its place, as in ``HybridStudy``. The machine is
/// measured first, and the budget chosen by that (``HybridJobPlan``). Everything is kept as it is finished, and a job that was
/// interrupted goes on to the same bits.
///
/// ```swift
/// var configuration = HybridJob.Configuration(output: URL(filePath: "output"))
/// configuration.minutes = 5
/// let job = try HybridJob(HybridJobData(dataset: dataset, name: "mine", noun: "Book", modelURL: url, modelName: "SmolLM2"), configuration)
/// print(try job.run().table)
/// ```
public final class HybridJob {
  /// What is asked of a job.
  public struct Configuration: Sendable {
    /// The folder of everything that comes out.
    public var output: URL
    /// The first seed.
    public var seed: UInt64 = 0
    /// How many seeds, one after the other.
    public var seeds = 1
    /// The time that the job may take for each seed, in minutes, on a machine with nothing else to do.
    public var minutes = 12.0
    /// Whether the shortest budget is taken, whatever the machine can do.
    public var isQuick = false
    /// Whether a job in the folder is continued.
    public var resumes = false
    /// Who writes the known items' rows to the store.
    public var writer = Writer.languageModel

    /// The defaults.
    public init(output: URL) { self.output = output }
  }

  /// Who reads the items' texts for the store.
  public enum Writer: String, CaseIterable, Sendable {
    /// The language model, from its own states with the adapters that the bridge trains.
    case languageModel = "language-model"
    /// The sentence encoder, which nothing trains: a baseline.
    case sentenceEncoder = "sentence-encoder"
  }

  /// What happens in a job, as it happens.
  public enum Event: Sendable {
    /// A line about what comes.
    case message(String)
    /// So much of a part is done; `isBound` if it may end before.
    case progress(String, done: Int, of: Int, isBound: Bool)
    /// A part has ended, and with what.
    case finished(String, outcome: String)
  }

  /// The data and the language model.
  public let data: HybridJobData
  /// What is asked.
  public let configuration: Configuration
  /// The split for known items; the test part is the same for every share of the training data.
  public let split: DataSplit
  /// Takes what happens.
  public var onEvent: (Event) -> Void = { _ in }
  /// Ends a training.
  public let stopping = HybridJobStop()
  /// The bridge of the last run, for the report and for serving.
  var bridge: (strategy: BDLMStrategy, context: BridgeContext, recommenders: BridgeRecommenders)?
  private var models: [Arithmetic: Language] = [:]
  /// A language model, the tokens of all texts, and those of a line's end.
  typealias Language = (model: any LanguageModel, tokens: [[Int32]], separator: [Int32])
  private lazy var encoded = Result { try data.encodeItems() }

  /// A job.
  ///
  /// - Throws: `DataError` for data that cannot be split, ``BridgeError/invalidState(path:place:expected:found:)`` if a sentence
  ///   encoder is to write and the data has none.
  public init(_ data: HybridJobData, _ configuration: Configuration) throws {
    guard configuration.writer == .languageModel || data.encoderURL != nil else {
      throw BridgeError.invalidState(
        path: configuration.output.path, place: "writer",
        expected: "a sentence encoder beside the language model",
        found: "none")
    }
    self.data = data
    self.configuration = configuration
    split = try data.dataset.interactions.split(.ratio(), seed: 0)
  }

  var vocabulary: EntityVocabulary { data.vocabulary }
  var isSynthetic: Bool { data.modelURL == nil }
  /// Where checkpoints and finished runs are kept.
  var runs: URL { configuration.output.appending(path: "runs") }
  var note: (String) -> Void { { [onEvent] in onEvent(.message("    " + $0)) } }

  // MARK: Running

  /// Measures, trains and evaluates what is left, writes `results.json`, the saved hybrid and the report, and returns the tables.
  ///
  /// - Throws: ``BridgeError/interrupted(checkpoint:)`` if ``stopping`` ended it, and what training and writing throw.
  public func run() throws -> HybridJobOutcome {
    let start = ContinuousClock.now
    let counts = [data.dataset.userCount, data.dataset.itemCount, data.dataset.interactions.count]
    onEvent(
      .message(
        "\(data.name): \(counts[0]) users, \(counts[1]) items, \(counts[2]) interactions; \(data.modelName); "
          + "\(ThreadPool.shared.threadCount) threads, \(InstructionSet.current.rawValue)"))
    if !configuration.resumes { try? FileManager.default.removeItem(at: runs) }
    let plan = try makePlan()
    onEvent(.message("Plan: \(plan.summary)"))
    let seeds = Array(configuration.seed..<configuration.seed + UInt64(configuration.seeds))
    var results: [JobResult] = []
    var findings: NewItemFindings?
    var saved: SavedHybrid?
    for seed in seeds {
      for variant in HybridVariant.main {
        let key = JobKey(variant: variant, share: 1, seed: seed)
        let folder = runs.appending(path: key.name)
        // The last bridge and reading are needed in memory, for the report: their checkpoints make that quick.
        let isKept = seed == seeds.last && (variant == .bridge || variant == .newItems)
        if configuration.resumes, !isKept,
          let finished = try JobResult.read(folder.appending(path: "result.json")), finished.key == key
        {
          results.append(finished)
          continue
        }
        onEvent(.message(variant.title + (seeds.count > 1 ? ", seed \(seed)" : "")))
        if variant == .newItems {
          let (result, found) = try runNewItems(key, plan, in: folder)
          results.append(result)
          findings = found
        } else {
          let result = try run(key, plan, in: folder)
          try result.write(to: folder.appending(path: "result.json"))
          results.append(result)
        }
        if variant == .bridge, isKept { saved = try SavedHybrid.save(self, plan, seed: seed) }
      }
    }
    let outcome = HybridJobOutcome(
      rows: JobComparison.rows(results), seconds: (ContinuousClock.now - start).seconds)
    try outcome.write(self, to: configuration.output.appending(path: "results.json"))
    if let saved {
      let report = try ReportBuilder(
        self, plan, results, outcome, saved, findings
      ).build()
      try ReportWriter.write(report, to: configuration.output)
    }
    return outcome
  }

  /// Trains a variant and evaluates what comes out on the test data, once.
  ///
  /// - Parameter folder: where the checkpoint is kept.
  func run(_ key: JobKey, _ plan: HybridJobPlan, in folder: URL) throws -> JobResult {
    let start = ContinuousClock.now
    let parted = split.keepingTraining(share: key.share)
    let budget = budget(share: key.share, seed: key.seed, level: plan.level)
    let side = try makeLanguageSide(key, parted, budget, plan.arithmetic)
    defer { side.adapters?.unload() }
    let domain = PairwiseSide(
      makeGCN(parted, budget, key.seed), split: parted, vocabulary: vocabulary, configuration: budget.training
    )
    let context = try BridgeContext(domain: domain, language: side, split: parted, log: note)
    let strategy = Self.strategy(key.variant, budget)
    let settings = "\(plan.arithmetic.rawValue) \(budget.fingerprint)"
    let trainer = try BridgeTrainer(strategy, context, folder: folder, fingerprint: settings)
    let reporter = JobEpochReporter(trainer, stopping) { [onEvent] in onEvent($0) }
    try stopping.whileTraining { try trainer.run() }
    reporter.finish()
    let recommenders = try Self.recommenders(key.variant, strategy, context)
    if key.variant == .bridge, let bdlm = strategy as? BDLMStrategy {
      bridge = (bdlm, context, recommenders)
    }
    return JobResult(
      key: key, dataset: data.name, languageModel: data.modelName, isQuick: configuration.isQuick,
      splitHash: parted.hash, seconds: (ContinuousClock.now - start).seconds, settings: settings,
      records: trainer.records, models: try evaluate(key.variant, recommenders, parted))
  }

  // MARK: Composition

  /// What the sentence encoder makes of the items; `nil` without one.
  func encodedItems() throws -> HybridJobData.Encoded? { try encoded.get() }

  func budget(share: Double, seed: UInt64, level: HybridJobPlan.Level) -> JobBudget {
    JobBudget(
      share: share, seed: seed, level: level, isSynthetic: isSynthetic, writer: configuration.writer)
  }

  func makeGCN(_ parted: DataSplit, _ budget: JobBudget, _ seed: UInt64) -> LightGCN {
    var generator = RandomGenerator(seed: seed).split(1)
    return LightGCN(training: parted.training, configuration: budget.gcn, using: &generator)
  }

  /// The language model in an arithmetic, loaded once.
  func languageModel(_ arithmetic: Arithmetic) throws -> Language {
    if let known = models[arithmetic] { return known }
    let loaded = try data.loadLanguageModel(arithmetic)
    models[arithmetic] = loaded
    return loaded
  }

  func forgetLanguageModel(_ arithmetic: Arithmetic) { models[arithmetic] = nil }

  /// A fresh side on the (once loaded, frozen) language model.
  func makeLanguageSide(
    _ key: JobKey, _ parted: DataSplit, _ budget: JobBudget, _ arithmetic: Arithmetic
  ) throws -> LanguageSide {
    let (model, tokens, _) = try languageModel(arithmetic)
    let adapters = try adapt(model, seed: key.seed)
    let entities = Self.entities(vocabulary, model, seed: key.seed)
    let popularity = parted.training.itemCounts().map { Float(0.5 * log(Double($0) + 1)) }
    let head = ItemHead(itemCount: vocabulary.itemCount, bias: Tensor(popularity))
    let recommender = ItemSequenceModel(model: model, entities: entities, head: head)
    var settings = budget.side
    settings.textLayer = max(1, Int((Double(model.layerCount) * JobBudget.textShare).rounded()))
    return LanguageSide(
      name: data.modelName, recommender: recommender, adapters: adapters, split: parted,
      vocabulary: vocabulary, itemTexts: tokens, encodedItemTexts: try encodedItems()?.views,
      configuration: settings)
  }

  func adapt(_ model: some LanguageModel, seed: UInt64) throws -> LoRAAdapters {
    model.freeze()
    return try LoRA().load(into: model, using: RandomGenerator(seed: seed).split(2))
  }

  private static func entities(
    _ vocabulary: EntityVocabulary, _ model: some LanguageModel, seed: UInt64
  ) -> EntityTokens {
    var generator = RandomGenerator(seed: seed).split(3)
    return EntityTokens(
      userCount: vocabulary.userCount, itemCount: vocabulary.itemCount, for: model, using: &generator)
  }

  private static func strategy(_ variant: HybridVariant, _ budget: JobBudget) -> BridgeStrategy {
    var configuration = budget.bridge
    switch variant {
    case .bridge, .newItems: break
    case .domainAlone, .randomTokens, .textRows:
      let side: SideRole = variant == .domainAlone ? .domain : .language
      var phases = BDLMStrategy(configuration, schedule: budget.schedule).phases.filter { $0.side == side }
      if variant == .textRows { return TextRowsStrategy(phases: phases) }
      for index in phases.indices { phases[index].name += " (alone)" }
      return BridgeStrategy(name: variant.rawValue, phases: phases)
    case .initializationOnly:
      configuration.languageWeight = 0
      configuration.languageScoreWeight = 0
      configuration.domainWeight = 0
      configuration.languageWrites = false
      configuration.domainWrites = false
    case .noWriteBack: configuration.languageWrites = false
    case .storeOnly: configuration.languageScoreWeight = 0
    case .toDomainOnly:
      configuration.languageWeight = 0
      configuration.languageScoreWeight = 0
    case .toLanguageOnly: configuration.domainWeight = 0
    }
    return BDLMStrategy(configuration, schedule: budget.schedule)
  }

  private static func recommenders(
    _ variant: HybridVariant, _ strategy: BridgeStrategy, _ context: BridgeContext
  ) throws -> BridgeRecommenders {
    switch variant {
    case .domainAlone:
      return BridgeRecommenders(domain: try (context.domain as? any ScoreProvider)?.makeScorer())
    case .randomTokens, .textRows:
      return BridgeRecommenders(language: try (context.language as? any ScoreProvider)?.makeScorer())
    default:
      return try strategy.recommenders(context)
    }
  }
}
