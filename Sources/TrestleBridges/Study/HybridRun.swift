import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// One seed of a ``HybridStudy`` under one protocol: its split, its recommenders, and what the cases share.
final class HybridRun {
  /// The most items of a catalogue for which settings are searched.
  private static let searchedItems = 8000

  let study: HybridStudy
  let part: StudyProtocol
  let seed: UInt64
  let data: StudySplit
  let domain: PairwiseSide
  /// Its regularisation.
  let regularization: Double
  let vocabulary: EntityVocabulary
  /// How much each item counts where a map is fitted.
  let weights: [Float]
  /// The rows of the bridge's recommender after training.
  let trained: Representations
  /// The items that maps are held from, part by part: all new items, or two halves of the catalogue.
  let held: [[Int32]]
  /// The layers that read best on validation data: each with its states.
  var chosenLayers: [Int]?
  private var fitted: [ModelKind: any CatalogueScorer] = [:]
  private var withReading: [StudyCase: any CatalogueScorer] = [:]
  /// What readings say of new items, at a scale that is not chosen.
  private var heard: [StudyCase: any CatalogueScorer] = [:]
  var smoothers: [HybridStudy.Variant: [SmoothedScorer.Smoother]] = [:]
  /// For each variant and part of ``held``, the map that was chosen.
  var chosenMaps: [HybridStudy.Variant: [KernelRidge.Configuration]] = [:]
  /// The rows of the same recommender where no item is held from training.
  var unheld: (rows: Representations, weights: [Float])?
  /// For each part of ``held``, what the tuned language model makes of all texts.
  var tuned: [Tensor]?

  init(_ study: HybridStudy, _ part: StudyProtocol, seed: UInt64) throws {
    self.study = study
    self.part = part
    self.seed = seed
    let c = study.configuration
    data = try part.split(study.dataset.interactions, seed: seed, newItems: c.split)
    vocabulary = EntityVocabulary(
      userCount: study.dataset.userCount, itemCount: study.dataset.itemCount,
      hash: study.dataset.vocabularyHash)
    let counts = data.split.training.itemCounts()
    weights = Self.weights(data.split.training, c)
    if data.hasNewItems {
      held = [counts.indices.filter { counts[$0] == 0 }.map { Int32($0) }]
    } else {
      var order = Array(0..<Int32(counts.count))
      var generator = RandomGenerator(seed: seed).split(3)
      generator.shuffle(&order)
      held = [order[..<(order.count / 2)].sorted(), order[(order.count / 2)...].sorted()]
    }
    (regularization, domain, trained) = try Self.searched(study, data, vocabulary, seed: seed)
  }

  /// The bridge's recommender at the regularisation that ranks the validation data best, among the items that are known by then;
  /// a single one is taken as it is; large catalogues, and a study that names none, take the recommended one.
  private static func searched(
    _ study: HybridStudy, _ data: StudySplit, _ vocabulary: EntityVocabulary, seed: UInt64
  ) throws -> (Double, PairwiseSide, Representations) {
    let values = study.configuration.regularizations
    guard vocabulary.itemCount <= searchedItems, values.count > 1 else {
      let recommended = LightGCN.Configuration.recommended(for: DataProfile(data.split.training))
      let own = values.count == 1 ? values[0] : recommended.regularization
      let (domain, rows) = try train(study, data.split, vocabulary, seed: seed, regularization: own)
      return (own, domain, rows)
    }
    let best: (Double, PairwiseSide, Representations)? = try best(
      of: values, "LightGCN, regularisation", study, data
    ) { value in
      let (domain, rows) = try train(study, data.split, vocabulary, seed: seed, regularization: value)
      return ((value, domain, rows), InnerProductScorer(rows))
    }
    guard let best else { preconditionFailure("HybridRun: no regularisation to choose") }
    return best
  }

