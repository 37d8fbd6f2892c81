import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Each mechanism with a short schedule.
private struct ShortMechanism: Sendable, CustomStringConvertible {
  let name: String
  let make: @Sendable () -> BridgeStrategy
  var description: String { name }

  init(_ name: String, _ make: @escaping @Sendable () -> BridgeStrategy) {
    (self.name, self.make) = (name, make)
  }

  /// Those in which the recommender learns from the language side, on two ordinary sides.
  static let teachingTheDomain: [ShortMechanism] = [
    .init("RLMRec-Con") { RLMRecContrastive(weight: 0.5, epochs: 3) },
    .init("RLMRec-Gen") { RLMRecGenerative(weight: 0.5, epochs: 3) },
    .init("AlphaRec") {
      var configuration = AlphaRec.Configuration()
      (configuration.epochs, configuration.width, configuration.negatives) = (3, 8, 32)
      return AlphaRec(configuration)
    },
    .init("LLM-ESR") { LLMESR(neighbors: 3, epochs: 3) },
    .init("DLLM2Rec") {
      var configuration = DLLM2Rec.Configuration()
      (configuration.epochs, configuration.languageEpochs, configuration.length) = (3, 1, 4)
      configuration.consistentLength = 8
      return DLLM2Rec(configuration)
    },
    .init("KAR") { KAR(epochs: 3) },
    .init("LLMRec") {
      var configuration = LLMRec.Configuration()
      (configuration.domainEpochs, configuration.languageEpochs, configuration.candidates) = (3, 1, 8)
      return LLMRec(configuration)
    },
    .init("LLMD4Rec") {
      var configuration = LLMD4Rec.Configuration()
      (configuration.domainEpochs, configuration.languageEpochs, configuration.roundDomainEpochs) = (3, 1, 2)
      configuration.domainWeight = 0.5
      return LLMD4Rec(configuration)
    },
  ]

  /// The same with texts about users, and with features of texts.
  static let reading: [ShortMechanism] = [
    .init("KAR, texts about users") { KAR(textSource: .encodedText, readsUsers: true, epochs: 3) },
    .init("LLMRec with edges") {
      var configuration = LLMRec.Configuration()
      (configuration.domainEpochs, configuration.languageEpochs, configuration.candidates) = (3, 1, 8)
      configuration.addsEdges = true
      return LLMRec(configuration)
    },
    .init("LLMRec with texts") {
      var configuration = LLMRec.Configuration()
      (configuration.domainEpochs, configuration.languageEpochs, configuration.candidates) = (3, 1, 8)
      configuration.textSource = .encodedText
      return LLMRec(configuration)
    },
  ]

  static let alignment = ShortMechanism("A-LLMRec") {
    var configuration = ALLMRec.Configuration()
    (configuration.domainEpochs, configuration.alignmentEpochs, configuration.languageEpochs) = (3, 2, 1)
    configuration.width = 12
    return ALLMRec(configuration)
  }

  static let itemVectors = ShortMechanism("E4SRec") { E4SRec(domainEpochs: 3, languageEpochs: 1) }

  static let all = teachingTheDomain + reading + [alignment, itemVectors]
}

/// Two towers on one frozen model, as CLLM4Rec has them.
private func towers(_ seed: UInt64) throws -> BridgeContext {
  let small = try SmallComposition(seed: seed)
  let model = small.language.recommender.model
  small.language.adapters?.unload()
  var generator = RandomGenerator(seed: seed).split(9)
  func entities() -> EntityTokens {
    EntityTokens(
      userCount: small.dataset.userCount, itemCount: small.dataset.itemCount, for: model, using: &generator)
  }
  var reading = small.language.configuration
  reading.userRepresentation = .row
  let recommender = ItemSequenceModel(
    model: model, entities: entities(), head: ItemHead(itemCount: small.dataset.itemCount))
  let domain = LanguageSide(
    name: "collaborative tower", recommender: recommender, adapters: nil, split: small.context.split,
    vocabulary: small.language.vocabulary, role: .domain, configuration: reading)
  var configuration = ContentSide.Configuration()
  configuration.batchItems = 16
  let language = ContentSide(
    name: "content tower", model: model, entities: entities(), texts: small.language.itemTexts ?? [],
    split: small.context.split, vocabulary: small.language.vocabulary, configuration: configuration)
  return try BridgeContext(domain: domain, language: language, split: small.context.split)
}

@Suite struct MechanismTests {
  @Test(arguments: ShortMechanism.all)
  private func mechanismsKeepTheContract(mechanism: ShortMechanism) throws {
    let failures = try checkSharingBridge(mechanism.make)
    #expect(failures.isEmpty, "\(mechanism): \(failures)")
  }

  @Test func twoTowersKeepTheContract() throws {
    let failures = try checkSharingBridge(composing: towers) { CLLM4Rec(contentEpochs: 1, rounds: 2) }
    #expect(failures.isEmpty, "\(failures)")
  }

