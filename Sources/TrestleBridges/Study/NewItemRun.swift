import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// One seed of a ``NewItemStudy``: its split, its recommender, and what the variants share.
final class NewItemRun {
  private let study: NewItemStudy
  private let seed: UInt64
  private let new: NewItemSplit
  private let domain: PairwiseSide
  private let vocabulary: EntityVocabulary
  private let weights: [Float]
  /// The recommender's rows after training.
  private var trained: Representations
  /// The layer that reads best on validation data, and its states.
  private var frozen: (layer: Int, readings: Tensor)?

  init(_ study: NewItemStudy, seed: UInt64) throws {
    self.study = study
    self.seed = seed
    let c = study.configuration
    new = try NewItemSplit(study.dataset.interactions, seed: seed, configuration: c.split)
    vocabulary = EntityVocabulary(
      userCount: study.dataset.userCount, itemCount: study.dataset.itemCount,
      hash: study.dataset.vocabularyHash)
    var generator = RandomGenerator(seed: seed).split(1)
    let model = LightGCN(training: new.split.training, configuration: c.recommender, using: &generator)
    var training = c.training
    training.seed = seed
    domain = PairwiseSide(model, split: new.split, vocabulary: vocabulary, configuration: training)
    let counted = c.bridge.countedInteractions
    weights = new.split.training.itemCounts().map { Float(min(Int($0), counted)) }
    trained = model.embeddings()
    try warmUp()
  }

  /// Trains the recommender alone.
  private func warmUp() throws {
    var bridge = study.configuration.bridge
    bridge.readingEpochs = 0
    let phases = Array(
      ReadingStrategy(validationItems: new.validationItems, configuration: bridge).phases.prefix(1))
    let strategy = BridgeStrategy(name: "alone", phases: phases)
    let context = try BridgeContext(domain: domain, language: domain, split: new.split)
    try BridgeTrainer(strategy, context).run()
    let rows = withoutGradients { domain.model.representations() }
    trained = Representations(users: rows.users.detached, items: rows.items.detached)
  }

  // MARK: Rows

  /// The rows that a variant ranks by.
  func rows(of variant: NewItemStudy.Variant) throws -> Representations {
    switch variant {
    case .alone: return trained
    case .meanRow: return try written(meanRows())
    case .bridge: return try bridged()
    case .noLanguageTraining: return try written(rows(reading: frozenReadings()))
    case .shuffledTexts: return try written(rows(reading: shuffled()))
    case .randomLanguageModel: return try written(rows(reading: randomReadings()))
    case .sentenceEncoder:
      return try written(rows(reading: study.encodedTexts ?? .zeros([vocabulary.itemCount, 1])))
    case .features:
      let features = NewItemStudy.features(of: study.dataset.items) ?? .zeros([vocabulary.itemCount, 1])
      return try written(rows(reading: features))
    }
  }

  private func rows(reading readings: Tensor) throws -> Tensor {
    try RowReading(
      readings: readings, rows: trained, weights: weights, maps: study.configuration.bridge.maps
    ).best(on: new.split, items: new.validationItems).rows
  }

  private func meanRows() -> Tensor {
    let shares = Tensor(weights, shape: [weights.count, 1]) * (1 / Double(max(weights.reduce(0, +), 1)))
    return (trained.items * shares).sum(along: [0], keepingDimensions: true)
      .broadcast(to: [vocabulary.itemCount, trained.items.shape[1]])
  }

  /// The recommender's rows with `rows` for items without interactions, at the scale that ranks the validation data best.
  private func written(_ rows: Tensor) throws -> Representations {
    try ReadingStrategy.placing(
      rows, into: trained, split: new.split, validationItems: new.validationItems,
      scales: study.configuration.bridge.scales)
  }

