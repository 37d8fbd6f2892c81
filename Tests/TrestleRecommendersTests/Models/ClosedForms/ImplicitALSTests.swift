import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Alternating least squares against NumPy (Tests/Fixtures/recommenders/closed_forms/make_ials.py), and what must hold of its sweeps.
@Suite struct ImplicitALSTests {
  struct Case: Decodable {
    let first, users1, items1, users3, items3: [[Double]]
    let objective: Double
    let newUser: [Double]
  }

  struct Fixture: Decodable {
    struct Settings: Decodable {
      let unobservedWeight, regularization, frequencyExponent: Double
      let newUser: [Int32]
    }
    let users, items: [Int32]
    let weights: [Float]
    let prior: [[Double]]
    let settings: Settings
    let plain, weighted, priorCase: Case

    static func read() throws -> Fixture { try TestAssets.fixture("recommenders/closed_forms/ials.json") }

    var interactions: Interactions { Interactions(users: users, items: items, userCount: 9, itemCount: 12) }

    func model(_ name: String, _ dtype: DType) -> (model: ImplicitALS, expected: Case) {
      let expected = name == "plain" ? plain : name == "weighted" ? weighted : priorCase
      var configuration = ImplicitALS.Configuration()
      configuration.dimension = 5
      configuration.unobservedWeight = settings.unobservedWeight
      configuration.regularization = settings.regularization
      configuration.frequencyExponent = settings.frequencyExponent
      var generator = RandomGenerator(seed: 0)
      let model = ImplicitALS(
        training: interactions, weights: name == "weighted" ? weights : nil, configuration: configuration,
        dtype: dtype, using: &generator)
      model.start(
        from: Representations(
          users: .zeros([9, 5], dtype: dtype), items: ImplicitALSTests.table(expected.first, dtype)))
      if name == "prior" { model.itemPrior = ImplicitALSTests.table(prior, dtype) }
      return (model, expected)
    }
  }

  static func table(_ rows: [[Double]], _ dtype: DType) -> Tensor {
    Tensor(rows.flatMap { $0 }, shape: [rows.count, rows[0].count]).converted(to: dtype)
  }

  private func distance(_ rows: Tensor, _ expected: [[Double]]) -> Double {
    let found: [Double] = rows.converted(to: .float64).scalars()
    return zip(found, expected.flatMap { $0 }).map { abs($0 - $1) }.max() ?? 0
  }

  @Test(arguments: ["plain", "weighted", "prior"], [DType.float64, .float32])
  func sweepsEqualNumPys(_ name: String, _ dtype: DType) throws {
    let fixture = try Fixture.read()
    let (model, expected) = fixture.model(name, dtype)
    let tolerance = dtype == .float64 ? 1e-11 : 2e-5
    model.sweep()
    #expect(distance(model.embeddings().users, expected.users1) < tolerance)
    #expect(distance(model.embeddings().items, expected.items1) < tolerance)
    model.sweep()
    model.sweep()
    #expect(distance(model.embeddings().users, expected.users3) < tolerance)
    #expect(distance(model.embeddings().items, expected.items3) < tolerance)
    #expect(abs(model.objective() - expected.objective) < tolerance * 10)
    let row = model.userRow(items: fixture.settings.newUser)
    #expect(distance(row, [expected.newUser]) < tolerance)
    #expect(row.shape == [5])
  }

  @Test func everySweepLowersTheObjective() throws {
    let data = try SyntheticWorld(seed: 3).dataset().interactions
    var configuration = ImplicitALS.Configuration()
    configuration.dimension = 20
    var generator = RandomGenerator(seed: 1)
    let model = ImplicitALS(training: data, configuration: configuration, using: &generator)
    var last = Double.infinity
    for _ in 0..<8 {
      model.sweep()
      let value = model.objective()
      #expect(value < last)
      last = value
    }
    #expect(model.sweepCount == 8)
  }

  @Test func aKnownUserIsFoldedInToItsOwnRow() throws {
    let data = try SyntheticWorld(seed: 3).dataset().interactions
    var generator = RandomGenerator(seed: 1)
    let model = ImplicitALS(training: data, dtype: .float64, using: &generator)
    model.sweep()
    let before = model.embeddings().items
    model.sweep()
    // The users were solved against the items of the sweep before.
    let users = model.embeddings().users
    model.start(from: Representations(users: users, items: before))
    let matrix = UserItemMatrix(data)
    for user in [0, 7, 100] {
      let row: [Double] = model.userRow(items: Array(matrix.items(of: user))).scalars()
      #expect(zip(row, users[user].scalars() as [Double]).allSatisfy { abs($0 - $1) < 1e-10 })
    }
    #expect(model.userRow(items: []).floats.allSatisfy { $0 == 0 })
  }

  @Test func neitherThreadsNorRepeatedRowsChangeABit() throws {
    try withSteadyInstructionSet {
      let data = try SyntheticWorld(seed: 3).dataset().interactions
      let twice = Interactions(
        users: data.users + data.users, items: data.items + data.items, userCount: data.userCount,
        itemCount: data.itemCount)
      let threads = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(threads) }
      var rows: [[UInt32]] = []
      for (count, training) in [(1, data), (2, data), (4, data), (2, twice)] {
        ThreadPool.shared.setThreadCount(count)
        var configuration = ImplicitALS.Configuration()
        configuration.sweeps = 2
        var generator = RandomGenerator(seed: 5)
        let model = ImplicitALS(training: training, configuration: configuration, using: &generator)
        model.fit()
        let found = model.embeddings()
        rows.append((found.users.floats + found.items.floats).map(\.bitPattern))
      }
      #expect(rows.dropFirst().allSatisfy { $0 == rows[0] })
    }
  }

  @Test func beatsPopularityOnASyntheticWorld() throws {
    let split = try SyntheticWorld(seed: 4).dataset().interactions.split(.ratio(), seed: 1)
    let evaluator = RankingEvaluator(split)
    var generator = RandomGenerator(seed: 1)
    let model = ImplicitALS(training: split.training, using: &generator)
    model.fit()
    let popular = try #require(
      evaluator.evaluate(Popularity(training: split.training).makeScorer()).mean(.ndcg(10)))
    let reached = try #require(evaluator.evaluate(model.makeScorer()).mean(.ndcg(10)))
    #expect(reached > popular * 1.1, "\(reached) against \(popular)")
  }
}
