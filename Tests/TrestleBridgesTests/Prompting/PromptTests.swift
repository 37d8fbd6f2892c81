import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

private func asking(_ seed: UInt64) throws -> BridgeContext { try SmallComposition(seed: seed).asking() }

@Suite struct PromptTests {
  @Test func coLLMKeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: asking) {
      CoLLM(domainEpochs: 2, textEpochs: 1, slotEpochs: 2, expansion: 2)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func binLLMKeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: asking) {
      BinLLM(bits: 8, domainEpochs: 2, hashEpochs: 2, languageEpochs: 2)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func llaraKeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: asking) {
      LLaRA(domainEpochs: 2, languageEpochs: 2, steps: 2)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func iLoRAKeepsTheContract() throws {
    let failures = try checkSharingBridge(composing: asking) {
      ILoRA(experts: 2, domainEpochs: 2, languageEpochs: 2, steps: 2)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  /// Equal experts leave the adapters as they are; a user's weights change that user's answers alone; gradients reach them.
  @Test func gatesMixTheAdaptersOfEachUser() throws {
    try withSteadyInstructionSet {
      let side = try #require(try asking(3).language as? PromptSide)
      let adapters = try #require(side.adapters)
      var generator = RandomGenerator(seed: 5)
      for parameter in adapters.parameters {
        parameter.update(to: .normal(parameter.detached.shape, using: &generator) * 0.3)
      }
      let first = try #require(side.examples.training.first)
      let other = try #require(side.examples.training.first { $0.user != first.user })
      let plain = side.answers(to: [first, other])
      side.adapterGates = { users in Tensor.ones([users.elementCount, 2]) }
      #expect(zip(side.answers(to: [first, other]), plain).allSatisfy { abs($0 - $1) < 1e-5 })
      let tilted = Parameter(Tensor([Float(1.8), 0.2], shape: [1, 2]))
      side.adapterGates = { users in
        let ids: [Int32] = users.scalars()
        return Tensor.concatenated(ids.map { $0 == first.user ? tilted.value : .ones([1, 2]) }, along: 0)
      }
      let mixed = side.answers(to: [first, other])
      #expect(abs(mixed[0] - plain[0]) > 1e-4 && abs(mixed[1] - plain[1]) < 1e-5, "\(mixed) \(plain)")
      let gradients = valueAndGradients(of: [tilted]) { side.logits([first, other]).sum() }.gradients
      #expect(gradients[tilted]?.dense().floats.contains { $0 != 0 } == true)
      side.adapterGates = nil
      #expect(side.answers(to: [first, other]) == plain)
      // Three experts do not divide the rank.
      #expect(throws: BridgeError.self) {
        _ = try BridgeTrainer(ILoRA(experts: 3, domainEpochs: 1, languageEpochs: 1), asking(3)).run()
      }
    }
  }

  @Test func examplesOfASplitAskOfWhatIsThereAndOfWhatIsNot() throws {
    let split = try SmallComposition(seed: 2).context.split
    let examples = PromptExamples(sampling: split, perUser: 3, historyItems: 4, seed: 1)
    let training = UserItemMatrix(split.training)
    let test = UserItemMatrix(split.test)
    #expect(!examples.training.isEmpty && !examples.test.isEmpty)
    for example in examples.training {
      #expect(training.contains(user: Int(example.user), item: example.item) == (example.label == 1))
      #expect(example.history.count <= 4 && !example.history.contains(example.item))
    }
    for example in examples.test where example.label == 1 {
      #expect(test.contains(user: Int(example.user), item: example.item))
      #expect(example.history.allSatisfy { training.contains(user: Int(example.user), item: $0) })
    }
  }

  @Test func slotsAreReadAndGradientsReachThem() throws {
    try withSteadyInstructionSet {
      let side = try #require(try asking(1).language as? PromptSide)
      let some = Array(side.examples.training.prefix(4))
      let plain = side.answers(to: some)
      let width = side.inputWidth
      let rows = Parameter(Tensor.ones([1, width]) * 0.2)
      side.injectedRows = { _, ids in
        rows.value.gatheredRows(Tensor([Int32](repeating: 0, count: ids.elementCount)))
      }
      #expect(side.answers(to: some) != plain)
      let gradients = try valueAndGradients(of: [rows]) {
        let batch = try #require(side.batches(epoch: 0).first { _ in true })
        return try side.step(on: batch).loss
      }.gradients
      #expect(gradients[rows]?.dense().floats.contains { $0 != 0 } == true)
      side.injectedRows = nil
      #expect(side.answers(to: some) == plain)
    }
  }

  @Test func fieldsAreSaid() throws {
    let side = try #require(try asking(1).language as? PromptSide)
    let some = Array(side.examples.training.prefix(4))
    let plain = side.answers(to: some)
    side.promptFields = { user, item in item.map { [$0 % 32] } ?? [user % 32, 3] }
    #expect(side.answers(to: some) != plain)
  }

  /// A side whose items 0 and 1 share a title, whose item 2 has one that begins item 3's, and whose item 4 has none.
  private func naming() throws -> PromptSide {
    let small = try SmallComposition(seed: 3)
    let titles = ["same", "same", "long", "longer", ""] + (5..<small.dataset.itemCount).map { "t\($0)" }
    return PromptSide(
      name: "small LM, naming", model: small.language.recommender.model, adapters: small.language.adapters,
      titles: titles, examples: PromptExamples(sampling: small.context.split, historyItems: 3, seed: 0),
      vocabulary: small.language.vocabulary
    ) { text in text.utf8.filter { $0 != 32 }.map { Int32($0 % 32) } }
  }

  /// With enough beams the items come in the order of their titles' probabilities, each computed by itself.
  @Test func titlesAreNamedByTheirProbabilities() throws {
    try withSteadyInstructionSet {
      let side = try naming()
      let count = side.vocabulary.itemCount
      let named = side.namedItems(for: 1, after: [6, 7], count: count, beams: 1000)
      #expect(Set(named.map(\.item)) == Set((0..<Int32(count)).filter { $0 != 4 }))
      #expect(zip(named, named.dropFirst()).allSatisfy { $0.logProbability >= $1.logProbability })
      let w = side.configuration.wording
      let prompt =
        side.tokens(of: w.opening) + side.tokens(of: "t6") + side.tokens(of: w.separator)
        + side.tokens(of: "t7") + side.tokens(of: w.naming)
      let end = side.tokens(of: w.ending)
      let titles = ["same", "long", "longer", "t9"].map { side.tokens(of: $0) + end }
      let alone = side.model.logLikelihoods(of: titles, after: prompt)
      func found(_ item: Int32) -> Double { named.first { $0.item == item }?.logProbability ?? 0 }
      // A title of two items is parted between them.
      let expected = [alone[0] - log(2), alone[0] - log(2), alone[1], alone[2], alone[3]]
      #expect(zip([0, 1, 2, 3, 9].map(found), expected).allSatisfy { abs($0 - $1) < 1e-3 })
      let few = side.namedItems(for: 1, after: [6, 7], count: 5, beams: 1000)
      #expect(few == Array(named.prefix(5)))
      let first = try #require(named.first).item
      let others = side.namedItems(for: 1, after: [6, 7], count: 5, beams: 1000, excluding: [first])
      #expect(!others.contains { $0.item == first } && others.count == 5)
      let narrow = side.namedItems(for: 1, after: [6, 7], count: 3, beams: 2)
      #expect(!narrow.isEmpty && narrow.allSatisfy { item in named.contains { $0.item == item.item } })
    }
  }

  /// What was learnt is named first, and the loss of a title is the mean of what its tokens cost.
  @Test func titlesAreLearnt() throws {
    try withSteadyInstructionSet {
      let side = try naming()
      let taught = [
        PromptExample(user: 1, item: 9, label: 1, history: [6]),
        PromptExample(user: 2, item: 12, label: 1, history: [8]),
      ]
      func likelihood(_ example: PromptExample) -> Double {
        side.namedItems(for: example.user, after: example.history, count: 40, beams: 1000)
          .first { $0.item == example.item }?.logProbability ?? -1000
      }
      let loss = withoutGradients { side.titleLoss(taught) }.item
      let tokens = ["t9", "t12"].map { Double(side.tokens(of: $0).count + 1) }
      let before = taught.map(likelihood)
      #expect(abs(loss * tokens.reduce(0, +) + before.reduce(0, +)) < 1e-2)
      let optimizer = AdamW(side.adapters?.parameters ?? [], learningRate: 0.02)
      for _ in 0..<40 {
        let step = valueAndGradients(of: side.adapters?.parameters ?? []) { side.titleLoss(taught) }
        optimizer.update(with: step.gradients)
      }
      let after = taught.map(likelihood)
      #expect(zip(after, before).allSatisfy { $0 > $1 + 0.5 }, "\(before) \(after)")
    }
  }

  /// The mean over users, ties as halves.
  @Test func areasUnderTheCurve() {
    func example(_ user: Int32, _ label: Float) -> PromptExample {
      PromptExample(user: user, item: 0, label: label, history: [])
    }
    let examples = [example(0, 1), example(0, 0), example(0, 0), example(1, 1), example(1, 0), example(2, 1)]
    let (auc, uauc) = PromptSide.areas([0.5, 0.5, 0.1, 0.2, 0.9, 0.7], examples)
    #expect(abs((uauc ?? 0) - (0.75 + 0) / 2) < 1e-9)
    // Nine pairs of a liked and another item: .5 against .5, .1, .9; .2 against the same; .7 against the same.
    #expect(abs((auc ?? 0) - (0.5 + 1 + 0 + 0 + 1 + 0 + 1 + 1 + 0) / 9) < 1e-9)
    #expect(PromptSide.areas([1], [example(0, 1)]).auc == nil)
  }

  /// What the recommender knows reaches the answers: through the projector, and as words.
  @Test(arguments: [0, 1, 2, 3])
  func answersFollowTheRecommender(which: Int) throws {
    func answers(rate: Double) throws -> [Float] {
      let context = try asking(4)
      let strategies = [
        CoLLM(domainEpochs: 4, textEpochs: 1, slotEpochs: 1, expansion: 2),
        BinLLM(bits: 8, domainEpochs: 4, hashEpochs: 2, languageEpochs: 1),
        LLaRA(domainEpochs: 4, languageEpochs: 1, steps: 1),
        ILoRA(experts: 2, domainEpochs: 4, languageEpochs: 1, steps: 1),
      ]
      let strategy = strategies[which]
      for index in strategy.phases.indices {
        strategy.phases[index].keepsBest = false
        if strategy.phases[index].side == .domain { strategy.phases[index].learningRateScale = rate }
      }
      try BridgeTrainer(strategy, context).run()
      let side = try #require(context.language as? PromptSide)
      return side.answers(to: Array(side.examples.test.prefix(20)))
    }
    #expect(try answers(rate: 1) != answers(rate: 0))
  }

  /// Prompts have slots ever more often, and always at the end.
  @Test func theCurriculumRises() throws {
    let context = try asking(2)
    let strategy = LLaRA(domainEpochs: 1, languageEpochs: 12, steps: 30)
    let trainer = try BridgeTrainer(strategy, context)
    let side = try #require(context.language as? PromptSide)
    var slots: [Bool] = []
    trainer.onProgress = { progress in
      if progress.phase.side == .language { slots.append(side.injectedRows != nil) }
    }
    try trainer.run()
    #expect(slots.count == 36 && slots.suffix(5).allSatisfy { $0 } && side.injectedRows != nil)
    let (early, late) = (slots.prefix(15).filter { $0 }.count, slots.dropFirst(15).filter { $0 }.count)
    #expect(early < 12 && late > early)
  }
}

@Suite struct BridgeComparisonTests {
  @Test func everyMechanismHasANameOfItsOwn() {
    let names = BridgeMechanism.all.map(\.name)
    #expect(Set(names).count == names.count && names.count >= 20)
    #expect(
      names.allSatisfy { BridgeMechanism.named($0)?.name == $0 } && BridgeMechanism.named("none") == nil)
  }

  /// All mechanisms train on one split and are measured; what is there is not made again.
  @Test func mechanismsAreComparedOnOneSplit() throws {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (40, 40, 600)
    let dataset = try SyntheticWorld(world, seed: 1).dataset()
    let model = try Llama(
      LlamaConfiguration(
        vocabularySize: 32, hiddenSize: 64, intermediateSize: 64, layerCount: 2, headCount: 2,
        keyValueHeadCount: 1), using: RandomGenerator(seed: 1))
    var budget = ComparisonBudget.quick
    (budget.domainEpochs, budget.patience, budget.prompts, budget.measuredPrompts) = (2, 1, 32, 40)
    let comparison = BridgeComparison(
      dataset: dataset, texts: ItemTexts(dataset: dataset), model: model, modelName: "small", budget: budget,
      encode: { $0.utf8.filter { $0 != 32 }.prefix(12).map { Int32($0 % 32) } })
    var records: [StudyRecord] = []
    try comparison.run(BridgeMechanism.all, seed: 1) { records += $0 }
    for mechanism in BridgeMechanism.all {
      let own = records.filter { $0.model == mechanism.name }
      let metrics = Set(own.map { "\($0.slice) \($0.metric)" })
      #expect(metrics.contains("all seconds") && own.allSatisfy { $0.value.isFinite })
      #expect(
        metrics.contains(mechanism.outcome == .answers ? "all AUC" : "warm NDCG@10"), "\(mechanism.name)")
      #expect(metrics.contains("new NDCG@10") == mechanism.seesNewItems, "\(mechanism.name)")
    }
    let table = BridgeComparison.table(records).split(separator: "\n")
    #expect(table.count == BridgeMechanism.all.count + 3)
    try comparison.run(BridgeMechanism.all, seed: 1, without: Set(records.map(\.model))) { _ in
      Issue.record("made again")
    }
  }
}
