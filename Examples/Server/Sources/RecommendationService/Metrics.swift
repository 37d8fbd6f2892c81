import Foundation
import Synchronization

/// Counts of requests and their times, in the text form that Prometheus reads.
public final class Metrics: Sendable {
  private struct State {
    var requests: [String: Int] = [:]
    var counters: [String: Int] = [:]
    var buckets = [Int](repeating: 0, count: Metrics.bounds.count + 1)
    var seconds = 0.0
    var count = 0
  }

  /// The upper bounds of the classes of times, in seconds.
  static let bounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1]
  private let state = Mutex(State())

  init() {}

  /// Counts something.
  func count(_ name: String) { state.withLock { $0.counters[name, default: 0] += 1 } }

  /// Counts a request.
  func record(_ path: String, status: Int, time: Duration) {
    let seconds = time / .seconds(1)
    let place = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
    state.withLock { state in
      state.requests["path=\"\(path)\",status=\"\(status)\"", default: 0] += 1
      state.buckets[place] += 1
      state.seconds += seconds
      state.count += 1
    }
  }

  /// All counts.
  public var text: String {
    let state = state.withLock { $0 }
    var lines = ["# TYPE trestle_requests_total counter"]
    for (labels, count) in state.requests.sorted(by: { $0.key < $1.key }) {
      lines.append("trestle_requests_total{\(labels)} \(count)")
    }
    for name in ["reloads", "failed_reloads"] {
      lines.append("# TYPE trestle_\(name)_total counter")
      lines.append("trestle_\(name)_total \(state.counters[name] ?? 0)")
    }
    lines.append("# TYPE trestle_request_seconds histogram")
    var sum = 0
    for (bound, count) in zip(Self.bounds.map { "\($0)" } + ["+Inf"], state.buckets) {
      sum += count
      lines.append("trestle_request_seconds_bucket{le=\"\(bound)\"} \(sum)")
    }
    lines.append("trestle_request_seconds_sum \(state.seconds)")
    lines.append("trestle_request_seconds_count \(state.count)")
    return lines.joined(separator: "\n") + "\n"
  }
}
