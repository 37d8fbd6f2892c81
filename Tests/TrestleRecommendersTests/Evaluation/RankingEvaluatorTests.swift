import Foundation
import Testing
import TrestleTestSupport
import TrestleRecommenders
import TrestleTensor

@Suite struct RankingEvaluatorTests {
  /// Four users, six items. User 0 trains on 0, validates on 1, tests on 2 and 3; user 1 tests on 0; user 2 only
  /// trains; user 3 tests on an item it trained on.
  static let split = DataSplit(
    training: Interactions(users: [0, 1, 1, 2, 3], items: [0, 4, 5, 0, 5], userCount: 4, itemCount: 6),
    validation: Interactions(users: [0], items: [1], userCount: 4, itemCount: 6),
    test: Interactions(users: [0, 0, 1, 3], items: [2, 3, 0, 5], userCount: 4, itemCount: 6))

  /// The higher the item, the better; user 0 has equal scores for 2 and 4.
  static let scorer = RowScorer(itemCount: 6) { user in
    user == 0 ? [9, 8, 5, 1, 5, 3] : [0, 1, 2, 3, 4, 5]
  }

  /// The same without the tie, item 2 before 4.
  static let untied = RowScorer(itemCount: 6) { user in
    user == 0 ? [9, 8, 5.5, 1, 5, 3] : [0, 1, 2, 3, 4, 5]
  }

  static func configuration(_ metrics: [RankingMetric]) -> RankingEvaluator.Configuration {
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = metrics
    configuration.keepsLists = true
    configuration.tileSize = 4
    configuration.batchSize = 1
    return configuration
  }

  @Test func masksWhatWasSeenAndListsTheLowerOfTiedItemsFirst() throws {
    let result = try RankingEvaluator(
      Self.split, configuration: Self.configuration([.recall(2), .ndcg(4), .precision(10)])
    ).evaluate(Self.scorer)
    #expect(result.users == [0, 1])
    #expect(result.lists == [[2, 4, 5, 3], [3, 2, 1, 0]])
    #expect(result.values(.recall(2)) == [0.5, 0])
    // User 0's item 2 ties with 4: it is first or second alike. User 1: 1/log2 5.
    let first = (1 + 1 / log2(3.0)) / 2
    let expected = [(first + 1 / log2(5)) / (1 + 1 / log2(3)), 1 / log2(5.0)]
    #expect(zip(result.values(.ndcg(4)), expected).allSatisfy { abs(Double($0) - $1) < 1e-7 })
    let mean = try #require(result.mean(.ndcg(4)))
    #expect(abs(mean - (expected[0] + expected[1]) / 2) < 1e-12)
    #expect(result.mean(.precision(10)) == (0.2 + 0.1) / 2)
  }

  @Test func validationMasksTrainingOnly() throws {
    let result = try RankingEvaluator(
      Self.split, on: .validation, configuration: Self.configuration([.mrr(6)])
    ).evaluate(Self.scorer)
    #expect(result.users == [0])
    #expect(result.lists == [[1, 2, 4, 5, 3]])
    #expect(result.mean(.mrr(6)) == 1)
  }

  @Test func cutoffsBeyondTheCatalogueAreDefined() throws {
    let result = try RankingEvaluator(
      Self.split, configuration: Self.configuration([.recall(50), .precision(50)])
    )
    .evaluate(Self.scorer)
    #expect(result.mean(.recall(50)) == 1)
    #expect(result.values(.precision(50)) == [0.04, 0.02])
  }

  @Test func areasUnderTheCurveByHand() throws {
    let result = try RankingEvaluator(Self.split, configuration: Self.configuration([.gauc, .auc]))
      .evaluate(Self.scorer)
    // User 0: relevant scores 5 and 1 against 5 and 3: (½ + 1 + 0 + 0) / 4. User 1: 0 against 1, 2, 3: 0.
    #expect(result.values(.gauc) == [0.375, 0])
    // Weights 2 and 1.
    #expect(result.mean(.gauc) == 0.25)
    // Pooled: relevant 5, 1, 0 against 5, 3, 1, 2, 3: 5 wins 4½, 1 wins ½ (the tie with 1), 0 none; of 15.
    let pooled = try #require(result.mean(.auc))
    #expect(abs(pooled - 5.0 / 15) < 1e-12)
    #expect(result.values(.auc).isEmpty)
  }

  @Test func listMeasuresByHand() throws {
    var configuration = Self.configuration([.recall(2)])
    configuration.listMetrics = [.coverage(2), .gini(2), .averagePopularity(2), .novelty(2)]
    let result = try RankingEvaluator(Self.split, configuration: configuration).evaluate(Self.scorer)
    // The lists begin 2, 4 and 3, 2: item 2 twice, 3 and 4 once, three items never.
    #expect(result.value(.coverage(2)) == 0.5)
    // Ascending counts 0 0 0 1 1 2: (1·1 + 3·1 + 5·2) / (6·4).
    let gini = try #require(result.value(.gini(2)))
    #expect(abs(gini - 14.0 / 24) < 1e-12)
    // Training counts: item 4 has 1, items 2 and 3 none.
    #expect(result.value(.averagePopularity(2)) == 0.25)
    // Every item counts as 1 of 4 users: two bits.
    #expect(result.value(.novelty(2)) == 2)
  }

