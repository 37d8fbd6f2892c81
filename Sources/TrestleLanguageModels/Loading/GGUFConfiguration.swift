import TrestleFormats

/// Reads the metadata of a GGUF file under its architecture's prefix, with this module's errors.
struct GGUFConfigurationReader {
  let file: GGUFFile
  let architecture: String

  var path: String { file.file.path }
  private var metadata: GGUFMetadata { file.metadata }

  func failure(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    .configuration(.init(path, at: "\(architecture).\(key)", expected: expected, found: found))
  }

  func unsupported(_ key: String, _ expected: String, _ found: String) -> LanguageModelError {
    .unsupported(.init(path, at: "\(architecture).\(key)", expected: expected, found: found))
  }

  /// What `read` makes of a key's full name, if there is such a key.
  private func value<Value>(
    _ key: String, _ read: (String) throws(FormatError) -> Value
  ) throws(LanguageModelError) -> Value? {
    let full = architecture + "." + key
    guard metadata.contains(full) else { return nil }
    return try reading { () throws(FormatError) in try read(full) }
  }

  func int(_ key: String) throws(LanguageModelError) -> Int? {
    try value(key) { name throws(FormatError) in try metadata.int(name, in: 0...(1 << 40)) }
  }

  func requiredInt(_ key: String) throws(LanguageModelError) -> Int {
    guard let value = try int(key) else { throw failure(key, "a whole number", "none") }
    return value
  }

  func double(_ key: String) throws(LanguageModelError) -> Double? {
    try value(key) { name throws(FormatError) in try metadata.double(name) }
  }

  func string(_ key: String) throws(LanguageModelError) -> String? {
    try value(key) { name throws(FormatError) in try metadata.string(name) }
  }

  /// The number of tokens: the embedding's rows.
  func vocabularySize() throws(LanguageModelError) -> Int {
    let embedding = try reading { () throws(FormatError) in try file.entry("token_embd.weight") }
    guard embedding.shape.count == 2 else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"token_embd.weight\"", expected: "two dimensions", found: "\(embedding.shape)"))
    }
    return embedding.shape[0]
  }

  /// The number of query heads, at least one.
  func headCount() throws(LanguageModelError) -> Int {
    let heads = try requiredInt("attention.head_count")
    guard heads >= 1 else { throw failure("attention.head_count", "at least 1", "\(heads)") }
    return heads
  }

  /// Stops mixtures of experts, unless the architecture has them, and heads that are rotated in another part.
  func checkVariants(headSize: Int, hasExperts: Bool = false) throws(LanguageModelError) {
    if !hasExperts, let experts = try int("expert_count"), experts > 0 {
      throw unsupported("expert_count", "0", "\(experts)")
    }
    if let rotated = try int("rope.dimension_count"), rotated != headSize {
      throw unsupported("rope.dimension_count", "the head's size \(headSize)", "\(rotated)")
    }
  }

  /// How rotary frequencies are scaled, by `rope.scaling.*`.
  func ropeScaling(contextLength: Int) throws(LanguageModelError) -> LlamaConfiguration.RopeScaling? {
    let type = try string("rope.scaling.type")
    let given = try double("rope.scaling.factor")
    switch type ?? "linear" {
    case "none": return nil
    case "linear":
      guard let given, given != 1 else { return nil }
      return .init(type: "linear", factor: given)
    case "yarn":
      guard let given else { throw failure("rope.scaling.factor", "a number", "none") }
      var scaling = LlamaConfiguration.RopeScaling(type: "yarn", factor: given)
      scaling.originalContext = try int("rope.scaling.original_context_length") ?? contextLength
      scaling.betaFast = try double("rope.scaling.yarn_beta_fast")
      scaling.betaSlow = try double("rope.scaling.yarn_beta_slow")
      for key in ["rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"] {
        // Such a factor multiplies the usual one.
        guard let factor = try double(key), factor != 1 else { continue }
        scaling.attentionFactor = factor * LlamaConfiguration.RopeScaling.magnitude(given, 1)
      }
      if let mix = try double("rope.scaling.yarn_ext_factor"), mix != 1 {
        throw unsupported("rope.scaling.yarn_ext_factor", "1", "\(mix)")
      }
      return scaling
    case let other: throw unsupported("rope.scaling.type", "none, linear or yarn", "\"\(other)\"")
    }
  }
}

