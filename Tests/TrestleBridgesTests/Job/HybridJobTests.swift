import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// The main job on the built-in world, and its parts. That a killed one goes on to the same bits is `KilledRunTests`' business.
@Suite struct HybridJobTests {
  private struct Figure: Decodable {
    let model: String
    let slice: String
    let metric: String
    let mean: Double
    let baseline: String?
  }

  /// Ids beyond the model's table would be those of users and items.
  @Test func aTokenizerThatIsLargerThanTheModelIsRefused() throws {
    let folder = try TemporaryFolder()
    let reader = try TinyReader(vocabulary: 600)
    let data = HybridJobData(
      dataset: try TinyReader.world(), name: "world", noun: "Film", modelURL: reader.model, modelName: "tiny")
    var configuration = HybridJob.Configuration(output: folder.url)
    configuration.isQuick = true
    let job = try HybridJob(data, configuration)
    #expect(throws: LanguageModelError.self) { _ = try job.run() }
  }

  @Test func aSentenceEncoderThatIsNotThereCannotWrite() throws {
    let data = HybridJobData(dataset: try SyntheticWorld(seed: 7).dataset(), name: "synthetic")
    var configuration = HybridJob.Configuration(output: try TemporaryFolder().url)
    configuration.writer = .sentenceEncoder
    let error = #expect(throws: BridgeError.self) { _ = try HybridJob(data, configuration) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("a sentence encoder beside the language model"))
  }

  @Test func aJobMeasuresKnownAndNewItemsAndTellsOfThem() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "job-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = HybridJobData(dataset: try SyntheticWorld(seed: 7).dataset(), name: "synthetic")
    var configuration = HybridJob.Configuration(output: folder)
    configuration.isQuick = true
    let job = try HybridJob(data, configuration)
    var messages: [String] = []
    job.onEvent = { if case .message(let text) = $0 { messages.append(text) } }
    let outcome = try job.run()

    let figures = try JSONDecoder().decode(
      [Figure].self, from: Data(contentsOf: folder.appending(path: "results.json")))
    func mean(_ model: String, _ slice: String) -> Double? {
      figures.first { $0.model == model && $0.slice == slice && $0.metric == "NDCG@10" }?.mean
    }
    for model in [
      "Popularity", "EASE", "LightGCN", "LM, random tokens", "LightGCN + bridge", "LM + bridge", "Fusion",
    ] {
      #expect(mean(model, "all") ?? 0 > 0, "\(model)")
      #expect(outcome.table.contains("| \(model) "), "\(model)")
    }
    let tuned = "LightGCN + LM's reading, tuned"
    let (random, read) = (try #require(mean("Random", "new")), try #require(mean(tuned, "new")))
    #expect(read > 1.3 * random, "\(read) beside \(random)")
    // Among all items a recommender alone ranks no new one.
    #expect(
      try #require(mean("EASE + LM's reading, tuned", "new-among-all")) > mean("EASE", "new-among-all") ?? 1)
    #expect(figures.first { $0.model == "LightGCN + shuffled texts" && $0.slice == "new" }?.baseline == tuned)
    #expect(!figures.contains { $0.model.contains("MiniLM") })
    #expect(messages.contains { $0.hasPrefix("Plan: float32, the brief budget") })

    let page = try String(contentsOf: folder.appending(path: "index.html"), encoding: .utf8)
    for part in [
      "id=\"table\"", "id=\"new\"", "<small>near <bdi>", "id=\"teaching\"", "id=\"written-after-title\"",
      "id=\"exchange\"",
    ] {
      #expect(page.contains(part), "\(part)")
    }
    let saved = try SavedHybrid(contentsOf: folder)
    let user = data.dataset.userIDs[0]
    #expect(try saved.hybrid.recommend(for: user, count: 5).count == 5)
    #expect(try saved.languageState(liking: [1, 2], data).shape[1] == saved.hybrid.language?.items.shape[1])
    let other = HybridJobData(dataset: try SyntheticWorld(seed: 8).dataset(), name: "other")
    if other.vocabulary != data.vocabulary {
      #expect(throws: BridgeError.self) { try saved.languageState(liking: [1], other) }
    }
    try expectDamagedResultsAreRefused(folder, data, configuration)
  }

