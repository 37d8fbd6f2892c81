import Foundation
import Testing
import TrestleBridges
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What sides promise: they train as their models do alone, and hand out what was asked for.
@Suite struct SideContractTests {
  private func vocabulary(_ data: Dataset) -> EntityVocabulary {
    EntityVocabulary(userCount: data.userCount, itemCount: data.itemCount, hash: data.vocabularyHash)
  }

  private func world() throws -> (data: Dataset, split: DataSplit) {
    let data = try SyntheticWorld(seed: 3).dataset()
    return (data, try data.interactions.split(.ratio(), seed: 3))
  }

  /// XSimGCL's contrast and noise, and popular negatives, are there when it is a side.
  @Test func aSidesStepsAreTheModelsOwn() throws {
    let (data, split) = try world()
    var generator = RandomGenerator(seed: 1)
    let model = XSimGCL(training: split.training, using: &generator)
    var training = TrainingConfiguration()
    training.batchSize = 256
    training.negatives = .popularity()
    let side = PairwiseSide(model, split: split, vocabulary: vocabulary(data), configuration: training)
    let own = try model.makeSteps(training: split.training, configuration: training)
    try withSteadyInstructionSet {
      for (step, batch) in zip(own.epoch(2), side.batches(epoch: 2)) {
        let (alone, asSide) = (try step.loss().item, try side.step(on: batch).loss.item)
        #expect(alone == asSide)
      }
    }
  }

  @Test func aSidesDecayIsAdams() throws {
    let (data, split) = try world()
    var generator = RandomGenerator(seed: 1)
    let model = MatrixFactorization(training: split.training, using: &generator)
    func loss(_ decay: Double) throws -> Double {
      var training = TrainingConfiguration()
      training.weightDecay = decay
      let side = PairwiseSide(model, split: split, vocabulary: vocabulary(data), configuration: training)
      let batch = try #require(side.batches(epoch: 0).first { _ in true })
      return try side.step(on: batch).loss.item
    }
    let lengths = model.parameters.reduce(0) { $0 + $1.detached.squared().sum().item }
    #expect(abs(try loss(0.1) - loss(0) - 0.05 * lengths) < 1e-3 * lengths)
  }

  @Test func weightsOfUsersTurnTheRankingLossIntoAWeightedMean() throws {
    let composition = try SmallComposition(seed: 2)
    let side = composition.domain
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let plain = try side.step(on: batch).loss.item
    side.userWeights = [Float](repeating: 3, count: composition.dataset.userCount)
    #expect(abs(try side.step(on: batch).loss.item - plain) < 1e-5)
    side.userWeights = (0..<composition.dataset.userCount).map { $0 == 5 ? 1 : 0 }
    #expect(abs(try side.step(on: batch).loss.item - plain) > 1e-4)
  }

  @Test func addedInteractionsAreTrainedOnAndCanBeTakenBack() throws {
    let side = try SmallComposition(seed: 2).domain
    let before = side.batches(epoch: 0).reduce(0) { $0 + $1.count }
    side.addedInteractions = [(user: 1, item: 2), (user: 1, item: 3)]
    #expect(side.batches(epoch: 0).reduce(0) { $0 + $1.count } == before + 2)
    side.addedInteractions = []
    #expect(side.batches(epoch: 0).reduce(0) { $0 + $1.count } == before)
  }

  @Test func injectedFeaturesReachScoresAndTheirParametersLearn() throws {
    let composition = try SmallComposition(seed: 2)
    let side = composition.domain
    let before = try side.scores(users: [0, 1]).floats
    let feature = Parameter(Tensor.ones([composition.dataset.itemCount, side.featureWidth]) * 0.1)
    side.injectedFeatures = { $0 == .item ? feature.value : nil }
    #expect(try side.scores(users: [0, 1]).floats != before)
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let gradients = try valueAndGradients(of: [feature]) { try side.step(on: batch).loss }.gradients
    #expect((gradients[feature]?.dense().floats.contains { $0 != 0 }) == true)
  }

  /// A user with several windows is one entity, not its own negative.
  @Test func aStepOfTheLanguageSideHasEachUserOnce() throws {
    let composition = try SmallComposition(seed: 1)
    var configuration = composition.language.configuration
    configuration.windowItems = 4
    let side = LanguageSide(
      name: "short windows", recommender: composition.language.recommender,
      adapters: composition.language.adapters, split: composition.context.split,
      vocabulary: composition.language.vocabulary, configuration: configuration)
    for batch in side.batches(epoch: 0) {
      let step = try side.step(on: batch)
      let users = try #require(step.users).ids.scalars(as: Int32.self)
      #expect(Set(users).count == users.count)
      let scores = try #require(step.scores?())
      #expect(scores.users.scalars(as: Int32.self) == users && scores.logits.shape[0] == users.count)
    }
  }

