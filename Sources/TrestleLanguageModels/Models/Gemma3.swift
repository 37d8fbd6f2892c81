import TrestleNN
import TrestleTensor

/// What every block of one forward pass of Gemma 3 shares: sequences, the angles of both kinds of block, the cache.
struct Gemma3Context {
  let sequences: PackedSequences
  let local: (cosines: Tensor, sines: Tensor)
  let global: (cosines: Tensor, sines: Tensor)
  let cache: KeyValueCache?
  /// Whether tokens see those after them, too.
  let isBidirectional: Bool
}

/// The norm x / rms(x) · (1 + w).
final class Gemma3Norm: Module {
  static let checkpointKeys = ["weight": ""]
  let weight: Parameter
  private let epsilon: Double

  init(_ name: String, width: Int, epsilon: Double, weights: some WeightSource) throws(LanguageModelError) {
    weight = try weights.offsetGain(name, width)
    self.epsilon = epsilon
  }

  func callAsFunction(_ x: Tensor) -> Tensor { x.rmsNormalized(gain: weight.value + 1, epsilon: epsilon) }
}

/// Self-attention with normalised queries and keys, over all tokens or the last ones.
final class Gemma3Attention: Module {
  static let checkpointKeys = [
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj", "queryNorm": "q_norm.weight",
    "keyNorm": "k_norm.weight",
  ]
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let queryNorm: Gemma3Norm
  let keyNorm: Gemma3Norm
  private let kind: Gemma3Configuration.LayerKind
  private let headSize: Int
  private let window: Int
  private let scale: Double
  private let layer: Int

  init(
    _ configuration: Gemma3Configuration, layer: Int, weights: some WeightSource
  ) throws(LanguageModelError) {
    let (c, name) = (configuration, "model.layers.\(layer).self_attn")
    (query, key, value, output) = try weights.attentionProjections(name, c)
    queryNorm = try Gemma3Norm(
      name + ".q_norm.weight", width: c.headSize, epsilon: c.normEpsilon, weights: weights)
    keyNorm = try Gemma3Norm(
      name + ".k_norm.weight", width: c.headSize, epsilon: c.normEpsilon, weights: weights)
    kind = c.layerKinds[layer]
    headSize = c.headSize
    window = kind == .local ? c.slidingWindow : 0
    scale = 1 / c.queryScale.squareRoot()
    self.layer = layer
  }

  /// softmax(Q Kᵀ / √s) V, heads joined and projected. In both directions a local block sees half of the window to each side.
  ///
  /// - Parameter x: `[tokens, hidden]`.
  func callAsFunction(_ x: Tensor, _ context: Gemma3Context) -> Tensor {
    let heads = { (y: Tensor) in y.reshaped(to: [y.shape[0], -1, self.headSize]) }
    let angles = kind == .local ? context.local : context.global
    let projections = Linear.outputs(of: [query, key, value], for: x)
    let q = queryNorm(heads(projections[0])).rotated(cosines: angles.cosines, sines: angles.sines)
    let k = keyNorm(heads(projections[1])).rotated(cosines: angles.cosines, sines: angles.sines)
    let v = heads(projections[2])
    let mixed =
      context.isBidirectional
      ? q.attention(
        keys: k, values: v, sequences: context.sequences, isCausal: false,
        window: kind == .local ? window / 2 + 1 : 0, scale: scale)
      : q.decoderAttention(
        keys: k, values: v, sequences: context.sequences, window: window, scale: scale, layer: layer,
        cache: context.cache)
    return output(mixed.reshaped(to: [x.shape[0], -1]))
  }
}

/// One block: y = x + norm(attention(norm(x))), then y + norm(feedForward(norm(y))); four norms of their own.
final class Gemma3Block: Module {
  static let checkpointKeys = [
    "attention": "self_attn", "feedForward": "mlp", "attentionNorm": "input_layernorm.weight",
    "afterAttention": "post_attention_layernorm.weight",
    "feedForwardNorm": "pre_feedforward_layernorm.weight",
    "afterFeedForward": "post_feedforward_layernorm.weight",
  ]
  let attention: Gemma3Attention
  let feedForward: LlamaFeedForward
  let attentionNorm: Gemma3Norm
  let afterAttention: Gemma3Norm
  let feedForwardNorm: Gemma3Norm
  let afterFeedForward: Gemma3Norm

