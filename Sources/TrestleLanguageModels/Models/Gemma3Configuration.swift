import TrestleFormats

/// The sizes and variants of Gemma 3's text models, with the keys of Hugging Face's `config.json` (`gemma3_text`).
public struct Gemma3Configuration: Codable, Sendable, Hashable {
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
  public var contextLength = 32768
  /// ε of the norms.
  public var normEpsilon = 1e-6
  /// The base of the rotary embedding's frequencies in global blocks.
  public var ropeBase = 1_000_000.0
  /// What the frequencies of global blocks are divided by.
  public var ropeFactor = 1.0
  /// The base of the rotary embedding's frequencies in local blocks.
  public var localRopeBase = 10000.0
  /// How many of the last tokens a local block sees. In a ``Gemma3Encoder`` it sees those at most half as far away, on both
  /// sides.
  public var slidingWindow = 512
  /// What each block sees.
  public var layerKinds: [LayerKind]
  /// s in the scores' factor 1/√s.
  public var queryScale: Double
  /// Whether the output matrix is the embedding.
  public var tiesEmbeddings = true

  /// What a block sees.
  public enum LayerKind: String, Codable, Sendable, Hashable {
    /// The last ``Gemma3Configuration/slidingWindow`` tokens.
    case local = "sliding_attention"
    /// All tokens.
    case global = "full_attention"
  }

  enum CodingKeys: String, CodingKey {
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
    case ropeFactor = "rope_factor"
    case localRopeBase = "rope_local_base_freq"
    case slidingWindow = "sliding_window"
    case layerKinds = "layer_types"
    case queryScale = "query_pre_attn_scalar"
    case tiesEmbeddings = "tie_word_embeddings"
  }

  /// A configuration; what is not given has the documented defaults.
  /// Of every `globalEvery` blocks the last is global, the others are local.
  public init(
    vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
    keyValueHeadCount: Int, headSize: Int, globalEvery: Int = 6
  ) {
    self.vocabularySize = vocabularySize
    self.hiddenSize = hiddenSize
    self.intermediateSize = intermediateSize
    self.layerCount = layerCount
    self.headCount = headCount
    self.keyValueHeadCount = keyValueHeadCount
    self.headSize = headSize
    // Not more than a valid model has: a file's count is checked only afterwards.
    layerKinds = (0..<min(max(layerCount, 0), 1024)).map {
      ($0 + 1) % max(globalEvery, 1) == 0 ? .global : .local
    }
    queryScale = Double(headSize)
  }

  /// Stops a configuration whose numbers make no model.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)`` with the key and the range.
  public func validate(path: String = "") throws(LanguageModelError) {
    let check = RangeCheck(path: path)
    try validateHeads(check, slidingWindow: slidingWindow)
    guard layerKinds.count == layerCount else {
      throw check.failure("layer_types", "\(layerCount) types, one for each block", "\(layerKinds.count)")
    }
    try check("rms_norm_eps", normEpsilon, in: 0...1)
    try check("rope_theta", ropeBase, in: 1...1e12)
    try check("rope_local_base_freq", localRopeBase, in: 1...1e12)
    try check("rope_scaling.factor", ropeFactor, in: 1e-3...1e6)
    try check("query_pre_attn_scalar", queryScale, in: 1e-6...1e9)
  }
}

extension Gemma3Configuration: GroupedHeadSizes {}

extension Gemma3Configuration {
  /// The model type whose `config.json` this configuration understands.
  static let modelType = "gemma3_text"

  /// Whether a `config.json` is that of an encoder, whose tokens see those after them.
  static func isBidirectional(_ reader: ConfigurationReader) throws(LanguageModelError) -> Bool {
    try reader.bool("use_bidirectional_attention") ?? false
  }

  /// Reads Hugging Face's `config.json`; whether it is a decoder's, ``isBidirectional(_:)`` says.
  ///
  /// - Throws: ``LanguageModelError/configuration(_:)``, ``LanguageModelError/unsupported(_:)`` or
  ///   ``LanguageModelError/format(_:)``.
  init(json: JSONValue, path: String) throws(LanguageModelError) {
    let reader = ConfigurationReader(json: json, path: path)
    self.init(
      vocabularySize: try reader.int("vocab_size") ?? 262_208,
      hiddenSize: try reader.int("hidden_size") ?? 2304,
      intermediateSize: try reader.int("intermediate_size") ?? 9216,
      layerCount: try reader.int("num_hidden_layers") ?? 26,
      headCount: try reader.int("num_attention_heads") ?? 8,
      keyValueHeadCount: try reader.int("num_key_value_heads") ?? 4,
      headSize: try reader.int("head_dim") ?? 256, globalEvery: try Self.globalEvery(reader))
    contextLength = try reader.int("max_position_embeddings") ?? 131_072
    normEpsilon = try reader.double("rms_norm_eps") ?? 1e-6
    slidingWindow = try reader.int("sliding_window") ?? 4096
    queryScale = try reader.double("query_pre_attn_scalar") ?? 256
    tiesEmbeddings = try reader.bool("tie_word_embeddings") ?? true
    try refuseVariants(reader)
    if let types = try reader.strings("layer_types") {
      layerKinds = []
      for (index, type) in types.enumerated() {
        guard let kind = LayerKind(rawValue: type) else {
          throw reader.failure("layer_types[\(index)]", "sliding_attention or full_attention", "\"\(type)\"")
        }
        layerKinds.append(kind)
      }
    }
    try readRope(reader)
    try validate(path: path)
  }

