import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleText

/// Texts as vectors: an encoder, its tokenizer, and how states are pooled.
///
/// ```swift
/// let encoder = try SentenceEncoder(folder: URL(filePath: "all-MiniLM-L6-v2"))
/// let vectors = encoder.encode(["Toy Story (1995)", "Goldfinger (1964)"])  // [2, 384], of length 1
/// ```
///
/// Source: Reimers and Gurevych, *Sentence-BERT* (2019).
public final class SentenceEncoder {
  /// How the states of a text's tokens become one vector.
  public enum Pooling: String, Sendable, Codable {
    /// Their mean.
    case mean
    /// The first token's state.
    case first
  }

  /// The encoder.
  public let model: Bert
  /// The tokenizer.
  public let tokenizer: any Tokenizer
  /// How states are pooled.
  public let pooling: Pooling
  /// Whether vectors are divided by their length.
  public let isNormalized: Bool
  /// The longest token sequence; longer ones are cut, their last special tokens kept.
  public let maximumLength: Int

  /// Puts an encoder together.
  public init(
    model: Bert, tokenizer: any Tokenizer, pooling: Pooling = .mean, isNormalized: Bool = true,
    maximumLength: Int? = nil
  ) {
    self.model = model
    self.tokenizer = tokenizer
    self.pooling = pooling
    self.isNormalized = isNormalized
    self.maximumLength = min(maximumLength ?? .max, model.configuration.contextLength)
  }

  /// Loads a sentence encoder from its folder: `config.json`, safetensors, the tokenizer, and, if there,
  /// `1_Pooling/config.json`, `modules.json` and `sentence_bert_config.json`.
  ///
  /// - Throws: ``LanguageModelError``, or `TextError` from the tokenizer's files.
  public convenience init(folder: URL, storage: WeightStorage = .asStored) throws {
    let model = try LanguageModels.loadEncoder(folder, storage: storage)
    let tokenizer = try PretrainedTokenizer(folder: folder).tokenizer
    func json(_ path: String) throws(LanguageModelError) -> ConfigurationReader? {
      let url = folder.appending(path: path)
      guard FileManager.default.fileExists(atPath: url.path) else { return nil }
      let value = try reading { () throws(FormatError) in try JSONValue(contentsOf: url) }
      return ConfigurationReader(json: value, path: url.path)
    }
    var pooling = Pooling.mean
    if let settings = try json("1_Pooling/config.json") {
      if try settings.bool("pooling_mode_cls_token") == true {
        pooling = .first
      } else if try settings.bool("pooling_mode_mean_tokens") != true {
        throw LanguageModelError.unsupported(
          .init(settings.path, expected: "pooling by the mean or the first token", found: "another"))
      }
    }
    let length = try json("sentence_bert_config.json")?.int("max_seq_length")
    self.init(model: model, tokenizer: tokenizer, pooling: pooling, maximumLength: length)
  }

  /// The width of the vectors.
  public var width: Int { model.configuration.hiddenSize }

  /// The tokens of a text, with the special tokens around them.
  public func tokens(of text: String) -> [Int32] {
    let tokens = tokenizer.encodeSequence(text)
    guard tokens.count > maximumLength else { return tokens }
    let suffix = tokenizer.specialTokens.sequenceSuffix
    return Array(tokens.prefix(maximumLength - min(suffix.count, maximumLength)))
      + suffix.prefix(maximumLength)
  }

  /// The vectors of texts, `[texts, width]`; an empty text has at least its special tokens.
  ///
  /// - Parameters:
  ///   - texts: the texts.
  ///   - batchTokens: how many tokens are computed at once, about.
  public func encode(_ texts: [String], batchTokens: Int = 2048) -> Tensor {
    encode(tokens: texts.map(tokens(of:)), batchTokens: batchTokens)
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
      }
    return isNormalized ? vectors.unitNormalized() : vectors
  }
}
