import TrestleNN
import TrestleTensor

/// What every block of a forward pass shares: where sequences lie, the rotary angles, the cache.
struct DecoderContext {
  let sequences: PackedSequences
  let cosines: Tensor
  let sines: Tensor
  let cache: KeyValueCache?
}

/// Self-attention with rotary positions and grouped key and value heads.
public final class LlamaAttention: Module {
  /// The projections' names in checkpoints.
  public static let checkpointKeys = [
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj", "queryNorm": "q_norm.weight",
    "keyNorm": "k_norm.weight",
  ]
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let queryNorm: Parameter?
  let keyNorm: Parameter?
  private let headSize: Int
  private let window: Int
  private let isRotated: Bool
  private let epsilon: Double
  private let layer: Int

  init(
    _ configuration: LlamaConfiguration, layer: Int, weights: some WeightSource
  ) throws(LanguageModelError) {
    let (c, name) = (configuration, "model.layers.\(layer).self_attn")
    (query, key, value, output) = try weights.attentionProjections(
      name, c, hasInputBiases: c.hasInputBiases, hasOutputBias: c.hasOutputBias)
    queryNorm = c.hasQueryKeyNorms ? try weights.parameter(name + ".q_norm.weight", [c.headSize]) : nil
    keyNorm = c.hasQueryKeyNorms ? try weights.parameter(name + ".k_norm.weight", [c.headSize]) : nil
    headSize = c.headSize
    window = c.window(ofLayer: layer)
    isRotated = c.unrotatedLayers?.contains(layer) != true
    epsilon = c.normEpsilon
    self.layer = layer
  }

  /// softmax(Q Kᵀ / √size) V, heads joined and projected.
  ///
  /// - Parameter x: `[tokens, hidden]`.
  func callAsFunction(_ x: Tensor, _ context: DecoderContext) -> Tensor {
    let heads = { (y: Tensor) in y.reshaped(to: [y.shape[0], -1, self.headSize]) }
    let projections = Linear.outputs(of: [query, key, value], for: x)
    var (q, k) = (heads(projections[0]), heads(projections[1]))
    let v = heads(projections[2])
    if let queryNorm { q = q.rmsNormalized(gain: queryNorm.value, epsilon: epsilon) }
    if let keyNorm { k = k.rmsNormalized(gain: keyNorm.value, epsilon: epsilon) }
    if isRotated {
      q = q.rotated(cosines: context.cosines, sines: context.sines)
      k = k.rotated(cosines: context.cosines, sines: context.sines)
    }
    let mixed = q.decoderAttention(
      keys: k, values: v, sequences: context.sequences, window: window, layer: layer, cache: context.cache)
    return output(mixed.reshaped(to: [x.shape[0], -1]))
  }
}

/// What the gate of a feed-forward part passes through.
enum GateActivation {
  case silu
  /// The tanh form of GELU.
  case geluTanh
}

/// The gated feed-forward part: down(silu(gate(x)) · up(x)), or with another activation.
public final class LlamaFeedForward: Module {
  /// The projections' names in checkpoints.
  public static let checkpointKeys = ["gate": "gate_proj", "up": "up_proj", "down": "down_proj"]
  let gate: Linear
  let up: Linear
  let down: Linear
  private let activation: GateActivation

  /// - Parameter name: the part's name in checkpoints.
  init(
    _ name: String, hiddenSize: Int, intermediateSize: Int, hasBias: Bool = false,
    activation: GateActivation = .silu, weights: some WeightSource
  ) throws(LanguageModelError) {
    gate = try weights.linear(
      name + ".gate_proj", inputs: hiddenSize, outputs: intermediateSize, hasBias: hasBias)
    up = try weights.linear(
      name + ".up_proj", inputs: hiddenSize, outputs: intermediateSize, hasBias: hasBias)
    down = try weights.linear(
      name + ".down_proj", inputs: intermediateSize, outputs: hiddenSize, hasBias: hasBias)
    self.activation = activation
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let parts = Linear.outputs(of: [gate, up], for: x)
    return switch activation {
    case .silu: down(parts[0].swiGLU(up: parts[1]))
    case .geluTanh: down(parts[0].geluTanh() * parts[1])
    }
  }
}

/// One block: x + attention(norm(x)), then x + feedForward(norm(x)).
public final class LlamaBlock: Module {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = [
    "attention": "self_attn", "feedForward": "mlp", "experts": "mlp", "inputNorm": "input_layernorm.weight",
    "middleNorm": "post_attention_layernorm.weight",
  ]
  let attention: LlamaAttention
  /// `nil` where there are experts.
  let feedForward: LlamaFeedForward?
  let experts: MixtureOfExperts?
  let inputNorm: Parameter
  let middleNorm: Parameter
  private let epsilon: Double

  init(
    _ configuration: LlamaConfiguration, layer: Int, weights: some WeightSource
  ) throws(LanguageModelError) {
    let (name, hidden) = ("model.layers.\(layer)", configuration.hiddenSize)
    attention = try LlamaAttention(configuration, layer: layer, weights: weights)
    if let experts = configuration.experts, experts.stand(inLayer: layer) {
      self.experts = try MixtureOfExperts(
        experts, hiddenSize: hidden, layer: layer, weights: weights)
      feedForward = nil
    } else {
      experts = nil
      feedForward = try LlamaFeedForward(
        "model.layers.\(layer).mlp", hiddenSize: hidden, intermediateSize: configuration.intermediateSize,
        hasBias: configuration.hasFeedForwardBiases, weights: weights)
    }
    inputNorm = try weights.parameter(name + ".input_layernorm.weight", [hidden])
    middleNorm = try weights.parameter(name + ".post_attention_layernorm.weight", [hidden])
    epsilon = configuration.normEpsilon
  }

