import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What a prompt has of an item, sides that rank after a prompt, and prompts that say what the recommender thinks.
@Suite struct PromptRankingTests {
  @Test func anItemIsReadAsItsTitleItsTokenOrBoth() throws {
    try withSteadyInstructionSet { () throws -> Void in
      func answers(
        _ reading: PromptSide.ItemReading, titles: [String]? = nil, entities: Bool = true, moved: Bool = false
      ) throws -> [Float] {
        let small = try SmallComposition(seed: 1)
        let side = small.prompts(titles: titles, hasEntities: entities) { $0.itemReading = reading }
        if moved, let items = side.entities?.items { items.update(to: items.detached * 3) }
        return side.answers(to: Array(side.examples.training.prefix(4)))
      }
      let others = (0..<40).map { "another \($0)" }
      #expect(try answers(.title) == answers(.title, moved: true))
      #expect(try answers(.title) != answers(.title, titles: others))
      #expect(try answers(.token) != answers(.token, moved: true))
      #expect(try answers(.token) == answers(.token, titles: others))
      #expect(try answers(.both) != answers(.both, moved: true))
      #expect(try answers(.both) != answers(.both, titles: others))
      // Without slots there is the title, whatever was asked for.
      #expect(try answers(.token, entities: false) == answers(.both, entities: false))
      #expect(try answers(.token, entities: false) != answers(.token, titles: others, entities: false))
    }
  }

  @Test func rowsOfTheSidesOwnTrainAndInjectedOnesTakeTheirPlace() throws {
    let side = try SmallComposition(seed: 1).prompts(hasEntities: true)
    let entities = try #require(side.entities)
    let batch = try #require(side.batches(epoch: 0).first { _ in true })
    func reached() throws -> Bool {
      try valueAndGradients(of: [entities.items]) { try side.step(on: batch).loss }
        .gradients[entities.items].map { $0.dense().floats.contains { $0 != 0 } } ?? false
    }
    #expect(try reached())
    #expect(side.parameterGroups.map(\.name) == ["adapters", "entities"])
    side.injectedRows = { _, ids in Tensor.ones([ids.elementCount, side.inputWidth]) * 0.1 }
    #expect(try !reached())
  }

