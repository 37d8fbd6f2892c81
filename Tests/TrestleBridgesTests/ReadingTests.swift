import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A language model that reads words, and what it tells a recommender.
@Suite struct ReadingTests {
  /// A tiny random decoder, and a world whose items' texts say what group they are of.
  struct Composition {
    let new: NewItemSplit
    let side: ReadingSide
    let domain: PairwiseSide
    let vocabulary: EntityVocabulary
    let adapters: LoRAAdapters
    let reader: TextReader

    init(learningRate: Double = 2e-3, epochItems: Int? = nil) throws {
      let dataset = try SyntheticWorld(seed: 5).dataset()
      new = try NewItemSplit(dataset.interactions, seed: 3)
      vocabulary = EntityVocabulary(
        userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
      var configuration = LlamaConfiguration(
        vocabularySize: 64, hiddenSize: 16, intermediateSize: 32, layerCount: 3, headCount: 2,
        keyValueHeadCount: 1)
      configuration.tiesEmbeddings = true
      let model = try Llama(configuration, using: RandomGenerator(seed: 2))
      // Each genre is a token, each title's letters others.
      let genres = Set(dataset.items.genres.joined()).sorted()
      let texts = (0..<dataset.itemCount).map { item in
        dataset.items.genres[item].compactMap { genres.firstIndex(of: $0) }.map { Int32($0) }
          + dataset.items.titles[item].utf8.prefix(6).map { 32 + Int32($0 % 32) }
      }
      adapters = try LoRA(rank: 2).load(into: model, using: RandomGenerator(seed: 4))
      reader = TextReader(model: model, texts: texts, layer: 3, base: 1)
      var reading = ReadingSide.Configuration()
      reading.width = 8
      reading.adapterLearningRate = learningRate
      reading.epochItems = epochItems
      side = ReadingSide(
        name: "tiny", reader: reader, adapters: adapters, split: new.split,
        validationItems: new.validationItems, vocabulary: vocabulary, configuration: reading)
      var gcn = LightGCN.Configuration()
      gcn.dimension = 8
      var generator = RandomGenerator(seed: 6)
      var training = TrainingConfiguration()
      training.learningRate = 1e-2
      training.batchSize = 512
      domain = PairwiseSide(
        LightGCN(training: new.split.training, configuration: gcn, using: &generator), split: new.split,
        vocabulary: vocabulary, configuration: training)
    }

    func strategy(
      readingEpochs: Int, maps: [KernelRidge.Configuration] = KernelRidge.Configuration.candidates
    ) -> ReadingStrategy {
      var configuration = ReadingStrategy.Configuration()
      configuration.maps = maps
      configuration.warmUpEpochs = 10
      configuration.readingEpochs = readingEpochs
      configuration.readingPatience = 0
      // What is read is heard, whether or not it helps in so small a world.
      configuration.scales = [1]
      return ReadingStrategy(validationItems: new.validationItems, configuration: configuration)
    }
  }

  private func largestDifference(_ found: [Float], _ expected: [Float]) -> Float {
    found.count == expected.count ? zip(found, expected).map { abs($0 - $1) }.max() ?? 0 : .infinity
  }

  @Test func aTextIsReadAloneAsInABatch() throws {
    try withSteadyInstructionSet {
      let composition = try Composition()
      let ids = Array(0..<Int32(composition.vocabulary.itemCount))
      let all = composition.reader.allRepresentations()
      let whole = TextReader.meanStates(
        of: composition.reader.texts, by: composition.reader.model, layers: [3])[0]
      #expect(largestDifference(all.floats, whole.floats) < 1e-5)
      for id in ids.prefix(5) {
        let one = composition.reader.representations(of: [id]).floats
        #expect(largestDifference(one, all.gatheredRows(Tensor([id])).floats) < 1e-5)
      }
    }
  }

  @Test func anEmptyTextIsReadAsZeros() throws {
    let composition = try Composition()
    var texts = composition.reader.texts
    texts[1] = []
    let reader = TextReader(model: composition.reader.model, texts: texts, layer: 3, base: 1)
    let rows = reader.representations(of: [0, 1, 2])
    #expect(rows.gatheredRows(Tensor([Int32(1)])).floats.allSatisfy { $0 == 0 })
    #expect(rows.gatheredRows(Tensor([Int32(2)])).floats.contains { $0 != 0 })
  }

  /// The items that a side's steps are on, epoch by epoch.
  private func items(of side: ReadingSide, epochs: Int) throws -> [[Int32]] {
    try (0..<epochs).map { epoch in
      try side.batches(epoch: epoch).flatMap {
        try #require(try side.step(on: $0).items).ids.scalars(as: Int32.self)
      }
    }
  }

  @Test func shortEpochsGoOnWhereTheFormerEnded() throws {
    let whole = try items(of: Composition().side, epochs: 2)
    #expect(Set(whole[0]).count == whole[0].count && whole[0] != whole[1])
    let count = whole[0].count
    let size = count * 2 / 5
    let parts = try items(of: Composition(epochItems: size).side, epochs: 5)
    #expect(parts.allSatisfy { $0.count == size })
    #expect(Array(parts.joined()) == Array((whole[0] + whole[1]).prefix(5 * size)))
    #expect(try items(of: Composition(epochItems: count + 9).side, epochs: 2) == whole)
  }

