import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Two readers, each of which learns from one half of the items.
@Suite struct HalvedReadingTests {
  private func side(_ small: SmallComposition) throws -> ReadingSide {
    try #require(
      try small.reading(validationItems: [1, 3, 5], byHalves: true).language as? ReadingSide)
  }

  @Test func everyItemWithInteractionsIsLearntFromByOneReader() throws {
    let small = try SmallComposition(seed: 2)
    let halves = try #require(try side(small).readingHalves)
    let counts = small.context.split.training.itemCounts()
    #expect(zip(halves, counts).allSatisfy { ($0 >= 0) == ($1 > 0) })
    #expect(abs(halves.count { $0 == 0 } - halves.count { $0 == 1 }) <= 1)
    let plain = try #require(
      try small.reading(validationItems: [1]).language as? ReadingSide)
    #expect(plain.readingHalves == nil)
  }

  /// What the reader of one half makes of texts does not change when the other half's items are learnt from.
  @Test(arguments: [0, 1]) func aReaderLearnsNothingFromTheOtherHalf(half: Int) throws {
    try withSteadyInstructionSet {
      let small = try SmallComposition(seed: 2)
      let side = try side(small)
      let halves = try #require(side.readingHalves)
      let adapters = try #require(side.adapters)
      var generator = RandomGenerator(seed: 9)
      for parameter in adapters.parameters {
        parameter.update(to: .normal(parameter.detached.shape, using: &generator) * 0.2)
      }
      let items = Array(0..<Int32(small.dataset.itemCount))
      func readings() throws -> [[Float]] {
        try (0...1).map { try side.representations(ofItems: items, readBy: $0).floats }
      }
      let before = try readings()
      let taught = Set(items.filter { halves[Int($0)] == half })
      let parameters = side.parameterGroups.filter { $0.name != "users" }.flatMap(\.parameters)
      let optimizer = AdamW(groups: [
        ParameterGroup(
          name: "all", parameters: parameters.map(\.parameter), learningRate: 0.05, weightDecay: 0)
      ])
      for _ in 0..<3 {
        let gradients = valueAndGradients(of: parameters.map(\.parameter)) {
          side.loss(of: Array(taught).sorted())
        }.gradients
        optimizer.update(with: gradients)
      }
      let after = try readings()
      #expect(after[half] != before[half])
      #expect(zip(after[1 - half], before[1 - half]).allSatisfy { abs($0 - $1) < 1e-5 })
      // What is handed out for an item that was learnt from is what the other reader makes of it.
      let item = try #require(taught.min())
      let width = side.reader.model.hiddenSize
      let given = try side.representations(of: .item, ids: [item], source: .text).floats
      let other = after[1 - half][Int(item) * width..<(Int(item) + 1) * width]
      #expect(zip(given, other).allSatisfy { abs($0 - $1) < 1e-5 })
    }
  }

  @Test func writingKnownItemsKeepsTheContract() throws {
    let failures = try checkSharingBridge(
      composing: { try SmallComposition(seed: $0).reading(validationItems: [1, 3, 5], byHalves: true) },
      {
        var configuration = ReadingStrategy.Configuration()
        (configuration.warmUpEpochs, configuration.readingEpochs) = (3, 2)
        configuration.writesKnownItems = true
        return ReadingStrategy(validationItems: [1, 3, 5], configuration: configuration)
      })
    #expect(failures.isEmpty, "\(failures)")
  }

  /// Not drawing is among the choices, and one reader for all items is refused: its rows would be echoes.
  @Test func knownRowsAreDrawnAsFarAsValidationWants() throws {
    var configuration = ReadingStrategy.Configuration()
    (configuration.warmUpEpochs, configuration.readingEpochs) = (5, 1)
    configuration.writesKnownItems = true
    let small = try SmallComposition(seed: 2)
    let context = try small.reading(validationItems: [1, 3, 5], byHalves: true)
    let strategy = ReadingStrategy(validationItems: [1, 3, 5], configuration: configuration)
    try BridgeTrainer(strategy, context).run()
    let drawn = try #require(strategy.drawnItems)
    let rows = try #require(strategy.rows)
    let counts = context.split.training.itemCounts()
    let known = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
    #expect(
      rows.items.gatheredRows(Tensor(known)).floats == drawn.rows.gatheredRows(Tensor(known)).floats)
    func validation(_ rows: Representations) throws -> Double {
      let evaluation = RankingEvaluator.Configuration(
        only: [.ndcg(10)], among: .items(known), userLimit: 2000)
      return try RankingEvaluator(context.split, on: .validation, configuration: evaluation)
        .evaluate(InnerProductScorer(rows)).mean(.ndcg(10)) ?? 0
    }
    let plain = try #require(strategy.sharing)
    #expect(
      try validation(Representations(users: plain.users.rows, items: drawn.rows))
        >= validation(Representations(users: plain.users.rows, items: plain.items.rows)))
    let single = try small.reading(validationItems: [1, 3, 5])
    #expect(throws: BridgeError.self) {
      try BridgeTrainer(
        ReadingStrategy(validationItems: [1, 3, 5], configuration: configuration), single
      ).run()
    }
  }
}
