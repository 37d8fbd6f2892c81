import Foundation

/// The times of a generation, for the line at its end.
package struct GenerationFigures {
  private let start = ContinuousClock.now
  private var loaded = ContinuousClock.now
  private var begun = ContinuousClock.now
  private var first: ContinuousClock.Instant?

  /// The model is about to be loaded.
  package init() {}

  /// The model is loaded.
  package mutating func noteLoaded() { loaded = .now }

  /// The prompt is about to be read.
  package mutating func noteBegun() { begun = .now }

  /// A piece has come.
  package mutating func notePiece() { first = first ?? .now }

  /// What is said at the end, on standard error, so that standard output holds the answer alone.
  ///
  /// - Parameters:
  ///   - promptCount: the tokens of the prompt.
  ///   - tokenCount: the tokens of the answer.
  package func report(promptCount: Int, tokenCount: Int) {
    let now = ContinuousClock.now
    let read = first ?? now
    let line =
      "load \((loaded - start).formatted(.units(allowed: [.milliseconds]))), "
      + "prompt \(promptCount) tokens at \(rate(promptCount, read - begun)) tok/s, "
      + "answer \(tokenCount) tokens at \(rate(max(tokenCount - 1, 0), now - read)) tok/s\n"
    FileHandle.standardError.write(Data(line.utf8))
  }

  private func rate(_ count: Int, _ time: Duration) -> String {
    let seconds = time / .seconds(1)
    return seconds > 0 ? String(format: "%.1f", Double(count) / seconds) : "-"
  }
}