  func callAsFunction(_ x: Tensor, _ context: DecoderContext) -> Tensor {
    let y = x + attention(x.rmsNormalized(gain: inputNorm.value, epsilon: epsilon), context)
    let normalized = y.rmsNormalized(gain: middleNorm.value, epsilon: epsilon)
    return y + (experts?.callAsFunction(normalized) ?? feedForward?.callAsFunction(normalized) ?? normalized)
  }
}

/// Embedding, blocks and last norm.
public final class LlamaBackbone: Module {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["embedding": "embed_tokens.weight", "norm": "norm.weight"]
  let embedding: LinearWeight
  let layers: [LlamaBlock]
  let norm: Parameter

  init(_ configuration: LlamaConfiguration, weights: some WeightSource) throws(LanguageModelError) {
    let c = configuration
    embedding = try weights.matrix(
      "model.embed_tokens.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    var layers: [LlamaBlock] = []
    for layer in 0..<c.layerCount { layers.append(try LlamaBlock(c, layer: layer, weights: weights)) }
    self.layers = layers
    norm = try weights.parameter("model.norm.weight", [c.hiddenSize])
  }
}

/// A decoder of the LLaMA family: LLaMA, Vicuna, Mistral, Qwen2, Qwen3 and its mixtures of experts, SmolLM2, SmolLM3,
/// Phi-3 and Phi-4, by its configuration.
///
/// Source: Touvron et al., *LLaMA* (2023); Jiang et al., *Mistral 7B* (2023); the Qwen2, Qwen3 and Phi-3 reports.
public final class Llama: LanguageModel {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["backbone": "model", "head": "lm_head.weight"]
  /// The sizes and variants.
  public let configuration: LlamaConfiguration
  let backbone: LlamaBackbone
  /// `nil` when the embedding serves as the output matrix.
  let head: LinearWeight?
  private let rotary: RotaryEmbedding

  init(
    _ configuration: LlamaConfiguration, weights: some WeightSource, frequencyDivisors: [Double]? = nil
  ) throws(LanguageModelError) {
    try configuration.validate(path: weights.path)
    self.configuration = configuration
    backbone = try LlamaBackbone(configuration, weights: weights)
    head = try weights.outputMatrix(
      isEmbedding: configuration.tiesEmbeddings, rows: configuration.vocabularySize,
      columns: configuration.hiddenSize)
    rotary = RotaryEmbedding(
      rotatedSize: configuration.rotatedSize ?? configuration.headSize, base: configuration.ropeBase,
      scaling: frequencyDivisors.map { .divisors($0) } ?? configuration.ropeScaling?.rotary)
  }

  /// A model with random weights.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the configuration makes no model.
  public convenience init(
    _ configuration: LlamaConfiguration, dtype: DType = .float32, using generator: RandomGenerator
  ) throws(LanguageModelError) {
    try self.init(configuration, weights: RandomWeights(dtype: dtype, using: generator))
  }

  /// The number of tokens.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The width of the states.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The number of blocks.
  public var layerCount: Int { configuration.layerCount }
  /// The longest sequence that the model was made for.
  public var contextLength: Int { configuration.contextLength }

  /// In what the products with the weights are computed.
  public var arithmetic = Arithmetic.float32 {
    didSet { for layer in namedLinears { layer.linear.arithmetic = arithmetic } }
  }

  /// Whether blocks are computed again when gradients are taken; see ``LanguageModel/recomputesBlocks``.
  public var recomputesBlocks = false

  /// The embedding rows of tokens, `[tokens, hidden]`.
  public func embed(_ tokens: [Int32]) -> Tensor { backbone.embedding.gatheredRows(tokens) }

  /// The top-layer states, after the last norm, `[tokens, hidden]`; see ``LanguageModel``.
  public func hiddenStates(
    _ embeddings: Tensor, sequences: PackedSequences, cache: KeyValueCache?
  ) -> Tensor {
    topStates(embeddings, sequences: sequences, cache: cache, through: pass)
  }

  /// The states of chosen layers, `[tokens, hidden]` each; see ``LanguageModel``.
  public func states(
    _ inputs: Tensor, sequences: PackedSequences, from start: Int, layers: [Int]
  ) -> [Tensor] {
    collectStates(inputs, sequences: sequences, from: start, layers: layers, through: pass)
  }

  private func pass(_ sequences: PackedSequences, _ dtype: DType, _ cache: KeyValueCache?) -> DecoderPass {
    let angles = rotary.angles(at: sequences.queryPositions, dtype: dtype)
    let context = DecoderContext(
      sequences: sequences, cosines: angles.cosines, sines: angles.sines, cache: cache)
    return DecoderPass(recomputed: recomputed(backbone.layers, cache)) { [backbone] in
      backbone.layers[$0]($1, context)
    } norm: { [backbone, configuration] in
      $0.rmsNormalized(gain: backbone.norm.value, epsilon: configuration.normEpsilon)
    }
  }

  /// The logits of the next token, `[rows, columns]`; see ``LanguageModel``.
  public func logits(_ states: Tensor, columns: [Int32]?) -> Tensor {
    (head ?? backbone.embedding).logits(states, columns: columns, arithmetic: arithmetic)
  }

  /// The mean embedding row, and the standard deviation of the entries about it.
  public func embeddingStatistics() -> (mean: Tensor, deviation: Double) {
    backbone.embedding.rowStatistics()
  }
}
