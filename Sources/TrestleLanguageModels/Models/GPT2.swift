import TrestleFormats
import TrestleNN
import TrestleTensor

/// The sizes of a GPT-2 model, with the keys of Hugging Face's `config.json`.
public struct GPT2Configuration: Codable, Sendable, Hashable {
  /// The number of tokens.
  public var vocabularySize: Int
  /// The width of the states.
  public var hiddenSize: Int
  /// The width inside the feed-forward part; four times the states' if `nil`.
  public var intermediateSize: Int?
  /// The number of blocks.
  public var layerCount: Int
  /// The number of heads.
  public var headCount: Int
  /// The number of positions.
  public var contextLength: Int
  /// ε of the norms.
  public var normEpsilon: Double

  enum CodingKeys: String, CodingKey {
    case vocabularySize = "vocab_size"
    case hiddenSize = "n_embd"
    case intermediateSize = "n_inner"
    case layerCount = "n_layer"
    case headCount = "n_head"
    case contextLength = "n_positions"
    case normEpsilon = "layer_norm_epsilon"
  }

  /// A configuration; the defaults are those of the smallest GPT-2.
  public init(
    vocabularySize: Int = 50257, hiddenSize: Int = 768, intermediateSize: Int? = nil, layerCount: Int = 12,
    headCount: Int = 12, contextLength: Int = 1024, normEpsilon: Double = 1e-5
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.contextLength = contextLength
    self.normEpsilon = normEpsilon
  }

  /// Reads Hugging Face's `config.json`.
  init(json: JSONValue, path: String) throws(LanguageModelError) {
    let reader = ConfigurationReader(json: json, path: path)
    try reader.expect("activation_function", "gelu_new")
    try reader.expect("scale_attn_by_inverse_layer_idx", false)
    try reader.expect("scale_attn_weights", true)
    try reader.expect("tie_word_embeddings", true)
    let context = try reader.int("n_positions")
    let epsilon = try reader.double("layer_norm_epsilon")
    self.init(
      vocabularySize: try reader.requiredInt("vocab_size"), hiddenSize: try reader.requiredInt("n_embd"),
      intermediateSize: try reader.int("n_inner"), layerCount: try reader.requiredInt("n_layer"),
      headCount: try reader.requiredInt("n_head"), contextLength: context ?? 1024,
      normEpsilon: epsilon ?? 1e-5)
    try validate(path: path)
  }

  /// Stops a configuration whose numbers make no model.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` with the key and the range.
  public func validate(path: String = "") throws(LanguageModelError) {
    let check = RangeCheck(path: path)
    try check("vocab_size", vocabularySize, in: 1...(1 << 24))
    try check("n_embd", hiddenSize, in: 1...(1 << 16))
    try check("n_inner", intermediateSize ?? 1, in: 1...(1 << 20))
    try check("n_layer", layerCount, in: 1...1024)
    try check("n_head", headCount, in: 1...4096)
    try check("n_positions", contextLength, in: 1...(1 << 24))
    try check("layer_norm_epsilon", normEpsilon, in: 0...1)
    guard hiddenSize % headCount == 0 else {
      throw check.failure("n_head", "a divisor of n_embd \(hiddenSize)", "\(headCount)")
    }
  }
}

/// A norm's gain and bias, under the names `weight` and `bias`.
final class NormParameters: Module {
  static let checkpointKeys = ["gain": "weight"]
  let gain: Parameter
  let bias: Parameter
  private let epsilon: Double

  init(_ name: String, width: Int, epsilon: Double, weights: some WeightSource) throws(LanguageModelError) {
    gain = try weights.parameter(name + ".weight", [width])
    bias = try weights.parameter(name + ".bias", [width])
    self.epsilon = epsilon
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNormalized(gain: gain.value, bias: bias.value, epsilon: epsilon)
  }
}