  @Test func theLanguageSideReadsTextsInAStepAndAdaptersLearnFromThat() throws {
    let side = try SmallComposition(seed: 1).language
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    let adapters = try #require(side.adapters)
    let gradients = try valueAndGradients(of: adapters.parameters) {
      let step = try side.step(on: batch)
      let texts = try #require(try step.entities(.item, from: .text, atMost: 3))
      #expect(texts.ids.elementCount == 3 && texts.source == .text)
      return texts.representations.squared().sum()
    }.gradients
    #expect(
      adapters.parameters.contains { gradients[$0].map { $0.dense().floats.contains { $0 != 0 } } ?? false })
  }

  /// Items from texts or prompts have a term of their own, where they once had none in silence.
  @Test(arguments: [RepresentationSource.text, .prompt, .row])
  func bdlmDrawsItemsFromAnySourceToTheStore(source: RepresentationSource) throws {
    let composition = try SmallComposition(seed: 1)
    var configuration = BDLMStrategy.Configuration()
    configuration.sharing.width = 16
    configuration.itemSource = source
    configuration.userSource = nil
    var schedule = BDLMStrategy.Schedule()
    (schedule.warmUpEpochs, schedule.tuningEpochs, schedule.rounds, schedule.roundDomainEpochs) = (2, 0, 1, 1)
    let trainer = try BridgeTrainer(BDLMStrategy(configuration, schedule: schedule), composition.context)
    try trainer.run()
    let language = trainer.records.filter { $0.side == .language }
    #expect(language.allSatisfy { $0.bridgeLoss > 0 } && !language.isEmpty)
  }

  @Test func bdlmRefusesASourceThatTheSideHasNot() throws {
    let composition = try SmallComposition(seed: 1)
    var configuration = BDLMStrategy.Configuration()
    configuration.sharing.width = 16
    configuration.userSource = .text
    #expect(throws: BridgeError.self) {
      try BridgeTrainer(BDLMStrategy(configuration), composition.context).run()
    }
  }

  @Test func someoneNewGetsTheMeanOfInjectedRows() throws {
    let side = try SmallComposition(seed: 1).language
    let width = side.inputWidth
    func state(_ value: Float) -> [Float] {
      side.injectedRows = { kind, ids in
        kind == .user
          ? Tensor(
            [Float](repeating: value, count: ids.elementCount * width), shape: [ids.elementCount, width])
          : nil
      }
      return side.state(liking: [1, 2]).floats
    }
    #expect(state(0.3) != state(-0.2))
  }

  /// Without the language model's training the bridged recommender ranks otherwise.
  @Test func theLanguageModelsTrainingChangesTheRecommendersLists() throws {
    func lists(rate: Double) throws -> [Int32] {
      let composition = try SmallComposition(seed: 4)
      var configuration = BDLMStrategy.Configuration()
      configuration.sharing.width = 16
      configuration.domainWeight = 0.5
      configuration.writtenItemSource = .text
      var schedule = BDLMStrategy.Schedule()
      (schedule.warmUpEpochs, schedule.tuningEpochs, schedule.rounds, schedule.roundDomainEpochs) = (
        5, 2, 1, 5
      )
      let bridge = BDLMStrategy(configuration, schedule: schedule)
      for index in bridge.phases.indices {
        bridge.phases[index].keepsBest = false
        if bridge.phases[index].side == .language {
          bridge.phases[index].learningRateScale = rate
          bridge.phases[index].finalLearningRateScale = rate
        }
      }
      try BridgeTrainer(bridge, composition.context).run()
      let users = Array(0..<Int32(composition.dataset.userCount))
      return try composition.domain.scores(users: users).topK(10).indices.scalars()
    }
    #expect(try lists(rate: 1) != lists(rate: 0))
  }
}

