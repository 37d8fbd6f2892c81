import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Measures from outside, errors of ratings, groups of users and candidates drawn by popularity.
@Suite struct MoreMeasuresTests {
  /// The place of the first relevant item, from 1; 0 for none.
  private struct FirstPlace: CustomRankingMetric {
    let name = "First"
    let cutoff = 5
    func value(_ list: RankedList) -> Double {
      #expect(list.items.count == list.relevance.count && list.items.count <= cutoff)
      return Double((list.relevance.firstIndex(of: true) ?? -1) + 1)
    }
  }

  private static var configuration: RankingEvaluator.Configuration {
    RankingEvaluatorTests.configuration([.ndcg(2)])
  }

  @Test func aMeasureFromOutsideIsOneType() throws {
    var evaluator = RankingEvaluator(RankingEvaluatorTests.split, configuration: Self.configuration)
    evaluator.customMetrics = [FirstPlace()]
    let result = try evaluator.evaluate(RankingEvaluatorTests.untied)
    // The lists are 2 4 5 3 and 3 2 1 0, the relevant items 2 and 3, and 0.
    #expect(result.slice(.all)?.perUser["First"] == [1, 4])
    #expect(result.mean("First") == 2.5)
    #expect(result.mean("NDCG@2") == result.mean(.ndcg(2)) && result.mean("none") == nil)
    // Beside it everything stays as it is.
    let plain = try RankingEvaluator(RankingEvaluatorTests.split, configuration: Self.configuration)
      .evaluate(RankingEvaluatorTests.untied)
    #expect(plain.values(.ndcg(2)) == result.values(.ndcg(2)))
    #expect(plain.lists == result.lists)
  }

  @Test func aMeasureFromOutsideLooksAtSlices() throws {
    var configuration = Self.configuration
    configuration.slices = ItemSlice.allCases
    var evaluator = RankingEvaluator(RankingEvaluatorTests.split, configuration: configuration)
    evaluator.customMetrics = [FirstPlace()]
    let result = try evaluator.evaluate(RankingEvaluatorTests.untied)
    for slice in result.slices where slice.slice != .all {
      #expect(slice.perUser["First"]?.count == slice.users.count)
    }
    #expect(result.slices.dropFirst().contains { !$0.users.isEmpty })
  }

  @Test func errorsOfRatingsAreThoseOfTheFormulas() throws {
    let errors = RatingErrors([1, 2, 6], of: [2, 4, 4])
    #expect(errors.count == 3 && abs(errors.rmse - 3.0.squareRoot()) < 1e-12)
    #expect(abs(errors.mae - 5.0 / 3) < 1e-12)
    let brought = RatingErrors([1, 2, 6], of: [2, 4, 4], within: 1...5)
    #expect(abs(brought.mae - 4.0 / 3) < 1e-12 && abs(brought.rmse - 2.0.squareRoot()) < 1e-12)
    #expect(RatingErrors([], of: []).rmse == 0)
    let rows = Interactions(
      users: [1, 0, 1], items: [2, 0, 1], ratings: [4, 3, 1], userCount: 2, itemCount: 3)
    let scorer = RowScorer(itemCount: 3) { $0 == 0 ? [5, 0, 0] : [0, 1, 3] }
    let found = try RatingErrors(of: scorer, on: rows)
    #expect(found == RatingErrors([3, 5, 1], of: [4, 3, 1]))
    let without = Interactions(users: [0], items: [0], userCount: 2, itemCount: 3)
    #expect(throws: DataError.self) { try RatingErrors(of: scorer, on: without) }
    let broken = RowScorer(itemCount: 3) { _ in [.nan, .nan, .nan] }
    #expect(throws: DataError.self) { try RatingErrors(of: broken, on: rows) }
  }

  @Test func groupsOfUsersPartTheMean() throws {
    let split = RankingEvaluatorTests.split
    var configuration = Self.configuration
    configuration.slices = []
    let result = try RankingEvaluator(split, configuration: configuration).evaluate(
      RankingEvaluatorTests.untied)
    // User 0 has one training interaction, user 1 two.
    let groups = UserGroups(byActivity: split.training, bounds: [0, 1])
    #expect(groups.names == ["0", "1", "over 1"] && groups.groups == [1, 2, 1, 1])
    let found = result.groups(by: groups)
    #expect(found.map(\.userCount) == [0, 1, 1] && found[0].means.isEmpty)
    let values = result.values(.ndcg(2)).map(Double.init)
    #expect(found[1].means["NDCG@2"] == values[0] && found[2].means["NDCG@2"] == values[1])
    #expect(result.groups(by: groups, on: .cold).isEmpty)
    #expect(UserGroups(byActivity: split.training, bounds: []).names == ["all"])
    #expect(UserGroups(byActivity: split.training, bounds: [2, 9]).names == ["0–2", "3–9", "over 9"])
  }

  @Test func candidatesAreDrawnByPopularity() throws {
    // Item i is taken i times in training by users who have no test item.
    let items = 30
    let pairs = (0..<items).flatMap { item in (0..<item).map { (Int32($0 + 1), Int32(item)) } }
    func rows(_ pairs: [(Int32, Int32)]) -> Interactions {
      Interactions(users: pairs.map(\.0), items: pairs.map(\.1), userCount: items + 1, itemCount: items)
    }
    let split = DataSplit(training: rows(pairs), validation: rows([]), test: rows([(0, 3)]))
    var counts = [Int](repeating: 0, count: items)
    for seed in 0..<200 {
      let lists = CandidateLists.sampledByPopularity(from: split, negatives: 5, seed: UInt64(seed))
      #expect(lists.users == [0] && lists.items[0].count == 6 && lists.items[0].contains(3))
      for item in lists.items[0] where item != 3 { counts[Int(item)] += 1 }
    }
    let (low, high) = (counts[1..<10].reduce(0, +), counts[20..<29].reduce(0, +))
    #expect(Double(high) > 3 * Double(low), "\(counts)")
    #expect(counts[0] == 0)
    let again = CandidateLists.sampledByPopularity(from: split, negatives: 5, seed: 7)
    #expect(again == CandidateLists.sampledByPopularity(from: split, negatives: 5, seed: 7))
    // More than there are: every item that anybody has taken.
    let all = CandidateLists.sampledByPopularity(from: split, negatives: 100, seed: 1)
    #expect(all.items[0] == Array(1..<Int32(items)))
  }
}
