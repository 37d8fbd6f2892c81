import Foundation
import Trestle
import TrestleCommand

/// How the data is parted.
enum SplitChoice: String, CaseIterable {
  case ratio, time
  case leaveOneOut = "leave-one-out"

  var strategy: SplitStrategy {
    switch self {
    case .ratio: .ratio()
    case .time: .globalTime()
    case .leaveOneOut: .leaveOneOut
    }
  }
}

/// Fits a model and shows how far it is.
struct Fitting {
  let kind: ModelKind
  let options: FitOptions
  /// What to say when the user stops the fit.
  let kept: () -> String

  /// Fits on the training part of a split.
  func fit(_ data: Dataset, _ split: DataSplit) throws -> (model: FittedRecommender, seconds: Double) {
    let bar = ProgressLine(kind.rawValue)
    let start = ContinuousClock.now
    let model =
      try atOnce(bar) { [kind, options] in try data.fit(kind, split: split, options: options) }
      ?? data.fit(kind, split: split, options: options) { progress in
        let best = progress.best.map { String(format: ", NDCG@10 %.4f at best", $0) } ?? ""
        bar.update(progress.epoch, of: progress.expectedEpochs, note: ", epoch \(progress.epoch)\(best)")
        try stopIfAsked(progress)
      }
    let seconds = start.duration(to: .now).seconds
    let found = ["epochs", "validation NDCG@10"].compactMap { name in
      model.card.settings[name].map { "\(name) \($0)" }
    }
    bar.finish(found.isEmpty ? "fitted" : found.joined(separator: ", "))
    return (model, seconds)
  }

  /// Fits on everything.
  func refit(_ data: Dataset, epochs: Int) throws -> FittedRecommender {
    let bar = ProgressLine("\(kind.rawValue) on all data")
    let model =
      try atOnce(bar) { [kind, options] in
        try data.refit(kind, epochs: epochs, options: options)
      }
      ?? data.refit(kind, epochs: epochs, options: options) { progress in
        bar.update(progress.epoch, of: progress.expectedEpochs, note: ", epoch \(progress.epoch)")
        try stopIfAsked(progress)
      }
    bar.finish("fitted")
    return model
  }

  /// What a model that is not trained by epochs makes, unless a signal comes first; `nil` for one that is, and for one of
  /// several ranks, which stop together.
  private func atOnce(
    _ bar: ProgressLine, _ work: @escaping @Sendable () throws -> FittedRecommender
  ) throws -> FittedRecommender? {
    guard !kind.isTrainedByEpochs, options.communicator.size == 1 else { return nil }
    guard let model = try Abandonable.run({ bar.wait() }, work) else {
      bar.clear()
      throw Interruption("stopped while \(kind.rawValue) was computed. \(kept())")
    }
    return model
  }

  private func stopIfAsked(_ progress: FitProgress) throws {
    // All ranks stop after the same epoch, wherever the signal came.
    if try options.communicator.any(Interrupts.isRequested) {
      throw Interruption("stopped after epoch \(progress.epoch). \(kept())")
    }
  }
}

/// Shows how far a work of several stages is, each with the time left of its own.
final class StageProgress {
  private let start = ContinuousClock.now
  private var stage = ""
  private var bar: ProgressLine?

  /// Shows that `done` of `total` of a stage is done.
  func update(_ name: String, _ done: Int, _ total: Int) {
    if name != stage {
      bar?.clear()
      (stage, bar) = (name, ProgressLine(name))
    }
    bar?.update(done, of: total)
  }

  /// Removes the bar.
  func clear() { bar?.clear() }

  /// Says what came out of all stages.
  func finish(_ outcome: String) {
    clear()
    say("  \(outcome) (\(ProgressLine.text(start.duration(to: .now))))")
  }
}
