import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTestSupport

/// The evaluator against RecBole's metric classes on the same scores (Tests/Fixtures/recommenders/metrics/make_metrics.py).
@Suite struct RecBoleMetricsTests {
  struct Fixture {
    let json: JSONValue
    let file: SafetensorsFile
    let split: DataSplit
    let itemCount: Int

    init() throws {
      let folder = TestAssets.fixtures.appending(path: "recommenders/metrics")
      let json = try JSONValue(contentsOf: folder.appending(path: "metrics.json"))
      let userCount = try json.member("users").int()
      let itemCount = try json.member("items").int()
      func interactions(_ name: String) throws -> Interactions {
        var users: [Int32] = []
        var items: [Int32] = []
        for (user, list) in try json.member(name).array().enumerated() {
          for item in try list.array() {
            users.append(Int32(user))
            items.append(Int32(try item.int()))
          }
        }
        return Interactions(users: users, items: items, userCount: userCount, itemCount: itemCount)
      }
      self.json = json
      self.itemCount = itemCount
      file = try SafetensorsFile(folder.appending(path: "metrics.safetensors"))
      split = DataSplit(
        training: try interactions("masked"), validation: .empty(userCount: userCount, itemCount: itemCount),
        test: try interactions("positives"))
    }

    func floats(_ name: String) throws -> [Float] {
      try file.bytes(of: name).withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: 4).map {
          bytes.loadUnaligned(fromByteOffset: $0, as: Float.self)
        }
      }
    }

    func doubles(_ name: String) throws -> [Double] {
      try file.bytes(of: name).withUnsafeBytes { bytes in
        stride(from: 0, to: bytes.count, by: 8).map {
          bytes.loadUnaligned(fromByteOffset: $0, as: Double.self)
        }
      }
    }

    func evaluate(_ scores: [Float], _ metrics: [RankingMetric], _ lists: [ListMetric] = []) throws
      -> EvaluationResult
    {
      var configuration = RankingEvaluator.Configuration()
      configuration.metrics = metrics
      configuration.listMetrics = lists
      let count = itemCount
      return try RankingEvaluator(split, configuration: configuration).evaluate(
        RowScorer(itemCount: count) { user in Array(scores[Int(user) * count..<(Int(user) + 1) * count]) })
    }
  }

  @Test func everyUserHasRecBolesValuesAtEveryCutoff() throws {
    let fixture = try Fixture()
    let makers: [(String, @Sendable (Int) -> RankingMetric)] = [
      ("recall", { .recall($0) }), ("hit", { .hit($0) }), ("ndcg", { .ndcg($0) }), ("mrr", { .mrr($0) }),
      ("map", { .map($0) }), ("precision", { .precision($0) }),
    ]
    let metrics = makers.flatMap { make in (1...10).map { make.1($0) } }
    let result = try fixture.evaluate(try fixture.floats("scores"), metrics)
    #expect(result.users.count == 13)
    for (name, make) in makers {
      let expected = try fixture.doubles(name)
      for k in 1...10 {
        for (user, value) in result.values(make(k)).enumerated() {
          #expect(abs(Double(value) - expected[user * 10 + k - 1]) < 1e-6, "\(name)@\(k) of user \(user)")
        }
      }
      for k in [1, 5, 10] {
        let mean = try fixture.json.member("mean").member("\(name)@\(k)").double()
        #expect(abs((result.mean(make(k)) ?? -1) - mean) < 1e-11, "\(name)@\(k)")
      }
    }
  }

  @Test func listMeasuresAndGroupedAreasAgree() throws {
    let fixture = try Fixture()
    let means = try fixture.json.member("mean")
    let lists = [1, 5, 10].flatMap { [ListMetric.coverage($0), .gini($0), .averagePopularity($0)] }
    let result = try fixture.evaluate(try fixture.floats("scores"), [.gauc], lists)
    for k in [1, 5, 10] {
      let pairs: [(ListMetric, String)] = [
        (.coverage(k), "itemcoverage"), (.gini(k), "giniindex"), (.averagePopularity(k), "averagepopularity"),
      ]
      for (metric, name) in pairs {
        #expect(
          abs((result.value(metric) ?? -1) - (try means.member("\(name)@\(k)").double())) < 1e-11,
          "\(name)@\(k)")
      }
    }
    // RecBole computes GAUC in single precision.
    #expect(abs((result.mean(.gauc) ?? -1) - (try means.member("gauc").double())) < 1e-6)
    let tied = try fixture.evaluate(try fixture.floats("ties.scores"), [.gauc])
    #expect(abs((tied.mean(.gauc) ?? -1) - (try means.member("ties_gauc").double())) < 1e-6)
  }

  @Test func thePooledAreaEqualsScikitLearns() throws {
    let values = try Fixture().json.member("values")
    let predictions = try values.member("predictions").array().map { Float(try $0.double()) }
    let labels = try values.member("labels").array().map { try $0.int() }
    let positives = labels.indices.filter { labels[$0] == 1 }.map { Int32($0) }
    let empty = Interactions.empty(userCount: 1, itemCount: labels.count)
    let split = DataSplit(
      training: empty, validation: empty,
      test: Interactions(
        users: positives.map { _ in 0 }, items: positives, userCount: 1, itemCount: labels.count))
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = [.auc]
    let result = try RankingEvaluator(split, configuration: configuration)
      .evaluate(RowScorer(itemCount: labels.count) { _ in predictions })
    #expect(abs((result.mean(.auc) ?? 0) - (try values.member("auc").double())) < 1e-9)
  }
}