  /// What is made of the value that ranks the validation data best, among the items that are known by then; the first of equals,
  /// and `nil` without values.
  private static func best<Made>(
    of values: [Double], _ name: String, _ study: HybridStudy, _ data: StudySplit,
    _ make: (Double) throws -> (made: Made, scorer: any CatalogueScorer)
  ) throws -> Made? {
    let evaluator = evaluator(study, data)
    return try values.best { value in
      let (made, scorer) = try make(value)
      let figure = try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0
      study.log("    \(name) \(value): validation \(StudyResults.short(figure))")
      return (figure, made)
    }?.made
  }

  /// Ranks the validation data, among the items that are known by then.
  private static func evaluator(_ study: HybridStudy, _ data: StudySplit) -> RankingEvaluator {
    var evaluation = RankingEvaluator.Configuration(
      only: [.ndcg(10)], userLimit: study.configuration.choosingUsers)
    if let known = data.knownItems { evaluation.candidates = .items(known) }
    return RankingEvaluator(data.split, on: .validation, configuration: evaluation)
  }

  /// How much each item of some training data counts where a map is fitted.
  static func weights(_ training: Interactions, _ configuration: HybridStudy.Configuration) -> [Float] {
    training.itemCounts().map { Float(min(Int($0), configuration.bridge.countedInteractions)) }
  }

  /// The bridge's recommender, trained alone or with its items drawn to prior rows, and its rows.
  static func train(
    _ study: HybridStudy, _ split: DataSplit, _ vocabulary: EntityVocabulary, seed: UInt64,
    regularization: Double, prior: (items: Tensor, weight: Double)? = nil
  ) throws -> (PairwiseSide, Representations) {
    var generator = RandomGenerator(seed: seed).split(1)
    var gcn = study.configuration.recommender
    gcn.regularization = regularization
    let model = LightGCN(training: split.training, configuration: gcn, using: &generator)
    var training = study.configuration.training
    training.seed = seed
    let domain = PairwiseSide(model, split: split, vocabulary: vocabulary, configuration: training)
    var bridge = study.configuration.bridge
    bridge.readingEpochs = 0
    let phases = Array(ReadingStrategy(validationItems: [], configuration: bridge).phases.prefix(1))
    let context = try BridgeContext(domain: domain, language: domain, split: split)
    var strategy = BridgeStrategy(name: "alone", phases: phases)
    if let prior { strategy = PriorStrategy(phases: phases, prior: prior.items, weight: prior.weight) }
    try BridgeTrainer(strategy, context).run()
    let rows = withoutGradients { domain.model.representations() }
    return (domain, Representations(users: rows.users.detached, items: rows.items.detached))
  }

  // MARK: Models

  /// What a case ranks by.
  func scorer(_ item: StudyCase) throws -> any CatalogueScorer {
    if item.model == HybridStudy.random { return Self.constant(vocabulary.itemCount) }
    if item.model == HybridStudy.fusion { return try fusion(item.variant) }
    if item.model == HybridStudy.language { return try language(item.variant) }
    guard let kind = ModelKind(name: item.model) else {
      preconditionFailure("HybridRun: there is no model \(item.model)")
    }
    return try item.variant == .alone ? recommender(kind) : bridged(kind, item.variant)
  }

  private static func constant(_ count: Int) -> any CatalogueScorer {
    RowScorer(itemCount: count) { _ in [Float](repeating: 0, count: count) }
  }

  /// A model alone, fitted once.
  private func recommender(_ kind: ModelKind) throws -> any CatalogueScorer {
    if let known = fitted[kind] { return known }
    let scorer: any CatalogueScorer =
      switch kind {
      case .lightGCN: InnerProductScorer(trained)
      case .ease: try searchedEASE()
      case .implicitALS: try searchedALS()
      default: try kind.fit(data.split, seed: seed).makeScorer()
      }
    fitted[kind] = scorer
    return scorer
  }

