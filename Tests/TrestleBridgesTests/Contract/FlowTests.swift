import Testing
import TrestleBridges
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What flows in the plainest exchanges: rows in slots, scores in a sum.
@Suite struct FlowTests {
  /// The gradient of a batch's own loss in what stands in the slots, and the scores, after a strategy has filled them.
  private func injected(turned: Bool) throws -> (gradients: [Float], scores: [Float]) {
    let small = try SmallComposition(seed: 4, users: 20, items: 15)
    if turned, let rows = small.domain.entityRows(.item) {
      small.domain.setEntityRows(.item, to: rows.gatheredRows(Tensor((0..<15 as Range<Int32>).reversed())))
    }
    let strategy = SlotInjectionStrategy()
    try strategy.prepare(small.context)
    let joint = try #require(strategy.phases.last)
    try strategy.enter(joint, small.context)
    let own = strategy.parameterGroups(in: joint).flatMap { $0.parameters.map(\.parameter) }
    let batch = try #require(small.language.batches(epoch: 0).first { _ in true })
    let gradients = try valueAndGradients(of: own) { try small.language.step(on: batch).loss }.gradients
    return (
      own.flatMap { gradients[$0]?.dense().floats ?? [] }, try small.language.scores(users: [0, 1]).floats
    )
  }

  @Test func whatIsInjectedReachesTheLossWithAGradient() throws {
    try withSteadyInstructionSet {
      let found = try injected(turned: false)
      #expect(found.gradients.contains { $0 != 0 } && found.gradients.allSatisfy(\.isFinite))
      // The recommender's rows are what is injected: other rows give other scores and other gradients.
      let (again, turned) = (try injected(turned: false), try injected(turned: true))
      #expect(found.scores == again.scores && found.gradients == again.gradients)
      #expect(found.scores != turned.scores && found.gradients != turned.gradients)
      // Without a strategy the slots hold the side's own rows.
      let alone = try SmallComposition(seed: 4, users: 20, items: 15).language.scores(users: [0, 1]).floats
      #expect(found.scores != alone)
    }
  }

  private func best(_ scorer: any CatalogueScorer, of users: [Int32]) throws -> [Int] {
    var batch = try scorer.prepare(users: users)
    var scores = [Float](repeating: 0, count: users.count * scorer.itemCount)
    try batch.write(items: 0..<scorer.itemCount, into: &scores)
    return users.indices.map { row in
      let own = scores[row * scorer.itemCount..<(row + 1) * scorer.itemCount]
      return own.indices.max { own[$0] < own[$1] }.map { $0 - own.startIndex } ?? -1
    }
  }

  /// The fused list is one side's or the other's at the ends of the weights, and each user's class has a weight of its own.
  @Test func fusedScoresFollowTheWeights() throws {
    let small = try SmallComposition(seed: 4)
    let strategy = ScoreFusionStrategy(domainEpochs: 3, languageEpochs: 1)
    try BridgeTrainer(strategy, small.context).run()
    #expect(strategy.weights?.alphas.count == 3)
    let counts = small.context.split.training.userCounts()
    let users = Array(0..<Int32(counts.count))
    let alone = try strategy.recommenders(small.context)
    let domain = try best(#require(alone.domain), of: users)
    let language = try best(#require(alone.language), of: users)
    #expect(domain != language)
    let bound = counts.sorted()[counts.count / 2]
    for (alphas, expected) in [
      ("0 0", { (_: Int) in domain }), ("1 1", { _ in language }),
      ("0 1", { counts[$0] <= bound ? domain : language }),
    ] as [(String, (Int) -> [Int])] {
      var state = BridgeState()
      state.values = ["bounds": "\(bound)", "alphas": alphas]
      try strategy.loadState(state, small.context)
      let fused = try best(#require(strategy.recommenders(small.context).fused), of: users)
      for user in users.indices { #expect(fused[user] == expected(user)[user], "\(alphas), user \(user)") }
    }
    for alphas in ["nan nan", "0.5", "-1 0", "2 0", "0 x"] {
      var state = BridgeState()
      state.values = ["bounds": "\(bound)", "alphas": alphas]
      #expect(throws: BridgeError.self) { try strategy.loadState(state, small.context) }
    }
  }

  /// Texts are represented by the layer that is asked for, and gradients reach the adapters below it.
  @Test func textsAreReadAtALayer() throws {
    try withSteadyInstructionSet {
      let small = try SmallComposition(seed: 4, users: 20, items: 15)
      func side(_ layer: Int?) -> LanguageSide {
        var configuration = small.language.configuration
        configuration.textLayer = layer
        return LanguageSide(
          name: "layer", recommender: small.language.recommender, adapters: small.language.adapters,
          split: small.context.split, vocabulary: small.language.vocabulary,
          itemTexts: small.language.itemTexts, configuration: configuration)
      }
      func texts(_ layer: Int?) throws -> [Float] {
        try side(layer).representations(ofAll: .item, from: .text).floats
      }
      let (top, last, lower) = (try texts(nil), try texts(2), try texts(1))
      #expect(zip(top, last).allSatisfy { abs($0 - $1) < 1e-5 } && top != lower)
      let tokens = try #require(small.language.itemTexts)
      let model = small.language.recommender.model
      let states = withoutGradients {
        model.states(
          model.embed(tokens[3]), sequences: PackedSequences(lengths: [tokens[3].count]), from: 0, layers: [1]
        )
      }
      let mean = states[0].mean(along: [0]).floats
      let width = mean.count
      #expect(zip(mean, lower[3 * width..<4 * width]).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  /// A strategy that puts rows into a reading side says so to another, in place of leaving them out.
  @Test func aSideThatTakesNoRowsIsRefused() throws {
    let small = try SmallComposition(seed: 4, users: 20, items: 15)
    var configuration = ReadingStrategy.Configuration()
    (configuration.warmUpEpochs, configuration.readingEpochs) = (1, 1)
    let strategy = ReadingStrategy(validationItems: [1, 2], configuration: configuration)
    for index in strategy.phases.indices { strategy.phases[index].groups = nil }
    #expect(throws: BridgeError.self) { try BridgeTrainer(strategy, small.context).run() }
  }
}
