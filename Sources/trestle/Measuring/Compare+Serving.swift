import Foundation
import Trestle
import TrestleCommand

extension Compare {
  /// The protocol that was asked for; `nil` for the usual leaderboard.
  func servingProtocol() throws -> ServingProtocol? {
    guard let serving else { return nil }
    guard let found = ServingProtocol(rawValue: serving) else {
      let names = ServingProtocol.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("--serving: expected one of \(names), found '\(serving)'")
    }
    if bridges != nil || givenSplit != nil || writtenSplit != nil || json != nil {
      throw UsageError(
        "--serving parts the data by itself and prints a table: leave --bridges, --given-split, --write-split and --json out"
      )
    }
    if search != nil && found != .refit {
      throw UsageError(
        "--search finds the settings of --serving refit; --serving \(serving) takes the recommended ones")
    }
    return found
  }

  /// Measures how the models take what comes after their training, and prints a table.
  func measure(_ serving: ServingProtocol, _ dataset: Dataset) throws {
    var lines = [
      "| model | NDCG@10 | \(serving.referenceName) | users | settings |",
      "| --- | ---: | ---: | ---: | --- |",
    ]
    for seed in seed..<seed + UInt64(seeds) {
      for kind in models {
        var options = FitOptions()
        (options.seed, options.epochs, options.patience) = (seed, epochs, patience)
        let bar = ProgressLine(kind.rawValue)
        let outcome = try serving.measure(kind, on: dataset, options: options, trials: search ?? 1) {
          progress in
          bar.update(progress.epoch, of: progress.expectedEpochs, note: ", epoch \(progress.epoch)")
          if Interrupts.isRequested {
            throw Interruption(
              "stopped while \(kind.rawValue) was measured:\n" + lines.joined(separator: "\n"))
          }
        }
        bar.finish("measured")
        let found = outcome.settings.sorted { $0.key < $1.key }
          .map { "\($0.key) \(String(format: "%.4g", $0.value))" }.joined(separator: ", ")
        lines.append(
          String(
            format: "| %@ | %.4f | %.4f | %d | %@ |", kind.rawValue, outcome.value, outcome.reference,
            outcome.users, found.isEmpty ? "recommended" : found))
      }
    }
    say("")
    for line in lines { say(line) }
  }
}
