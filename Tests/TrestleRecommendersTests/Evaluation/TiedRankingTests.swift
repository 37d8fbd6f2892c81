import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor

/// Ties have no order: measures are means over all orders.
@Suite struct TiedRankingTests {
  private static let metrics: [RankingMetric] = (1...6).flatMap {
    [.recall($0), .hit($0), .ndcg($0), .mrr($0), .map($0), .precision($0)]
  }

  /// All orders of a group's items.
  private static func orders(_ values: [Bool]) -> [[Bool]] {
    guard values.count > 1 else { return [values] }
    return values.indices.flatMap { index -> [[Bool]] in
      var rest = values
      let first = rest.remove(at: index)
      return orders(rest).map { [first] + $0 }
    }
  }

  @Test func closedFormsAreTheMeansOverAllOrders() {
    let cases: [[(Int, Int)]] = [
      [(5, 1)], [(5, 2)], [(4, 4)], [(1, 0), (4, 2), (1, 1)], [(2, 1), (3, 1)], [(3, 0), (3, 2)],
      [(2, 2), (4, 1)], [(1, 1), (1, 0), (1, 1)],
    ]
    for groups in cases {
      var rankings: [[Bool]] = [[]]
      for (size, relevant) in groups {
        let group = (0..<size).map { $0 < relevant }
        rankings = rankings.flatMap { start in Self.orders(group).map { start + $0 } }
      }
      let relevantCount = groups.reduce(0) { $0 + $1.1 } + 1
      for metric in Self.metrics {
        let mean =
          rankings.reduce(0) { $0 + metric.value(relevance: $1, relevantCount: relevantCount) }
          / Double(rankings.count)
        let value = metric.expectedValue(
          of: groups.map { TieGroup(size: $0.0, relevant: $0.1) }, relevantCount: relevantCount)
        #expect(abs(value - mean) < 1e-12, "\(metric.name) of \(groups): \(value), expected \(mean)")
      }
    }
  }