  @Test func readingReachesAdaptersThroughWordsAndLowersItsLoss() throws {
    let composition = try Composition()
    let parameters = composition.side.parameterGroups.flatMap { $0.parameters.map(\.parameter) }
    let batch = try #require(composition.side.batches(epoch: 0).makeIterator().next())
    let optimizer = AdamW(groups: [
      ParameterGroup(name: "all", parameters: parameters, learningRate: 1e-2, weightDecay: 0)
    ])
    var losses: [Double] = []
    var reached = false
    for _ in 0..<20 {
      let (loss, gradients) = try valueAndGradients(of: parameters) {
        try composition.side.step(on: batch).loss
      }
      // B begins at zero, so A's gradient does too; after a step both have one.
      reached =
        composition.adapters.parameters.contains {
          gradients[$0]?.dense().floats.contains { $0 != 0 } ?? false
        }
      losses.append(loss.item)
      optimizer.update(with: gradients)
    }
    #expect(reached)
    #expect((losses.last ?? 0) < 0.9 * (losses.first ?? 0), "\(losses)")
  }

  @Test func newItemsGetRowsFromTheirTextsAndOldOnesKeepTheRecommenders() throws {
    let composition = try Composition()
    let strategy = composition.strategy(readingEpochs: 2)
    let context = try BridgeContext(
      domain: composition.domain, language: composition.side, split: composition.new.split)
    try BridgeTrainer(strategy, context).run()
    let sharing = try #require(strategy.sharing)
    let counts = composition.new.split.training.itemCounts()
    let own = try composition.domain.representations(
      of: .item, ids: Array(0..<Int32(counts.count)), source: .row)
    let rows = try #require(strategy.rows)
    for item in counts.indices {
      #expect(sharing.items.lastWriters[item] == (counts[item] > 0 ? .domain : .language))
      if counts[item] > 0 {
        let id = Tensor([Int32(item)])
        #expect(rows.items.gatheredRows(id).floats == own.gatheredRows(id).floats)
      }
    }
  }

  @Test func withoutTrainingTheLanguageModelNewItemsAreRankedOtherwise() throws {
    func ranked(_ epochs: Int) throws -> [Float] {
      let composition = try Composition(learningRate: 1e-2)
      let strategy = composition.strategy(
        readingEpochs: epochs, maps: [.init(kernel: .linear, strength: 1)])
      let context = try BridgeContext(
        domain: composition.domain, language: composition.side, split: composition.new.split)
      let trainer = try BridgeTrainer(strategy, context)
      try trainer.run()
      let rows = try #require(strategy.rows).items
      return rows.gatheredRows(Tensor(composition.new.testItems)).floats
    }
    #expect(try ranked(0) != ranked(12))
  }

  @Test func aSavedReadingKeepsItsMapAndRefusesAnother() throws {
    let composition = try Composition()
    let strategy = composition.strategy(readingEpochs: 0)
    let context = try BridgeContext(
      domain: composition.domain, language: composition.side, split: composition.new.split)
    try BridgeTrainer(strategy, context).run()
    let map = try #require(strategy.chosenMap)
    let other = composition.strategy(readingEpochs: 0)
    var state = strategy.saveState()
    try other.loadState(state, context)
    #expect(other.chosenMap == map)
    for broken in ["", "{}", "[1]", state.values["map"]?.replacingOccurrences(of: "6000", with: "0") ?? ""] {
      state.values["map"] = broken
      #expect(throws: BridgeError.self, "\(broken)") { try other.loadState(state, context) }
      #expect(other.chosenMap == map)
    }
    state.values["map"] = nil
    try other.loadState(state, context)
    #expect(other.chosenMap == nil)
  }

  @Test func whatTextsSayBeatsRandomOrderAndShuffledTextsDoNot() throws {
    let dataset = try SyntheticWorld(seed: 5).dataset()
    let new = try NewItemSplit(dataset.interactions, seed: 3)
    var generator = RandomGenerator(seed: 1)
    let model = LightGCN(training: new.split.training, using: &generator)
    var training = TrainingConfiguration()
    (training.epochs, training.learningRate) = (60, 1e-2)
    try RecommenderTrainer(model, training: new.split.training, configuration: training).fit(new.split)
    let rows = model.embeddings()
    let weights = new.split.training.itemCounts().map { Float(min($0, 20)) }
    let genres = Set(dataset.items.genres.joined()).sorted()
    var features = [Float](repeating: 0, count: dataset.itemCount * genres.count)
    for item in 0..<dataset.itemCount {
      for genre in dataset.items.genres[item] {
        features[item * genres.count + (genres.firstIndex(of: genre) ?? 0)] = 1
      }
    }
    let readings = Tensor(features, shape: [dataset.itemCount, genres.count])
    func ndcg(_ readings: Tensor) throws -> Double {
      let best = try RowReading(readings: readings, rows: rows, weights: weights)
        .best(on: new.split, items: new.validationItems)
      var evaluation = RankingEvaluator.Configuration()
      evaluation.candidates = .items(new.testItems)
      let scorer = InnerProductScorer(Representations(users: rows.users, items: best.rows))
      return try RankingEvaluator(new.split, configuration: evaluation).evaluate(scorer).mean(.ndcg(10)) ?? 0
    }
    let random = try ndcg(.zeros([dataset.itemCount, 2]))
    var order = Array(0..<Int32(dataset.itemCount))
    generator.shuffle(&order)
    let read = try ndcg(readings)
    let shuffled = try ndcg(readings.gatheredRows(Tensor(order)))
    #expect(read > 1.3 * random && read > 1.2 * shuffled, "\(read) \(random) \(shuffled)")
  }

