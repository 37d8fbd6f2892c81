import Foundation

/// What this process may use of the machine: its processors and memory, less what its container allows.
///
/// Linux states the limits of control groups in files; where there are none, the machine's own limits hold.
package enum MachineLimits {
  /// The processors to use: those of the machine, at most as many as the container's quota of processor time pays for.
  package static var processorCount: Int {
    let machine = max(1, ProcessInfo.processInfo.activeProcessorCount)
    let quota =
      contents("/sys/fs/cgroup/cpu.max").flatMap(processors(cpuMax:))
      ?? contents("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap { quota in
        contents("/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap { processors(cpuMax: "\(quota) \($0)") }
      }
    return min(machine, quota ?? machine)
  }

  /// The bytes of memory to use at most: the machine's, or the container's limit if that is lower.
  package static var memoryByteCount: Int {
    let machine = Int(clamping: ProcessInfo.processInfo.physicalMemory)
    let limit =
      contents("/sys/fs/cgroup/memory.max").flatMap { Int($0) }
      ?? contents("/sys/fs/cgroup/memory/memory.limit_in_bytes").flatMap { Int($0) }
    return min(machine, limit.map { $0 > 0 ? $0 : machine } ?? machine)
  }

  /// The processors that a quota pays for, rounded up, at least 1; `nil` if there is no limit or the text is not a quota.
  ///
  /// - Parameter cpuMax: microseconds of processor time and of the period they are for, as in `200000 100000`; `max` or
  ///   -1 in place of the former stands for no limit.
  package static func processors(cpuMax: String) -> Int? {
    let parts = cpuMax.split(whereSeparator: \.isWhitespace).map { Int($0) }
    guard parts.count == 2, let quota = parts[0], let period = parts[1], quota > 0, period > 0 else {
      return nil
    }
    return max(1, quota / period + (quota % period > 0 ? 1 : 0))
  }

  private static func contents(_ path: String) -> String? {
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return nil }
    return text.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
