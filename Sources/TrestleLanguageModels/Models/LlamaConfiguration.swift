import TrestleFormats

/// The sizes and variants of a model of the LLaMA family, with the keys of Hugging Face's `config.json`.
///
/// | model | what differs |
/// | --- | --- |
/// | LLaMA, Vicuna, SmolLM2 | nothing (tied embeddings in SmolLM2) |
/// | Mistral | ``slidingWindow`` |
/// | Qwen2 | ``hasInputBiases`` |
/// | Qwen3 | ``hasQueryKeyNorms``, ``headSize`` given |
/// | Qwen3's mixtures of experts | as Qwen3, with ``experts`` |
/// | SmolLM3 | ``unrotatedLayers`` |
/// | Phi-3, Phi-4 | ``rotatedSize``, ``slidingWindow``, and in files, fused projections |
public struct LlamaConfiguration: Codable, Sendable, Hashable {
  /// `model_type`: `llama`, `mistral`, `phi3`, `qwen2`, `qwen3`, `qwen3_moe` or `smollm3`.
  public var modelType = "llama"
  /// The number of tokens.
  public var vocabularySize: Int
  /// The width of the states.
  public var hiddenSize: Int
  /// The width inside the feed-forward part.
  public var intermediateSize: Int
  /// The number of blocks.
  public var layerCount: Int
  /// The number of query heads.
  public var headCount: Int
  /// The number of key and value heads; it divides that of query heads.
  public var keyValueHeadCount: Int
  /// The width of one head.
  public var headSize: Int
  /// The longest sequence that the model was made for.
  public var contextLength = 2048
  /// ε of the norms.
  public var normEpsilon = 1e-6
  /// The base of the rotary embedding's frequencies.
  public var ropeBase = 10000.0
  /// How the frequencies are scaled.
  public var ropeScaling: RopeScaling?
  /// Whether the output matrix is the embedding.
  public var tiesEmbeddings = false
  /// Whether query, key and value projections have biases.
  public var hasInputBiases = false
  /// Whether the output projection of attention has a bias.
  public var hasOutputBias = false
  /// Whether the projections of the feed-forward part have biases.
  public var hasFeedForwardBiases = false
  /// Whether each head's queries and keys are normalised.
  public var hasQueryKeyNorms = false
  /// How many of the last tokens are seen; `nil` for all.
  public var slidingWindow: Int?
  /// How many of the first blocks see all tokens, though there is a ``slidingWindow``.
  public var fullAttentionLayerCount = 0
  /// The blocks that know no positions: their queries and keys are not rotated; none for `nil`.
  public var unrotatedLayers: [Int]?
  /// How many of a head's numbers are rotated, the first ones; all for `nil`.
  public var rotatedSize: Int?
  /// The mixture of experts in place of the feed-forward part; `nil` for none.
  public var experts: Experts?

  enum CodingKeys: String, CodingKey {
    case modelType = "model_type"
    case vocabularySize = "vocab_size"
    case hiddenSize = "hidden_size"
    case intermediateSize = "intermediate_size"
    case layerCount = "num_hidden_layers"
    case headCount = "num_attention_heads"
    case keyValueHeadCount = "num_key_value_heads"
    case headSize = "head_dim"
    case contextLength = "max_position_embeddings"
    case normEpsilon = "rms_norm_eps"
    case ropeBase = "rope_theta"
    case ropeScaling = "rope_scaling"
    case tiesEmbeddings = "tie_word_embeddings"
    case hasInputBiases = "attention_input_bias"
    case hasOutputBias = "attention_output_bias"
    case hasFeedForwardBiases = "mlp_bias"
    case hasQueryKeyNorms = "query_key_norm"
    case slidingWindow = "sliding_window"
    case fullAttentionLayerCount = "max_window_layers"
    case unrotatedLayers = "unrotated_layers"
    case rotatedSize = "rotary_dim"
    case experts
  }

  /// A configuration; what is not given has the documented defaults.
  public init(
    vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
    keyValueHeadCount: Int? = nil, headSize: Int? = nil
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount ?? headCount
    self.headSize = headSize ?? hiddenSize / max(headCount, 1)
  }

  /// Stops a configuration whose numbers make no model.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` with the key and the range.
  public func validate(path: String = "") throws(LanguageModelError) {
    let check = RangeCheck(path: path)
    try validateHeads(check, slidingWindow: slidingWindow ?? 1)
    try check("rms_norm_eps", normEpsilon, in: 0...1)
    try check("rope_theta", ropeBase, in: 1...1e12)
    try check("max_window_layers", fullAttentionLayerCount, in: 0...(1 << 20))
    try ropeScaling?.validate(check)
    try check("rotary_dim", rotatedSize ?? 2, in: 2...headSize)
    guard (rotatedSize ?? 2) % 2 == 0 else {
      throw check.failure("rotary_dim", "an even number", "\(rotatedSize ?? 2)")
    }
    try ropeScaling?.validateDivisors(check, count: (rotatedSize ?? headSize) / 2)
    try experts?.validate(check)
  }

  /// How many of the last tokens the block of that index sees at most; 0 for all.
  func window(ofLayer layer: Int) -> Int { layer < fullAttentionLayerCount ? 0 : slidingWindow ?? 0 }
}

extension LlamaConfiguration: GroupedHeadSizes {}

extension LlamaConfiguration {
  /// The model types whose `config.json` this configuration understands.
  static let modelTypes: Set<String> = ["llama", "mistral", "phi3", "qwen2", "qwen3", "qwen3_moe", "smollm3"]