  init(
    _ configuration: Gemma3Configuration, layer: Int, weights: some WeightSource
  ) throws(LanguageModelError) {
    let name = "model.layers.\(layer)"
    func norm(_ part: String) throws(LanguageModelError) -> Gemma3Norm {
      try Gemma3Norm(
        "\(name).\(part).weight", width: configuration.hiddenSize, epsilon: configuration.normEpsilon,
        weights: weights)
    }
    attention = try Gemma3Attention(configuration, layer: layer, weights: weights)
    feedForward = try LlamaFeedForward(
      name + ".mlp", hiddenSize: configuration.hiddenSize, intermediateSize: configuration.intermediateSize,
      activation: .geluTanh, weights: weights)
    attentionNorm = try norm("input_layernorm")
    afterAttention = try norm("post_attention_layernorm")
    feedForwardNorm = try norm("pre_feedforward_layernorm")
    afterFeedForward = try norm("post_feedforward_layernorm")
  }

  func callAsFunction(_ x: Tensor, _ context: Gemma3Context) -> Tensor {
    let y = x + afterAttention(attention(attentionNorm(x), context))
    return y + afterFeedForward(feedForward(feedForwardNorm(y)))
  }
}

/// Embedding, blocks and last norm.
final class Gemma3Backbone: Module {
  static let checkpointKeys = ["embedding": "embed_tokens.weight", "norm": "norm.weight"]
  let embedding: LinearWeight
  let layers: [Gemma3Block]
  let norm: Gemma3Norm
  /// What rows of the embedding are multiplied by.
  let embeddingScale: Double
  private let localRotary: RotaryEmbedding
  private let globalRotary: RotaryEmbedding

  init(_ configuration: Gemma3Configuration, weights: some WeightSource) throws(LanguageModelError) {
    let c = configuration
    embedding = try weights.matrix(
      "model.embed_tokens.weight", rows: c.vocabularySize, columns: c.hiddenSize)
    var layers: [Gemma3Block] = []
    for layer in 0..<c.layerCount { layers.append(try Gemma3Block(c, layer: layer, weights: weights)) }
    self.layers = layers
    norm = try Gemma3Norm("model.norm.weight", width: c.hiddenSize, epsilon: c.normEpsilon, weights: weights)
    embeddingScale = Double(c.hiddenSize).squareRoot()
    localRotary = RotaryEmbedding(rotatedSize: c.headSize, base: c.localRopeBase, scaling: nil)
    globalRotary = RotaryEmbedding(
      rotatedSize: c.headSize, base: c.ropeBase,
      scaling: c.ropeFactor == 1 ? nil : .linear(factor: c.ropeFactor))
  }

  func embed(_ tokens: [Int32]) -> Tensor { embedding.gatheredRows(tokens) * embeddingScale }

  /// What the blocks share in a pass over sequences.
  func context(
    _ sequences: PackedSequences, _ dtype: DType, cache: KeyValueCache?, isBidirectional: Bool
  ) -> Gemma3Context {
    let positions = sequences.queryPositions
    return Gemma3Context(
      sequences: sequences, local: localRotary.angles(at: positions, dtype: dtype),
      global: globalRotary.angles(at: positions, dtype: dtype), cache: cache,
      isBidirectional: isBidirectional)
  }
}

/// Gemma 3, its text models.
///
/// What differs from the LLaMA family: rows of the embedding are multiplied by √hidden, norms stand before and after each
/// part and have the gain 1 + w, queries and keys are normalised, the gate is GELU, and of six blocks five see the last
/// tokens alone, with a rotary base of their own.
///
/// Source: Gemma Team, *Gemma 3 Technical Report* (2025), section 2.
public final class Gemma3: LanguageModel {
  /// The parts' names in checkpoints.
  public static let checkpointKeys = ["backbone": "model", "head": "lm_head.weight"]
  /// The sizes and variants.
  public let configuration: Gemma3Configuration
  let backbone: Gemma3Backbone
  /// `nil` when the embedding serves as the output matrix.
  let head: LinearWeight?

