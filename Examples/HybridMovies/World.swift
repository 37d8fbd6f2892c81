import Foundation
import Trestle
import TrestleCommand

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
  /// The sentence encoder that reads the items' texts for the language side; `nil` if there is none.
  var encoderURL: URL?

  var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
  }

  /// Finds, fetches or makes what the options ask for.
  static func prepare(_ options: Options) throws -> World {
    if options.isSynthetic { return try synthetic(options) }
    var assets = Assets()
    if let folder = options.assets { assets.folder = folder }
    if options.data == nil || options.model == nil {
      if let problem = assets.fetchIfMissing() {
        say("The data and the model cannot be fetched (\(problem)): going on with the built-in world.")
        return try synthetic(options)
      }
    }
    let folder = try options.data ?? assets.movieLens100K
    let model = try options.model ?? assets.smolLM2
    guard FileManager.default.fileExists(atPath: model.path) else {
      throw UsageError("\(model.path): no such model; expected a .gguf file or a Hugging Face folder")
    }
    let dataset = try Dataset.recBole(at: folder)
    return World(
      dataset: dataset, modelURL: model,
      modelName: options.model == nil ? "SmolLM2-135M" : model.deletingPathExtension().lastPathComponent,
      datasetName: options.data == nil ? "ml-100k" : folder.lastPathComponent,
      encoderURL: try? assets.miniLM)
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
    model.arithmetic = .fastest
    let tokenizer = try PretrainedTokenizer(contentsOf: modelURL).tokenizer
    let texts = (0..<dataset.itemCount).map { tokenizer.encode("Movie: " + dataset.items.summary(of: $0)) }
    return (model, texts)
  }
}

extension World {
  /// What the sentence encoder makes of every item, `[items, width]`: its whole text, its genres and its year, each
  /// centred, of mean square length 1, and side by side; `nil` without an encoder.
  func encodeItemTexts() throws -> Tensor? {
    guard let encoderURL else { return nil }
    let encoder = try SentenceEncoder(folder: encoderURL)
    let items = 0..<dataset.itemCount
    let views: [(Int) -> String] = [
      { dataset.items.summary(of: $0) },
      { "Genres: " + dataset.items.genres[$0].joined(separator: ", ") },
      { dataset.items.years[$0].map { "Released in \($0)" } ?? "" },
    ]
    return Tensor.concatenated(
      views.map { view in
        let texts = items.map(view)
        let distinct = Set(texts).sorted()
        let places = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, Int32($0)) })
        let rows = encoder.encode(distinct).gatheredRows(Tensor(texts.map { places[$0] ?? 0 }))
        let centred = rows - rows.mean(along: [0])
        let energy = centred.squared().sum(along: [1]).mean().item
        return centred * (1 / Swift.max(energy, 1e-12).squareRoot())
      }, along: 1)
  }
}

extension Assets {
  /// Runs `Scripts/fetch-assets` if something is missing; what stands in the way, or `nil` if all is there.
  func fetchIfMissing() -> String? {
    func isThere() -> Bool {
      (try? movieLens100K) != nil && (try? smolLM2) != nil && (try? miniLM) != nil
    }
    if isThere() { return nil }
    let script = URL(filePath: "Scripts/fetch-assets")
    guard FileManager.default.isExecutableFile(atPath: script.path) else {
      return "Scripts/fetch-assets is not in the current folder"
    }
    say("Fetching MovieLens-100K, SmolLM2-135M and MiniLM (about 200 MB, once) …")
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
