import Foundation
import Synchronization
import TrestleCommand

/// Work that looks at no signal while it goes on, such as the inversion of a large matrix: it is done on a thread of its own,
/// which is left behind when a signal comes.
enum Abandonable {
  private static let wasAbandoned = Atomic<Bool>(false)

  /// Whether a thread was left behind. The process must then end without waiting for it.
  static var isOneLeft: Bool { wasAbandoned.load(ordering: .relaxed) }

  private final class Outcome<Value: Sendable>: Sendable {
    let value = Mutex<Result<Value, any Error>?>(nil)
    let isThere = DispatchSemaphore(value: 0)
  }

  /// What `work` returns; `nil` if a signal came first.
  ///
  /// - Parameter meanwhile: called ten times a second.
  static func run<Value: Sendable>(
    _ meanwhile: () -> Void, _ work: @escaping @Sendable () throws -> Value
  ) throws -> Value? {
    let outcome = Outcome<Value>()
    let thread = Thread {
      let result = Result { try work() }
      outcome.value.withLock { $0 = result }
      outcome.isThere.signal()
    }
    thread.stackSize = 64 << 20
    thread.start()
    while outcome.isThere.wait(timeout: .now() + 0.1) == .timedOut {
      if Interrupts.isRequested {
        wasAbandoned.store(true, ordering: .relaxed)
        return nil
      }
      meanwhile()
    }
    return try outcome.value.withLock { $0 }?.get()
  }
}
