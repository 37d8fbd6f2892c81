import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// Progress on standard error: a line that is overwritten on a terminal, a plain line now and then elsewhere.
final class ProgressLog: Sendable {
  private let isTerminal = isatty(STDERR_FILENO) == 1

  /// Shows where the work is; only a terminal sees it.
  func status(_ text: String) {
    if isTerminal { write("\r\u{1B}[K" + text) }
  }

  /// Writes a line that stays.
  func line(_ text: String) { write((isTerminal ? "\r\u{1B}[K" : "") + text + "\n") }

  /// Removes what ``status(_:)`` showed.
  func clear() {
    if isTerminal { write("\r\u{1B}[K") }
  }

  private func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }
}