  /// Marked pairs are training pairs and edges of the graph, and belong to the state.
  @Test func llmRecAddsEdges() throws {
    let small = try SmallComposition(seed: 5)
    let strategy = try #require(ShortMechanism.reading.first { $0.name == "LLMRec with edges" }).make()
    let before = small.domain.batches(epoch: 0).reduce(0) { $0 + $1.count }
    try BridgeTrainer(strategy, small.context).run()
    let marked = small.dataset.userCount * 2
    #expect(small.domain.addedInteractions.count == marked && small.domain.extendsGraph)
    #expect(small.domain.batches(epoch: 0).reduce(0) { $0 + $1.count } == before + marked)
    let other = try SmallComposition(seed: 5)
    let fresh = try #require(ShortMechanism.reading.first { $0.name == "LLMRec with edges" }).make()
    try fresh.loadState(strategy.saveState(), other.context)
    #expect(
      other.domain.addedInteractions.map(\.item) == small.domain.addedInteractions.map(\.item)
        && other.domain.extendsGraph)
  }

  /// The same composition with the texts, and the tokens' rows, of other items.
  private func context(turned: Bool) throws -> BridgeContext {
    let small = try SmallComposition(seed: 5)
    guard turned else { return small.context }
    let order = Tensor((0..<Int32(small.dataset.itemCount)).reversed())
    for kind in [EntityKind.item] {
      guard let rows = small.language.entityRows(kind) else { continue }
      small.language.setEntityRows(kind, to: rows.gatheredRows(order))
    }
    let side = LanguageSide(
      name: "turned", recommender: small.language.recommender, adapters: small.language.adapters,
      split: small.context.split, vocabulary: small.language.vocabulary,
      itemTexts: small.language.itemTexts?.reversed(), configuration: small.language.configuration)
    return try BridgeContext(domain: small.domain, language: side, split: small.context.split)
  }

  /// What the language side says reaches the recommender's lists.
  @Test(arguments: ShortMechanism.teachingTheDomain)
  private func theRecommenderLearnsFromTheLanguageSide(mechanism: ShortMechanism) throws {
    func scores(turned: Bool) throws -> [Float] {
      let context = try context(turned: turned)
      let strategy = mechanism.make()
      for index in strategy.phases.indices { strategy.phases[index].keepsBest = false }
      try BridgeTrainer(strategy, context).run()
      let scorer = try #require(try strategy.recommenders(context).domain)
      var batch = try scorer.prepare(users: [0, 1, 2])
      var scores = [Float](repeating: 0, count: 3 * scorer.itemCount)
      try batch.write(items: 0..<scorer.itemCount, into: &scores)
      return scores
    }
    try withSteadyInstructionSet {
      let (straight, again, turned) = (
        try scores(turned: false), try scores(turned: false), try scores(turned: true)
      )
      #expect(straight == again && straight != turned)
    }
  }

  /// What the recommender knows reaches the language side's scores: through the codes in its input, or as a teacher.
  @Test(arguments: [
    ShortMechanism.alignment, ShortMechanism.itemVectors, ShortMechanism.teachingTheDomain[7],
  ])
  private func theLanguageSideLearnsFromTheRecommender(mechanism: ShortMechanism) throws {
    func scores(training: Bool) throws -> [Float] {
      let small = try SmallComposition(seed: 6)
      let strategy = mechanism.make()
      for index in strategy.phases.indices {
        strategy.phases[index].keepsBest = false
        if strategy.phases[index].side == .domain && !training {
          strategy.phases[index].learningRateScale = 0
        }
      }
      try BridgeTrainer(strategy, small.context).run()
      return try small.language.scores(users: [0, 1, 2]).floats
    }
    #expect(try scores(training: true) != scores(training: false))
  }

  /// The towers' rows are drawn to each other.
  @Test func tiedTowersComeNearer() throws {
    func distance(weight: Double) throws -> Double {
      let context = try towers(3)
      let strategy = CLLM4Rec(weight: weight, contentEpochs: 1, rounds: 2)
      for index in strategy.phases.indices { strategy.phases[index].keepsBest = false }
      try BridgeTrainer(strategy, context).run()
      let rows = try [context.domain, context.language].map {
        try $0.representations(ofAll: .item, from: .row)
      }
      return (rows[0] - rows[1]).squared().mean().item
    }
    #expect(try distance(weight: 1000) < 0.8 * distance(weight: 0))
  }

  /// An item without interactions has a code from its text, and one with interactions from the recommender.
  @Test func marksAreOfCandidatesThatTheUserHasNotHad() throws {
    let small = try SmallComposition(seed: 5)
    let strategy = ShortMechanism.teachingTheDomain[6].make()
    try BridgeTrainer(strategy, small.context).run()
    let state = strategy.saveState()
    let liked = try #require(state.tensors["liked"])
    let other = try #require(state.tensors["other"])
    let seen = UserItemMatrix(small.context.split.training)
    let (a, b) = (liked.scalars(as: Int32.self), other.scalars(as: Int32.self))
    for user in 0..<liked.shape[0] {
      let own = (0..<liked.shape[1]).map { a[user * liked.shape[1] + $0] }
      let not = (0..<liked.shape[1]).map { b[user * liked.shape[1] + $0] }
      #expect(Set(own).isDisjoint(with: not))
      for item in own + not { #expect(!seen.contains(user: user, item: item)) }
    }
  }
}
