import Foundation
import Testing
import TrestleBridges
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Nothing waits for a named pipe in the place of a file.
@Suite struct PipeTests {
  private let folder: TemporaryFolder
  init() throws { folder = try TemporaryFolder() }

  private func pipe(_ name: String) throws -> URL {
    let url = folder.url.appending(path: name)
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    #expect(mkfifo(url.path, 0o600) == 0)
    return url
  }

  private func expectRefused(_ name: String, _ read: (URL) throws -> Void) throws {
    let url = try pipe(name)
    do {
      try read(url)
      Issue.record("\(name) was read")
    } catch {
      #expect("\(error)".contains("special file"), "\(name): \(error)")
    }
  }

  @Test(.timeLimit(.minutes(1))) func figuresAndPagesAreRefused() throws {
    try expectRefused("study.jsonl") { _ = try StudyResults(contentsOf: $0) }
    try StudyResults().write(to: folder.url.appending(path: "other.jsonl"))
    try FileManager.default.removeItem(at: folder.url.appending(path: "other.users.jsonl"))
    try expectRefused("other.users.jsonl") { _ in
      _ = try StudyResults(contentsOf: folder.url.appending(path: "other.jsonl"))
    }
    try expectRefused("page.md") { _ = try StudyPage(contentsOf: $0) }
    try expectRefused("results.json") { _ = try HybridJobOutcome(contentsOf: $0) }
    try expectRefused("Results/job.jsonl") { _ in
      _ = try HybridJob.writeProtocolTable(of: folder.url.appending(path: "Results"))
    }
  }

  @Test(.timeLimit(.minutes(1))) func statesAreRefused() throws {
    try expectRefused("job/hybrid/run.json") { _ in
      _ = try SavedHybrid(contentsOf: folder.url.appending(path: "job"))
    }
    try expectRefused("hybrid/manifest.json") {
      _ = try HybridRecommender(contentsOf: $0.deletingLastPathComponent())
    }
    try expectRefused("run/checkpoint.safetensors") {
      let phase = BridgePhase(name: "domain", side: .domain, epochs: 1)
      let strategy = BridgeStrategy(name: "plain", phases: [phase])
      let context = try SmallComposition(seed: 1, users: 12, items: 10).context
      try BridgeTrainer(strategy, context, folder: $0.deletingLastPathComponent()).run()
    }
    try expectRefused("texts.jsonl") {
      let model = try SmallComposition(seed: 1, users: 12, items: 10).language.recommender.model
      let writer = TextWriter(
        model, identity: "small", encode: { $0.utf8.map { Int32($0 % 32) } }, decode: { "\($0)" },
        isEnd: { _ in false })
      _ = try WrittenTexts(about: ["a"], .item, by: writer, splitHash: "", file: $0)
    }
  }

  private func job() throws -> HybridJob {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions) = (20, 15, 160)
    let dataset = try SyntheticWorld(world, seed: 1).dataset()
    var configuration = HybridJob.Configuration(output: folder.url.appending(path: "output"))
    (configuration.isQuick, configuration.resumes) = (true, true)
    return try HybridJob(HybridJobData(dataset: dataset, name: "world"), configuration)
  }

  /// A job goes on with the plan that it began with, or not at all.
  @Test(.timeLimit(.minutes(5))) func aPlanThatCannotBeReadIsRefused() throws {
    let job = try job()
    let file = folder.url.appending(path: "output/runs/plan.json")
    let plans = ["{", "{\"level\":\"long\"}", "[]", ""]
    for text in plans {
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.utf8).write(to: file)
      #expect(throws: BridgeError.self, "\(text)") { _ = try job.run() }
      #expect(try Data(contentsOf: file) == Data(text.utf8))
    }
    try FileManager.default.removeItem(at: file)
    #expect(mkfifo(file.path, 0o600) == 0)
    #expect(throws: FormatError.self) { _ = try job.run() }
  }
}
