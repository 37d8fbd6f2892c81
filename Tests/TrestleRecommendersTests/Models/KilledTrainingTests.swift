import Foundation
import Testing
import TrestleTestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A training whose process is killed between any two instructions, started again and again, ends in the same bits.
@Suite struct KilledTrainingTests {
  /// `TRESTLE_KILLS` sets how often.
  private static let kills =
    ProcessInfo.processInfo.environment["TRESTLE_KILLS"].flatMap { Int($0) } ?? 5

  @Test func aKilledProcessGoesOnToTheSameBits() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let (whole, killed) = (folder.url.appending(path: "whole"), folder.url.appending(path: "killed"))
    let reference = try start(whole, folder)
    reference.waitUntilExit()
    #expect(reference.terminationStatus == 0)

    var kills = 0
    for _ in 0..<Self.kills {
      let before = manifests(killed)
      let process = try start(killed, folder)
      // As soon as one more epoch has been saved; wherever the process then is.
      while process.isRunning && manifests(killed) == before { sched_yield() }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal { kills += 1 }
    }
    #expect(kills > 0, "the training ended before it could be killed")
    let last = try start(killed, folder)
    last.waitUntilExit()
    #expect(last.terminationStatus == 0)

    let (expected, found) = (try tensors(whole), try tensors(killed))
    #expect(expected.keys.sorted() == found.keys.sorted())
    // The best parameters, and the last ones with the optimizer's moments, of each model.
    #expect(expected.count == 2 && expected.values.allSatisfy { $0.count == 2 })
    for (model, files) in expected { #expect(found[model] == files, "\(model) differs") }
  }

  /// A world is made on the spot, as there are no assets in `folder`.
  private func start(_ checkpoints: URL, _ folder: TemporaryFolder) throws -> Process {
    let executable: URL = try #require(
      TestExecutables.url("recommender-leaderboard"),
      "recommender-leaderboard is not beside the tests: build the whole package")
    let process = Process()
    process.executableURL = executable
    process.arguments = [
      "--assets", folder.url.path, "--checkpoints", checkpoints.path, "--models", "MF-BPR,GRU4Rec",
      "--epochs",
      "10", "--split", "leave-one-out", "--threads", "2",
    ]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  private func models(_ folder: URL) -> [URL] {
    (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)) ?? []
  }

  /// The manifests as they are now; a manifest is replaced in one step, so each is read whole.
  private func manifests(_ folder: URL) -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: models(folder).compactMap { model in
        (try? Data(contentsOf: model.appending(path: "checkpoint.json"))).map {
          (model.lastPathComponent, $0)
        }
      })
  }

  /// The tensor files of each model, in an order that does not depend on their names.
  private func tensors(_ folder: URL) throws -> [String: [Data]] {
    var result: [String: [Data]] = [:]
    for model in models(folder) {
      let files = try FileManager.default.contentsOfDirectory(at: model, includingPropertiesForKeys: nil)
      result[model.lastPathComponent] = try files.filter { $0.pathExtension == "safetensors" }
        .map { try Data(contentsOf: $0) }.sorted { $0.count < $1.count }
    }
    return result
  }
}
