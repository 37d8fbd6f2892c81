import CommandLineOptions
import Foundation
import Trestle

/// The trained hybrid with what `recommend` needs beside it: ids, titles and where the language model lies.
struct SavedHybrid {
  /// What the folder's `catalogue.json` says.
  struct Catalogue: Codable {
    var userIDs: [String]
    var itemTitles: [String]
    var vocabularyHash: String
    var languageModel: String?
    var languageModelName: String
    var seed: UInt64
    var isQuick: Bool
    var isSynthetic: Bool
  }

  let hybrid: HybridRecommender
  let catalogue: Catalogue

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
    let hybrid = HybridRecommender(
      vocabulary: world.vocabulary, splitHash: context.split.hash, domain: domain.representations,
      language: language.representations, fusion: fusion, seen: UserItemMatrix(context.split.training))
    let catalogue = Catalogue(
      userIDs: world.dataset.userIDs.ids,
      itemTitles: (0..<world.dataset.itemCount).map { Self.title(world.dataset, $0) },
      vocabularyHash: world.dataset.vocabularyHash, languageModel: world.modelURL?.path,
      languageModelName: world.modelName, seed: options.seed, isQuick: options.isQuick,
      isSynthetic: world.datasetName == "synthetic")
    let target = folder(options)
    let part = options.output.appending(path: "hybrid.part")
    try? FileManager.default.removeItem(at: part)
    try hybrid.save(to: part)
    try side.save(to: part.appending(path: "language-side.safetensors"))
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try AtomicFile.write(Array(try encoder.encode(catalogue)), to: part.appending(path: "catalogue.json"))
    try? FileManager.default.removeItem(at: target)
    try FileManager.default.moveItem(at: part, to: target)
    return SavedHybrid(hybrid: hybrid, catalogue: catalogue)
  }

  /// Loads what ``save(_:_:_:_:)`` wrote.
  static func load(_ options: Options) throws -> SavedHybrid {
    let folder = folder(options)
    let file = folder.appending(path: "catalogue.json")
    guard let data = try? Data(contentsOf: file) else {
      throw UsageError(
        "\(file.path): no trained hybrid there; run hybrid-movies first, or name its folder with --output")
    }
    guard let catalogue = try? JSONDecoder().decode(Catalogue.self, from: data) else {
      throw UsageError("\(file.path): expected the catalogue of a saved hybrid, found something else")
    }
    let hybrid = try HybridRecommender(contentsOf: folder)
    guard catalogue.userIDs.count == hybrid.vocabulary.userCount,
      catalogue.itemTitles.count == hybrid.vocabulary.itemCount,
      catalogue.vocabularyHash == hybrid.vocabulary.hash
    else { throw UsageError("\(file.path): the catalogue and the hybrid beside it are not of one training") }
    return SavedHybrid(hybrid: hybrid, catalogue: catalogue)
  }

  static func title(_ dataset: Dataset, _ item: Int) -> String {
    let title = dataset.items.titles[item]
    guard let year = dataset.items.years[item] else {
      return title.isEmpty ? "item \(dataset.itemIDs[item])" : title
    }
    return "\(title) (\(year))"
  }
}