  /// EASE with the penalty that ranks the validation data best; large catalogues take the recommended one, as a fit takes the
  /// cube of their number.
  private func searchedEASE() throws -> any CatalogueScorer {
    if vocabulary.itemCount > Self.searchedItems {
      return try EASE(training: data.split.training).makeScorer()
    }
    return try best(of: [30, 100, 300, 1000], "EASE, penalty") { penalty in
      var configuration = EASE.Configuration()
      configuration.regularization = penalty
      return try EASE(training: data.split.training, configuration: configuration).makeScorer()
    }
  }

  /// iALS with the penalty that ranks the validation data best.
  private func searchedALS() throws -> any CatalogueScorer {
    try best(of: [0.003, 0.01, 0.03, 0.1], "iALS, penalty") { try implicitALS($0).makeScorer() }
  }

  /// iALS with a penalty, its items' rows drawn to prior ones if there are any.
  private func implicitALS(_ penalty: Double, prior: Tensor? = nil) throws -> ImplicitALS {
    var configuration = ImplicitALS.Configuration.recommended(for: DataProfile(data.split.training))
    configuration.regularization = penalty
    var generator = RandomGenerator(seed: seed)
    let model = ImplicitALS(
      training: data.split.training, configuration: configuration, using: &generator)
    if let prior { model.itemPrior = prior }
    model.fit()
    return model
  }

  /// The scorer of the value that ranks the validation data best.
  private func best(
    of values: [Double], _ name: String, _ make: (Double) throws -> any CatalogueScorer
  ) throws -> any CatalogueScorer {
    try Self.best(of: values, name, study, data) { value in
      let scorer = try make(value)
      return (scorer, scorer)
    } ?? Self.constant(vocabulary.itemCount)
  }

  // MARK: With a reading

  /// A recommender with a reading: of new items the reading speaks alone, at the scale that ranks the validation data best; of
  /// known items it speaks beside the recommender, with the weight that the validation data gives it.
  private func bridged(_ kind: ModelKind, _ variant: HybridStudy.Variant) throws -> any CatalogueScorer {
    let item = StudyCase(kind.name, variant)
    if let known = withReading[item] { return known }
    let base = try recommender(kind)
    let smoothers = try smoothers(variant)
    let scorer: any CatalogueScorer
    if data.hasNewItems {
      heard[item] = SmoothedScorer(base, smoothers)
      scorer = try best(of: study.configuration.bridge.scales, "\(kind.name), \(variant.rawValue), scale") {
        SmoothedScorer(base, smoothers, scale: $0)
      }
    } else {
      scorer =
        try drawn(kind, variant, smoothers)
        ?? StackedScorer(fitting: [base, SmoothedScorer(base, smoothers)], on: data.split)
    }
    withReading[item] = scorer
    return scorer
  }

  /// A recommender trained with what was read as a prior of its items' rows, at the weight that ranks the validation data best;
  /// `nil` for one without rows.
  private func drawn(
    _ kind: ModelKind, _ variant: HybridStudy.Variant, _ smoothers: [SmoothedScorer.Smoother]
  ) throws -> (any CatalogueScorer)? {
    if kind == .lightGCN {
      let prior = written(trained.items, smoothers)
      return try best(
        of: study.configuration.priorWeights, "\(variant.rawValue), LightGCN with a prior, weight"
      ) { weight in
        let (_, rows) = try Self.train(
          study, data.split, vocabulary, seed: seed, regularization: regularization,
          prior: (prior, weight))
        return InnerProductScorer(rows)
      }
    }
    guard kind == .implicitALS else { return nil }
    let prior = written(try implicitALS(0.03).representations.items, smoothers)
    return try best(of: [0.01, 0.03, 0.1, 0.3], "\(variant.rawValue), iALS with a prior, penalty") {
      try implicitALS($0, prior: prior).makeScorer()
    }
  }

  /// What was read of all items' rows, none of its own.
  private func written(_ rows: Tensor, _ smoothers: [SmoothedScorer.Smoother]) -> Tensor {
    let result = Tensor.zeros(rows.shape)
    for smoother in smoothers {
      result.scatterAddInPlace(smoother.rows(rows), at: Tensor(smoother.targets))
    }
    return result
  }

