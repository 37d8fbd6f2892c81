import Foundation
import TrestleCommand

/// Says after each of many cases how many are left, and how long they take if they take as long as those before.
final class Remaining {
  private let total: Int
  private let start = ContinuousClock.now
  private var done = 0

  init(_ total: Int) { self.total = total }

  /// A case is done.
  func note() {
    done += 1
    guard done < total else { return }
    let gone = start.duration(to: .now)
    let left = gone * (Double(total - done) / Double(done))
    say("  \(done) of \(total) done, \(ProgressLine.text(gone)) gone, about \(ProgressLine.text(left)) left")
  }
}
