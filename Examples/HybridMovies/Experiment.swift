import Foundation
import Trestle
import TrestleCommand

/// Runs variants on one data set and one split.
final class Experiment {
  let world: World
  let options: Options
  /// The full split; the test part is the same for every share.
  let split: DataSplit
  private var language: (model: any LanguageModel, texts: [[Int32]])?
  private lazy var encodedTexts = Result { try world.encodeItemTexts() }
  private var running: BridgeTrainer?
  private var interrupts: DispatchSourceSignal?
  /// The bridge of the last run, for the report.
  private(set) var bridge: (strategy: BDLMStrategy, context: BridgeContext, recommenders: BridgeRecommenders)?

  init(_ world: World, _ options: Options) throws {
    self.world = world
    self.options = options
    split = try world.dataset.interactions.split(.ratio(), seed: 0)
  }

  /// Lets Ctrl-C end a training after the present batch, with everything saved, and whatever else is done at once.
  func handleInterrupts() {
    signal(SIGINT, SIG_IGN)
    let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
    nonisolated(unsafe) let experiment = self
    source.setEventHandler {
      // Outside training nothing is half done: every file is written at once.
      guard let running = experiment.running else { exit(130) }
      running.requestStop()
    }
    source.resume()
    interrupts = source
  }

  /// The split with a share of each user's training rows, at least one of each.
  func split(share: Double) -> DataSplit {
    guard share < 1 else { return split }
    let (offsets, order) = split.training.rowsByUser()
    let generator = RandomGenerator(seed: 11)
    var kept: [Int32] = []
    for user in 0..<split.userCount {
      var rows = Array(order[offsets[user]..<offsets[user + 1]])
      var draw = generator.split(UInt64(user))
      draw.shuffle(&rows)
      if !rows.isEmpty { kept += rows.prefix(max(1, Int((share * Double(rows.count)).rounded()))) }
    }
    return DataSplit(
      training: split.training.selecting(rows: kept.sorted()), validation: split.validation, test: split.test,
      strategy: "\(split.strategy), \(share) of the training rows")
  }

  /// Trains a variant and evaluates what comes out on the test data, once.
  ///
  /// - Parameter folder: where the checkpoint is kept.
  func run(_ key: RunKey, in folder: URL) throws -> RunResult {
    let start = ContinuousClock.now
    let data = split(share: key.share)
    let budget = Budget(
      share: key.share, seed: key.seed, isQuick: options.isQuick,
      isSynthetic: world.datasetName == "synthetic", hasEncoder: try encodedTexts.get() != nil)
    let context = try makeContext(key, data, budget)
    let strategy = Self.strategy(key.variant, budget)
    let trainer = try BridgeTrainer(strategy, context, folder: folder, fingerprint: budget.fingerprint)
    running = trainer
    defer { running = nil }
    let reporter = EpochReporter(trainer, strategy.phases)
    try trainer.run()
    reporter.finish()
    let recommenders = try Self.recommenders(key.variant, strategy, context)
    if key.variant == .bridge, let bdlm = strategy as? BDLMStrategy {
      bridge = (bdlm, context, recommenders)
    }
    let models = try evaluate(key.variant, recommenders, data)
    return RunResult(
      key: key, dataset: world.datasetName, languageModel: world.modelName, isQuick: options.isQuick,
      splitHash: data.hash, seconds: (ContinuousClock.now - start).inSeconds, settings: budget.fingerprint,
      records: trainer.records, models: models)
  }

  // MARK: Composition

  private func makeContext(_ key: RunKey, _ data: DataSplit, _ budget: Budget) throws -> BridgeContext {
    let domain = PairwiseSide(
      makeGCN(data, budget, key.seed), split: data, vocabulary: world.vocabulary,
      configuration: budget.training)
    let side = try makeLanguageSide(key, data, budget)
    return try BridgeContext(domain: domain, language: side, split: data) { say("    \($0)") }
  }

  private func makeGCN(_ data: DataSplit, _ budget: Budget, _ seed: UInt64) -> LightGCN {
    var generator = RandomGenerator(seed: seed).split(1)
    return LightGCN(training: data.training, configuration: budget.gcn, using: &generator)
  }

  /// A fresh side on the (once loaded, frozen) language model.
  func makeLanguageSide(_ key: RunKey, _ data: DataSplit, _ budget: Budget) throws -> LanguageSide {
    let (model, texts) = try language ?? world.loadLanguageModel()
    language = (model, texts)
    let adapters = try Self.adapt(model, seed: key.seed)
    let entities = Self.entities(world.vocabulary, model, seed: key.seed)
    let popularity = data.training.itemCounts().map { Float(0.5 * log(Double($0) + 1)) }
    let head = ItemHead(itemCount: world.dataset.itemCount, bias: Tensor(popularity))
    let recommender = ItemSequenceModel(model: model, entities: entities, head: head)
    return LanguageSide(
      name: world.modelName, recommender: recommender, adapters: adapters, split: data,
      vocabulary: world.vocabulary, itemTexts: texts, encodedItemTexts: try encodedTexts.get(),
      configuration: budget.side)
  }

