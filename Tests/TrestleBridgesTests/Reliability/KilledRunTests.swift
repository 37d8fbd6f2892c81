import Foundation
import Testing
import TrestleTestSupport

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// A run of the main job whose process is killed again and again ends with the results of one that was left alone.
@Suite struct KilledRunTests {
  @Test func aKilledRunGoesOnToTheSameResults() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "killed-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let (whole, killed) = (folder.appending(path: "whole"), folder.appending(path: "killed"))
    let reference = try start(whole, in: folder)
    reference.waitUntilExit()
    #expect(reference.terminationStatus == 0)

    var kills = 0
    // Each time after so many changes of what has been saved, wherever the process then is.
    for changes in [1, 6, 2, 9, 4, 12] {
      let process = try start(killed, in: folder)
      var seen = saved(killed)
      var left = changes
      while process.isRunning && left > 0 {
        let now = saved(killed)
        if now != seen { (seen, left) = (now, left - 1) }
        sched_yield()
      }
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      if process.terminationReason == .uncaughtSignal { kills += 1 }
    }
    #expect(kills >= 3, "the run ended before it could be killed")
    let last = try start(killed, in: folder)
    last.waitUntilExit()
    #expect(last.terminationStatus == 0)

    for file in ["results.json", "hybrid/domain.safetensors", "hybrid/language.safetensors"] {
      let expected = try Data(contentsOf: whole.appending(path: file))
      #expect(try Data(contentsOf: killed.appending(path: file)) == expected, "\(file) differs")
    }
  }

  /// The built-in world and the small model trained on its texts: no assets are needed.
  private func start(_ output: URL, in folder: URL) throws -> Process {
    let executable: URL = try #require(
      TestExecutables.url("hybrid-movies"), "hybrid-movies is not beside the tests: build the whole package")
    let process = Process()
    process.executableURL = executable
    process.arguments = ["--synthetic", "--quick", "--resume", "--output", output.path]
    process.currentDirectoryURL = folder
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// The checkpoints as they are now, by size and time of change.
  private func saved(_ output: URL) -> [String: String] {
    var result: [String: String] = [:]
    let runs = output.appending(path: "runs")
    for path in FileManager.default.enumerator(atPath: runs.path)?.compactMap({ $0 as? String }) ?? [] {
      let attributes = try? FileManager.default.attributesOfItem(atPath: runs.appending(path: path).path)
      guard let size = attributes?[.size], let date = attributes?[.modificationDate] as? Date else {
        continue
      }
      result[path] = "\(size) \(date.timeIntervalSinceReferenceDate)"
    }
    return result
  }
}
