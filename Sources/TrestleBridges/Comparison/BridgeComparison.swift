import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// Mechanisms side by side: trained on one split, with one budget, beside the recommender alone.
public struct BridgeComparison {
  /// The name of the recommender alone in tables.
  public static let baseline = "LightGCN"

  /// The data, with its name.
  public let dataset: Dataset
  /// The language model.
  public let model: any LanguageModel
  /// Its name in tables.
  public let modelName: String
  /// Each item's text.
  public let texts: ItemTexts
  /// The tokens of each item's text.
  public let tokens: [[Int32]]
  /// The model's tokens of a text.
  public let encode: (String) -> [Int32]
  /// How long things train.
  public let budget: ComparisonBudget
  /// Who writes the texts of the mechanisms that have them written (``BridgeMechanism/written``).
  public var writer: TextWriter?
  /// The folder in which these texts are kept; `nil` keeps none.
  public var writings: URL?
  /// Called with a line for the run's log.
  public var log: (String) -> Void = { _ in }
  /// Whether the comparison should end after the present step; what the present mechanism has is lost.
  public var shouldStop: () -> Bool = { false }

  /// A comparison on a data set with texts.
  public init(
    dataset: Dataset, texts: ItemTexts, model: any LanguageModel, modelName: String,
    budget: ComparisonBudget, encode: @escaping (String) -> [Int32]
  ) {
    precondition(
      texts.count == dataset.itemCount,
      "BridgeComparison: \(texts.count) texts for \(dataset.itemCount) items")
    self.dataset = dataset
    self.model = model
    self.modelName = modelName
    self.budget = budget
    self.encode = encode
    self.texts = texts
    tokens = texts.texts.map(encode)
  }

  /// Trains mechanisms on the split of a seed and measures each once.
  ///
  /// - Parameters:
  ///   - mechanisms: in order; the recommender alone comes first.
  ///   - seed: determines the split and everything random.
  ///   - done: names that are skipped, because their figures are there.
  ///   - report: takes a mechanism's figures as soon as they are there.
  /// - Throws: `DataError` if the data has too few items, ``BridgeError``, and what `report` throws.
  public func run(
    _ mechanisms: [BridgeMechanism], seed: UInt64, without done: Set<String> = [],
    report: ([StudyRecord]) throws -> Void
  ) throws {
    let composer = try BridgeComposer(self, seed: seed)
    if !done.contains(Self.baseline) { try report(alone(composer, seed)) }
    for mechanism in mechanisms where !done.contains(mechanism.name) {
      if shouldStop() { return }
      let start = ContinuousClock.now
      let composed: (strategy: BridgeStrategy, context: BridgeContext)
      do { composed = try mechanism.compose(composer) } catch BridgeError.interrupted { return }
      let (strategy, context) = composed
      defer { composer.takeAdaptersOff() }
      let trainer = try BridgeTrainer(strategy, context)
      trainer.onEpoch = { [log] record in
        if record.side == .language || record.epoch % 20 == 19 {
          log(
            "\(mechanism.name), \(record.phase), epoch \(record.epoch + 1): loss \(record.loss) + \(record.bridgeLoss), validation \(record.validation ?? .nan)"
          )
        }
      }
      trainer.onProgress = { [shouldStop, unowned trainer] _ in
        if shouldStop() { trainer.requestStop() }
      }
      do { try trainer.run() } catch BridgeError.interrupted { return }
      var records = try measure(mechanism, strategy, context, composer, seed)
      let seconds = start.duration(to: .now).seconds
      records.append(
        record(mechanism.name, "training and measuring", seed, "all", "seconds", seconds.rounded()))
      for record in records { log("\(record.model), \(record.slice): \(record.metric) \(record.value)") }
      try report(records)
    }
  }

  private func record(
    _ model: String, _ variant: String, _ seed: UInt64, _ slice: String, _ metric: String, _ value: Double
  ) -> StudyRecord {
    StudyRecord(
      dataset: dataset.name, protocolName: "new-items", model: model, variant: variant, seed: seed,
      slice: slice, metric: metric, value: value)
  }