  /// Reads Hugging Face's `config.json`.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)``, ``LanguageModelError/unsupported(_:)`` or
  ///   ``LanguageModelError/format(_:)``.
  init(json: JSONValue, path: String) throws(LanguageModelError) {
    let reader = ConfigurationReader(json: json, path: path)
    let type = try reader.string("model_type") ?? ""
    guard Self.modelTypes.contains(type) else {
      throw .unsupported(
        .init(
          path, at: "model_type", expected: "one of \(Self.modelTypes.sorted().joined(separator: ", "))",
          found: "\"\(type)\""))
    }
    let hidden = try reader.requiredInt("hidden_size")
    let heads = try reader.requiredInt("num_attention_heads")
    guard heads >= 1 else { throw reader.failure("num_attention_heads", "at least 1", "\(heads)") }
    self.init(
      vocabularySize: try reader.requiredInt("vocab_size"), hiddenSize: hidden,
      intermediateSize: try reader.requiredInt("intermediate_size"),
      layerCount: try reader.requiredInt("num_hidden_layers"), headCount: heads,
      keyValueHeadCount: try reader.int("num_key_value_heads"), headSize: try reader.int("head_dim"))
    modelType = type
    contextLength = try reader.int("max_position_embeddings") ?? (type == "mistral" ? 131_072 : 2048)
    normEpsilon = try reader.double("rms_norm_eps") ?? (type == "phi3" ? 1e-5 : 1e-6)
    tiesEmbeddings = try reader.bool("tie_word_embeddings") ?? (type == "smollm3")
    let attentionBias = try reader.bool("attention_bias") ?? false
    hasInputBiases = type == "qwen2" || attentionBias
    hasOutputBias = type != "qwen2" && attentionBias
    hasFeedForwardBiases = try reader.bool("mlp_bias") ?? false
    hasQueryKeyNorms = type.hasPrefix("qwen3")
    let isWindowed = try reader.bool("use_sliding_window") ?? false
    let usesWindow = type == "mistral" || type == "phi3" || type.hasPrefix("qwen") && isWindowed
    slidingWindow = usesWindow ? try reader.int("sliding_window") : nil
    if slidingWindow != nil, type == "qwen2" || type == "qwen3" { try readFullAttentionLayers(reader) }
    if type == "smollm3" { try readUnrotatedLayers(reader, isWindowed: isWindowed) }
    if type == "qwen3_moe" { experts = try Experts(reader, layerCount: layerCount) }
    try reader.expect("hidden_act", "silu")
    try readRope(reader)
    try readRotatedSize(reader)
    try validate(path: path)
  }

  /// How much of a head is rotated: `partial_rotary_factor`, here or in `rope_parameters`.
  private mutating func readRotatedSize(_ reader: ConfigurationReader) throws(LanguageModelError) {
    let top = try reader.double("partial_rotary_factor")
    let inner = try reader.object("rope_parameters")?.double("partial_rotary_factor")
    guard let share = top ?? inner, share != 1 else { return }
    try RangeCheck(path: reader.path)("partial_rotary_factor", share, in: 1e-3...1)
    try RangeCheck(path: reader.path)("head_dim", headSize, in: 2...4096)
    rotatedSize = Int(Double(headSize) * share)
  }

  /// SmolLM3: every fourth block, or those where `no_rope_layers` has 0.
  private mutating func readUnrotatedLayers(
    _ reader: ConfigurationReader, isWindowed: Bool
  ) throws(LanguageModelError) {
    guard !isWindowed else {
      throw .unsupported(.init(reader.path, at: "use_sliding_window", expected: "false", found: "true"))
    }
    if let flags = try reader.doubles("no_rope_layers") {
      guard flags.count == layerCount else {
        throw reader.failure("no_rope_layers", "\(layerCount) numbers, one for each block", "\(flags.count)")
      }
      unrotatedLayers = flags.indices.filter { flags[$0] == 0 }
      return
    }
    let interval = try reader.int("no_rope_layer_interval") ?? 4
    try RangeCheck(path: reader.path)("no_rope_layer_interval", interval, in: 1...1024)
    unrotatedLayers = (0..<min(max(layerCount, 0), 1024)).filter { ($0 + 1) % interval == 0 }
  }

  /// Which blocks see all tokens: the first `max_window_layers`, or what `layer_types` says (Transformers 5).
  private mutating func readFullAttentionLayers(_ reader: ConfigurationReader) throws(LanguageModelError) {
    guard let types = try reader.strings("layer_types") else {
      fullAttentionLayerCount = try reader.int("max_window_layers") ?? 28
      return
    }
    fullAttentionLayerCount = types.firstIndex { $0 != "full_attention" } ?? types.count
    guard types.count == layerCount,
      types[fullAttentionLayerCount...].allSatisfy({ $0 == "sliding_attention" })
    else {
      throw .unsupported(
        .init(
          reader.path, at: "layer_types",
          expected: "\(layerCount) types, full_attention first and then sliding_attention",
          found: types.prefix(8).joined(separator: ", ")))
    }
  }

  /// `rope_theta` and `rope_scaling`, or both as `rope_parameters` (Transformers 5).
  private mutating func readRope(_ reader: ConfigurationReader) throws(LanguageModelError) {
    let parameters = try reader.object("rope_parameters")
    let scalings = try reader.object("rope_scaling")
    let topBase = try reader.double("rope_theta")
    let innerBase = try parameters?.double("rope_theta")
    ropeBase = topBase ?? innerBase ?? (modelType == "smollm3" ? 2_000_000 : 10000)
    guard let scaling = parameters ?? scalings else { return }
    ropeScaling = try RopeScaling(
      scaling, contextLength: contextLength,
      originalContext: try reader.int("original_max_position_embeddings"))
  }
}