  private static func adapt(_ model: some LanguageModel, seed: UInt64) throws -> LoRAAdapters {
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

  private static func strategy(_ variant: Variant, _ budget: Budget) -> BridgeStrategy {
    var configuration = budget.bridge
    switch variant {
    case .bridge: break
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
    _ variant: Variant, _ strategy: BridgeStrategy, _ context: BridgeContext
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

  // MARK: Evaluation

  private func evaluate(
    _ variant: Variant, _ recommenders: BridgeRecommenders, _ data: DataSplit
  ) throws -> [ModelOutcome] {
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = [.ndcg(10), .recall(10), .hit(10)]
    configuration.listMetrics = []
    configuration.slices = [.warm, .longTail, .cold]
    let evaluator = RankingEvaluator(data, on: .test, configuration: configuration)
    func outcome(_ name: String, _ scorer: (any CatalogueScorer)?) throws -> ModelOutcome? {
      guard let scorer else { return nil }
      return ModelOutcome(name, try evaluator.evaluate(scorer))
    }
    func name(_ model: String) -> String {
      variant == .bridge ? model : ModelName.ablated(model, variant)
    }
    switch variant {
    case .domainAlone:
      let popularity = Popularity(training: data.training).makeScorer()
      return [
        try outcome(ModelName.popularity, popularity), try outcome(ModelName.domain, recommenders.domain),
      ].compactMap { $0 }
    case .randomTokens: return [try outcome(ModelName.random, recommenders.language)].compactMap { $0 }
    case .textRows: return [try outcome(ModelName.text, recommenders.language)].compactMap { $0 }
    default:
      return [
        try outcome(name(ModelName.bridgedDomain), recommenders.domain),
        try outcome(name(ModelName.bridgedLanguage), recommenders.language),
        try outcome(name(ModelName.fusion), recommenders.fused),
      ].compactMap { $0 }
    }
  }
}

/// The language model alone with item rows frozen at its own pooled states of the items' texts.
private final class TextRowsStrategy: BridgeStrategy {
  init(phases: [BridgePhase]) {
    var phases = phases
    for index in phases.indices {
      phases[index].name += " (text rows)"
      phases[index].groups = ["adapters", "head"]
    }
    super.init(name: "text rows", phases: phases)
  }

  override func prepare(_ context: BridgeContext) throws {
    let side = try context.side(
      .language, as: (any ContextualRepresentations & EntityTables).self, .contextualRepresentations,
      for: self)
    let ids = Array(0..<Int32(context.domain.vocabulary.itemCount))
    let states = try side.representations(of: .item, ids: ids, source: .text)
    let statistics = side.pretrainedRowStatistics ?? (Tensor.zeros([states.shape[1]]), 0.02)
    let centred = states - states.mean(along: [0])
    let deviation = centred.squared().mean().item.squareRoot()
    side.setEntityRows(.item, to: centred * (statistics.deviation / max(deviation, 1e-12)) + statistics.mean)
    // Users have no text: all share one row.
    side.setEntityRows(
      .user,
      to: statistics.mean.expanded(at: 0).broadcast(to: [
        context.domain.vocabulary.userCount, states.shape[1],
      ]))
  }
}

extension Duration {
  /// The duration in seconds.
  var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}

/// Shows the epochs of a run as they come.
private final class EpochReporter {
  private var line: ProgressLine?
  private var phase = ""
  private var best = 0.0
  private var epochs = 0

  init(_ trainer: BridgeTrainer, _ phases: [BridgePhase]) {
    trainer.onProgress = { [self] progress in
      begin(progress.phase.name)
      line?.update(
        progress.epoch * progress.batchCount + progress.batch,
        of: progress.phase.epochs * progress.batchCount,
        note: progress.phase.patience > 0 ? " at most" : "")
    }
    trainer.onEpoch = { [self] record in
      begin(record.phase)
      epochs += 1
      best = max(best, record.validation ?? 0)
    }
  }

  private func begin(_ name: String) {
    guard name != phase else { return }
    finish()
    phase = name
    line = ProgressLine(name)
    best = 0
    epochs = 0
  }

  func finish() {
    line?.finish("\(epochs) epochs, best validation NDCG@10 \(String(format: "%.4f", best))")
    line = nil
    phase = ""
  }
}
