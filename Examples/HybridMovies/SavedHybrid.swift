import Foundation
import Trestle
import TrestleCommand

/// The trained hybrid with what `recommend` needs beside it: where the language model lies.
struct SavedHybrid {
  /// What the folder's `run.json` says.
  struct Run: Codable {
    var languageModel: String?
    var languageModelName: String
    var seed: UInt64
    var isQuick: Bool
    var isSynthetic: Bool
  }

  let hybrid: HybridRecommender
  let run: Run

  static func folder(_ options: Options) -> URL { options.output.appending(path: "hybrid") }

  /// Saves what was trained, as a folder that replaces an older one only when it is complete.
  static func save(
    _ context: BridgeContext, _ recommenders: BridgeRecommenders, _ experiment: Experiment, _ options: Options
  ) throws -> SavedHybrid {
    guard let domain = recommenders.domain as? InnerProductScorer,
      let language = recommenders.language as? InnerProductScorer,
      let fusion = recommenders.fusion, let side = context.language as? LanguageSide
    else { throw UsageError("the bridge yielded no hybrid to save") }
    let world = experiment.world
    let hybrid = try HybridRecommender(
      dataset: world.dataset, split: context.split, domain: domain.representations,
      language: language.representations, fusion: fusion)
    let run = Run(
      languageModel: world.modelURL?.path,
      languageModelName: world.modelName, seed: options.seed, isQuick: options.isQuick,
      isSynthetic: world.datasetName == "synthetic")
    try FileManager.default.createDirectory(at: options.output, withIntermediateDirectories: true)
    try hybrid.save(to: folder(options)) { fresh in
      try side.save(to: fresh.appending(path: "language-side.safetensors"))
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      try AtomicFile.write(Array(try encoder.encode(run)), to: fresh.appending(path: "run.json"))
    }
    return SavedHybrid(hybrid: hybrid, run: run)
  }

  /// Loads what ``save(_:_:_:_:)`` wrote.
  static func load(_ options: Options) throws -> SavedHybrid {
    let folder = folder(options)
    let file = folder.appending(path: "run.json")
    guard let data = try? Data(contentsOf: file) else {
      throw UsageError(
        "\(file.path): no trained hybrid there; run hybrid-movies first, or name its folder with --output")
    }
    guard let run = try? JSONDecoder().decode(Run.self, from: data) else {
      throw UsageError("\(file.path): expected how a hybrid was trained, found something else")
    }
    return SavedHybrid(hybrid: try HybridRecommender(contentsOf: folder), run: run)
  }
}
