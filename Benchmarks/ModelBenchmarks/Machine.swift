import Foundation
import Trestle

/// Where the benchmarks run, and what it can do.
struct Machine {
  let name: String
  let cores: Int
  let revision: String
  /// What our matrix product of 1024 × 1024 matrices reaches, in GFLOP/s.
  let productGigaflops: Double
  /// Reading memory that no cache holds with all threads, in GB/s.
  let bandwidth: Double

  init() {
    name = Self.processorName
    cores = ProcessInfo.processInfo.activeProcessorCount
    revision = Self.gitRevision
    let matrix = Tensor.ones([1024, 1024])
    productGigaflops = 2 * pow(1024, 3) / Self.bestSeconds { _ = matrix.matmul(matrix) } / 1e9
    let block = Tensor.zeros([64 << 20])
    bandwidth = Double(block.elementCount * 4) / Self.bestSeconds { _ = block.sum() } / 1e9
  }

  private static var processorName: String {
    let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = info.split(separator: "\n").first { $0.hasPrefix("model name") }
    let value = line?.split(separator: ":", maxSplits: 1).last?.trimmingCharacters(in: .whitespaces)
    return value ?? "unknown processor"
  }

  /// The commit that the sources are at, with `+` if they were changed since; "unknown" outside a repository.
  private static var gitRevision: String {
    func git(_ arguments: String...) -> String? {
      let process = Process()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = ["git"] + arguments
      process.currentDirectoryURL = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      let output = Pipe()
      process.standardOutput = output
      process.standardError = FileHandle.nullDevice
      guard (try? process.run()) != nil else { return nil }
      let data = output.fileHandleForReading.readDataToEndOfFile()
      process.waitUntilExit()
      guard process.terminationStatus == 0 else { return nil }
      return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    guard let commit = git("rev-parse", "--short=10", "HEAD") else { return "unknown" }
    return commit + (git("status", "--porcelain", "--untracked-files=no") == "" ? "" : "+")
  }

  private static func bestSeconds(_ body: () -> Void) -> Double {
    (0..<5).map { _ in
      let start = DispatchTime.now().uptimeNanoseconds
      body()
      return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    }.min() ?? .infinity
  }
}
