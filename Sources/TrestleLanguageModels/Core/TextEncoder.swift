import TrestleNN
import TrestleTensor

/// A model that gives each token of a text a state: what ``SentenceEncoder`` pools.
public protocol TextEncoder: Module, AnyObject {
  /// The number of tokens with rows in the embedding.
  var vocabularySize: Int { get }
  /// The width of the states.
  var hiddenSize: Int { get }
  /// The longest sequence that the model was made for.
  var contextLength: Int { get }
  /// In what the products with the weights are computed.
  var arithmetic: Arithmetic { get set }

  /// The top-layer states of token sequences, packed without padding, `[tokens, hidden]`.
  func hiddenStates(tokens: [[Int32]]) -> Tensor
}

extension Bert: TextEncoder {
  /// The number of tokens.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The width of the states.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The longest sequence that the model was made for.
  public var contextLength: Int { configuration.contextLength }

  /// The top-layer states of token sequences, all tokens of the first type, `[tokens, hidden]`.
  public func hiddenStates(tokens: [[Int32]]) -> Tensor { hiddenStates(tokens: tokens, types: nil) }
}

/// A decoder as an encoder of texts: each token's state has seen those before it, so that the last one has seen all.
public final class DecoderEncoder: TextEncoder {
  /// The decoder's parts have the names that they have in it.
  public static let checkpointKeys = ["model": ""]
  /// The decoder.
  public let model: any LanguageModel

  /// The encoder that a decoder is.
  public init(_ model: any LanguageModel) { self.model = model }

  /// The number of tokens.
  public var vocabularySize: Int { model.vocabularySize }
  /// The width of the states.
  public var hiddenSize: Int { model.hiddenSize }
  /// The longest sequence that the model was made for.
  public var contextLength: Int { model.contextLength }
  /// In what the decoder's products with the weights are computed.
  public var arithmetic: Arithmetic {
    get { model.arithmetic }
    set { model.arithmetic = newValue }
  }

  /// The top-layer states of token sequences, `[tokens, hidden]`.
  public func hiddenStates(tokens: [[Int32]]) -> Tensor { model.hiddenStates(tokens: tokens) }
}
