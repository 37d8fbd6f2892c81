import Foundation
import Synchronization

/// Whether the user has asked the program to stop (Ctrl-C, or SIGTERM).
///
/// The first signal asks; the work looks at ``isRequested`` at places where it can stop and keep what it has. A second
/// signal ends the process at once.
package enum Interrupts {
  private static let requested = Atomic<Bool>(false)

  /// Whether a signal has come since ``handle()``.
  package static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// From now on the first signal asks instead of ending the process.
  package static func handle() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        if Interrupts.requested.exchange(true, ordering: .relaxed) { _exit(128 + number) }
      }
    }
  }
}
