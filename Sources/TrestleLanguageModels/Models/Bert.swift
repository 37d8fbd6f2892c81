import TrestleFormats
import TrestleNN
import TrestleTensor

/// The sizes of a BERT encoder, with the keys of Hugging Face's `config.json`.
public struct BertConfiguration: Codable, Sendable, Hashable {
  /// The number of tokens.
  public var vocabularySize: Int
  /// The width of the states.
  public var hiddenSize: Int
  /// The width inside the feed-forward part.
  public var intermediateSize: Int
  /// The number of blocks.
  public var layerCount: Int
  /// The number of heads.
  public var headCount: Int
  /// The number of positions.
  public var contextLength = 512
  /// The number of token types (first and second text).
  public var tokenTypeCount = 2
  /// ε of the norms.
  public var normEpsilon = 1e-12

  enum CodingKeys: String, CodingKey {
    case vocabularySize = "vocab_size"
    case hiddenSize = "hidden_size"
    case intermediateSize = "intermediate_size"
    case layerCount = "num_hidden_layers"
    case headCount = "num_attention_heads"
    case contextLength = "max_position_embeddings"
    case tokenTypeCount = "type_vocab_size"
    case normEpsilon = "layer_norm_eps"
  }

  /// A configuration of the given sizes.
  public init(
    vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
  }

  /// Reads Hugging Face's `config.json`.
  init(json: JSONValue, path: String) throws(LanguageModelError) {
    let reader = ConfigurationReader(json: json, path: path)
    try reader.expect("model_type", "bert")
    try reader.expect("hidden_act", "gelu")
    try reader.expect("position_embedding_type", "absolute")
    self.init(
      vocabularySize: try reader.requiredInt("vocab_size"), hiddenSize: try reader.requiredInt("hidden_size"),
      intermediateSize: try reader.requiredInt("intermediate_size"),
      layerCount: try reader.requiredInt("num_hidden_layers"),
      headCount: try reader.requiredInt("num_attention_heads"))
    contextLength = try reader.int("max_position_embeddings") ?? 512
    tokenTypeCount = try reader.int("type_vocab_size") ?? 2
    normEpsilon = try reader.double("layer_norm_eps") ?? 1e-12
    try validate(path: path)
  }

  /// Stops a configuration whose numbers make no model.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` with the key and the range.
  public func validate(path: String = "") throws(LanguageModelError) {
    let check = RangeCheck(path: path)
    try validateSizes(check)
    try check("max_position_embeddings", contextLength, in: 1...(1 << 20))
    try check("type_vocab_size", tokenTypeCount, in: 1...1024)
    try check("layer_norm_eps", normEpsilon, in: 0...1)
    guard hiddenSize % headCount == 0 else {
      throw check.failure("num_attention_heads", "a divisor of hidden_size \(hiddenSize)", "\(headCount)")
    }
  }
}

extension BertConfiguration: TransformerSizes {}

/// The sum of token, position and type rows, normalised.
final class BertEmbeddings: Module {
  static let checkpointKeys = [
    "words": "word_embeddings.weight", "positions": "position_embeddings.weight",
    "types": "token_type_embeddings.weight", "norm": "LayerNorm",
  ]
  let words: LinearWeight
  let positions: Parameter
  let types: Parameter
  let norm: NormParameters

  init(_ configuration: BertConfiguration, weights: some WeightSource) throws(LanguageModelError) {
    let (c, hidden) = (configuration, configuration.hiddenSize)
    words = try weights.matrix("embeddings.word_embeddings.weight", rows: c.vocabularySize, columns: hidden)
    positions = try weights.parameter("embeddings.position_embeddings.weight", [c.contextLength, hidden])
    types = try weights.parameter("embeddings.token_type_embeddings.weight", [c.tokenTypeCount, hidden])
    norm = try NormParameters(
      "embeddings.LayerNorm", width: hidden, epsilon: c.normEpsilon, weights: weights)
  }
}

/// One block: norm(x + attention(x)), then norm(x + feedForward(x)).
final class BertBlock: Module {
  static let checkpointKeys = [
    "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
    "output": "attention.output.dense", "attentionNorm": "attention.output.LayerNorm",
    "up": "intermediate.dense", "down": "output.dense", "outputNorm": "output.LayerNorm",
  ]
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let attentionNorm: NormParameters
  let up: Linear
  let down: Linear
  let outputNorm: NormParameters
  private let headSize: Int

