import Foundation
import Trestle
import TrestleCommand

/// The language model that reads, and the mechanism by which the recommender learns from it, if there is one.
extension Train {
  /// The language model with what it has learnt.
  struct Reading {
    let fit: HybridFit
    let tuned: TunedReading
    let loaded: LoadedModel
  }

  /// A recommender that a mechanism has trained.
  struct Bridged {
    let fit: MechanismFit
    let model: FittedRecommender
    let epochs: [Int]
    let seconds: Double
  }

  /// The bridge's language model; `nil` without a bridge.
  func bridgedModel(_ communicator: any Communicator) throws -> URL? {
    guard bridge != .none else {
      let given = [
        ("--model", model != nil), ("--noun", !noun.isEmpty), ("--reading-epochs", readingEpochs != nil),
        ("--less-memory", savesMemory),
      ]
      for (name, isGiven) in given where isGiven {
        throw UsageError("\(name) is for a language model that reads: add --bridge BDLM")
      }
      return nil
    }
    let kinds = bridge.mechanism == nil ? HybridFit.kinds : MechanismFit.kinds
    guard kinds.contains(kind) else {
      let names = kinds.map(\.name).joined(separator: ", ")
      throw UsageError(
        "--bridge \(bridge.rawValue) "
          + (bridge.mechanism == nil ? "reads in the terms of" : "trains") + " a recommender with rows: "
          + "--domain \(names)")
    }
    guard bridge.mechanism == nil || communicator.size == 1 && accumulation == nil else {
      throw UsageError(
        "--bridge \(bridge.rawValue) trains in one process, a batch a step: leave mpirun and --accumulate out, or take --bridge BDLM"
      )
    }
    return try languageModel(model)
  }

  /// Lets the language model learn to read, and says how well it does.
  func tuned(_ url: URL, _ dataset: Dataset, _ options: FitOptions) throws -> Reading {
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
    configuration.bridge.readingEpochs = readingEpochs ?? (bridge.mechanism == nil ? 6 : 0)
    var fit = HybridFit(dataset: dataset, texts: texts, kind: kind, configuration: configuration)
    (fit.communicator, fit.accumulation, fit.options) = (options.communicator, accumulation, options)
    fit.log = { say("  " + $0) }
    let loaded = try LoadedModel(contentsOf: url)
    loaded.model.recomputesBlocks = savesMemory
    return try stages { stages in
      fit.onProgress = watching(stages, options.communicator)
      let tuned = try fit.tune(
        loaded, name: name, path: url, checkpoint: checkpoint.appending(path: "bridge"))
      let figures = tuned.figures
      stages.finish(
        String(
          format:
            "NDCG@10 of items that nobody had touched, ranked among themselves: %.4f (untuned %.4f, in random order %.4f)",
          figures.tuned, figures.untuned, figures.random))
      return Reading(fit: fit, tuned: tuned, loaded: loaded)
    }
  }

  /// Trains the recommender by the mechanism that was asked for; `nil` if it trains alone.
  func bridged(_ reading: Reading?, _ split: DataSplit) throws -> Bridged? {
    guard let reading, let mechanism = bridge.mechanism else { return nil }
    return try stages { stages in
      var fit = reading.fit
      fit.onProgress = watching(stages, fit.communicator)
      let trained = MechanismFit(mechanism, fit: fit, reading.loaded, name: reading.tuned.reader.name)
      let start = ContinuousClock.now
      let (model, epochs) = try trained.fit(split, checkpoint: checkpoint.appending(path: "mechanism"))
      stages.finish(
        "\(mechanism.name): epochs \(epochs.map(String.init).joined(separator: ", "))"
          + (model.card.settings["validation NDCG@10"].map { ", validation NDCG@10 \($0)" } ?? ""))
      return Bridged(
        fit: trained, model: model, epochs: epochs, seconds: start.duration(to: .now).seconds)
    }
  }

  /// The recommender on the training part: by the mechanism, or alone.
  func measured(
    _ bridged: Bridged?, _ fitting: Fitting, _ dataset: Dataset, _ split: DataSplit
  ) throws -> (FittedRecommender, Double) {
    if let bridged { return (bridged.model, bridged.seconds) }
    return try fitting.fit(dataset, split)
  }

  /// The recommender on everything: by the mechanism, or alone.
  func refitted(
    _ bridged: Bridged?, _ fitting: Fitting, _ dataset: Dataset, _ measured: FittedRecommender
  ) throws -> FittedRecommender {
    guard let bridged else {
      return try fitting.refit(
        dataset, epochs: measured.card.settings["epochs"].flatMap { Int($0) } ?? 1)
    }
    return try stages { stages in
      var fit = bridged.fit.fit
      fit.onProgress = watching(stages, fit.communicator)
      let trained = MechanismFit(
        bridged.fit.mechanism, fit: fit, bridged.fit.loaded, name: bridged.fit.name)
      let model = try trained.refit(
        epochs: bridged.epochs, checkpoint: checkpoint.appending(path: "mechanism-refit"))
      stages.finish("\(bridged.fit.mechanism.name) on all data")
      return model
    }
  }

  /// What shows how far the work is, and asks whether it is to stop.
  private func watching(
    _ stages: StageProgress, _ communicator: any Communicator
  ) -> (_ what: String, _ done: Int, _ total: Int) -> Bool {
    { what, done, total in
      stages.update(what, done, total)
      // A lost rank is found by the next step.
      return (try? communicator.any(Interrupts.isRequested)) ?? false
    }
  }

  private func stages<Value>(_ body: (StageProgress) throws -> Value) throws -> Value {
    let stages = StageProgress()
    do {
      return try body(stages)
    } catch BridgeError.interrupted {
      stages.clear()
      throw Interruption("stopped. \(kept())")
    }
  }
}