  /// Several models as one, their weights fitted on validation data: without a language model, or with what one reads.
  private func fusion(_ variant: HybridStudy.Variant) throws -> any CatalogueScorer {
    let kinds = [.lightGCN] + HybridStudy.closedForms
    let models = try kinds.map { try recommender($0) }
    let counts = data.split.training.itemCounts().map { Float(log(Double($0) + 1)) }
    let popularity = RowScorer(itemCount: counts.count) { _ in counts }
    if variant == .alone {
      return try StackedScorer(
        fitting: models + [popularity], on: data.split, candidates: data.knownItems)
    }
    if data.hasNewItems {
      return try StackedScorer(
        fitting: kinds.map { try bridged($0, variant) }, on: data.split, candidates: data.knownItems)
    }
    let smoothers = try smoothers(variant)
    let read = models.prefix(2).map { SmoothedScorer($0, smoothers) as any CatalogueScorer }
    let drawn = try [ModelKind.lightGCN, .implicitALS].map { try bridged($0, variant) }
    return try StackedScorer(
      fitting: models + [popularity] + drawn + read + [try neighbors(variant)], on: data.split)
  }

  /// What the language model says by itself, without any item's own row.
  private func language(_ variant: HybridStudy.Variant) throws -> any CatalogueScorer {
    if variant == .textsOnly { return try neighbors(.noLanguageTraining) }
    return SmoothedScorer(try recommender(.lightGCN), try smoothers(variant))
  }

  private func neighbors(_ variant: HybridStudy.Variant) throws -> any CatalogueScorer {
    TextNeighborScorer(readings: try untunedReadings(variant), training: data.split.training)
  }

  // MARK: Measuring

  /// The figures of a case on the test data.
  func measure(_ item: StudyCase) throws -> (records: [StudyRecord], values: [StudyValues]) {
    let start = ContinuousClock.now
    let scorer = try scorer(item)
    var records: [StudyRecord] = []
    var values: [StudyValues] = []
    func add(_ metric: String, of slice: String, _ value: Double) {
      records.append(
        StudyRecord(
          dataset: study.dataset.name, protocolName: part.rawValue, model: item.model,
          variant: item.variant.rawValue, seed: seed, slice: slice, metric: metric, value: value))
    }
    func keep(_ result: EvaluationResult, _ metric: String, of slice: String) {
      values.append(
        StudyValues(
          protocolName: part.rawValue, model: item.model, variant: item.variant.rawValue, seed: seed,
          slice: slice, metric: metric, users: result.users,
          values: result.values(.ndcg(10)).map { ($0 * 1e4).rounded() / 1e4 }))
    }
    for slice in part.slices {
      var evaluation = RankingEvaluator.Configuration(only: study.configuration.metrics)
      evaluation.slices = slice == "all" ? [.warm, .longTail, .cold] : []
      if slice == "new" { evaluation.candidates = .items(data.testItems) }
      let evaluator = RankingEvaluator(data.split, on: .test, configuration: evaluation)
      let result = try evaluator.evaluate(scorer)
      for metric in study.configuration.metrics {
        if let value = result.mean(metric) { add(metric.name, of: slice, value) }
      }
      for own in evaluation.slices {
        if let value = result.mean(.ndcg(10), on: own) {
          add(RankingMetric.ndcg(10).name, of: own.rawValue, value)
        }
      }
      keep(result, RankingMetric.ndcg(10).name, of: slice)
      if slice == "new", let reading = heard[item] {
        let result = try evaluator.evaluate(reading)
        if let value = result.mean(.ndcg(10)) { add(StudyRecord.readingNDCG, of: slice, value) }
        keep(result, StudyRecord.readingNDCG, of: slice)
      }
    }
    add(StudyRecord.seconds, of: part.slices[0], start.duration(to: .now).seconds)
    if item.model == ModelKind.lightGCN.name, item.variant != .alone, item.variant != .meanRow {
      add(StudyRecord.explainedVariance, of: part.slices[0], try explainedVariance(item.variant))
    }
    return (records, values)
  }
}