/// An affine map whose matrix GPT-2's files hold transposed: y = x W + b, W `[inputs, outputs]`.
final class TransposedLinear: Module {
  static let checkpointKeys = ["matrix": "weight"]
  let matrix: LinearWeight
  let bias: Parameter
  var arithmetic = Arithmetic.float32

  init(_ name: String, inputs: Int, outputs: Int, weights: some WeightSource) throws(LanguageModelError) {
    matrix = try weights.matrix(name + ".weight", rows: inputs, columns: outputs)
    bias = try weights.parameter(name + ".bias", [outputs])
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    switch matrix {
    case .dense(let weight): x.matmul(weight.value, arithmetic: arithmetic) + bias.value
    case .quantized(let matrix): x.matmul(matrix.dequantized(), arithmetic: arithmetic) + bias.value
    }
  }
}

/// One block of GPT-2: x + attention(norm(x)), then x + feedForward(norm(x)).
final class GPT2Block: Module {
  static let checkpointKeys = [
    "firstNorm": "ln_1", "secondNorm": "ln_2", "input": "attn.c_attn", "output": "attn.c_proj",
    "up": "mlp.c_fc", "down": "mlp.c_proj",
  ]
  let firstNorm: NormParameters
  let input: TransposedLinear
  let output: TransposedLinear
  let secondNorm: NormParameters
  let up: TransposedLinear
  let down: TransposedLinear
  private let headCount: Int
  private let layer: Int

  init(_ configuration: GPT2Configuration, layer: Int, weights: some WeightSource) throws(LanguageModelError)
  {
    let (c, name, hidden) = (configuration, "transformer.h.\(layer)", configuration.hiddenSize)
    let inner = c.intermediateSize ?? 4 * hidden
    firstNorm = try NormParameters(name + ".ln_1", width: hidden, epsilon: c.normEpsilon, weights: weights)
    secondNorm = try NormParameters(name + ".ln_2", width: hidden, epsilon: c.normEpsilon, weights: weights)
    input = try TransposedLinear(
      name + ".attn.c_attn", inputs: hidden, outputs: 3 * hidden, weights: weights)
    output = try TransposedLinear(name + ".attn.c_proj", inputs: hidden, outputs: hidden, weights: weights)
    up = try TransposedLinear(name + ".mlp.c_fc", inputs: hidden, outputs: inner, weights: weights)
    down = try TransposedLinear(name + ".mlp.c_proj", inputs: inner, outputs: hidden, weights: weights)
    headCount = c.headCount
    self.layer = layer
  }

  var projections: [TransposedLinear] { [input, output, up, down] }

  func callAsFunction(_ x: Tensor, sequences: PackedSequences, cache: KeyValueCache?) -> Tensor {
    let y = x + attention(firstNorm(x), sequences, cache)
    return y + down(up(secondNorm(y)).geluTanh())
  }

  private func attention(_ x: Tensor, _ sequences: PackedSequences, _ cache: KeyValueCache?) -> Tensor {
    // Queries, keys and values lie beside each other: as heads, they are views.
    let heads = input(x).reshaped(to: [x.shape[0], 3 * headCount, -1])
    let q = heads.sliced(0..<headCount, along: 1)
    let k = heads.sliced(headCount..<2 * headCount, along: 1)
    let v = heads.sliced(2 * headCount..<3 * headCount, along: 1)
    let mixed = q.decoderAttention(keys: k, values: v, sequences: sequences, layer: layer, cache: cache)
    return output(mixed.reshaped(to: [x.shape[0], -1]))
  }
}

/// Embeddings of tokens and positions, blocks and last norm.
final class GPT2Backbone: Module {
  static let checkpointKeys = [
    "tokens": "wte.weight", "positions": "wpe.weight", "layers": "h", "norm": "ln_f",
  ]
  let tokens: LinearWeight
  let positions: Parameter
  let layers: [GPT2Block]
  let norm: NormParameters

