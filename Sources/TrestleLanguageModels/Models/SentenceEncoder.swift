import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleText

/// Texts as vectors: an encoder, its tokenizer, how states are pooled, and what follows.
///
/// ```swift
/// let encoder = try SentenceEncoder(folder: URL(filePath: "all-MiniLM-L6-v2"))
/// let vectors = encoder.encode(["Toy Story (1995)", "Goldfinger (1964)"])  // [2, 384], of length 1
/// ```
///
/// Some models were trained with words before each text that say what it is for. Those that the model's files name are in
/// ``prompts``; others are given as they are:
///
/// | model | pooling | before a query | before a document |
/// | --- | --- | --- | --- |
/// | MiniLM | mean | – | – |
/// | BGE | first | `Represent this sentence for searching relevant passages: ` | – |
/// | E5 | mean | `query: ` | `passage: ` |
/// | Qwen3-Embedding | last | `Instruct: …\nQuery:`, in its files | – |
/// | EmbeddingGemma | mean, then two linear layers | in its files | in its files |
///
/// Source: Reimers and Gurevych, *Sentence-BERT* (2019); Xiao et al., *C-Pack* (2023); Wang et al., *Text Embeddings by
/// Weakly-Supervised Contrastive Pre-training* (2022); the Qwen3 Embedding report (2025); Schechter Vera et al.,
/// *EmbeddingGemma* (2025).
public final class SentenceEncoder {
  /// How the states of a text's tokens become one vector.
  public enum Pooling: String, Sendable, Codable {
    /// Their mean.
    case mean
    /// The first token's state.
    case first
    /// The last token's state.
    case last
  }

  /// The encoder.
  public let model: any TextEncoder
  /// The tokenizer.
  public let tokenizer: any Tokenizer
  /// How states are pooled.
  public let pooling: Pooling
  /// What is done to the pooled vectors, in this order.
  public let layers: [Layer]
  /// The longest token sequence; longer ones are cut, their last special tokens kept.
  public let maximumLength: Int
  /// The width of the vectors.
  public let width: Int
  /// What stands before a text, by what it is for, as the model's files have it: `query`, `document`.
  public let prompts: [String: String]

  /// Puts an encoder together whose vectors are those that are pooled, divided by their length or not.
  ///
  /// - Precondition: the maximum length is at least 1, and every id of the tokenizer has a row in the model's table.
  public convenience init(
    model: any TextEncoder, tokenizer: any Tokenizer, pooling: Pooling = .mean, isNormalized: Bool = true,
    maximumLength: Int? = nil, prompts: [String: String] = [:]
  ) {
    self.init(
      model: model, tokenizer: tokenizer, pooling: pooling, layers: isNormalized ? [.normalization] : [],
      maximumLength: maximumLength, prompts: prompts)
  }

  /// Puts an encoder together with layers after the pooling.
  ///
  /// - Precondition: the maximum length is at least 1, every id of the tokenizer has a row in the model's table, and each
  ///   layer takes vectors of the width that those before it give.
  public init(
    model: any TextEncoder, tokenizer: any Tokenizer, pooling: Pooling = .mean, layers: [Layer],
    maximumLength: Int? = nil, prompts: [String: String] = [:]
  ) {
    precondition(
      tokenizer.vocabularySize <= model.vocabularySize && (maximumLength ?? 1) >= 1,
      "SentenceEncoder: \(tokenizer.vocabularySize) tokens for \(model.vocabularySize) rows, "
        + "maximum length \(maximumLength ?? 1)")
    self.model = model
    self.tokenizer = tokenizer
    self.pooling = pooling
    self.layers = layers
    width = layers.width(after: model.hiddenSize)
    self.maximumLength = min(maximumLength ?? .max, model.contextLength)
    self.prompts = prompts
  }

