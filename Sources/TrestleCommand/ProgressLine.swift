import Foundation
import Synchronization

/// A progress bar with the time left on a terminal; plain lines, now and then, elsewhere.
package final class ProgressLine: Sendable {
  private let label: String
  private let isTerminal = isatty(STDERR_FILENO) != 0
  private let start = ContinuousClock.now
  private let state = Mutex(State())

  private struct State {
    var lastShown = ContinuousClock.now
    var hasShown = false
  }

  /// A line that starts with `label`.
  package init(_ label: String) { self.label = label }

  /// Shows that `done` of `total` is done.
  package func update(_ done: Int, of total: Int, note: String = "") {
    guard !Silence.isKept, total > 0, isDue() else { return }
    let share = min(Double(done) / Double(total), 1)
    let elapsed = start.duration(to: .now)
    let left = share > 0 ? elapsed * ((1 - share) / share) : .zero
    let figures = "\(Int(share * 100)) %, \(Self.text(elapsed)) gone, about \(Self.text(left)) left\(note)"
    if isTerminal {
      let filled = Int(share * 24)
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
      write("\r\u{1B}[2K  \(label) \(bar) \(figures)")
    } else {
      write("  \(label): \(figures)\n")
    }
  }

  /// Shows how long a work without steps has gone on.
  package func wait() {
    guard !Silence.isKept, isDue() else { return }
    let time = Self.text(start.duration(to: .now))
    write(isTerminal ? "\r\u{1B}[2K  \(label) \(time) gone" : "  \(label): \(time) gone\n")
  }

  private func isDue() -> Bool {
    let now = ContinuousClock.now
    let pause: Duration = isTerminal ? .milliseconds(100) : .seconds(20)
    return state.withLock { state in
      guard now - state.lastShown >= pause else { return false }
      state.lastShown = now
      state.hasShown = state.hasShown || isTerminal
      return true
    }
  }

  /// Replaces the bar by what came out.
  package func finish(_ outcome: String) {
    let time = Self.text(start.duration(to: .now))
    clear()
    say("  \(label): \(outcome) (\(time))")
  }

  /// Removes the bar.
  package func clear() {
    let hasShown = state.withLock { state in
      defer { state.hasShown = false }
      return state.hasShown
    }
    if hasShown { write("\r\u{1B}[2K") }
  }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

  /// "2 min 5 s".
  package static func text(_ duration: Duration) -> String {
    let seconds = Int(duration.components.seconds)
    return seconds >= 60 ? "\(seconds / 60) min \(seconds % 60) s" : "\(seconds) s"
  }
}

/// Whether this process says nothing of its work, because another one of the same work does.
package enum Silence {
  private static let kept = Atomic<Bool>(false)

  /// Whether it does; an error is told all the same.
  package static var isKept: Bool { kept.load(ordering: .relaxed) }

  /// Says nothing from now on.
  package static func keep() { kept.store(true, ordering: .relaxed) }
}

/// Prints a line and shows it at once, also when standard output is a file.
package func say(_ line: String) {
  guard !Silence.isKept else { return }
  print(line)
  fflush(nil)
}
