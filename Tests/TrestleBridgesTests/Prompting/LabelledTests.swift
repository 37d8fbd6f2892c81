import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Users who like items above a mark of their own, so that nothing but who and what tells the answer: all titles are alike.
private func madeUpSplit(seed: UInt64, users: Int = 30, items: Int = 24) -> LabelledSplit {
  var generator = RandomGenerator(seed: seed)
  var parts: [[LabelledSplit.Row]] = [[], [], []]
  for user in 0..<users {
    let mark = 0.3 + 0.4 * Double(generator.index(below: 100)) / 100
    for item in 0..<items {
      let isLiked = Double(item) / Double(items) > mark
      let row = LabelledSplit.Row(user: Int32(user), item: Int32(item), isLiked: isLiked, history: [])
      parts[[0, 0, 0, 1, 2][generator.index(below: 5)]].append(row)
    }
  }
  return LabelledSplit(
    name: "made up", training: parts[0], validation: parts[1], test: parts[2],
    userIDs: IDMap(numbered: users), itemIDs: IDMap(numbered: items),
    titles: [String](repeating: "it", count: items))
}

private func encode(_ text: String) -> [Int32] { text.utf8.filter { $0 != 32 }.map { Int32($0 % 32) } }

private func smallModel() throws -> any LanguageModel {
  try Llama(
    LlamaConfiguration(
      vocabularySize: 32, hiddenSize: 24, intermediateSize: 48, layerCount: 2, headCount: 2,
      keyValueHeadCount: 1), using: RandomGenerator(seed: 1))
}

@Suite struct LabelledTests {
  private func budget(slotEpochs: Int = 1) -> LabelledBudget {
    var budget = LabelledBudget(name: "small")
    (budget.domainEpochs, budget.patience, budget.textEpochs, budget.slotEpochs) = (30, 5, 1, slotEpochs)
    (budget.trainingRows, budget.validationRows, budget.batchSize) = (120, 60, 16)
    return budget
  }

  /// The rows tell what the words do not: with the rows of bad items in the places of good ones the answers turn round.
  @Test func answersFollowTheRows() throws {
    let split = madeUpSplit(seed: 3)
    let examples = PromptExamples(split, historyItems: 2)
    let model = try smallModel()
    model.freeze()
    let adapters = try LoRA(rank: 2).load(into: model, using: RandomGenerator(seed: 2))
    let vocabulary = EntityVocabulary(
      userCount: split.userIDs.count, itemCount: split.itemIDs.count, hash: split.hash)
    var configuration = FactorizationSide.Configuration()
    (configuration.dimension, configuration.batchSize, configuration.learningRate) = (8, 64, 0.02)
    let domain = FactorizationSide(examples, vocabulary: vocabulary, configuration: configuration)
    var asking = PromptSide.Configuration()
    (asking.sharesHistories, asking.adapterLearningRate) = (true, 5e-3)
    let side = PromptSide(
      name: "small LM", model: model, adapters: adapters, titles: split.titles, examples: examples,
      vocabulary: vocabulary, configuration: asking, encode: encode)
    let bridge = CoLLM(
      domainEpochs: 60, textEpochs: 1, slotEpochs: 8, expansion: 4, learningRate: 5e-3, rowScale: .common)
    try BridgeTrainer(bridge, BridgeContext(domain: domain, language: side, split: split.liked)).run()
    let own = try #require(PromptSide.areas(domain.answers(to: examples.test), examples.test).auc)
    let bridged = try #require(PromptSide.areas(side.answers(to: examples.test), examples.test).auc)
    let right = try #require(side.injectedRows)
    side.injectedRows = { kind, ids in
      guard kind == .item else { return right(kind, ids) }
      return right(kind, Tensor(ids.scalars(as: Int32.self).map { Int32(split.titles.count) - 1 - $0 }))
    }
    let turned = try #require(PromptSide.areas(side.answers(to: examples.test), examples.test).auc)
    side.injectedRows = nil
    let words = try #require(PromptSide.areas(side.answers(to: examples.test), examples.test).auc)
    #expect(own > 0.85 && bridged > 0.75 && turned < 0.35, "MF \(own), CoLLM \(bridged), turned \(turned)")
    #expect(abs(words - 0.5) < 0.1, "words alone \(words)")
  }

