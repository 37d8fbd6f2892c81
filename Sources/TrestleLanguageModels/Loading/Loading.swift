import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// Loads pretrained language models.
///
/// ```swift
/// let model = try LanguageModels.load(URL(filePath: "SmolLM2-135M-Instruct.Q4_1.gguf"))
/// ```
public enum LanguageModels {
  /// Loads a decoder from a GGUF file or a Hugging Face folder (`config.json` beside safetensors).
  ///
  /// Files are mapped and checked in full; every tensor in them must be one that the model needs, and the other way
  /// round. A model whose tokens see those after them, as EmbeddingGemma's do, is no decoder and is refused:
  /// ``loadTextEncoder(_:storage:)`` loads it.
  /// - Parameters:
  ///   - url: a `.gguf` file, or a folder.
  ///   - storage: how weights are held in memory.
  ///   - access: whether files are mapped, or copied because others may shorten them meanwhile.
  /// - Throws: ``LanguageModelError``, naming the file, the place, what was expected and what was found.
  public static func load(
    _ url: URL, storage: WeightStorage = .asStored, access: MappedFile.Access = .mapped
  ) throws(LanguageModelError) -> any LanguageModel {
    try isFolder(url)
      ? try loadFolder(url, storage: storage, access: access)
      : try loadGGUF(url, storage: storage, access: access)
  }