  init(_ configuration: Gemma3Configuration, weights: some WeightSource) throws(LanguageModelError) {
    try configuration.validate(path: weights.path)
    let c = configuration
    self.configuration = c
    backbone = try Gemma3Backbone(c, weights: weights)
    head = try weights.outputMatrix(
      isEmbedding: c.tiesEmbeddings, rows: c.vocabularySize, columns: c.hiddenSize)
  }

  /// A model with random weights.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the configuration makes no model.
  public convenience init(
    _ configuration: Gemma3Configuration, dtype: DType = .float32, using generator: RandomGenerator
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

  /// The embedding rows of tokens times √hidden, `[tokens, hidden]`.
  public func embed(_ tokens: [Int32]) -> Tensor { backbone.embed(tokens) }

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
    let context = backbone.context(sequences, dtype, cache: cache, isBidirectional: false)
    return DecoderPass(recomputed: recomputed(backbone.layers, cache)) { [backbone] in
      backbone.layers[$0]($1, context)
    } norm: { [backbone] in
      backbone.norm($0)
    }
  }

  /// The logits of the next token, `[rows, columns]`; see ``LanguageModel``.
  public func logits(_ states: Tensor, columns: [Int32]?) -> Tensor {
    (head ?? backbone.embedding).logits(states, columns: columns, arithmetic: arithmetic)
  }

  /// The mean of the rows that ``embed(_:)`` gives, and the standard deviation of their entries about it.
  public func embeddingStatistics() -> (mean: Tensor, deviation: Double) {
    let (mean, deviation) = backbone.embedding.rowStatistics()
    return (mean * backbone.embeddingScale, deviation * backbone.embeddingScale)
  }
}

/// Gemma 3 as an encoder: EmbeddingGemma.
///
/// Its tokens see those after them as well as those before, in local blocks those that are at most half of
/// ``Gemma3Configuration/slidingWindow`` (rounded down) away. It is no ``LanguageModel``: what has seen the next token cannot
/// predict it, and states that change with every new token cannot be kept in a ``KeyValueCache``.
///
/// Source: Schechter Vera et al., *EmbeddingGemma* (2025).
public final class Gemma3Encoder: TextEncoder {
  /// The parts have the names that they have in checkpoints of the encoder alone.
  public static let checkpointKeys = ["backbone": ""]
  /// The sizes and variants; whether embeddings are tied says nothing here.
  public let configuration: Gemma3Configuration
  let backbone: Gemma3Backbone

  init(_ configuration: Gemma3Configuration, weights: some WeightSource) throws(LanguageModelError) {
    try configuration.validate(path: weights.path)
    self.configuration = configuration
    backbone = try Gemma3Backbone(configuration, weights: weights)
  }

  /// An encoder with random weights.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` if the configuration makes no model.
  public convenience init(
    _ configuration: Gemma3Configuration, dtype: DType = .float32, using generator: RandomGenerator
  ) throws(LanguageModelError) {
    try self.init(configuration, weights: RandomWeights(dtype: dtype, using: generator))
  }

  /// The number of tokens.
  public var vocabularySize: Int { configuration.vocabularySize }
  /// The width of the states.
  public var hiddenSize: Int { configuration.hiddenSize }
  /// The longest sequence that the model was made for.
  public var contextLength: Int { configuration.contextLength }

  /// In what the products with the weights are computed.
  public var arithmetic = Arithmetic.float32 {
    didSet { for layer in namedLinears { layer.linear.arithmetic = arithmetic } }
  }

  /// The top-layer states of token sequences, after the last norm, `[tokens, hidden]`.
  public func hiddenStates(tokens: [[Int32]]) -> Tensor {
    var x = backbone.embed(Array(tokens.joined()))
    let context = backbone.context(
      PackedSequences(lengths: tokens.map(\.count)), x.dtype, cache: nil, isBidirectional: true)
    for block in backbone.layers { x = block(x, context) }
    return backbone.norm(x)
  }
}