  init(_ configuration: BertConfiguration, layer: Int, weights: some WeightSource) throws(LanguageModelError)
  {
    let (c, name, hidden) = (configuration, "encoder.layer.\(layer)", configuration.hiddenSize)
    func square(_ part: String) throws(LanguageModelError) -> Linear {
      try weights.linear(name + "." + part, inputs: hidden, outputs: hidden, hasBias: true)
    }
    query = try square("attention.self.query")
    key = try square("attention.self.key")
    value = try square("attention.self.value")
    output = try square("attention.output.dense")
    up = try weights.linear(
      name + ".intermediate.dense", inputs: hidden, outputs: c.intermediateSize, hasBias: true)
    down = try weights.linear(
      name + ".output.dense", inputs: c.intermediateSize, outputs: hidden, hasBias: true)
    attentionNorm = try NormParameters(
      name + ".attention.output.LayerNorm", width: hidden, epsilon: c.normEpsilon, weights: weights)
    outputNorm = try NormParameters(
      name + ".output.LayerNorm", width: hidden, epsilon: c.normEpsilon, weights: weights)
    headSize = hidden / c.headCount
  }

  func callAsFunction(_ x: Tensor, _ sequences: PackedSequences) -> Tensor {
    let heads = { (y: Tensor) in y.reshaped(to: [y.shape[0], -1, self.headSize]) }
    let mixed = heads(query(x)).attention(
      keys: heads(key(x)), values: heads(value(x)), sequences: sequences, isCausal: false)
    let y = attentionNorm(x + output(mixed.reshaped(to: [x.shape[0], -1])))
    return outputNorm(y + down(up(y).gelu()))
  }
}

/// A BERT encoder: states of each token that see the whole text.
///
/// Source: Devlin et al., *BERT* (2018).
public final class Bert: Module {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["layers": "encoder.layer"]
  /// The sizes.
  public let configuration: BertConfiguration
  let embeddings: BertEmbeddings
  let layers: [BertBlock]

  init(_ configuration: BertConfiguration, weights: some WeightSource) throws(LanguageModelError) {
    try configuration.validate(path: weights.path)
    self.configuration = configuration
    embeddings = try BertEmbeddings(configuration, weights: weights)
    var layers: [BertBlock] = []
    for layer in 0..<configuration.layerCount {
      layers.append(try BertBlock(configuration, layer: layer, weights: weights))
    }
    self.layers = layers
  }

  /// An encoder with random weights.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the configuration makes no model.
  public convenience init(
    _ configuration: BertConfiguration, dtype: DType = .float32, using generator: RandomGenerator
  ) throws(LanguageModelError) {
    try self.init(configuration, weights: RandomWeights(dtype: dtype, using: generator))
  }

  /// In what the products with the weights are computed.
  public var arithmetic = Arithmetic.float32 {
    didSet { for layer in namedLinears { layer.linear.arithmetic = arithmetic } }
  }

  /// The top-layer states of token sequences, packed without padding, `[tokens, hidden]`.
  ///
  /// - Parameters:
  ///   - tokens: the sequences, none longer than the configuration's `contextLength`.
  ///   - types: the type of each token; 0 for all if `nil`.
  public func hiddenStates(tokens: [[Int32]], types: [[Int32]]?) -> Tensor {
    precondition(
      tokens.allSatisfy { $0.count <= configuration.contextLength },
      "Bert.hiddenStates: sequences of \(tokens.map(\.count).max() ?? 0) tokens, positions for \(configuration.contextLength)"
    )
    let sequences = PackedSequences(lengths: tokens.map(\.count))
    let typeRows =
      types.map { embeddings.types.value.gatheredRows(Tensor(Array($0.joined()))) }
      ?? embeddings.types.value.sliced(0..<1, along: 0)
    let positions = embeddings.positions.value.gatheredRows(Tensor(sequences.queryPositions))
    var x = embeddings.norm(
      embeddings.words.gatheredRows(Array(tokens.joined())) + positions + typeRows)
    for layer in layers { x = layer(x, sequences) }
    return x
  }
}