  init(_ configuration: GPT2Configuration, weights: some WeightSource) throws(LanguageModelError) {
    let c = configuration
    tokens = try weights.matrix("transformer.wte.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    positions = try weights.parameter("transformer.wpe.weight", [c.contextLength, c.hiddenSize])
    var layers: [GPT2Block] = []
    for layer in 0..<c.layerCount { layers.append(try GPT2Block(c, layer: layer, weights: weights)) }
    self.layers = layers
    norm = try NormParameters(
      "transformer.ln_f", width: c.hiddenSize, epsilon: c.normEpsilon, weights: weights)
  }
}

/// GPT-2: learned positions, layer norms, tied embeddings.
///
/// Source: Radford et al., *Language Models are Unsupervised Multitask Learners* (2019).
public final class GPT2: LanguageModel {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["backbone": "transformer"]
  /// The sizes.
  public let configuration: GPT2Configuration
  let backbone: GPT2Backbone

  init(_ configuration: GPT2Configuration, weights: some WeightSource) throws(LanguageModelError) {
    try configuration.validate(path: weights.path)
    self.configuration = configuration
    backbone = try GPT2Backbone(configuration, weights: weights)
  }

  /// A model with random weights.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the configuration makes no model.
  public convenience init(
    _ configuration: GPT2Configuration, dtype: DType = .float32, using generator: RandomGenerator
  ) throws(LanguageModelError) {
    try self.init(configuration, weights: RandomWeights(dtype: dtype, using: generator))
  }

  /// The number of tokens.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The width of the states.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The number of blocks.
  public var layerCount: Int { configuration.layerCount }
  /// The number of positions.
  public var contextLength: Int { configuration.contextLength }

  /// In what the products with the weights are computed.
  public var arithmetic = Arithmetic.float32 {
    didSet {
      for projection in backbone.layers.flatMap(\.projections) { projection.arithmetic = arithmetic }
    }
  }

  /// Whether blocks are computed again when gradients are taken; see ``LanguageModel/recomputesBlocks``.
  public var recomputesBlocks = false

  /// The embedding rows of tokens, `[tokens, hidden]`; positions are added in ``hiddenStates(_:sequences:cache:)``.
  public func embed(_ tokens: [Int32]) -> Tensor { backbone.tokens.gatheredRows(tokens) }

  /// The top-layer states, after the last norm, `[tokens, hidden]`; see ``LanguageModel``.
  ///
  /// - Precondition: no sequence is longer than ``contextLength``.
  public func hiddenStates(
    _ embeddings: Tensor, sequences: PackedSequences, cache: KeyValueCache?
  ) -> Tensor {
    topStates(embeddings, sequences: sequences, cache: cache, through: pass)
  }

  /// The states of chosen layers, `[tokens, hidden]` each; see ``LanguageModel``. Positions are added to inputs of layer 0.
  public func states(
    _ inputs: Tensor, sequences: PackedSequences, from start: Int, layers: [Int]
  ) -> [Tensor] {
    collectStates(inputs, sequences: sequences, from: start, layers: layers, through: pass)
  }

  private func pass(_ sequences: PackedSequences, _ dtype: DType, _ cache: KeyValueCache?) -> DecoderPass {
    let positions = backbone.positions.value.gatheredRows(Tensor(sequences.queryPositions))
    return DecoderPass(positions: positions, recomputed: recomputed(backbone.layers, cache)) { [backbone] in
      backbone.layers[$0]($1, sequences: sequences, cache: cache)
    } norm: { [backbone] in
      backbone.norm($0)
    }
  }

  /// The logits of the next token, `[rows, columns]`; see ``LanguageModel``.
  public func logits(_ states: Tensor, columns: [Int32]?) -> Tensor {
    backbone.tokens.logits(states, columns: columns, arithmetic: arithmetic)
  }

  /// The mean embedding row, and the standard deviation of the entries about it.
  public func embeddingStatistics() -> (mean: Tensor, deviation: Double) { backbone.tokens.rowStatistics() }
}