  /// Loads a sentence encoder from its folder, as sentence-transformers saves it: `config.json`, safetensors, the tokenizer,
  /// and, if there, `modules.json` with the pooling and the layers (`Dense`, `Normalize`) that it names,
  /// `sentence_bert_config.json`, and `config_sentence_transformers.json` with its prompts. The model is one of those that
  /// ``LanguageModels/loadTextEncoder(_:storage:)`` loads.
  ///
  /// - Throws: ``LanguageModelError``, or `TextError` from the tokenizer's files.
  public convenience init(folder: URL, storage: WeightStorage = .asStored) throws {
    let modules = try SentenceEncoderModules(folder: folder)
    let model = try LanguageModels.loadTextEncoder(folder, storage: storage)
    let layers = try modules.layers(after: model.hiddenSize, storage: storage)
    let tokenizer = try PretrainedTokenizer(folder: folder).tokenizer
    try LoadedModel.check(tokenizer, rows: model.vocabularySize, path: folder.path)
    if let path = modules.lowercasingPath,
      (tokenizer as? WordPieceTokenizer)?.configuration.normalizer?.lowercases != true
    {
      throw LanguageModelError.unsupported(
        .init(
          path, at: "do_lower_case", expected: "false, or a tokenizer that does so by itself", found: "true"))
    }
    self.init(
      model: model, tokenizer: tokenizer, pooling: modules.pooling, layers: layers,
      maximumLength: modules.maximumLength, prompts: modules.prompts)
  }

  /// Whether vectors are divided by their length at the end.
  public var isNormalized: Bool {
    if case .normalization? = layers.last { return true }
    return false
  }

  /// The tokens of a text, with the special tokens around them.
  public func tokens(of text: String) -> [Int32] {
    let tokens = tokenizer.encodeSequence(text)
    guard tokens.count > maximumLength else { return tokens }
    let suffix = tokenizer.specialTokens.sequenceSuffix
    return Array(tokens.prefix(maximumLength - min(suffix.count, maximumLength)))
      + suffix.prefix(maximumLength)
  }

  /// The vectors of texts, `[texts, width]`. A text without any token, if the tokenizer puts none around it, has zeros.
  ///
  /// - Parameters:
  ///   - texts: the texts.
  ///   - prompt: what stands before each, one of ``prompts`` or the model's own words for it.
  ///   - batchTokens: how many tokens are computed at once, about.
  public func encode(_ texts: [String], prompt: String = "", batchTokens: Int = 2048) -> Tensor {
    let sequences = texts.map { tokens(of: prompt + $0) }
    let known = sequences.indices.filter { !sequences[$0].isEmpty }
    let vectors = encode(tokens: known.map { sequences[$0] }, batchTokens: batchTokens)
    guard known.count < sequences.count else { return vectors }
    let result = Tensor.zeros([sequences.count, width])
    result.scatterAddInPlace(vectors, at: Tensor(known.map { Int32($0) }))
    return result
  }

  /// The vectors of token sequences, none empty, `[sequences, width]`.
  public func encode(tokens: [[Int32]], batchTokens: Int = 2048) -> Tensor {
    guard !tokens.isEmpty else { return .zeros([0, width]) }
    return withoutGradients {
      var parts: [Tensor] = []
      var start = 0
      while start < tokens.count {
        var end = start
        var count = 0
        while end < tokens.count && (end == start || count + tokens[end].count <= batchTokens) {
          count += tokens[end].count
          end += 1
        }
        parts.append(pooled(Array(tokens[start..<end])))
        start = end
      }
      return Tensor.concatenated(parts, along: 0)
    }
  }

  /// The vectors of one batch; gradients flow to the encoder if they are taken.
  public func pooled(_ tokens: [[Int32]]) -> Tensor {
    let sequences = PackedSequences(lengths: tokens.map(\.count))
    let states = model.hiddenStates(tokens: tokens)
    let vectors =
      switch pooling {
      case .mean: sequences.meanPooled(states)
      case .first: states.rows(sequences.queryStarts.dropLast().map { $0 })
      case .last: states.rows(sequences.queryStarts.dropFirst().map { $0 - 1 })
      }
    return layers.reduce(vectors) { $1($0) }
  }
}