  @Test func slicesCountOnlyTheirItemsAndKeepAllCandidates() throws {
    // Item 0 has eight training rows, item 1 six, item 2 three, item 3 none.
    let training = Interactions(
      users: (0..<8).map { Int32($0) } + (0..<6).map { Int32($0) } + [0, 1, 2],
      items: Array(repeating: 0, count: 8) + Array(repeating: 1, count: 6) + [2, 2, 2], userCount: 10,
      itemCount: 4)
    let slices = ItemSlices(training: training)
    #expect(slices.slices == [.warm, .warm, .cold, .unseen])
    #expect(ItemSlices(training: training, headShare: 0.4).slices == [.warm, .longTail, .cold, .unseen])
    let test = Interactions(users: [8, 8, 9], items: [2, 0, 3], userCount: 10, itemCount: 4)
    let split = DataSplit(
      training: training, validation: .empty(userCount: 10, itemCount: 4), test: test)
    let result = try RankingEvaluator(split, configuration: Self.configuration([.mrr(4)]))
      .evaluate(RowScorer(itemCount: 4) { _ in [4, 3, 2, 1] })
    #expect(result.slice(.warm)?.users == [8] && result.mean(.mrr(4), on: .warm) == 1)
    #expect(
      result.slice(.cold)?.users == [8] && abs((result.mean(.mrr(4), on: .cold) ?? 0) - 1.0 / 3) < 1e-12)
    #expect(result.slice(.unseen)?.users == [9] && result.mean(.mrr(4), on: .unseen) == 0.25)
    #expect(result.slice(.longTail)?.users == [] && result.mean(.mrr(4), on: .longTail) == nil)
  }

  @Test func threadsTilesAndBatchesDoNotChangeAnyBit() throws {
    try withSteadyInstructionSet {
      let data = try SyntheticWorld(seed: 4).dataset()
      let split = try data.interactions.split(.ratio(), seed: 9)
      let scorer = RowScorer(itemCount: data.itemCount) { user in
        var generator = RandomGenerator(seed: 77).split(UInt64(user))
        // Few distinct values, so that ties are common.
        return (0..<data.itemCount).map { _ in Float(generator.index(below: 50)) }
      }
      var results: [EvaluationResult] = []
      let threads = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(threads) }
      for (threads, batch, tile) in [(1, 128, 2048), (2, 128, 2048), (4, 7, 31), (3, 1000, 1)] {
        ThreadPool.shared.setThreadCount(threads)
        var configuration = Self.configuration(RankingMetric.standard + [.auc, .gauc])
        configuration.batchSize = batch
        configuration.tileSize = tile
        results.append(try RankingEvaluator(split, configuration: configuration).evaluate(scorer))
      }
      #expect(results[0].users.count > 300)
      for result in results.dropFirst() {
        #expect(result.lists == results[0].lists)
        #expect(result.listValues == results[0].listValues)
        for (slice, first) in zip(result.slices, results[0].slices) {
          #expect(slice.users == first.users && slice.perUser == first.perUser && slice.means == first.means)
        }
      }
    }
  }

  @Test func agreesWithARankingByFullSort() throws {
    let data = try SyntheticWorld(seed: 5).dataset()
    let split = try data.interactions.split(.ratio(), seed: 1)
    let row: @Sendable (Int32) -> [Float] = { user in
      var generator = RandomGenerator(seed: 3).split(UInt64(user))
      return (0..<data.itemCount).map { _ in Float(generator.index(below: 40)) }
    }
    let result = try RankingEvaluator(split, configuration: Self.configuration([.recall(10)]))
      .evaluate(RowScorer(itemCount: data.itemCount, row: row))
    let seen = UserItemMatrix(
      split.training, split.validation, userCount: data.userCount, itemCount: data.itemCount)
    for (user, list) in zip(result.users, result.lists ?? []) {
      let scores = row(user)
      let order = scores.indices.filter { !seen.contains(user: Int(user), item: Int32($0)) }
        .sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
      #expect(list == order.prefix(10).map { Int32($0) })
    }
  }

  @Test func notANumberStopsTheEvaluation() {
    let scorer = RowScorer(itemCount: 6) { _ in [0, 1, 2, .nan, 4, 5] }
    #expect(throws: DataError.notANumber(operation: "RankingEvaluator", user: 0, item: 3)) {
      try RankingEvaluator(Self.split, configuration: Self.configuration([.recall(1)])).evaluate(scorer)
    }
  }

  @Test func minusInfinityIsNeverRecommended() throws {
    let scorer = RowScorer(itemCount: 6) { _ in [0, 0, 1, -.infinity, -.infinity, -.infinity] }
    let result = try RankingEvaluator(Self.split, configuration: Self.configuration([.recall(6)])).evaluate(
      scorer)
    #expect(result.lists == [[2], [2, 0, 1]])
  }

  @Test func errorsOfTheScorerArePassedOn() {
    struct Broken: Error {}
    let scorer = RowScorer(itemCount: 6) { _ in throw Broken() }
    #expect(throws: Broken.self) {
      try RankingEvaluator(Self.split, configuration: Self.configuration([.recall(1)])).evaluate(
        scorer)
    }
  }

  @Test func emptyDataGivesAnEmptyResult() throws {
    let empty = Interactions.empty(userCount: 0, itemCount: 0)
    let split = DataSplit(training: empty, validation: empty, test: empty)
    let result = try RankingEvaluator(split, configuration: Self.configuration([.recall(1), .gauc, .auc]))
      .evaluate(RowScorer(itemCount: 0) { _ in [] })
    #expect(result.users.isEmpty && result.mean(.recall(1)) == nil && result.listValues.isEmpty)
    #expect(result.mean(.auc) == nil && result.mean(.gauc) == nil)
  }

  @Test func resultsSurviveJSON() throws {
    let result = try RankingEvaluator(Self.split, configuration: Self.configuration([.recall(2), .gauc]))
      .evaluate(Self.scorer)
    let copy = try JSONDecoder().decode(EvaluationResult.self, from: JSONEncoder().encode(result))
    #expect(copy.values(.recall(2)) == result.values(.recall(2)) && copy.splitHash == Self.split.hash)
  }
}
