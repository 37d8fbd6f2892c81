import Foundation
import Testing
import TrestleBridges
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A state that does not fit leaves the former one: of a bridge's run and of a hybrid. Each in a process of its own, whose files
/// may not grow beyond a limit.
@Suite struct FailingSaveTests {
  private static func files(_ folder: URL) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: folder.appending(path: $0))) })
  }

  private static func trainer(_ folder: URL) throws -> BridgeTrainer {
    let phase = BridgePhase(name: "domain", side: .domain, epochs: 4)
    return try BridgeTrainer(
      BridgeStrategy(name: "plain", phases: [phase]),
      SmallComposition(seed: 1, users: 12, items: 10).context, folder: folder)
  }

  @Test func aRunThatCannotBeSavedGoesOnLater() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let first = try FailingSaveTests.trainer(folder.url)
      first.onEpoch = { [weak first] _ in first?.requestStop() }
      do { try first.run() } catch BridgeError.interrupted {}
      let saved = try FailingSaveTests.files(folder.url)
      guard saved["checkpoint.safetensors"] != nil else { exit(1) }
      var hasFailed = false
      try withFileSizeLimit(4 << 10) {
        do { try FailingSaveTests.trainer(folder.url).run() } catch is FormatError { hasFailed = true }
      }
      guard try hasFailed && FailingSaveTests.files(folder.url) == saved else { exit(2) }
      try FailingSaveTests.trainer(folder.url).run()
    }
  }

  @Test func aHybridThatCannotBeSavedLeavesTheFormerOne() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let place = folder.url.appending(path: "hybrid")
      let small = try SmallComposition(seed: 1, users: 12, items: 10)
      func hybrid(_ width: Int, alpha: Double) throws -> HybridRecommender {
        let rows = Representations(users: .ones([12, width]), items: .ones([10, width]))
        return try HybridRecommender(
          dataset: small.dataset, split: small.context.split, domain: rows, language: rows,
          fusion: FusionWeights(alpha: alpha))
      }
      try hybrid(4, alpha: 0.25).save(to: place)
      let saved = try FailingSaveTests.files(place)
      var hasFailed = false
      try withFileSizeLimit(16 << 10) {
        do { try hybrid(1000, alpha: 0.75).save(to: place) } catch is FormatError { hasFailed = true }
      }
      guard try hasFailed && FailingSaveTests.files(place) == saved else { exit(1) }
      guard try HybridRecommender(contentsOf: place).fusion.alphas == [0.25] else { exit(2) }
      guard try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["hybrid"] else {
        exit(3)
      }
    }
  }
}