  /// The recommender without a bridge.
  private func alone(_ composer: BridgeComposer, _ seed: UInt64) throws -> [StudyRecord] {
    let start = ContinuousClock.now
    let domain = try composer.domain()
    let phase = BridgePhase(
      name: "alone", side: .domain, kind: .warmUp, epochs: budget.domainEpochs, patience: budget.patience)
    let context = try BridgeContext(domain: domain, language: domain, split: composer.new.split)
    try BridgeTrainer(BridgeStrategy(name: Self.baseline, phases: [phase]), context).run()
    let scorer = try domain.makeScorer()
    var records = try ranking(scorer, Self.baseline, .domain, composer, seed, new: false)
    let test = Array(
      PromptExamples(sampling: composer.new.split, seed: seed).test.prefix(budget.measuredPrompts))
    records += areas(try scorer.scores(of: test), test, Self.baseline, seed)
    let seconds = start.duration(to: .now).seconds
    return records + [
      record(Self.baseline, "training and measuring", seed, "all", "seconds", seconds.rounded())
    ]
  }

  private func measure(
    _ mechanism: BridgeMechanism, _ strategy: BridgeStrategy, _ context: BridgeContext,
    _ composer: BridgeComposer, _ seed: UInt64
  ) throws -> [StudyRecord] {
    if mechanism.outcome == .answers {
      guard let side = context.language as? PromptSide else { return [] }
      let test = Array(side.examples.test.prefix(budget.measuredPrompts))
      let answers =
        try (strategy as? any AnsweringBridge)?.answers(to: test, context) ?? side.answers(to: test)
      return areas(answers, test, mechanism.name, seed)
    }
    let recommenders = try strategy.recommenders(context)
    let scorers = [
      BridgeMechanism.Outcome.domain: recommenders.domain, .language: recommenders.language,
      .fused: recommenders.fused,
    ]
    guard let scorer = scorers[mechanism.outcome] ?? nil else { return [] }
    return try ranking(
      scorer, mechanism.name, mechanism.outcome, composer, seed, new: mechanism.seesNewItems)
  }

  /// NDCG@10 of known items among themselves, and of new items among themselves.
  private func ranking(
    _ scorer: any CatalogueScorer, _ name: String, _ outcome: BridgeMechanism.Outcome,
    _ composer: BridgeComposer, _ seed: UInt64, new: Bool
  ) throws -> [StudyRecord] {
    let counts = composer.new.split.training.itemCounts()
    let known = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
    let slices = [("warm", known)] + (new ? [("new", composer.new.testItems)] : [])
    return try slices.map { slice, items in
      let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)], among: .items(items))
      let value =
        try RankingEvaluator(composer.new.split, on: .test, configuration: evaluation)
        .evaluate(scorer).mean(.ndcg(10)) ?? 0
      return record(name, outcome.rawValue, seed, slice, RankingMetric.ndcg(10).name, value)
    }
  }

  private func areas(
    _ scores: [Float], _ test: [PromptExample], _ name: String, _ seed: UInt64
  ) -> [StudyRecord] {
    let (auc, uauc) = PromptSide.areas(scores, test)
    return [("AUC", auc), ("UAUC", uauc)].compactMap { metric, value in
      value.map { record(name, BridgeMechanism.Outcome.answers.rawValue, seed, "all", metric, $0) }
    }
  }

  /// A table of figures, a row for each mechanism: means over the seeds.
  public static func table(_ records: [StudyRecord]) -> String {
    var lines = [
      "| mechanism | measured | NDCG@10, warm | NDCG@10, new items | AUC | UAUC | seconds |",
      "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in [baseline] + (BridgeMechanism.all + BridgeMechanism.written).map(\.name) {
      let own = records.filter { $0.model == name }
      guard !own.isEmpty else { continue }
      func mean(_ slice: String, _ metric: String) -> String {
        let values = own.filter { $0.slice == slice && $0.metric == metric }.map(\.value)
        guard !values.isEmpty else { return "" }
        let value = values.reduce(0, +) / Double(values.count)
        if metric == "seconds" { return String(format: "%.0f", value) }
        return String(format: "%.4f", value).replacingOccurrences(of: "0.", with: ".")
      }
      let ndcg = RankingMetric.ndcg(10).name
      let outcome = BridgeMechanism.named(name)?.outcome ?? .domain
      lines.append(
        "| \(name) | \(outcome.rawValue) | \(mean("warm", ndcg)) | \(mean("new", ndcg)) | \(mean("all", "AUC")) | \(mean("all", "UAUC")) | \(mean("all", "seconds")) |"
      )
    }
    return lines.joined(separator: "\n")
  }
}
