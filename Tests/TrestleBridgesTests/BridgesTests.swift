import Foundation
import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A schedule of BDLM that is over in seconds.
func shortSchedule(rounds: Int = 2) -> BDLMStrategy.Schedule {
  var schedule = BDLMStrategy.Schedule()
  schedule.warmUpEpochs = 3
  schedule.domainValidationInterval = 1
  schedule.tuningEpochs = 1
  schedule.rounds = rounds
  schedule.roundDomainEpochs = 2
  return schedule
}

/// BDLM with a narrow store.
func shortConfiguration() -> BDLMStrategy.Configuration {
  var configuration = BDLMStrategy.Configuration()
  configuration.sharing.width = 16
  return configuration
}

@Suite struct BridgeContractTests {
  @Test func bdlmKeepsTheContract() throws {
    let failures = try checkSharingBridge { BDLMStrategy(shortConfiguration(), schedule: shortSchedule()) }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func bdlmWithTextPromptsAndScoreDivergenceKeepsTheContract() throws {
    var configuration = shortConfiguration()
    configuration.itemSource = .prompt
    configuration.languageScoreWeight = 0.1
    configuration.domainScoreWeight = 0.1
    configuration.domainDistance = .squaredDistanceOfUnitRows
    configuration.languageDistance = .infoNCE(temperature: 0.2)
    let failures = try checkSharingBridge { BDLMStrategy(configuration, schedule: shortSchedule()) }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func bdlmWithAPriorFromEncodedTextsKeepsTheContract() throws {
    var configuration = shortConfiguration()
    configuration.sharing.isNormalized = false
    configuration.sharing.writeRate = 1
    configuration.domainDistance = .squaredDistance
    configuration.writtenItemSource = .encodedText
    configuration.writtenUserSource = .encodedText
    let failures = try checkSharingBridge { BDLMStrategy(configuration, schedule: shortSchedule()) }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func theLanguageModelsRatesFallOverAllItsPhases() {
    var schedule = shortSchedule()
    schedule.tuningEpochs = 2
    schedule.languageAnnealing = 0.2
    let phases = BDLMStrategy(schedule: schedule).phases.filter { $0.side == .language }
    let expected = [(1.0, 0.6), (0.6, 0.4), (0.4, 0.2)]
    #expect(phases.count == expected.count)
    for (phase, rates) in zip(phases, expected) {
      #expect(abs(phase.learningRateScale - rates.0) < 1e-12)
      #expect(abs((phase.finalLearningRateScale ?? 0) - rates.1) < 1e-12)
    }
    schedule.languageAnnealing = 1
    for phase in BDLMStrategy(schedule: schedule).phases {
      #expect(phase.learningRateScale == 1 && phase.finalLearningRateScale ?? 1 == 1)
    }
  }

  /// A rate of zero moves nothing; one that falls to zero moves less than one that stays.
  @Test func aPhaseChangesTheLearningRateOverItsEpochs() throws {
    func movement(_ start: Double, _ end: Double?) throws -> Double {
      let composition = try SmallComposition(seed: 4)
      let before = composition.language.entityRows(.item)?.copied()
      var phase = BridgePhase(name: "language", side: .language, epochs: 3, keepsBest: false)
      phase.learningRateScale = start
      phase.finalLearningRateScale = end
      try BridgeTrainer(BridgeStrategy(name: "alone", phases: [phase]), composition.context).run()
      let after = try #require(composition.language.entityRows(.item))
      return Double((after - (try #require(before))).squared().sum().item)
    }
    let (still, falling, steady) = (try movement(0, nil), try movement(1, 0), try movement(1, nil))
    #expect(still == 0)
    #expect(falling > 0 && falling < 0.8 * steady, "\(falling), \(steady)")
  }

  @Test func slotInjectionKeepsTheContract() throws {
    let failures = try checkSharingBridge {
      SlotInjectionStrategy(domainEpochs: 3, projectorEpochs: 1, jointEpochs: 1)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test(arguments: [RepresentationAlignmentStrategy.Variant.contrastive, .generative])
  func representationAlignmentKeepsTheContract(_ variant: RepresentationAlignmentStrategy.Variant) throws {
    let failures = try checkSharingBridge {
      RepresentationAlignmentStrategy(
        variant: variant, sources: [.item: .text, .user: .behaviour], epochs: 3)
    }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func scoreFusionKeepsTheContract() throws {
    let failures = try checkSharingBridge { ScoreFusionStrategy(domainEpochs: 3, languageEpochs: 1) }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func theCheckerFindsABridgeThatForgetsItsState() throws {
    final class Forgetful: BridgeStrategy {
      private var steps = 0.0
      init() {
        super.init(name: "forgetful", phases: [BridgePhase(name: "domain", side: .domain, epochs: 2)])
      }
      override func additionalLoss(
        _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
      ) throws -> Tensor? {
        steps += 1
        return step.items.map { $0.representations.squared().mean() * (0.01 * steps) }
      }
    }
    let failures = try checkSharingBridge { Forgetful() }
    #expect(failures.contains { $0.rule.contains("ends in the same bits") })
  }
}

@Suite struct BridgeTrainerTests {
  private func folder() -> URL {
    FileManager.default.temporaryDirectory.appending(path: "bridge-tests-\(UUID().uuidString)")
  }

  @Test func aCheckpointOfAnotherConfigurationIsRefused() throws {
    let folder = folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    func run(_ fingerprint: String) throws {
      let composition = try SmallComposition(seed: 1)
      let bridge = ScoreFusionStrategy(domainEpochs: 1, languageEpochs: 1)
      try BridgeTrainer(bridge, composition.context, folder: folder, fingerprint: fingerprint).run()
    }
    try run("one")
    #expect(throws: BridgeError.self) { try run("two") }
    try run("one")
  }

  @Test func aTornCheckpointIsRefused() throws {
    let folder = folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let composition = try SmallComposition(seed: 1)
    let make = { ScoreFusionStrategy(domainEpochs: 1, languageEpochs: 1) }
    try BridgeTrainer(make(), composition.context, folder: folder).run()
    let file = folder.appending(path: "checkpoint.safetensors")
    let bytes = try Data(contentsOf: file)
    try bytes.prefix(bytes.count / 2).write(to: file)
    #expect(throws: (any Error).self) {
      try BridgeTrainer(make(), try SmallComposition(seed: 1).context, folder: folder).run()
    }
  }

  @Test func notANumberStopsThePhaseAndKeepsTheLastGoodState() throws {
    final class Poisoned: BridgeStrategy {
      var steps = 0
      init() { super.init(name: "poisoned", phases: [BridgePhase(name: "domain", side: .domain, epochs: 2)]) }
      override func additionalLoss(
        _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
      ) throws -> Tensor? {
        steps += 1
        guard steps == 3 else { return nil }
        return step.items.map { ($0.representations * 0).log().sum() * 0 }
      }
    }
    let composition = try SmallComposition(seed: 1)
    let trainer = try BridgeTrainer(Poisoned(), composition.context)
    trainer.detectsAnomalies = true
    let error = #expect(throws: BridgeError.self) { try trainer.run() }
    #expect("\(String(describing: error))".contains("log"))
    #expect(composition.domain.model.parameters.allSatisfy { $0.detached.firstNonFiniteIndex == nil })
  }

  @Test func theHybridServesFromItsFolderAndRefusesAForeignFile() throws {
    let composition = try SmallComposition(seed: 3)
    let bridge = BDLMStrategy(shortConfiguration(), schedule: shortSchedule())
    try BridgeTrainer(bridge, composition.context).run()
    let recommenders = try bridge.recommenders(composition.context)
    let domain = try #require(recommenders.domain as? InnerProductScorer)
    let language = try #require(recommenders.language as? InnerProductScorer)
    let hybrid = try HybridRecommender(
      dataset: composition.dataset, split: composition.context.split, domain: domain.representations,
      language: language.representations, fusion: try #require(recommenders.fusion))
    #expect(hybrid.vocabulary == composition.domain.vocabulary)
    let folder = folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    try hybrid.save(to: folder) { try Data("x".utf8).write(to: $0.appending(path: "extra")) }
    #expect(FileManager.default.fileExists(atPath: folder.appending(path: "extra").path))
    let loaded = try HybridRecommender(contentsOf: folder)
    let ids = composition.dataset.itemIDs
    for part in HybridRecommender.Part.allCases {
      let (list, expected) = try withSteadyInstructionSet {
        (
          try loaded.recommend(for: "4", count: 5, by: part, reasons: 2),
          try hybrid.recommend(for: "4", count: 5, by: part, reasons: 2)
        )
      }
      #expect(
        list == expected && list.count == 5 && list.note == nil && list.source.rawValue == part.rawValue)
      let had = Set(loaded.histories.items(of: 4).map { ids[Int($0)] })
      #expect(list.allSatisfy { !had.contains($0.id) })
      let liking = try loaded.recommend(liking: [ids[0], ids[3]], count: 3, by: part)
      #expect(liking.count == 3 && liking.source.rawValue == part.rawValue)
    }
    #expect(throws: ServingError.self) { try loaded.recommend(for: "nobody") }
    #expect(throws: ServingError.self) { try loaded.recommend(liking: ["nothing"]) }
    #expect(throws: ServingError.self) { try loaded.recommend(liking: []) }
    #expect(throws: ServingError.self) {
      try loaded.recommend(liking: [ids[0]], languageState: .zeros([1, 1]), by: .language)
    }
    try FileManager.default.removeItem(at: folder.appending(path: "language.safetensors"))
    let half = try HybridRecommender(contentsOf: folder, sides: .domain)
    #expect(try half.recommend(for: "4", count: 5, by: .domain).note == nil)
    for part in [HybridRecommender.Part.language, .fused] {
      let list = try half.recommend(for: "4", count: 5, by: part)
      #expect(list.source == .domain && list.note?.contains("domain answers alone") == true)
    }
    try Data("{}".utf8).write(to: folder.appending(path: "domain.safetensors"))
    #expect(throws: ServingError.self) { try HybridRecommender(contentsOf: folder, sides: .domain) }
  }

  @Test func aUsersEncodedTextIsTheMeanOfTheHistorys() throws {
    let composition = try SmallComposition(seed: 2)
    let table = try #require(composition.language.encodedItemTexts)
    let history = Array(UserItemMatrix(composition.context.split.training).items(of: 3))
    let own = try composition.language.representations(of: .user, ids: [3], source: .encodedText)
    #expect(own.shape == [1, table.shape[1]])
    let mean = table.gatheredRows(Tensor(history)).mean(along: [0])
    #expect(zip(own.floats, mean.floats).allSatisfy { abs($0 - $1) < 1e-6 })
  }

  @Test func aRidgeMapPassesOverExamplesWithoutWeight() {
    let x = Tensor([1, 0, 0, 1, 1, 1, 5, -3] as [Float], shape: [4, 2])
    let y = Tensor([1, 2, 3, 1000] as [Float], shape: [4, 1])
    let first = (0..<3).map { Int32($0) }
    let without = RidgeMap(
      inputs: x.gatheredRows(Tensor(first)), outputs: y.gatheredRows(Tensor(first)), strength: 1e-6)
    let weighted = RidgeMap(inputs: x, outputs: y, strength: 1e-6, weights: Tensor([1, 1, 1, 0] as [Float]))
    #expect(zip(without.weight.floats, weighted.weight.floats).allSatisfy { abs($0 - $1) < 1e-4 })
    #expect(abs(without.outputMean.floats[0] - weighted.outputMean.floats[0]) < 1e-5)
  }

  @Test func trainingWithTheBridgeMovesTheSidesTowardsEachOther() throws {
    func distance(domainWeight: Double) throws -> Double {
      let composition = try SmallComposition(seed: 4)
      var configuration = shortConfiguration()
      configuration.domainWeight = domainWeight
      configuration.domainDistance = .squaredDistanceOfUnitRows
      // Else the store would come to the recommender, instead of the other way round.
      configuration.domainWrites = false
      var schedule = shortSchedule()
      schedule.roundDomainEpochs = 6
      let bridge = BDLMStrategy(configuration, schedule: schedule)
      // The last state, not the best: a phase that does not help would change nothing.
      for index in bridge.phases.indices { bridge.phases[index].keepsBest = false }
      try BridgeTrainer(bridge, composition.context).run()
      let ids = Array(0..<Int32(composition.dataset.itemCount))
      let own = try composition.domain.representations(of: .item, ids: ids, source: .row).unitNormalized()
      let store = try #require(bridge.sharing).items.rows.unitNormalized()
      return 1 - own.rowDot(store).mean().item
    }
    #expect(try distance(domainWeight: 1) < distance(domainWeight: 0))
  }

  /// The divergence of scores looks at the items that a user has not had in training, and at no others.
  @Test(arguments: [nil, 3.0]) func theDivergenceOfScoresIsOverCandidates(deviation: Double?) throws {
    let composition = try SmallComposition(seed: 5)
    var configuration = shortConfiguration()
    configuration.languageScoreWeight = 2
    configuration.teacherDeviation = deviation
    let bridge = BDLMStrategy(configuration, schedule: shortSchedule())
    try bridge.prepare(composition.context)
    let tuning = try #require(bridge.phases.first { $0.name == "tuning" })
    let users: [Int32] = [3, 7]
    let training = composition.context.split.training
    let seen = Set(training.users.indices.filter { training.users[$0] == 3 }.map { Int(training.items[$0]) })
    let count = composition.dataset.itemCount
    let teacher = try composition.domain.scores(users: users).floats
    let free = try #require((0..<count).filter { !seen.contains($0) }.max { teacher[$0] < teacher[$1] })
    let had = try #require(seen.first)
    // The teacher's own scores, given the deviation over each user's candidates.
    var scores = teacher
    if let deviation {
      for (place, user) in users.enumerated() {
        let own = Set(
          training.users.indices.filter { training.users[$0] == user }.map { Int(training.items[$0]) })
        let candidates = (0..<count).filter { !own.contains($0) }.map { Double(scores[place * count + $0]) }
        let mean = candidates.reduce(0, +) / Double(candidates.count)
        let variance = candidates.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(candidates.count)
        for item in 0..<count {
          let place = place * count + item
          scores[place] = Float((Double(scores[place]) - mean) / variance.squareRoot() * deviation)
        }
      }
    }
    func divergence(raising item: Int?) throws -> Double {
      var student = scores
      if let item { student[item] += 4 }
      var step = SideStep(loss: Tensor(0))
      let logits = Tensor(student, shape: [users.count, count])
      step.scores = { BatchScores(users: Tensor(users), logits: logits) }
      return Double(try #require(try bridge.additionalLoss(step, in: tuning, composition.context)).item)
    }
    #expect(abs(try divergence(raising: nil)) < 1e-4)
    #expect(abs(try divergence(raising: had)) < 1e-4)
    #expect(try divergence(raising: free) > 0.05)
    // In the recommender's phases the weight is that of its own side: 0 here.
    let domain = try #require(bridge.phases.first { $0.name == "round 1: domain" })
    var step = SideStep(loss: Tensor(0))
    step.scores = { BatchScores(users: Tensor(users), logits: Tensor(scores, shape: [users.count, count])) }
    #expect(try bridge.additionalLoss(step, in: domain, composition.context) == nil)
  }

  @Test func theDivergenceOfScoresMakesTheLanguageModelRankLikeTheRecommender() throws {
    func agreement(weight: Double) throws -> Double {
      let composition = try SmallComposition(seed: 6)
      var configuration = shortConfiguration()
      configuration.languageScoreWeight = weight
      var schedule = shortSchedule()
      schedule.warmUpEpochs = 20
      schedule.tuningEpochs = 8
      let bridge = BDLMStrategy(configuration, schedule: schedule)
      for index in bridge.phases.indices { bridge.phases[index].keepsBest = false }
      try BridgeTrainer(bridge, composition.context).run()
      let users = Array(0..<Int32(composition.dataset.userCount))
      func centred(_ scores: Tensor) -> Tensor {
        (scores - scores.mean(along: [1], keepingDimensions: true)).unitNormalized()
      }
      return centred(try composition.domain.scores(users: users))
        .rowDot(centred(try composition.language.scores(users: users))).mean().item
    }
    let (without, with) = (try agreement(weight: 0), try agreement(weight: 5))
    #expect(with > without + 0.05, "correlation of the sides' scores \(without) without, \(with) with")
  }
}