  /// A finished run that is damaged is neither taken over nor silently run anew.
  private func expectDamagedResultsAreRefused(
    _ folder: URL, _ data: HybridJobData, _ configuration: HybridJob.Configuration
  ) throws {
    let files = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
      .filter { $0.hasSuffix("result.json") }
    #expect(!files.isEmpty)
    for file in files { try Data("{\"key\":".utf8).write(to: folder.appending(path: file)) }
    var again = configuration
    again.resumes = true
    let error = #expect(throws: BridgeError.self) { _ = try HybridJob(data, again).run() }
    let text = "\(error.map { "\($0)" } ?? "")"
    #expect(text.contains("result.json") && text.contains("a finished run"), "\(text)")
  }

  /// A `results.json` with one model's figures.
  private func kept(_ mean: Double) -> Data {
    let rows = [("all", mean, "null"), ("new", mean / 2, "0.0004"), ("new-among-all", mean / 4, "null")].map {
      """
      {"model": "LightGCN", "slice": "\($0.0)", "metric": "NDCG@10", "mean": \($0.1), "low": 0.1, "high": 0.3,
       "p_value": \($0.2), "baseline": null, "users": 9, "seeds": [0]}
      """
    }
    return Data("[\(rows.joined(separator: ","))]".utf8)
  }