  @Test func aConstantScorerGetsWhatRandomOrdersGet() throws {
    let data = try SyntheticWorld(seed: 5).dataset().interactions
    let split = try data.split(.ratio(), seed: 1)
    let metrics: [RankingMetric] = [.ndcg(10), .recall(10), .hit(5), .mrr(20), .map(10)]
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = metrics
    configuration.tileSize = 37
    let evaluator = RankingEvaluator(split, configuration: configuration)
    let constant = try evaluator.evaluate(
      RowScorer(itemCount: data.itemCount) { [count = data.itemCount] _ in
        [Float](repeating: 2, count: count)
      })
    let rounds = 60
    let random = try (0..<rounds).map { round in
      try evaluator.evaluate(
        RowScorer(itemCount: data.itemCount) { [count = data.itemCount] user in
          var generator = RandomGenerator(seed: UInt64(round)).split(UInt64(user))
          return (0..<count).map { _ in Float(generator.uniform()) }
        })
    }
    for metric in metrics {
      let values = random.compactMap { $0.mean(metric) }
      let mean = values.reduce(0, +) / Double(rounds)
      let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rounds - 1)
      let found = try #require(constant.mean(metric))
      let error = (variance / Double(rounds)).squareRoot()
      #expect(abs(found - mean) < 4 * error, "\(metric.name): \(found), random \(mean) ± \(error)")
    }
  }

  @Test func itemIdsDoNotMatter() throws {
    // Twelve items of equal score and a worse one; the relevant item is the first or the last of the equal ones.
    let nobody = Interactions.empty(userCount: 1, itemCount: 13)
    for item in [Int32(0), 11] {
      let test = Interactions(users: [0], items: [item], userCount: 1, itemCount: 13)
      var configuration = RankingEvaluator.Configuration()
      configuration.metrics = [.hit(3), .recall(10)]
      configuration.tileSize = 5
      let result = try RankingEvaluator(
        DataSplit(training: nobody, validation: nobody, test: test), configuration: configuration
      ).evaluate(RowScorer(itemCount: 13) { _ in [Float](repeating: 1, count: 12) + [0] })
      #expect(abs((result.mean(.hit(3)) ?? 0) - 0.25) < 1e-12)
      #expect(abs((result.mean(.recall(10)) ?? 0) - 10.0 / 12) < 1e-12)
    }
  }

  @Test func aSetOfItemsIsRankedByItself() throws {
    let data = try SyntheticWorld(seed: 5).dataset().interactions
    let split = try data.split(.ratio(), seed: 1)
    let row: @Sendable (Int32) -> [Float] = { user in
      var generator = RandomGenerator(seed: 3).split(UInt64(user))
      return (0..<data.itemCount).map { _ in Float(generator.index(below: 40)) }
    }
    let wanted = (0..<Int32(data.itemCount)).filter { $0 % 7 == 3 }
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = [.ndcg(10), .auc, .gauc]
    (configuration.tileSize, configuration.batchSize) = (29, 13)
    configuration.candidates = .items(wanted.reversed() + wanted)
    let found = try RankingEvaluator(split, configuration: configuration)
      .evaluate(RowScorer(itemCount: data.itemCount, row: row))
    #expect(found.candidateItems == wanted)
    // The same by a scorer that never recommends another item, over the test rows of these.
    let rows = split.test.items.indices.filter { wanted.contains(split.test.items[$0]) }.map { Int32($0) }
    let part = DataSplit(
      training: split.training, validation: split.validation, test: split.test.selecting(rows: rows))
    configuration.candidates = .catalogue
    configuration.metrics = [.ndcg(10)]
    let expected = try RankingEvaluator(part, configuration: configuration).evaluate(
      RowScorer(itemCount: data.itemCount) { user in
        row(user).enumerated().map { $0.offset % 7 == 3 ? $0.element : -.infinity }
      })
    #expect(found.users == expected.users && !found.users.isEmpty && found.users.count < split.userCount)
    #expect(found.values(.ndcg(10)) == expected.values(.ndcg(10)))
    let area = try #require(found.mean(.auc))
    #expect(abs(area - 0.5) < 0.1)
  }

  @Test func aSliceCanBeRankedByItself() throws {
    // As in the slices' test: item 3 has no training row and scores lowest; alone it is first.
    let training = Interactions(
      users: (0..<8).map { Int32($0) } + [0, 1, 2], items: Array(repeating: 0, count: 8) + [2, 2, 2],
      userCount: 10, itemCount: 4)
    let test = Interactions(users: [8, 9], items: [2, 3], userCount: 10, itemCount: 4)
    let split = DataSplit(
      training: training, validation: .empty(userCount: 10, itemCount: 4), test: test)
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = [.mrr(4)]
    configuration.candidates = .slice(.unseen)
    let result = try RankingEvaluator(split, configuration: configuration)
      .evaluate(RowScorer(itemCount: 4) { _ in [4, 3, 2, 1] })
    #expect(result.candidateItems == [1, 3] && result.users == [9])
    #expect(result.mean(.mrr(4)) == 0.5 && result.slice(.cold)?.users == [])
  }

  @Test func fewerUsersAreDrawnWithoutChangingTheirValues() throws {
    let data = try SyntheticWorld(seed: 5).dataset().interactions
    let split = try data.split(.ratio(), seed: 1)
    let scorer = Popularity(training: split.training).makeScorer()
    var configuration = RankingEvaluator.Configuration()
    let all = try RankingEvaluator(split, configuration: configuration).evaluate(scorer)
    configuration.userLimit = 50
    let some = try RankingEvaluator(split, configuration: configuration).evaluate(scorer)
    #expect(some.users.count == 50 && some.users == some.users.sorted())
    // Not the first ones.
    #expect(some.users != Array(all.users.prefix(50)))
    let values = Dictionary(uniqueKeysWithValues: zip(all.users, all.values(.ndcg(10))))
    #expect(zip(some.users, some.values(.ndcg(10))).allSatisfy { values[$0] == $1 })
    configuration.userLimit = all.users.count
    #expect(try RankingEvaluator(split, configuration: configuration).evaluate(scorer).users == all.users)
  }
}