  /// What a prompt says of the past, its row knew; and neighbours share it as far as they can.
  @Test func historiesAreCutToWhatARowKnows() {
    func row(_ user: Int32, _ item: Int32, _ history: [Int32]) -> LabelledSplit.Row {
      .init(user: user, item: item, isLiked: item % 2 == 0, history: history)
    }
    let rows = [
      row(0, 9, [1]), row(0, 8, [1, 2]), row(0, 7, [1, 2, 3]), row(0, 6, [1, 2, 3, 4]), row(0, 5, [3, 4, 5]),
      row(1, 8, [3, 4]), row(1, 9, [3, 4]),
    ]
    let split = LabelledSplit(
      name: "rows", training: rows, validation: rows, test: rows, userIDs: IDMap(numbered: 2),
      itemIDs: IDMap(numbered: 10), titles: (0..<10).map { "t\($0)" })
    let histories = PromptExamples(split, historyItems: 2).training.map(\.history)
    #expect(histories == [[1], [1, 2], [1, 2], [1, 2], [4, 5], [3, 4], [3, 4]])
    for (history, row) in zip(histories, rows) { #expect(Set(history).isSubset(of: row.history)) }
  }

  /// A history that neighbours share is computed once, and nothing else changes: neither answers nor gradients.
  @Test func sharedHistoriesChangeNothing() throws {
    try withSteadyInstructionSet {
      let side = try #require(try SmallComposition(seed: 6).asking().language as? PromptSide)
      let rows = Parameter(Tensor.ones([1, side.inputWidth]) * 0.2)
      side.injectedRows = { _, ids in
        rows.value.gatheredRows(Tensor([Int32](repeating: 0, count: ids.elementCount)))
      }
      let history: [Int32] = [3, 5, 7]
      let asked = (0..<4).map { PromptExample(user: 1, item: $0, label: 1, history: history) }
      let other = PromptExample(user: 2, item: 9, label: 0, history: [4])
      let together = valueAndGradients(of: [rows]) { side.logits(asked + [other]).sum() }
      let apart = valueAndGradients(of: [rows]) {
        (asked + [other]).map { side.logits([$0]).sum() }.reduce(Tensor(Float(0))) { $0 + $1 }
      }
      let single = (asked + [other]).map { side.answers(to: [$0])[0] }
      #expect(zip(side.answers(to: asked + [other]), single).allSatisfy { abs($0 - $1) < 1e-4 })
      #expect(Set(single).count > 1)
      let pairs = zip(
        try #require(together.gradients[rows]).dense().floats,
        try #require(apart.gradients[rows]).dense().floats)
      #expect(pairs.allSatisfy { abs($0 - $1) < 1e-3 } && pairs.contains { abs($0.0) > 1e-3 })
    }
  }

  /// With vectors of zeros, which no gradient moves, a factorisation is its biases.
  @Test func biasesAreWhatIsLeftWithoutVectors() throws {
    let split = madeUpSplit(seed: 3)
    let examples = PromptExamples(split, historyItems: 2)
    func trained(deviation: Double, hasBiases: Bool = true) throws -> FactorizationSide {
      var configuration = FactorizationSide.Configuration()
      (configuration.deviation, configuration.hasBiases) = (deviation, hasBiases)
      (configuration.dimension, configuration.batchSize, configuration.learningRate) = (8, 64, 0.02)
      let side = FactorizationSide(
        examples,
        vocabulary: EntityVocabulary(
          userCount: split.userIDs.count, itemCount: split.itemIDs.count, hash: split.hash),
        configuration: configuration)
      let phase = BridgePhase(name: "alone", side: .domain, epochs: 10)
      let context = try BridgeContext(domain: side, language: side, split: split.liked)
      try BridgeTrainer(BridgeStrategy(name: "MF", phases: [phase]), context).run()
      return side
    }
    let plain = try trained(deviation: 0)
    let biases = try #require(plain.biasAnswers(to: examples.test))
    let all = plain.answers(to: examples.test)
    #expect(zip(biases, all).allSatisfy { abs($0 - $1) < 1e-5 } && biases.contains { abs($0) > 0.1 })
    let whole = try trained(deviation: 0.3)
    #expect(try #require(whole.biasAnswers(to: examples.test)) != whole.answers(to: examples.test))
    #expect(try trained(deviation: 0.3, hasBiases: false).biasAnswers(to: examples.test) == nil)
  }

  private func comparison(_ folder: URL?) throws -> LabelledComparison {
    var comparison = LabelledComparison(
      split: madeUpSplit(seed: 5, users: 16, items: 16), model: try smallModel(), modelName: "small",
      budget: budget(), encode: encode)
    comparison.folder = folder
    return comparison
  }

  /// A run that is stopped in the middle goes on, and its figures are those of one that was left alone.
  @Test func aStoppedComparisonGoesOn() throws {
    try withSteadyInstructionSet {
      let folder = FileManager.default.temporaryDirectory.appending(path: "labelled-\(UUID().uuidString)")
      defer { try? FileManager.default.removeItem(at: folder) }
      let mechanism = try #require(BridgeMechanism.named("CoLLM"))
      func figures(_ records: [StudyRecord]) -> [StudyRecord] {
        records.filter { $0.metric != StudyRecord.seconds }
      }
      var whole: [StudyRecord] = []
      try comparison(nil).run([mechanism], seed: 2) { whole += $0 }
      #expect(Set(whole.map(\.model)).subtracting(["MF, biases alone"]) == ["MF", "CoLLM"])

      var seen = 0
      var rest: [StudyRecord] = []
      var stopped = try comparison(folder)
      stopped.progress = { _, done, total in
        if done > 0 && done < total { seen += 1 }
      }
      stopped.shouldStop = { seen >= 11 }
      try stopped.run([mechanism], seed: 2) { rest += $0 }
      #expect(Set(rest.map(\.model)).subtracting(["MF, biases alone"]) == ["MF"])
      var first: Int?
      var again = try comparison(folder)
      again.progress = { _, done, _ in first = first ?? done }
      try again.run([mechanism], seed: 2, without: ["MF"]) { rest += $0 }
      #expect(figures(rest) == figures(whole) && (first ?? 0) > 0)

      try comparison(folder).run([mechanism], seed: 2, without: ["MF", "CoLLM"]) { _ in
        Issue.record("made again")
      }
      let table = LabelledComparison.table(whole)
      #expect(
        table.contains("| MF | small | 2 |") && table.contains("| CoLLM | small | 2 |")
          && table.contains(" to "))
      // A run of another budget is not gone on with.
      var other = LabelledBudget(name: "small")
      other.trainingRows = 40
      var changed = LabelledComparison(
        split: stopped.split, model: try smallModel(), modelName: "small", budget: other, encode: encode)
      changed.folder = folder
      #expect(throws: BridgeError.self) { try changed.run([mechanism], seed: 2) { _ in } }
    }
  }

  /// Equal scores differ by nothing; better ones by what they are better, and that is told from chance.
  @Test func areasAreComparedByUsers() throws {
    var generator = RandomGenerator(seed: 1)
    let examples = (0..<600).map { row in
      PromptExample(
        user: Int32(row / 10), item: 0, label: generator.index(below: 2) == 0 ? 0 : 1, history: [])
    }
    let noise = examples.map { _ in Float(generator.index(below: 1000)) / 1000 }
    let better = zip(noise, examples).map { $0 + 0.7 * $1.label }
    let same = try #require(AreaComparison(noise, over: noise, examples))
    #expect(same.auc.mean == 0 && same.aucPValue == 1 && same.uauc.mean == 0 && same.uaucPValue == 1)
    let found = try #require(AreaComparison(better, over: noise, examples))
    let (new, old) = (PromptSide.areas(better, examples), PromptSide.areas(noise, examples))
    #expect(abs(found.auc.mean - (try #require(new.auc) - #require(old.auc))) < 1e-9)
    #expect(abs(found.uauc.mean - (try #require(new.uauc) - #require(old.uauc))) < 1e-9)
    #expect(found.auc.lower > 0.1 && found.aucPValue < 0.01 && found.uaucPValue < 0.01)
    let back = try #require(AreaComparison(noise, over: better, examples))
    #expect(abs(back.auc.mean + found.auc.mean) < 1e-9 && back.aucPValue < 0.01)
    #expect(AreaComparison([1], over: [0], [examples[0]]) == nil)
  }
}