  @Test func theVarianceThatAReadingExplainsIsOfItemsThatItsMapHasNotSeen() {
    var generator = RandomGenerator(seed: 9)
    let readings = Tensor.normal([80, 6], using: &generator)
    let rows = InputScaling(fitting: readings)(readings).matmul(Tensor.normal([6, 4], using: &generator))
    let noise = Tensor.normal([80, 4], using: &generator)
    let map = KernelRidge.Configuration(kernel: .linear, strength: 1e-3)
    let held = (60..<80).map { Int32($0) }
    func share(_ rows: Tensor, heldWeight: Float = 1) -> Double {
      let weights = (0..<80).map { $0 < 60 ? Float(2) : heldWeight }
      return RowReading(
        readings: readings, rows: Representations(users: rows, items: rows), weights: weights
      ).explainedVariance(map, of: held)
    }
    #expect(share(rows) > 0.95, "\(share(rows))")
    // Noise is not explained, though the same map reproduces some of the noise that it was fitted on.
    #expect(share(noise) < 0.1, "\(share(noise))")
    // By hand, of the noise: the rows that the map gives without the held items against the others' mean.
    let weights = (0..<80).map { $0 < 60 ? Float(2) : 0 }
    let fitted = KernelRidge(
      inputs: readings, outputs: noise, weights: weights, scaling: InputScaling(fitting: readings),
      configuration: map)
    let own = noise.gatheredRows(Tensor(held))
    let residual = (own - fitted(readings.gatheredRows(Tensor(held)))).squared().sum().item
    let total = (own - fitted.outputMean).squared().sum().item
    #expect(abs(share(noise) - (1 - Double(residual) / Double(total))) < 1e-4)
    #expect(share(rows, heldWeight: 0) == 0)
  }

  @Test func aMapFittedByKernelRidgeReproducesWhatItCanAndPredictsWithoutEcho() {
    var generator = RandomGenerator(seed: 8)
    let inputs = Tensor.normal([60, 12], using: &generator)
    let weight = Tensor.normal([12, 3], using: &generator)
    let scaling = InputScaling(fitting: inputs)
    let outputs = scaling(inputs).matmul(weight)
    let weights = [Float](repeating: 2, count: 60)
    let configuration = KernelRidge.Configuration(kernel: .linear, strength: 1e-3)
    let map = KernelRidge(
      inputs: inputs, outputs: outputs, weights: weights, scaling: scaling, configuration: configuration)
    let error = (map(inputs) - outputs).squared().sum().item / outputs.squared().sum().item
    #expect(error < 0.05, "\(error)")
    // A row that contradicts the others changes what is predicted of itself only through the folds without it: not at all.
    let noise = Tensor.normal([60, 3], using: &generator)
    let echo = KernelRidge(
      inputs: inputs, outputs: noise, weights: weights, scaling: scaling,
      configuration: .init(kernel: .exponential(sharpness: 8), strength: 1e-6))
    #expect(largestDifference(echo(inputs).floats, noise.floats) < 1e-2)
    let fair = KernelRidge.crossFitted(
      inputs: inputs, outputs: noise, weights: weights, scaling: scaling,
      configuration: .init(kernel: .exponential(sharpness: 8), strength: 1e-6), seed: 1)
    let agreement = (fair * noise).sum().item / noise.squared().sum().item
    #expect(abs(agreement) < 0.5, "\(agreement)")
  }

  @Test func aSavedStudyIsGoneOnWithAndABrokenLineIsSaid() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "study-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "figures.jsonl")
    var results = try StudyResults(contentsOf: file)
    #expect(results.records.isEmpty)
    let record = StudyRecord(
      dataset: "d", protocolName: "new-items", model: "LightGCN", variant: "bridge", seed: 2, slice: "new",
      metric: "NDCG@10", value: 0.5)
    results.add([record], [])
    try results.write(to: file)
    let again = try StudyResults(contentsOf: file)
    #expect(again.records == [record])
    #expect(again.cases(of: "d", .newItems, seed: 2) == [StudyCase("LightGCN", .bridge)])
    #expect(again.cases(of: "d", .newItems, seed: 3).isEmpty)
    #expect(try String(contentsOf: file, encoding: .utf8).contains("\"protocol\":\"new-items\""))
    try Data("{}\n".utf8).write(to: file)
    #expect(throws: BridgeError.self) { try StudyResults(contentsOf: file) }
  }
}
