import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

/// The hybrid that a ``HybridJob`` trained, with what its language model needs beside it to read the history of someone new.
public struct SavedHybrid {
  /// What the folder's `run.json` says.
  struct Run: Codable {
    var languageModel: String?
    var languageModelName: String
    var seed: UInt64
    var plan: HybridJobPlan
    var isSynthetic: Bool
  }

  /// The hybrid.
  public let hybrid: HybridRecommender
  let run: Run
  private let folder: URL

  /// The language model's name.
  public var languageModelName: String { run.languageModelName }
  /// Where the language model was; `nil` for one that was trained in the process.
  public var languageModelPath: String? { run.languageModel }
  /// Whether the hybrid is of the built-in world.
  public var isSynthetic: Bool { run.isSynthetic }

  static func folder(_ output: URL) -> URL { output.appending(path: "hybrid") }

  /// Saves what was trained, as a folder that replaces an older one only when it is complete.
  static func save(_ job: HybridJob, _ plan: HybridJobPlan, seed: UInt64) throws -> SavedHybrid {
    let output = job.configuration.output
    guard let (_, context, recommenders) = job.bridge,
      let domain = recommenders.domain as? InnerProductScorer,
      let language = recommenders.language as? InnerProductScorer,
      let fusion = recommenders.fusion, let side = context.language as? LanguageSide
    else {
      throw BridgeError.invalidState(
        path: output.path, place: "hybrid", expected: "both sides and their fusion", found: "none")
    }
    var hybrid = try HybridRecommender(
      dataset: job.data.dataset, split: context.split, domain: domain.representations,
      language: language.representations, fusion: fusion)
    let run = Run(
      languageModel: job.data.modelURL?.path, languageModelName: job.data.modelName, seed: seed, plan: plan,
      isSynthetic: job.isSynthetic)
    hybrid.card = HybridCard(
      dataset: job.data.dataset.name,
      settings: ["seed": "\(seed)", "plan": RecommenderCard.text(of: plan) ?? ""])
    try FileManager.default.createDirectory(at: output, withIntermediateDirectories: true)
    try hybrid.save(to: folder(output)) { fresh in
      try side.save(to: fresh.appending(path: "language-side.safetensors"))
      try AtomicFile.writeJSON(run, to: fresh.appending(path: "run.json"))
    }
    return SavedHybrid(hybrid: hybrid, run: run, folder: folder(output))
  }

  private init(hybrid: HybridRecommender, run: Run, folder: URL) {
    (self.hybrid, self.run, self.folder) = (hybrid, run, folder)
  }

  /// Loads the hybrid that a job left in its folder.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if there is none, and what loading it throws.
  public init(contentsOf output: URL) throws {
    folder = Self.folder(output)
    let file = folder.appending(path: "run.json")
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw BridgeError.invalidState(
        path: file.path, place: "hybrid", expected: "a trained hybrid", found: "no such file")
    }
    let bytes = try [UInt8](contentsOf: file, limit: JSONLimits().byteCount)
    guard let run = try? JSONDecoder().decode(Run.self, from: Data(bytes)), run.plan.isValid else {
      throw BridgeError.invalidState(
        path: file.path, place: "hybrid", expected: "how a hybrid was trained", found: "something else")
    }
    self.run = run
    hybrid = try HybridRecommender(contentsOf: folder)
  }

  /// The state after the history of someone who likes some items, as the trained language model reads it.
  ///
  /// - Parameters:
  ///   - items: the items' indices.
  ///   - data: the data that the hybrid was trained on, with its language model.
  /// - Throws: ``BridgeError/foreignVocabulary(side:expected:found:)`` for other data.
  public func languageState(liking items: [Int], _ data: HybridJobData) throws -> Tensor {
    guard data.vocabulary == hybrid.vocabulary else {
      throw BridgeError.foreignVocabulary(
        side: data.name, expected: hybrid.vocabulary.hash, found: data.vocabulary.hash)
    }
    let job = try HybridJob(data, .init(output: folder))
    let side = try job.makeLanguageSide(
      JobKey(variant: .bridge, share: 1, seed: run.seed), job.split,
      job.budget(share: 1, seed: run.seed, level: run.plan.level), run.plan.arithmetic)
    try side.load(from: folder.appending(path: "language-side.safetensors"))
    return side.state(liking: items)
  }
}
