import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Neighbours, random walks and elastic nets against NumPy, SciPy and scikit-learn
/// (Tests/Fixtures/recommenders/closed_forms/make_closed_forms.py).
@Suite struct ItemWeightsTests {
  private struct Fixture: Decodable {
    struct UserKNN: Decodable {
      let scores: [[Double]]
      let newUser: [Double]
    }
    struct RP3Beta: Decodable {
      let alpha, beta: Double
      let weights, scores: [[Double]]
    }
    struct SLIM: Decodable {
      let regularization, l1Ratio: Double
      let weights, scores, free: [[Double]]
    }
    let users, items, new: [Int32]
    let userknn: UserKNN
    let rp3beta: RP3Beta
    let slim: SLIM

    static func read() throws -> Fixture {
      try TestAssets.fixture("recommenders/closed_forms/closed_forms.json")
    }

    var interactions: Interactions { Interactions(users: users, items: items, userCount: 20, itemCount: 14) }
  }

  private func distance(_ found: [[Float]], _ expected: [[Double]]) -> Double {
    #expect(found.map(\.count) == expected.map(\.count))
    return zip(found, expected).flatMap { zip($0, $1) }.map { abs(Double($0) - $1) }.max() ?? .infinity
  }

  private func scores(_ model: any Recommender) throws -> [[Float]] {
    try (0..<Int32(model.userCount)).map { user in
      var scores = [Float](repeating: .nan, count: model.itemCount)
      var batch = try model.makeScorer().prepare(users: [user])
      try batch.write(items: 0..<model.itemCount, into: &scores)
      return scores
    }
  }

  private func table(_ model: any ItemToItemRecommender) -> [[Float]] {
    (0..<Int32(model.itemCount)).map { item in
      var row = [Float](repeating: 0, count: model.itemCount)
      for entry in model.itemWeights.weights(from: item) { row[Int(entry.item)] += entry.weight }
      return row
    }
  }

  @Test func userNeighborsScoreLikeNumPys() throws {
    let fixture = try Fixture.read()
    var configuration = UserKNN.Configuration()
    (configuration.neighbors, configuration.shrinkage) = (4, 0.5)
    let model = UserKNN(training: fixture.interactions, configuration: configuration)
    #expect(try distance(scores(model), fixture.userknn.scores) < 1e-6)
    #expect(model.neighbors(of: 3).count == 4 && !model.neighbors(of: 3).contains { $0.user == 3 })
    #expect(model.neighbors(of: 19).isEmpty)
  }

  @Test func aNewUserHasTheNeighboursOfItsItems() throws {
    let fixture = try Fixture.read()
    let data = Dataset(
      name: "graph", interactions: fixture.interactions, userIDs: IDMap((0..<20).map { "u\($0)" }),
      itemIDs: IDMap((0..<14).map { "i\($0)" }))
    var configuration = UserKNN.Configuration()
    (configuration.neighbors, configuration.shrinkage) = (4, 0.5)
    let model = UserKNN(training: fixture.interactions, configuration: configuration)
    let served = try FittedRecommender(model, dataset: data, training: fixture.interactions)
    let expected = fixture.userknn.newUser
    let list = try served.recommend(liking: fixture.new.map { "i\($0)" }, count: 14)
    #expect(list.count == 11)
    for item in list {
      let place = try #require(data.itemIDs.index(of: item.id))
      #expect(abs(Double(item.score) - expected[place]) < 1e-6)
    }
    // Of a known user the trained items are its own, not a neighbour's.
    let known = try served.recommend(for: "u3", count: 14)
    for item in known {
      let place = try #require(data.itemIDs.index(of: item.id))
      #expect(abs(Double(item.score) - fixture.userknn.scores[3][place]) < 1e-6)
    }
  }

  @Test func randomWalksWeighLikeSciPys() throws {
    let fixture = try Fixture.read()
    var configuration = RP3Beta.Configuration()
    (configuration.alpha, configuration.beta) = (fixture.rp3beta.alpha, fixture.rp3beta.beta)
    configuration.neighbors = 5
    let model = RP3Beta(training: fixture.interactions, configuration: configuration)
    #expect(distance(table(model), fixture.rp3beta.weights) < 1e-7)
    #expect(try distance(scores(model), fixture.rp3beta.scores) < 1e-6)
  }

  @Test(arguments: [true, false]) func elasticNetsFindScikitLearnsWeights(_ isPositive: Bool) throws {
    let fixture = try Fixture.read()
    var configuration = SLIM.Configuration()
    configuration.regularization = fixture.slim.regularization
    configuration.l1Ratio = fixture.slim.l1Ratio
    (configuration.isPositive, configuration.sweeps, configuration.tolerance) = (isPositive, 10_000, 1e-12)
    let model = SLIM(training: fixture.interactions, configuration: configuration)
    let expected = isPositive ? fixture.slim.weights : fixture.slim.free
    let found = table(model)
    #expect(distance(found, expected) < 1e-6)
    #expect(zip(found, expected).allSatisfy { zip($0, $1).allSatisfy { ($0 == 0) == (abs($1) < 1e-9) } })
    if isPositive { #expect(try distance(scores(model), fixture.slim.scores) < 1e-6) }
  }

  @Test func neitherThreadsNorRepeatedRowsChangeSLIM() throws {
    let data = try SyntheticWorld(seed: 3).dataset().interactions
    let twice = Interactions(
      users: data.users + data.users, items: data.items + data.items, userCount: data.userCount,
      itemCount: data.itemCount)
    let threads = ThreadPool.shared.threadCount
    defer { ThreadPool.shared.setThreadCount(threads) }
    var weights: [[Float]] = []
    for (count, training) in [(1, data), (3, data), (2, twice)] {
      ThreadPool.shared.setThreadCount(count)
      weights.append(SLIM(training: training).itemWeights.weights)
    }
    #expect(weights[0].count > 100 && weights.dropFirst().allSatisfy { $0 == weights[0] })
  }
}
