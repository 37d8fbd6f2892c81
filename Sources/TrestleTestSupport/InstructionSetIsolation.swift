import Foundation

// Tests run beside each other in one process, and the instruction set belongs to the process: a test that changes it
// must not run while another compares the bits of two computations. So those that change it do so in a process of their
// own (`selectsInstructionSets`), and the locks below are for what they run beside there.

/// Whether tests of this process select instruction sets: only if it was started for them, by `TRESTLE_TEST_LEVELS=all`.
package let selectsInstructionSets = ProcessInfo.processInfo.environment["TRESTLE_TEST_LEVELS"] == "all"

/// A readers–writer lock that lives as long as the process.
///
/// `@unchecked Sendable`: the lock is all it holds, and is initialised before anybody sees it.
private final class ReadersWriterLock: @unchecked Sendable {
  static let shared = ReadersWriterLock()
  let lock = UnsafeMutablePointer<pthread_rwlock_t>.allocate(capacity: 1)

  init() {
    lock.initialize(to: pthread_rwlock_t())
    pthread_rwlock_init(lock, nil)
  }
}

/// Runs `body`, which selects instruction sets, while no test runs that needs a steady one.
public func withChangingInstructionSet<Result>(_ body: () throws -> Result) rethrows -> Result {
  pthread_rwlock_wrlock(ReadersWriterLock.shared.lock)
  defer { pthread_rwlock_unlock(ReadersWriterLock.shared.lock) }
  return try body()
}

/// Runs `body`, which compares the bits of computations, while no test selects another instruction set.
///
/// Not to be nested, neither in itself nor in ``withChangingInstructionSet(_:)``.
public func withSteadyInstructionSet<Result>(_ body: () throws -> Result) rethrows -> Result {
  pthread_rwlock_rdlock(ReadersWriterLock.shared.lock)
  defer { pthread_rwlock_unlock(ReadersWriterLock.shared.lock) }
  return try body()
}
