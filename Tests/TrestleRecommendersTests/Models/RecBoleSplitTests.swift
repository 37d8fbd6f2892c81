import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

/// Models without randomness equal RecBole's on one and the same split.
@Suite struct RecBoleSplitTests {
  private static let metrics: [(String, RankingMetric)] = [10, 20].flatMap { k -> [(String, RankingMetric)] in
    [
      ("recall@\(k)", .recall(k)), ("ndcg@\(k)", .ndcg(k)), ("mrr@\(k)", .mrr(k)), ("hit@\(k)", .hit(k)),
      ("precision@\(k)", .precision(k)),
    ]
  }

  private func check(
    _ split: DataSplit, _ expected: [String: [String: Double]], ties: Bool
  ) throws {
    var all = ItemKNN.Configuration()
    all.neighbors = split.itemCount
    let models: [(String, any Recommender)] = [
      ("EASE", try EASE(training: split.training)), ("ItemKNN", ItemKNN(training: split.training)),
      ("ItemKNN (all neighbours)", ItemKNN(training: split.training, configuration: all)),
      ("Pop", Popularity(training: split.training)),
    ]
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = Self.metrics.map(\.1)
    let evaluator = RankingEvaluator(split, configuration: configuration)
    for (name, model) in models {
      let result = try evaluator.evaluate(model.makeScorer())
      if name == "Pop" {
        let value = try #require(expected["Pop (ties in expectation)"]?["ndcg@10"])
        #expect(abs((result.mean(.ndcg(10)) ?? 0) - value) < 1e-9, "Pop in expectation")
        // RecBole ranks equal counts as its sort happens to.
        if ties { continue }
      }
      for (key, metric) in Self.metrics {
        let value = try #require(expected[name]?[key])
        let found = try #require(result.mean(metric))
        // Of equally similar neighbours RecBole keeps those that NumPy's partition happens to leave.
        let tolerance = ties && name == "ItemKNN" ? 2e-3 : 1e-4
        #expect(abs(found - value) < tolerance, "\(name), \(key): \(found), RecBole \(value)")
      }
    }
  }

  @Test func aSmallSplitGivesRecBolesFigures() throws {
    let folder = TestAssets.fixtures.appending(path: "recommenders/recbole-split")
    let split = try NamedSplit.recBole(at: folder).split
    #expect(split.training.count == 1425 && split.validation.count == 180 && split.test.count == 180)
    let json = try Data(contentsOf: folder.appending(path: "metrics.json"))
    try check(split, JSONDecoder().decode([String: [String: Double]].self, from: json), ties: false)
  }

  private static let python: URL? = ProcessInfo.processInfo.environment["TRESTLE_PEERS"].map {
    URL(fileURLWithPath: $0).appending(path: "venv/bin/python")
  }
  private static let movieLens = TestAssets.movieLens100K

  @Test(
    .enabled(if: python != nil, "TRESTLE_PEERS does not name a folder of Benchmarks/Peers/setup.sh"),
    .enabled(if: movieLens != nil, "MovieLens-100K is not among the assets"))
  func movieLensGivesRecBolesFigures() throws {
    let (python, movieLens) = (try #require(Self.python), try #require(Self.movieLens))
    let data = try Dataset.recBole(at: movieLens)
    let split = try data.interactions.split(.ratio(), seed: 0)
    let folder = try TemporaryFolder(inMemory: true)
    // RecBole looks for ml-100k among its own examples, whatever the path.
    let files = folder.url.appending(path: "movielens-split")
    try NamedSplit(split, userIDs: data.userIDs, itemIDs: data.itemIDs).writeRecBole(to: files)
    #expect(try NamedSplit.recBole(at: files, vocabulary: data).split.hash == split.hash)
    let process = Process()
    process.executableURL = python
    let script = TestAssets.fixtures.appending(path: "../../Benchmarks/Peers/closed_forms_recbole.py")
    process.arguments = [script.standardizedFileURL.path, files.path]
    let output = Pipe()
    process.standardOutput = output
    process.standardError = FileHandle.nullDevice
    try process.run()
    let json = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    try check(split, JSONDecoder().decode([String: [String: Double]].self, from: json), ties: true)
  }
}
