import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

@Suite struct RecommendationTests {
  @Test func theBestComeFirstAndOfEqualOnesTheLower() throws {
    let scorer = RowScorer(itemCount: 7) { _ in [1, 3, 2, 3, -.infinity, 0, 2] }
    let list = try scorer.recommend(user: 0, count: 4)
    #expect(list.map(\.item) == [1, 3, 2, 6])
    #expect(list.map(\.score) == [3, 3, 2, 2])
    #expect(try scorer.recommend(user: 0, count: 3, without: [6, 1, 1, 99]).map(\.item) == [3, 2, 0])
    #expect(try scorer.recommend(user: 0, count: 100).map(\.item) == [1, 3, 2, 6, 0, 5])
    #expect(try scorer.recommend(user: 0, count: 0).isEmpty)
    #expect(try scorer.recommend(user: 0, count: 2, without: 0..<7).isEmpty)
    #expect(try RowScorer(itemCount: 0) { _ in [] }.recommend(user: 0, count: 3).isEmpty)
  }

  @Test func largeCataloguesAreRankedTileByTile() throws {
    let scores = (0..<50_000).map { Float(($0 * 7919) % 50_021) }
    let order = scores.indices.sorted { scores[$0] > scores[$1] }
    let list = try RowScorer(itemCount: scores.count) { _ in scores }
      .recommend(user: 3, count: 20, without: order.prefix(5).map { Int32($0) })
    #expect(list.map(\.item) == Array(order[5..<25]))
  }

  @Test func aScoreThatIsNoNumberThrows() {
    let scorer = RowScorer(itemCount: 3) { _ in [0, .nan, 1] }
    #expect(throws: DataError.notANumber(operation: "recommend", user: 5, item: 1)) {
      try scorer.recommend(user: 5, count: 1)
    }
  }

  @Test func aModelRecommendsWhatTheEvaluationRanks() throws {
    let split = try SyntheticWorld(seed: 4).dataset().interactions.split(.ratio(), seed: 1)
    let scorer = try EASE(training: split.training).makeScorer()
    let seen = UserItemMatrix(
      split.training, split.validation, userCount: split.userCount, itemCount: split.itemCount)
    let configuration = RankingEvaluatorTests.configuration([.recall(10)])
    try withSteadyInstructionSet {
      let result = try RankingEvaluator(split, configuration: configuration).evaluate(scorer)
      for (user, ranked) in zip(result.users, try #require(result.lists)).prefix(50) {
        let list = try scorer.recommend(user: Int(user), count: 10, without: seen.items(of: Int(user)))
        #expect(list.map { Int32($0.item) } == ranked)
      }
    }
  }
}