extension GGUFConfigurationReader {
  /// LongRoPE's divisors, which files have as tensors.
  func longRopeScaling(
    contextLength: Int, count: Int
  ) throws(LanguageModelError) -> LlamaConfiguration.RopeScaling {
    var scaling = LlamaConfiguration.RopeScaling(type: "longrope", factor: 1)
    scaling.originalContext = try int("rope.scaling.original_context_length") ?? contextLength
    scaling.attentionFactor = try double("rope.scaling.attn_factor") ?? 1
    scaling.shortDivisors = try divisors("rope_factors_short.weight", count: count)
    scaling.longDivisors = try divisors("rope_factors_long.weight", count: count)
    return scaling
  }

  private func divisors(_ name: String, count: Int) throws(LanguageModelError) -> [Double] {
    let record = try reading { () throws(FormatError) in try file.entry(name) }
    guard record.type == .f32, record.shape == [count] else {
      throw .wrongShape(
        .init(
          path, at: "tensor \"\(name)\"", expected: "F32 of the shape [\(count)]",
          found: "\(record.type.name) \(record.shape)"))
    }
    return try reading { () throws(FormatError) in try file.tensor(name) }.floats.map(Double.init)
  }
}

extension LlamaConfiguration {
  /// The GGUF architectures that this configuration understands.
  static let ggufArchitectures: Set<String> = ["llama", "phi3", "qwen2", "qwen3", "qwen3moe", "smollm3"]

  /// Reads the metadata of a GGUF file.
  ///
  /// - Throws: ``LanguageModelError``.
  init(gguf file: GGUFFile, architecture: String) throws(LanguageModelError) {
    let reader = GGUFConfigurationReader(file: file, architecture: architecture)
    self.init(
      vocabularySize: try reader.vocabularySize(), hiddenSize: try reader.requiredInt("embedding_length"),
      intermediateSize: try reader.requiredInt("feed_forward_length"),
      layerCount: try reader.requiredInt("block_count"), headCount: try reader.headCount(),
      keyValueHeadCount: try reader.int("attention.head_count_kv"),
      headSize: try reader.int("attention.key_length"))
    modelType = architecture == "qwen3moe" ? "qwen3_moe" : architecture
    if architecture == "phi3" { try readRotatedSize(reader) }
    try reader.checkVariants(headSize: rotatedSize ?? headSize, hasExperts: architecture == "qwen3moe")
    contextLength = try reader.requiredInt("context_length")
    normEpsilon = try reader.double("attention.layer_norm_rms_epsilon") ?? 1e-6
    ropeBase = try reader.double("rope.freq_base") ?? 10000
    ropeScaling =
      file.tensors["rope_factors_long.weight"] == nil
      ? try reader.ropeScaling(contextLength: contextLength)
      : try reader.longRopeScaling(contextLength: contextLength, count: (rotatedSize ?? headSize) / 2)
    slidingWindow = try reader.int("attention.sliding_window").flatMap { $0 > 0 ? $0 : nil }
    tiesEmbeddings = file.tensors["output.weight"] == nil
    hasInputBiases = file.tensors["blk.0.attn_q.bias"] != nil
    hasOutputBias = file.tensors["blk.0.attn_output.bias"] != nil
    hasFeedForwardBiases = file.tensors["blk.0.ffn_gate.bias"] != nil
    hasQueryKeyNorms = architecture.hasPrefix("qwen3")
    // Files do not say so: it is every fourth block in the one model of that architecture.
    if architecture == "smollm3" { unrotatedLayers = (0..<min(layerCount, 1024)).filter { $0 % 4 == 3 } }
    if architecture == "qwen3moe" { try readExperts(reader) }
    try validate(path: reader.path)
  }

  private mutating func readRotatedSize(_ reader: GGUFConfigurationReader) throws(LanguageModelError) {
    guard let size = try reader.int("rope.dimension_count"), size != headSize else { return }
    guard size >= 2, size % 2 == 0, size <= headSize else {
      throw reader.failure("rope.dimension_count", "an even number in 2...\(headSize)", "\(size)")
    }
    rotatedSize = size
  }

  private mutating func readExperts(_ reader: GGUFConfigurationReader) throws(LanguageModelError) {
    var experts = Experts(
      count: try reader.requiredInt("expert_count"), perToken: try reader.requiredInt("expert_used_count"),
      intermediateSize: try reader.requiredInt("expert_feed_forward_length"))
    experts.denseLayers = (0..<min(layerCount, 1024)).filter {
      reader.file.tensors["blk.\($0).ffn_gate_inp.weight"] == nil
    }
    self.experts = experts
  }
}