  @Test func aPageTakesTheTableOfAKeptRun() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "page-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (file, page) = (folder.appending(path: "results.json"), folder.appending(path: "page.md"))
    try kept(0.2).write(to: file)
    let outcome = try HybridJobOutcome(contentsOf: file)
    #expect(
      outcome.table.hasSuffix(
        "\n| LightGCN | .2000       |             | .1000          | < .001          | .0500     |"))
    try Data("a\n<!-- main job -->\nold\n<!-- end of main job -->\nb\n".utf8).write(to: page)
    try outcome.writeTable(into: page)
    #expect(
      try String(contentsOf: page, encoding: .utf8)
        == "a\n<!-- main job -->\n\(outcome.table)\n<!-- end of main job -->\nb\n")
    try Data("no such lines".utf8).write(to: page)
    #expect(throws: BridgeError.self) { try outcome.writeTable(into: page) }
    #expect(throws: BridgeError.self) { try HybridJobOutcome(contentsOf: page) }
  }

  /// Until a run's figures are kept, the README shows none of a main job.
  @Test func theReadmesTableIsThatOfTheKeptRun() throws {
    let root = TestAssets.fixtures.deletingLastPathComponent().deletingLastPathComponent()
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    let file = root.appending(path: "Documentation/Results/MainJob/ml-100k.json")
    let table =
      FileManager.default.fileExists(atPath: file.path)
      ? try HybridJobOutcome(contentsOf: file).table + "\n" : ""
    #expect(
      readme.contains("<!-- main job -->\n\(table)<!-- end of main job -->"),
      "hybrid-movies table writes it anew")
  }

  @Test func thePageOfResultsIsThatOfTheFinishedRuns() throws {
    let documents = TestAssets.fixtures.deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Documentation")
    let folder = FileManager.default.temporaryDirectory.appending(path: "results-\(UUID().uuidString)")
    let results = folder.appending(path: "Results")
    try FileManager.default.createDirectory(at: results, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    for name in ["ml-100k.jsonl", "Notes.md"] {
      try FileManager.default.copyItem(
        at: documents.appending(path: "Results").appending(path: name), to: results.appending(path: name))
    }
    let page = try HybridJob.writeProtocolTable(of: results)
    #expect(
      try String(contentsOf: page, encoding: .utf8)
        == String(contentsOf: documents.appending(path: "Results.md"), encoding: .utf8),
      "hybrid-movies table writes it anew")
    // A line of something else is named, and the page stays.
    let file = results.appending(path: "other.jsonl")
    try Data("{}\n".utf8).write(to: file)
    let error = #expect(throws: BridgeError.self) { try HybridJob.writeProtocolTable(of: results) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("other.jsonl"))
  }

  @Test func theLongestBudgetThatFitsIsTaken() {
    let costs: [HybridJobPlan.Level: Double] = [
      .long: 900, .medium: 500, .modest: 300, .short: 200, .quick: 90, .brief: 60,
    ]
    func level(_ seconds: Double) -> HybridJobPlan.Level {
      var plan = HybridJobPlan(level: .quick, arithmetic: .float32)
      plan.choose(within: seconds) { ["all": costs[$0] ?? 0] }
      #expect(plan.expectedSeconds == costs[plan.level])
      return plan.level
    }
    #expect(level(1000) == .long && level(900) == .long && level(899) == .medium)
    #expect(level(300) == .modest && level(299) == .short && level(100) == .quick)
    // What fits nowhere is done as shortly as can be, and says how long it takes.
    #expect(level(89) == .brief && level(10) == .brief)
  }

  @Test func aPlanSaysWhatWasMeasuredAndSurvivesItsFile() throws {
    var plan = HybridJobPlan(level: .short, arithmetic: .bfloat16)
    #expect(plan.expectedSeconds == nil && plan.summary == "bfloat16, the short budget")
    plan.tokensPerSecond = ["float32": 310.4, "bfloat16": 702.6]
    plan.expected = ["bridge": 300, "new-items": 241]
    #expect(
      plan.summary
        == "bfloat16 703 tokens/s, float32 310 tokens/s in training: bfloat16, the short budget, about 10 min expected"
    )
    let read = try JSONDecoder().decode(HybridJobPlan.self, from: JSONEncoder().encode(plan))
    #expect(read == plan)
  }

  @Test func aShareOfTheTrainingRowsKeepsEveryUserAndTheRest() throws {
    let split = try SyntheticWorld(seed: 5).dataset().interactions.split(.ratio(), seed: 1)
    let (tenth, half) = (split.keepingTraining(share: 0.1), split.keepingTraining(share: 0.5))
    for (user, (counts, all)) in zip(tenth.training.userCounts(), split.training.userCounts()).enumerated() {
      #expect(counts == (all == 0 ? 0 : max(1, Int32((0.1 * Double(all)).rounded()))), "user \(user)")
    }
    func pairs(_ rows: Interactions) -> Set<[Int32]> { Set(zip(rows.users, rows.items).map { [$0, $1] }) }
    #expect(pairs(tenth.training).isSubset(of: pairs(half.training)))
    #expect(pairs(half.training).isSubset(of: pairs(split.training)))
    #expect(half.test.items == split.test.items && half.validation.items == split.validation.items)
    #expect(split.keepingTraining(share: 1).hash == split.hash && half.hash != split.hash)
    #expect(split.keepingTraining(share: 0.5, seed: 12).hash != half.hash)
  }

  @Test func textRowsStandWhereThePretrainedRowsDo() throws {
    let context = try SmallComposition(seed: 1).context
    let strategy = TextRowsStrategy(phases: [BridgePhase(name: "tuning", side: .language, epochs: 1)])
    let side = try #require(context.language as? LanguageSide)
    let states = try side.representations(
      of: .item, ids: Array(0..<Int32(side.vocabulary.itemCount)), source: .text)
    try strategy.prepare(context)
    #expect(strategy.phases[0].groups == ["adapters", "head"])
    let rows = try side.representations(
      of: .item, ids: Array(0..<Int32(side.vocabulary.itemCount)), source: .row)
    let statistics = try #require(side.pretrainedRowStatistics)
    let centred = rows - rows.mean(along: [0])
    #expect(abs(centred.squared().mean().item.squareRoot() / statistics.deviation - 1) < 1e-3)
    // They are the texts' states but for place and size.
    let expected = (states - states.mean(along: [0])).unitNormalized()
    let likeness = expected.rowDot(centred.unitNormalized()).mean().item
    #expect(abs(likeness - 1) < 1e-4)
    let users = try side.representations(of: .user, ids: [0, 1], source: .row).floats
    #expect(Array(users[..<(users.count / 2)]) == Array(users[(users.count / 2)...]))
  }
}