  private static func globalEvery(_ reader: ConfigurationReader) throws(LanguageModelError) -> Int {
    let old = try reader.int("_sliding_window_pattern")
    let every = try reader.int("sliding_window_pattern") ?? old ?? 6
    guard (1...1024).contains(every) else {
      throw reader.failure("sliding_window_pattern", "a number in 1...1024", "\(every)")
    }
    return every
  }

  /// Stops what Gemma 3's text models do not have, though the configuration could say it.
  private func refuseVariants(_ reader: ConfigurationReader) throws(LanguageModelError) {
    try reader.expect("hidden_activation", "gelu_pytorch_tanh")
    try reader.expect("attention_bias", false)
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
      if let cap = try reader.double(key) {
        throw .unsupported(.init(reader.path, at: key, expected: "null", found: "\(cap)"))
      }
    }
  }

  /// `rope_theta`, `rope_local_base_freq` and `rope_scaling`, or all in `rope_parameters` by kind (Transformers 5).
  private mutating func readRope(_ reader: ConfigurationReader) throws(LanguageModelError) {
    let parameters = try reader.object("rope_parameters")
    let global = try parameters?.object(LayerKind.global.rawValue)
    let local = try parameters?.object(LayerKind.local.rawValue)
    let (oldGlobal, oldLocal) = (try reader.double("rope_theta"), try reader.double("rope_local_base_freq"))
    ropeBase = try global?.double("rope_theta") ?? oldGlobal ?? 1_000_000
    localRopeBase = try local?.double("rope_theta") ?? oldLocal ?? 10000
    if let local, let scaling = try LlamaConfiguration.RopeScaling(local, contextLength: contextLength) {
      throw .unsupported(
        .init(reader.path, at: "rope_parameters.sliding_attention", expected: "default", found: scaling.type))
    }
    let scalings = try reader.object("rope_scaling")
    guard let object = global ?? scalings,
      let scaling = try LlamaConfiguration.RopeScaling(object, contextLength: contextLength)
    else { return }
    guard scaling.type == "linear" else {
      throw .unsupported(
        .init(
          reader.path, at: "rope_scaling.rope_type", expected: "default or linear", found: scaling.type))
    }
    ropeFactor = scaling.factor
  }
}

extension Gemma3Configuration {
  /// The GGUF architecture that this configuration understands.
  static let ggufArchitecture = "gemma3"
  /// The only size whose scores are scaled by its states' width and not by that of a head; files do not say so.
  private static let largestLayerCount = 62

  /// Reads the metadata of a GGUF file.
  ///
  /// - Throws: ``LanguageModelError``.
  init(gguf file: GGUFFile) throws(LanguageModelError) {
    let reader = GGUFConfigurationReader(file: file, architecture: Self.ggufArchitecture)
    let heads = try reader.headCount()
    let every = try reader.int("attention.sliding_window_pattern") ?? 6
    guard (1...1024).contains(every) else {
      throw reader.failure("attention.sliding_window_pattern", "a number in 1...1024", "\(every)")
    }
    self.init(
      vocabularySize: try reader.vocabularySize(), hiddenSize: try reader.requiredInt("embedding_length"),
      intermediateSize: try reader.requiredInt("feed_forward_length"),
      layerCount: try reader.requiredInt("block_count"), headCount: heads,
      keyValueHeadCount: try reader.int("attention.head_count_kv") ?? heads,
      headSize: try reader.int("attention.key_length") ?? 256, globalEvery: every)
    try reader.checkVariants(headSize: headSize)
    contextLength = try reader.requiredInt("context_length")
    normEpsilon = try reader.double("attention.layer_norm_rms_epsilon") ?? 1e-6
    ropeBase = try reader.double("rope.freq_base") ?? 1_000_000
    localRopeBase = try reader.double("rope.freq_base_swa") ?? 10000
    slidingWindow = try reader.requiredInt("attention.sliding_window")
    if let scaling = try reader.ropeScaling(contextLength: contextLength) {
      guard scaling.type == "linear" else {
        throw reader.unsupported("rope.scaling.type", "linear", scaling.type)
      }
      ropeFactor = scaling.factor
    }
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
      if let cap = try reader.double(key), cap != 0 { throw reader.unsupported(key, "none", "\(cap)") }
    }
    if layerCount == Self.largestLayerCount { queryScale = Double(hiddenSize) / Double(headCount) }
    tiesEmbeddings = file.tensors["output.weight"] == nil
    try validate(path: reader.path)
  }
}
