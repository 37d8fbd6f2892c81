import Foundation
import TrestleBridges
import TrestleFormats
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A folder with a tiny random language model and a real tokenizer, and a world whose items have texts.
final class TinyReader {
  let folder: URL
  var model: URL { folder.appending(path: "model") }

  /// - Parameters:
  ///   - seed: the model's weights.
  ///   - vocabulary: the rows of its table; the tokenizer has more than a thousand tokens.
  init(seed: UInt64 = 2, vocabulary: Int = 1408) throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "reader-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: folder.appending(path: "model"), withIntermediateDirectories: true)
    try FileManager.default.copyItem(
      at: TestAssets.fixtures.appending(path: "text/tokenizers/trained/gpt2.tokenizer.json"),
      to: model.appending(path: "tokenizer.json"))
    let configuration = """
      {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": \(vocabulary), "hidden_size": 32,
       "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
       "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
       "tie_word_embeddings": true, "bos_token_id": 1, "eos_token_id": 2}
      """
    try Data(configuration.utf8).write(to: model.appending(path: "config.json"))
    var shape = LlamaConfiguration(
      vocabularySize: vocabulary, hiddenSize: 32, intermediateSize: 48, layerCount: 3, headCount: 4,
      keyValueHeadCount: 2)
    shape.tiesEmbeddings = true
    let llama = try Llama(shape, using: RandomGenerator(seed: seed))
    try SafetensorsWriter.write(
      llama.namedParameters.map { SafetensorsSource(name: $0.name, tensor: $0.parameter.detached) },
      to: model.appending(path: "model.safetensors"))
  }

  deinit { try? FileManager.default.removeItem(at: folder) }

  static func world() throws -> Dataset {
    var configuration = SyntheticWorld.Configuration()
    (configuration.users, configuration.items, configuration.interactions) = (200, 120, 6000)
    return try SyntheticWorld(configuration, seed: 4).dataset()
  }

  /// A fit that takes a second.
  static func fit(_ dataset: Dataset, readingEpochs: Int = 2, readsTwice: Bool = true) -> HybridFit {
    var configuration = HybridFit.Configuration()
    configuration.seed = 1
    configuration.bridge.readingEpochs = readingEpochs
    configuration.readsTwice = readsTwice
    configuration.bridge.maps = [.init(kernel: .linear, strength: 0.3), .init(kernel: .linear, strength: 3)]
    configuration.side.adapterLearningRate = 1e-2
    configuration.adapters = LoRA(rank: 2, targets: ["q_proj", "v_proj", "up_proj"])
    configuration.layerShares = [1.0 / 3, 1]
    configuration.tunedBlocks = 2
    return HybridFit(
      dataset: dataset, texts: ItemTexts(dataset: dataset, noun: "Film"), kind: .implicitALS,
      configuration: configuration)
  }
}
