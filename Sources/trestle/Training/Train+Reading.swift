import Foundation
import Trestle
import TrestleCommand

/// The language model that reads, if there is one.
extension Train {
  typealias Reading = (fit: HybridFit, tuned: TunedReading)

  /// The bridge's language model; `nil` without a bridge.
  func bridgedModel() throws -> URL? {
    guard bridge != .none else {
      for (name, isGiven) in [("--model", model != nil), ("--noun", !noun.isEmpty)] where isGiven {
        throw UsageError("\(name) is for a language model that reads: add --bridge BDLM")
      }
      return nil
    }
    guard HybridFit.kinds.contains(kind) else {
      let names = HybridFit.kinds.map(\.name).joined(separator: ", ")
      throw UsageError(
        "--bridge \(bridge.rawValue) reads in the terms of a recommender with rows: --domain \(names)")
    }
    return try languageModel(model)
  }

  /// Lets the language model learn to read, and says how well it does.
  func tuned(
    _ url: URL, _ dataset: Dataset, _ communicator: any Communicator
  ) throws -> Reading {
    let texts = ItemTexts(dataset: dataset, noun: noun)
    guard texts.texts.contains(where: { !$0.isEmpty }) else {
      throw UsageError("the items have no texts to read; --items FILE names a file with titles")
    }
    let name = url.deletingPathExtension().lastPathComponent
    let empty = texts.texts.count { $0.isEmpty }
    say(
      "  \(printable(name)) reads the items' texts, such as “\(printable(String((texts.texts.first { !$0.isEmpty } ?? "").prefix(120))))”"
        + (empty == 0 ? "" : "; \(empty) items have none"))
    var configuration = HybridFit.Configuration()
    configuration.seed = seed
    configuration.bridge.readingEpochs = readingEpochs
    var fit = HybridFit(dataset: dataset, texts: texts, kind: kind, configuration: configuration)
    (fit.communicator, fit.accumulation) = (communicator, accumulation)
    fit.log = { say("  " + $0) }
    let stages = StageProgress()
    fit.onProgress = { what, done, total in
      stages.update(what, done, total)
      // A lost rank is found by the next step.
      return (try? communicator.any(Interrupts.isRequested)) ?? false
    }
    do {
      let tuned = try fit.tune(
        LoadedModel(contentsOf: url), name: name, path: url, checkpoint: checkpoint.appending(path: "bridge"))
      let figures = tuned.figures
      stages.finish(
        String(
          format:
            "NDCG@10 of items that nobody had touched, ranked among themselves: %.4f (untuned %.4f, in random order %.4f)",
          figures.tuned, figures.untuned, figures.random))
      return (fit, tuned)
    } catch BridgeError.interrupted {
      stages.clear()
      throw Interruption("stopped. \(kept())")
    }
  }
}