  @Test(arguments: [true, false]) func sidesThatRankAreTrained(byTitle: Bool) throws {
    try withSteadyInstructionSet {
      let context = try SmallComposition(seed: 1).ranking(byTitle: byTitle)
      let side = try #require(context.language as? PromptRankingSide)
      let batch = try #require(side.batches(epoch: 0).first { _ in true })
      let before = try side.step(on: batch).loss.item
      let scores = try side.scores(users: [0, 1]).floats
      for group in side.parameterGroups {
        let parameters = group.parameters.map(\.parameter)
        let gradients = try valueAndGradients(of: parameters) { try side.step(on: batch).loss }.gradients
        #expect(
          parameters.contains { gradients[$0].map { $0.dense().floats.contains { $0 != 0 } } ?? false },
          "\(group.name)")
      }
      try BridgeTrainer(TitleNaming(epochs: 4), context).run()
      #expect(try side.step(on: batch).loss.item < before)
      #expect(try side.scores(users: [0, 1]).floats != scores)
    }
  }

  /// By titles, what the beams reach is what `namedItems` names; items of the history are not among it.
  @Test func titlesRankAsTheyAreNamed() throws {
    let small = try SmallComposition(seed: 1)
    let side = try #require(try small.ranking(byTitle: true).language as? PromptRankingSide)
    let row = try side.scores(users: [2]).floats
    let reached = row.indices.filter { row[$0] > -1000 }.map(Int32.init)
    let had = Set(UserItemMatrix(small.context.split.training).items(of: 2))
    #expect(!reached.isEmpty && reached.allSatisfy { !had.contains($0) })
    let history = TimedHistories(small.context.split.training).items[2].suffix(3)
    let named = side.prompts.namedItems(for: 2, after: Array(history), count: 10, beams: 4, excluding: had)
    #expect(named.map(\.item).sorted() == reached)
    #expect(named.allSatisfy { row[Int($0.item)] == Float($0.logProbability) })
  }

  @Test func theMechanismsKeepTheContract() throws {
    let naming = try checkSharingBridge(composing: { try SmallComposition(seed: $0).ranking(byTitle: true) })
    {
      TitleNaming(epochs: 2)
    }
    #expect(naming.isEmpty, "\(naming)")
    // Another strategy's slots, in prompts with a head.
    let slots = try checkSharingBridge(composing: { try SmallComposition(seed: $0).ranking(byTitle: false) })
    {
      SlotInjectionStrategy(domainEpochs: 2, projectorEpochs: 1, jointEpochs: 1)
    }
    #expect(slots.isEmpty, "\(slots)")
    let ranks = try checkSharingBridge(composing: { try SmallComposition(seed: $0).asking() }) {
      var configuration = RecRanker.Configuration()
      (configuration.domainEpochs, configuration.languageEpochs) = (2, 2)
      return RecRanker(configuration)
    }
    #expect(ranks.isEmpty, "\(ranks)")
  }

  /// A prompt names what the recommender suggests, and says where it puts the item that is asked about.
  @Test func promptsSayWhatTheRecommenderThinks() throws {
    let small = try SmallComposition(seed: 3)
    let context = try small.asking()
    var configuration = RecRanker.Configuration()
    (configuration.domainEpochs, configuration.languageEpochs, configuration.suggestions) = (3, 1, 2)
    let strategy = RecRanker(configuration)
    try BridgeTrainer(strategy, context).run()
    let side = try #require(context.language as? PromptSide)
    let fields = try #require(side.promptFields)
    let best = try context.rankedLists(of: .domain, length: 2).items(of: 4)
    #expect(
      fields(4, nil) == side.tokens(of: " Suggested by a recommender: t\(best[0]); t\(best[1])"))
    func place(_ percent: Int) -> [Int32] {
      side.tokens(of: " (above \(percent) of 100 others, says a recommender)")
    }
    #expect(fields(4, best[0]) == place(100))
    let scores = try small.domain.scores(users: [4]).floats
    let seen = Set(UserItemMatrix(context.split.training).items(of: 4))
    let others = scores.indices.filter { !seen.contains(Int32($0)) }
    let worst = try #require(others.min { scores[$0] < scores[$1] })
    #expect(fields(4, Int32(worst)) == place(0))
    // An item that the user has had is compared with those that the user has not.
    let had = try #require(seen.min())
    let below = others.filter { scores[$0] < scores[Int(had)] }.count
    #expect(fields(4, had) == place(below * 100 / others.count))
  }

  /// Both opinions count by a share chosen on validation questions: none of the eleven shares answers these better.
  @Test func opinionsAreWeighedOnValidationQuestions() throws {
    let small = try SmallComposition(seed: 3)
    let context = try small.asking()
    var configuration = RecRanker.Configuration()
    (configuration.domainEpochs, configuration.languageEpochs) = (8, 1)
    let strategy = RecRanker(configuration)
    let side = try #require(context.language as? PromptSide)
    let asked = side.validationQuestions
    #expect(try strategy.answers(to: asked, context) == side.answers(to: asked))
    try BridgeTrainer(strategy, context).run()
    let both = try #require(PromptSide.areas(try strategy.answers(to: asked, context), asked).auc)
    let language = try #require(PromptSide.areas(side.answers(to: asked), asked).auc)
    let domain = try asked.map { try small.domain.scores(users: [$0.user]).floats[Int($0.item)] }
    #expect(both >= language && both >= (PromptSide.areas(domain, asked).auc ?? 1))
    #expect(strategy.aggregation.map { (0...1).contains($0.share) } == true)
  }
}
