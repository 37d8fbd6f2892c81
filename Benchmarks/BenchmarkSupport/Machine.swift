import CTrestleKernels
import Foundation
import Synchronization
import TrestleTensor

/// Where the benchmarks run, and what is the most that it can do.
package struct Machine {
  package let name: String
  package let cores: Int
  package let revision: String
  /// The float multiply-adds of all threads together, in registers alone, in GFLOP/s.
  package let peakGigaflops: Double
  /// Reading memory that no cache holds with all threads, in GB/s.
  package let bandwidth: Double

  /// Measures the machine with the pool's current number of threads.
  package init() {
    name = Self.processorName
    cores = ProcessInfo.processInfo.activeProcessorCount
    revision = Self.gitRevision
    peakGigaflops = Self.measurePeak()
    bandwidth = Self.measureBandwidth()
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

  private static func seconds(_ body: () -> Void) -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    body()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
  }

  private static func measurePeak() -> Double {
    let threads = ThreadPool.shared.threadCount
    nonisolated(unsafe) let kernels = InstructionSet.kernels.float
    let rounds: Int64 = 1_000_000
    var best = 0.0
    for _ in 0..<5 {
      let operations = Atomic<Int>(0)
      let time = seconds {
        ThreadPool.shared.run(threads) { _ in
          var sink = 0.0
          operations.add(Int(kernels.pointee.peak(rounds, &sink)), ordering: .relaxed)
        }
      }
      best = max(best, Double(operations.load(ordering: .relaxed)) / time / 1e9)
    }
    return best
  }

  private static func measureBandwidth() -> Double {
    let x = Tensor.zeros([64 << 20])
    var best = 0.0
    for _ in 0..<5 {
      let time = seconds { _ = x.sum() }
      best = max(best, Double(x.elementCount * 4) / time / 1e9)
    }
    return best
  }
}