  /// Whether a folder is at a place, rather than a file.
  static func isFolder(_ url: URL) throws(LanguageModelError) -> Bool {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder) else {
      throw .noModel(.init(url.path, expected: "a .gguf file or a model's folder", found: "nothing"))
    }
    return isFolder.boolValue
  }

  private static func loadGGUF(
    _ url: URL, storage: WeightStorage, access: MappedFile.Access
  ) throws(LanguageModelError) -> any LanguageModel {
    let file = try reading { () throws(FormatError) in try GGUFFile(url, access: access) }
    let architecture = try reading { () throws(FormatError) in
      try file.metadata.string("general.architecture")
    }
    if architecture == Gemma3Configuration.ggufArchitecture { return try loadGemma3(file, storage) }
    guard LlamaConfiguration.ggufArchitectures.contains(architecture) else {
      let known = LlamaConfiguration.ggufArchitectures.union([Gemma3Configuration.ggufArchitecture])
      throw .unsupported(
        .init(
          url.path, at: "metadata \"general.architecture\"",
          expected: "one of \(known.sorted().joined(separator: ", "))", found: "\"\(architecture)\""))
    }
    let configuration = try LlamaConfiguration(gguf: file, architecture: architecture)
    let weights = GGUFWeights(
      file, storage: storage, architecture: architecture, headSize: configuration.headSize)
    let divisors = try weights.frequencyDivisors()
    let model =
      architecture == "phi3"
      ? try Llama(configuration, weights: SplitWeights(weights, configuration))
      : try Llama(configuration, weights: weights, frequencyDivisors: divisors)
    try weights.finish()
    return model
  }

  private static func loadGemma3(
    _ file: GGUFFile, _ storage: WeightStorage
  ) throws(LanguageModelError) -> Gemma3 {
    let configuration = try Gemma3Configuration(gguf: file)
    let weights = GGUFWeights(
      file, storage: storage, architecture: Gemma3Configuration.ggufArchitecture,
      headSize: configuration.headSize, blockNames: GGUFWeights.fourNormNames)
    let model = try Gemma3(configuration, weights: weights)
    try weights.finish()
    return model
  }

  private static func loadFolder(
    _ url: URL, storage: WeightStorage, access: MappedFile.Access
  ) throws(LanguageModelError) -> any LanguageModel {
    let (json, path) = try configuration(of: url)
    let type = try ConfigurationReader(json: json, path: path).string("model_type") ?? ""
    if type == "gpt2" { return try loadGPT2(url, json, path, storage, access) }
    if type == Gemma3Configuration.modelType { return try loadGemma3(url, json, path, storage, access) }
    guard LlamaConfiguration.modelTypes.contains(type) else {
      let known = LlamaConfiguration.modelTypes.union(["gpt2", Gemma3Configuration.modelType]).sorted()
        .joined(separator: ", ")
      throw .unsupported(.init(path, at: "model_type", expected: "one of \(known)", found: "\"\(type)\""))
    }
    return try loadLlama(url, json, path, storage, access)
  }

  private static func loadLlama(
    _ url: URL, _ json: JSONValue, _ path: String, _ storage: WeightStorage, _ access: MappedFile.Access
  ) throws(LanguageModelError) -> Llama {
    var configuration = try LlamaConfiguration(json: json, path: path)
    let file = try tensors(of: url, access)
    // Models of embeddings are saved as the backbone alone, without its name and without an output matrix.
    let isBare = file.names.contains("embed_tokens.weight")
    if isBare { configuration.tiesEmbeddings = true }
    let weights = FileWeights(file, storage: storage, naming: names(leavingOut: isBare ? "model." : ""))
    let model =
      configuration.modelType == "phi3"
      ? try Llama(configuration, weights: SplitWeights(weights, configuration))
      : try Llama(configuration, weights: weights)
    try weights.finish { name in
      name.hasSuffix(".rotary_emb.inv_freq") || configuration.tiesEmbeddings && name == "lm_head.weight"
    }
    return model
  }

  private static func loadGemma3(
    _ url: URL, _ json: JSONValue, _ path: String, _ storage: WeightStorage, _ access: MappedFile.Access
  ) throws(LanguageModelError) -> Gemma3 {
    guard try !Gemma3Configuration.isBidirectional(ConfigurationReader(json: json, path: path)) else {
      throw .unsupported(
        .init(
          path, at: "use_bidirectional_attention",
          expected: "false, as a decoder has it (SentenceEncoder and loadTextEncoder load encoders)",
          found: "true"))
    }
    var configuration = try Gemma3Configuration(json: json, path: path)
    let file = try tensors(of: url, access)
    let isBare = file.names.contains("embed_tokens.weight")
    if isBare { configuration.tiesEmbeddings = true }
    let weights = FileWeights(file, storage: storage, naming: names(leavingOut: isBare ? "model." : ""))
    let model = try Gemma3(configuration, weights: weights)
    try weights.finish { $0 == "lm_head.weight" && configuration.tiesEmbeddings }
    return model
  }

  private static func loadGemma3Encoder(
    _ url: URL, _ json: JSONValue, _ path: String, _ storage: WeightStorage
  ) throws(LanguageModelError) -> Gemma3Encoder {
    let configuration = try Gemma3Configuration(json: json, path: path)
    let file = try tensors(of: url, .mapped)
    let isBare = file.names.contains("embed_tokens.weight")
    let weights = FileWeights(file, storage: storage, naming: names(leavingOut: isBare ? "model." : ""))
    let model = try Gemma3Encoder(configuration, weights: weights)
    try weights.finish { $0 == "lm_head.weight" }
    return model
  }

  private static func loadGPT2(
    _ url: URL, _ json: JSONValue, _ path: String, _ storage: WeightStorage, _ access: MappedFile.Access
  ) throws(LanguageModelError) -> GPT2 {
    let configuration = try GPT2Configuration(json: json, path: path)
    let file = try tensors(of: url, access)
    // The first releases have the backbone's tensors alone, without its name.
    let isBare = file.names.contains("wte.weight")
    let weights = FileWeights(file, storage: storage, naming: names(leavingOut: isBare ? "transformer." : ""))
    let model = try GPT2(configuration, weights: weights)
    // Causal masks are part of some files; the head is the embedding.
    try weights.finish { name in
      name.hasSuffix(".attn.bias") || name.hasSuffix(".attn.masked_bias") || name == "lm_head.weight"
    }
    return model
  }

  /// The names of a file that leaves `prefix` out where the model's names begin with it.
  private static func names(leavingOut prefix: String) -> (String) -> String {
    { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : $0 }
  }

  /// Loads a BERT encoder from a Hugging Face folder.
  ///
  /// A pooling layer and the heads of its pretraining, if the file has them, are left.
  /// - Throws: ``LanguageModelError``, naming the file, the place, what was expected and what was found.
  public static func loadEncoder(
    _ url: URL, storage: WeightStorage = .asStored
  ) throws(LanguageModelError) -> Bert {
    let (json, path) = try configuration(of: url)
    let configuration = try BertConfiguration(json: json, path: path)
    let file = try tensors(of: url, .mapped)
    let prefix = file.names.contains { $0.hasPrefix("bert.") } ? "bert." : ""
    let weights = FileWeights(file, storage: storage, naming: { prefix + $0 })
    let model = try Bert(configuration, weights: weights)
    try weights.finish { name in
      name.hasPrefix("cls.") || name.hasPrefix(prefix + "pooler.")
        || name == prefix + "embeddings.position_ids"
    }
    return model
  }

  /// Loads an encoder from a Hugging Face folder: a ``Bert``, a ``Gemma3Encoder`` (`gemma3_text` with
  /// `use_bidirectional_attention`), or any decoder of ``load(_:storage:access:)`` as one.
  ///
  /// - Throws: ``LanguageModelError``, naming the file, the place, what was expected and what was found.
  public static func loadTextEncoder(
    _ url: URL, storage: WeightStorage = .asStored
  ) throws(LanguageModelError) -> any TextEncoder {
    let (json, path) = try configuration(of: url)
    let reader = ConfigurationReader(json: json, path: path)
    let type = try reader.string("model_type")
    if type == "bert" { return try loadEncoder(url, storage: storage) }
    if type == Gemma3Configuration.modelType, try Gemma3Configuration.isBidirectional(reader) {
      return try loadGemma3Encoder(url, json, path, storage)
    }
    return DecoderEncoder(try load(url, storage: storage))
  }

  private static func configuration(of url: URL) throws(LanguageModelError) -> (JSONValue, path: String) {
    let configURL = url.appending(path: "config.json")
    guard FileManager.default.fileExists(atPath: configURL.path) else {
      throw .noModel(.init(url.path, expected: "a folder with config.json", found: "none in it"))
    }
    return (try reading { () throws(FormatError) in try JSONValue(contentsOf: configURL) }, configURL.path)
  }

  static func tensors(
    of url: URL, _ access: MappedFile.Access
  ) throws(LanguageModelError) -> ShardedSafetensors {
    try reading { () throws(FormatError) in
      try ShardedSafetensors(folder: url, allowsLinks: true, access: access)
    }
  }
}
