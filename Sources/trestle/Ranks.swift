import Foundation
import Trestle
import TrestleCommand

/// A command's work as one of the ranks that `mpirun` started; as the only one without it.
enum Ranks {
  /// The ranks of this process' work, once it has begun.
  nonisolated(unsafe) private static var current: MPICommunicator?

  /// Runs the work on all ranks. The first one speaks for all, and an error says whose it is.
  ///
  /// - Parameter threads: how many threads a rank has; `nil` for its share of the machine's cores.
  static func run(threads: Int?, _ work: (any Communicator) throws -> Void) throws {
    let communicator = try launched()
    current = communicator as? MPICommunicator
    if communicator.rank > 0 { Silence.keep() }
    if let threads {
      ThreadPool.shared.setThreadCount(threads)
    } else if ProcessInfo.processInfo.environment["TRESTLE_THREADS"] == nil {
      ThreadPool.shared.setThreadCount(max(1, ThreadPool.shared.threadCount / communicator.localSize))
    }
    if let places = current?.places {
      say("  \(places.count) ranks: " + places.enumerated().map { "\($0) is \($1)" }.joined(separator: ", "))
    }
    do {
      try work(communicator)
    } catch {
      guard communicator.size > 1 else { throw error }
      // What stops all ranks alike is said once: by the first, which then ends the others.
      if communicator.rank > 0 { usleep(500_000) }
      throw RankFailure(rank: communicator.rank, size: communicator.size, cause: error)
    }
    try current?.end()
  }

  private static func launched() throws -> any Communicator {
    do {
      return try MPICommunicator.launched()
    } catch {
      // It is the same on all ranks as a rule: the first says it, and Open MPI's mpirun ends the others when it ends.
      if (MPICommunicator.launchedRank ?? 0) > 0 { usleep(2_000_000) }
      throw error
    }
  }

  /// Ends the process with a code; one that failed takes all ranks with it.
  static func end(_ code: ExitCode) {
    guard code != .success else { return }
    current?.fail(code: code.rawValue)
    if Abandonable.isOneLeft {
      fflush(nil)
      _exit(code.rawValue)
    }
    exit(code.rawValue)
  }
}

/// What stopped a rank.
private struct RankFailure: ExitCodeProviding, CustomStringConvertible {
  let rank: Int
  let size: Int
  let cause: any Error

  var exitCode: ExitCode {
    (cause as? any ExitCodeProviding)?.exitCode ?? Program.exitCode(cause) ?? exitCodeOfLibrary(cause)
  }

  var description: String { "rank \(rank) of \(size): \(cause)" }
}
