import Foundation
import TrestleFormats
import TrestleText

/// A language model with the tokenizer that belongs to it.
///
/// Ids beyond a model's embedding table are entity tokens wherever a vocabulary has been extended by users and items. A
/// tokenizer with more tokens than the table has rows could make them from text; so both are loaded together and compared.
///
/// ```swift
/// let loaded = try LoadedModel(contentsOf: URL(filePath: "SmolLM2-135M-Instruct.Q4_1.gguf"))
/// let ids = loaded.tokenizer.encode("Toy Story")
/// ```
public struct LoadedModel {
  /// The model.
  public let model: any LanguageModel
  /// Its tokenizer: every id has a row in the model's table.
  public let tokenizer: any Tokenizer
  /// The chat template as the files have it, see `JinjaTemplate`.
  public let chatTemplate: String?

  /// The tokenizer and the chat template, which together make prompts.
  public var pretrainedTokenizer: PretrainedTokenizer {
    PretrainedTokenizer(tokenizer: tokenizer, chatTemplate: chatTemplate)
  }

  /// Pairs a model with a tokenizer.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the tokenizer has ids that the model's table lacks.
  public init(
    model: any LanguageModel, tokenizer: any Tokenizer, chatTemplate: String? = nil, path: String = ""
  ) throws(LanguageModelError) {
    try Self.check(tokenizer, rows: model.vocabularySize, path: path)
    self.model = model
    self.tokenizer = tokenizer
    self.chatTemplate = chatTemplate
  }

  /// Loads both from a GGUF file or a Hugging Face folder.
  ///
  /// - Parameters:
  ///   - url: A `.gguf` file, or a folder.
  ///   - storage: How weights are held in memory.
  ///   - access: Whether weights are mapped, or copied because others may shorten the files meanwhile.
  /// - Throws: ``LanguageModelError``, or `TextError` from the tokenizer's files.
  public init(
    contentsOf url: URL, storage: WeightStorage = .asStored, access: MappedFile.Access = .mapped
  ) throws {
    let isFolder = try LanguageModels.isFolder(url)
    // What a tokenizer's file says of a place without a model would lead astray.
    if isFolder && !FileManager.default.fileExists(atPath: url.appending(path: "config.json").path) {
      throw LanguageModelError.noModel(
        .init(url.path, expected: "a folder with config.json", found: "none in it"))
    }
    guard isFolder || url.pathExtension.lowercased() == "gguf" else {
      throw LanguageModelError.noModel(
        .init(url.path, expected: "a .gguf file or a model's folder", found: "another file"))
    }
    let pretrained = try PretrainedTokenizer(contentsOf: url)
    try self.init(
      model: try LanguageModels.load(url, storage: storage, access: access),
      tokenizer: pretrained.tokenizer, chatTemplate: pretrained.chatTemplate, path: url.path)
  }

  /// Stops a tokenizer with more ids than an embedding table has rows. (Tables are often larger: they are padded.)
  static func check(_ tokenizer: any Tokenizer, rows: Int, path: String) throws(LanguageModelError) {
    guard tokenizer.vocabularySize <= rows else {
      throw .configuration(
        .init(
          path, at: "the tokenizer", expected: "at most \(rows) tokens, the rows of the model's table",
          found: "\(tokenizer.vocabularySize)"))
    }
  }
}
