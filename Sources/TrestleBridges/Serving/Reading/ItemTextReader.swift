import Foundation
import Synchronization
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleText

/// An item that a recommender was not trained on, given by what is known of it.
public struct NewItem: Sendable, Equatable {
  /// Its id, which no other item has.
  public let id: String
  /// Its title, as lists show it.
  public let title: String
  /// What the language model reads.
  public let text: String

  /// An item.
  public init(id: String, title: String, text: String) {
    (self.id, self.title, self.text) = (id, title, text)
  }

  /// The items of a data set, their texts written as for training.
  ///
  /// - Parameters:
  ///   - dataset: the items, such as those of `Dataset(items:)`.
  ///   - noun: what the items are called, as ``ItemReading/Reader/noun`` has it.
  public static func all(of dataset: Dataset, noun: String) -> [NewItem] {
    let texts = ItemTexts(dataset: dataset, noun: noun)
    let titles = Catalogue(dataset).titles
    return titles.indices.map { NewItem(id: dataset.itemIDs[$0], title: titles[$0], text: texts[$0]) }
  }
}

/// The language model of a hybrid, with which it reads the texts of new items; may be used from several threads, one of
/// which reads at a time.
public final class ItemTextReader: Sendable {
  /// Which language model reads.
  public let reader: ItemReading.Reader
  private let loaded: Mutex<LoadedModel>

  /// Loads the language model that a hybrid was trained with.
  ///
  /// - Parameters:
  ///   - reading: the hybrid's.
  ///   - model: where the language model is; `nil` for where it was in training.
  /// - Throws: `ServingError/otherData(expected:found:)` if the language model is not there or another one;
  ///   `LanguageModelError`.
  public init(_ reading: ItemReading, model: URL? = nil) throws {
    let url = model ?? URL(filePath: reading.reader.path)
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw ServingError.otherData(
        expected: "the language model \(reading.reader.name) that the hybrid was trained with",
        found: "nothing at \(url.path)")
    }
    let hash = try Self.hash(of: url)
    guard hash == reading.reader.hash else {
      throw ServingError.otherData(
        expected: "the language model \(reading.reader.name) that the hybrid was trained with",
        found: "other weights in \(url.path)")
    }
    let loaded = try LoadedModel(contentsOf: url)
    guard loaded.model.hiddenSize == reading.hiddenSize,
      (1...loaded.model.layerCount).contains(reading.reader.layer)
    else {
      throw ServingError.otherData(
        expected: "a model with a layer \(reading.reader.layer) of width \(reading.hiddenSize)",
        found: "\(loaded.model.layerCount) layers of width \(loaded.model.hiddenSize)")
    }
    if !reading.adapterFiles.isEmpty {
      let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-\(UUID().uuidString)")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      for (name, bytes) in reading.adapterFiles {
        try AtomicFile.write(bytes, to: folder.appending(path: name))
      }
      _ = try LoRAAdapters.load(from: folder, into: loaded.model)
    }
    reader = reading.reader
    self.loaded = Mutex(loaded)
  }

  /// The mean states of texts at the layer that is read, `[texts, hidden]`; zeros for an empty text.
  public func states(of texts: [String]) -> Tensor {
    loaded.withLock { loaded in
      TextReader.meanStates(
        of: texts.map { loaded.tokenizer.encode($0) }, by: loaded.model, layers: [reader.layer],
        style: reader.style ?? .plain)[0]
    }
  }

  /// The SHA-256 of a language model's weights: of the GGUF file, or of a folder's safetensors files in order.
  ///
  /// - Throws: `FormatError` for files that cannot be read.
  public static func hash(of url: URL) throws -> String {
    var isFolder: ObjCBool = false
    _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder)
    guard isFolder.boolValue else { return try SavedFolder.hash(url) }
    let names = ((try? FileManager.default.contentsOfDirectory(atPath: url.path)) ?? [])
      .filter { $0.hasSuffix(".safetensors") }.sorted()
    var hash = SHA256()
    for name in names {
      hash.update(try SavedFolder.hash(url.appending(path: name)))
    }
    return hash.hexadecimal()
  }
}