  /// What the untrained language model makes of the texts at the layer that ranks the validation data best.
  private func frozenReadings() throws -> Tensor {
    if let frozen { return frozen.readings }
    let depth = study.model.layerCount
    let layers = study.configuration.layerShares.map { max(1, Int((Double(depth) * $0).rounded())) }
    let states = TextReader.meanStates(of: study.tokens, by: study.model, layers: layers)
    var best: (value: Double, layer: Int, readings: Tensor)?
    for (layer, readings) in zip(layers, states) {
      let value = try RowReading(
        readings: readings, rows: trained, weights: weights, maps: study.configuration.bridge.maps
      ).best(on: new.split, items: new.validationItems).value
      if value > best?.value ?? -.infinity { best = (value, layer, readings) }
    }
    let chosen = best ?? (0, layers[0], states[0])
    study.log("seed \(seed): layer \(chosen.layer) of \(depth) reads best, validation \(chosen.value)")
    frozen = (chosen.layer, chosen.readings)
    return chosen.readings
  }

  private func shuffled() throws -> Tensor {
    var generator = RandomGenerator(seed: seed).split(5)
    var order = Array(0..<Int32(vocabulary.itemCount))
    generator.shuffle(&order)
    return try frozenReadings().gatheredRows(Tensor(order))
  }

  private func randomReadings() throws -> Tensor {
    _ = try frozenReadings()
    guard let llama = study.model as? Llama, let layer = frozen?.layer else { return try frozenReadings() }
    let random = try Llama(llama.configuration, using: RandomGenerator(seed: seed).split(6))
    return TextReader.meanStates(of: study.tokens, by: random, layers: [layer])[0]
  }

  /// The language model is tuned to read in the recommender's terms, and writes.
  private func bridged() throws -> Representations {
    _ = try frozenReadings()
    let c = study.configuration
    let layer = frozen?.layer ?? study.model.layerCount
    let adapters = try c.adapters.load(into: study.model, using: RandomGenerator(seed: seed).split(7))
    defer { adapters.unload() }
    let reader = TextReader(
      model: study.model, texts: study.tokens, layer: layer, base: max(0, layer - c.tunedBlocks))
    var configuration = c.side
    configuration.seed = seed
    configuration.width = trained.items.shape[1]
    let side = ReadingSide(
      name: study.modelName, reader: reader, adapters: adapters, split: new.split,
      validationItems: new.validationItems, vocabulary: vocabulary, configuration: configuration)
    // The recommender is trained already: its phase only writes.
    var bridge = c.bridge
    bridge.warmUpEpochs = 0
    let strategy = ReadingStrategy(validationItems: new.validationItems, configuration: bridge)
    let context = try BridgeContext(domain: domain, language: side, split: new.split, log: study.log)
    let trainer = try BridgeTrainer(strategy, context)
    trainer.onEpoch = { [study] record in
      guard record.side == .language else { return }
      study.log(
        "  reading, epoch \(record.epoch + 1): loss \(record.loss), validation \(record.validation ?? 0)")
    }
    try trainer.run()
    return strategy.rows ?? trained
  }

  // MARK: Measuring

  /// The figures of rows on the test data, among the new items and among all.
  func measure(
    _ rows: Representations, _ variant: NewItemStudy.Variant
  ) throws -> (records: [StudyRecord], values: [StudyValues]) {
    var records: [StudyRecord] = []
    var values: [StudyValues] = []
    let model = domain.name
    for slice in ["new", "all"] {
      var evaluation = RankingEvaluator.Configuration()
      evaluation.metrics = study.configuration.metrics
      evaluation.listMetrics = []
      evaluation.slices = []
      if slice == "new" { evaluation.candidates = .items(new.testItems) }
      let result = try RankingEvaluator(new.split, on: .test, configuration: evaluation)
        .evaluate(InnerProductScorer(rows))
      for metric in study.configuration.metrics {
        records.append(
          StudyRecord(
            dataset: study.dataset.name, protocolName: "new-items", model: model, variant: variant.rawValue,
            seed: seed, slice: slice, metric: metric.name, value: result.mean(metric) ?? 0))
      }
      values.append(
        StudyValues(
          model: model, variant: variant.rawValue, seed: seed, slice: slice,
          metric: RankingMetric.ndcg(10).name, users: result.users,
          values: result.values(.ndcg(10)).map { ($0 * 1e4).rounded() / 1e4 }))
    }
    return (records, values)
  }
}
