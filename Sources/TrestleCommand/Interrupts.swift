import Foundation
import Synchronization

/// Whether the user has asked the program to stop (Ctrl-C, or SIGTERM).
///
/// The first signal asks, and is answered by a line; the work looks at ``isRequested`` at places where it can stop and keep
/// what it has. A second signal ends the process at once.
package enum Interrupts {
  private static let requested = Atomic<Bool>(false)
  private static let answer: StaticString =
    "\n  stopping after this epoch or step; a second signal ends the program at once\n"

  /// Whether a signal has come since ``handle()``.
  package static var isRequested: Bool { requested.load(ordering: .relaxed) }

  /// From now on the first signal asks instead of ending the process.
  package static func handle() {
    // Made before a signal needs them, which may find the runtime at any work.
    _ = (Interrupts.isRequested, Silence.isKept, answer)
    for number in [SIGINT, SIGTERM] {
      signal(number) { number in
        if Interrupts.requested.exchange(true, ordering: .relaxed) { _exit(128 + number) }
        if !Silence.isKept {
          _ = write(STDERR_FILENO, Interrupts.answer.utf8Start, Interrupts.answer.utf8CodeUnitCount)
        }
      }
    }
  }
}