/// What belongs to a phase's best state.
@Suite struct BestStateTests {
  /// Has a parameter that moves with every step, a counter, and a validation that falls after the first epoch.
  private final class Falling: BridgeStrategy {
    let own = Parameter(Tensor([1, 1] as [Float]))
    var steps = 0
    var valuesAtEpochs: [[Float]] = []
    var stepsAtEpochs: [Int] = []
    init() {
      super.init(name: "falling", phases: [BridgePhase(name: "domain", side: .domain, epochs: 3)])
    }
    override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
      [BridgeParameterGroup(name: "own", parameters: [("own", own)], learningRate: 0.1)]
    }
    override func additionalLoss(
      _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
    ) throws -> Tensor? {
      own.value.squared().sum()
    }
    override func didStep(_ step: SideStep, in phase: BridgePhase, _ context: BridgeContext) throws {
      steps += 1
    }
    override func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? {
      valuesAtEpochs.append(own.detached.floats)
      stepsAtEpochs.append(steps)
      return -Double(valuesAtEpochs.count)
    }
    override func saveState() -> BridgeState {
      var state = BridgeState()
      state.values["steps"] = "\(steps)"
      return state
    }
    override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
      steps = Int(state.values["steps"] ?? "") ?? 0
    }
  }

  @Test func aBridgesParametersMomentsAndStateRollBackWithTheSide() throws {
    let composition = try SmallComposition(seed: 1)
    let bridge = Falling()
    let trainer = try BridgeTrainer(bridge, composition.context)
    try trainer.run()
    #expect(bridge.valuesAtEpochs.count == 3 && bridge.valuesAtEpochs[0] != bridge.valuesAtEpochs[2])
    #expect(bridge.own.detached.floats == bridge.valuesAtEpochs[0])
    #expect(bridge.steps == bridge.stepsAtEpochs[0])
    #expect(trainer.updateCount(of: bridge.own, training: .domain) == bridge.stepsAtEpochs[0])
  }

  @Test func aReplacedLossTrainsOnTheBridgesAlone() throws {
    final class Replacing: BridgeStrategy {
      init() {
        super.init(name: "replacing", phases: [BridgePhase(name: "domain", side: .domain, epochs: 1)])
      }
      override func ownLossWeight(in phase: BridgePhase) -> Double { 0 }
      override func additionalLoss(
        _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
      ) throws -> Tensor? { step.items.map { $0.representations.squared().mean() } }
    }
    let composition = try SmallComposition(seed: 1)
    let trainer = try BridgeTrainer(Replacing(), composition.context)
    try trainer.run()
    #expect(trainer.records[0].loss == 0 && trainer.records[0].bridgeLoss > 0)
  }

  @Test func theCheckerFindsALossThatReachesNothing() throws {
    final class Idle: BridgeStrategy {
      let own = Parameter(Tensor([1] as [Float]))
      init() { super.init(name: "idle", phases: [BridgePhase(name: "domain", side: .domain, epochs: 1)]) }
      override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
        [BridgeParameterGroup(name: "own", parameters: [("own", own)], learningRate: 0.1)]
      }
      override func additionalLoss(
        _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
      ) throws -> Tensor? { step.items.map { $0.representations.detached.squared().mean() } }
    }
    let rules = try checkSharingBridge { Idle() }.map(\.rule)
    #expect(rules.contains { $0.contains("reaches a trained parameter") })
    #expect(rules.contains { $0.contains("own parameters are reached") })
  }

  /// Each capability is the protocol of its name, and is found under it.
  @Test(arguments: Capability.allCases) func aCapabilityIsWhatItsProtocolSays(capability: Capability) throws {
    let composition = try SmallComposition(seed: 1)
    let sides: [any BridgeSide] = [
      composition.domain, composition.language, WordsOnly(composition.domain), GatesOnly(composition.domain),
      CodesOnly(composition.domain), composition.prompts(),
      try composition.closedForm(.ease(.init())).domain,
      try composition.reading(validationItems: [1], byHalves: true).language,
    ]
    // Exhaustive: a new capability needs its protocol here, and the way to it.
    func found(_ side: any BridgeSide) throws -> any BridgeSide {
      switch capability {
      case .entityTables: try side.tables
      case .contextualRepresentations: try side.contextual
      case .crossFittedReading: try side.halves
      case .scores: try side.scores
      case .answers: try side.answering
      case .inputInjection: try side.input
      case .promptFields: try side.words
      case .adapterGating: try side.gating
      case .itemCodes: try side.codes
      case .featureInjection: try side.features
      case .priorInjection: try side.prior
      case .interactionHooks: try side.interactions
      case .parameterGroups: try #require(side as? any ParameterGroups)
      case .training: try side.training
      }
    }
    for side in sides {
      if capability.isOffered(by: side) {
        #expect(try found(side) === side, "\(side.name)")
      } else if capability == .parameterGroups {
        #expect(!(side is any ParameterGroups))
      } else {
        do {
          _ = try found(side)
          Issue.record("\(side.name) has \(capability), and does not offer it")
        } catch BridgeError.missingCapability(_, let name, let missing) {
          #expect(name == side.name && missing == capability)
        }
      }
    }
    #expect(sides.contains(where: capability.isOffered) && !sides.allSatisfy(capability.isOffered))
  }
}

/// A side that can do nothing.
private class IdleSide: BridgeSide {
  let name = "idle"
  let role: SideRole
  let vocabulary: EntityVocabulary
  init(_ other: any BridgeSide) { (role, vocabulary) = (other.role, other.vocabulary) }
}

private final class WordsOnly: IdleSide, PromptFields {
  var promptFields: ((_ user: Int32, _ item: Int32?) -> [Int32])?
  func tokens(of text: String) -> [Int32] { [] }
  func titleTokens(of item: Int32) -> [Int32] { [] }
}

private final class GatesOnly: IdleSide, AdapterGating {
  let adapterRank = 1
  var adapterGates: ((_ users: Tensor) -> Tensor?)?
}

private final class CodesOnly: IdleSide, ItemCodes {
  let codeLimits = (levels: 1, codes: 1)
  func setCodes(_ codes: [[Int32]]) throws(BridgeError) {}
}
