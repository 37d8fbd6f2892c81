import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleText

/// The data and the language model of a ``HybridJob``.
public struct HybridJobData {
  /// Interactions and items.
  public let dataset: Dataset
  /// The data set's name, such as `ml-100k`.
  public let name: String
  /// The items' texts.
  public let texts: ItemTexts
  /// Where the language model comes from; `nil` for a small one that was trained in the process.
  public let modelURL: URL?
  /// The language model's name in tables.
  public let modelName: String
  /// The folder of the sentence encoder that reads the items' texts too; `nil` if there is none.
  public let encoderURL: URL?
  private let built: TinyTextModel?

  /// Data with a language model from a file.
  ///
  /// - Parameters:
  ///   - dataset: interactions and items.
  ///   - name: the data set's name.
  ///   - noun: what the items are called, in front of each text: `Movie`.
  ///   - modelURL: a GGUF file or a Hugging Face folder.
  ///   - modelName: the language model's name.
  ///   - encoderURL: the folder of a sentence encoder.
  public init(
    dataset: Dataset, name: String, noun: String, modelURL: URL, modelName: String, encoderURL: URL? = nil
  ) {
    (self.dataset, self.name, self.modelURL) = (dataset, name, modelURL)
    (self.modelName, self.encoderURL, built) = (modelName, encoderURL, nil)
    texts = ItemTexts(dataset: dataset, noun: noun)
  }

  /// Data with a small language model that is trained on the items' texts now: no file is needed.
  public init(dataset: Dataset, name: String, progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }) {
    (self.dataset, self.name, modelURL, encoderURL) = (dataset, name, nil, nil)
    modelName = "a small LM trained on the world's texts"
    texts = ItemTexts(dataset: dataset)
    built = TinyTextModel(texts: texts.texts, seed: 7, progress: progress)
  }

  /// The users and items.
  public var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
  }

  /// A fresh copy of the language model, held in the type that it computes in, the text tokens of every item, and those of a
  /// line's end.
  func loadLanguageModel(_ arithmetic: Arithmetic) throws -> HybridJob.Language {
    guard let modelURL else {
      guard let built else { preconditionFailure("HybridJobData: no language model") }
      return (built.makeModel(), built.tokenizedTexts, [])
    }
    let loaded = try LoadedModel(
      contentsOf: modelURL, storage: arithmetic == .bfloat16 ? .bfloat16 : .float32)
    let (model, tokenizer) = (loaded.model, loaded.tokenizer)
    model.arithmetic = arithmetic
    return (model, texts.texts.map { tokenizer.encode($0) }, tokenizer.encode("\n"))
  }

  /// What the sentence encoder makes of the items, `[items, width]`.
  struct Encoded {
    /// The whole text, the genres and the year, each centred, of mean square length 1, and side by side.
    let views: Tensor
    /// The text as the language model reads it.
    let texts: Tensor
  }

  /// What the sentence encoder makes of every item; `nil` without an encoder.
  func encodeItems() throws -> Encoded? {
    guard let encoderURL else { return nil }
    let encoder = try SentenceEncoder(folder: encoderURL)
    func encode(_ texts: [String]) -> Tensor {
      let distinct = Set(texts).sorted()
      let places = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, Int32($0)) })
      return encoder.encode(distinct).gatheredRows(Tensor(texts.map { places[$0] ?? 0 }))
    }
    let items = 0..<dataset.itemCount
    let views: [(Int) -> String] = [
      { dataset.items.summary(of: $0) },
      { "Genres: " + dataset.items.genres[$0].joined(separator: ", ") },
      { dataset.items.years[$0].map { "Released in \($0)" } ?? "" },
    ]
    return Encoded(
      views: Tensor.concatenated(
        views.map { view in
          let rows = encode(items.map(view))
          let centred = rows - rows.mean(along: [0])
          let energy = centred.squared().sum(along: [1]).mean().item
          return centred * (1 / Swift.max(energy, 1e-12).squareRoot())
        }, along: 1), texts: encode(texts.texts))
  }
}
