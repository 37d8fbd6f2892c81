import Foundation
import Trestle
import TrestleTestSupport

extension FuzzTarget {
  /// What language models, encoders and adapters are loaded from.
  static var models: [FuzzTarget] {
    [
      file("config.json", of: "llama", into: "llama") { folder in
        let model = try LanguageModels.load(folder)
        _ = withoutGradients { model.hiddenStates(tokens: [[1, 2]]) }
      },
      FuzzTarget("model-gguf", seeds: { [tinyGGUF(tokenizer: "llama")] }) { bytes in
        let url = try Scratch.file("model.gguf", bytes)
        let loaded = try LoadedModel(contentsOf: url)
        let ids = [1] + loaded.tokenizer.encode("ab")
        var options = GenerationOptions(maximumTokens: 2)
        options.constraint = TokenTrie([[4, 5], [4]])
        var generator = try TokenGenerator(loaded.model, prompt: ids, options: options)
        while let token = generator.next() {
          precondition([4, 5].contains(token), "a token outside the trie")
        }
      },
      encoder(
        "modules.json",
        [
          #"[{"idx":0,"name":"0","path":"","type":"sentence_transformers.models.Transformer"},{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]"#
        ]),
      encoder(
        "1_Pooling/config.json",
        [
          #"{"word_embedding_dimension":32,"pooling_mode_cls_token":false,"pooling_mode_mean_tokens":true}"#
        ]),
      encoder("sentence_bert_config.json", [#"{"max_seq_length":16,"do_lower_case":false}"#]),
      encoder("config.json", nil),
      encoder("tokenizer.json", [encoderTokenizer]),
      sentenceEncoder("modules.json"),
      sentenceEncoder("2_Dense/config.json"),
      sentenceEncoder("2_Dense/model.safetensors"),
      file("adapter_config.json", of: "llama/lora/initial", into: "adapter") { try useAdapters($0) },
      file("adapter_model.safetensors", of: "llama/lora/initial", into: "adapter-tensors") {
        try useAdapters($0)
      },
    ]
  }

  private static func fixture(_ path: String) -> URL {
    TestAssets.fixtures.appending(path: "language/\(path)")
  }

  /// A file of a fixture's folder, damaged beside the others.
  private static func file(
    _ name: String, of family: String, into place: String, _ use: @escaping (URL) throws -> Void
  ) -> FuzzTarget {
    FuzzTarget(
      "\(place)-\(name)", seeds: { [try Array(Data(contentsOf: fixture(family).appending(path: name)))] }
    ) { bytes in
      let folder = Scratch.folder.appending(path: place)
      if !FileManager.default.fileExists(atPath: folder.path) {
        _ = try Scratch.subfolder(place)
        for other in try FileManager.default.contentsOfDirectory(atPath: fixture(family).path)
        where ["json", "safetensors"].contains(URL(filePath: other).pathExtension) {
          try FileManager.default.copyItem(
            at: fixture(family).appending(path: other), to: folder.appending(path: other))
        }
      }
      try Data(bytes).write(to: folder.appending(path: name))
      try use(folder)
    }
  }

  private nonisolated(unsafe) static let llama = Result {
    try LanguageModels.load(fixture("llama"), storage: .float32)
  }

  private static func useAdapters(_ folder: URL) throws {
    let model = try llama.get()
    model.unfreeze()
    do {
      let adapters = try LoRAAdapters.load(from: folder, into: model)
      _ = withoutGradients { model.hiddenStates(tokens: [[1, 2]]) }
      adapters.unload()
    } catch {
      precondition(model.parameters.allSatisfy(\.isTrainable), "a refused adapter has frozen the model")
      throw error
    }
  }

  /// A file of a sentence encoder's folder; `nil` for the fixture's own.
  private static func encoder(_ name: String, _ seeds: [String]?) -> FuzzTarget {
    FuzzTarget(
      "encoder-\(name.replacing("/", with: "-"))",
      seeds: {
        if let seeds { return seeds.map { Array($0.utf8) } }
        return [try Array(Data(contentsOf: fixture("bert").appending(path: name)))]
      }
    ) { bytes in
      let place = "encoder-\(name.replacing("/", with: "-"))"
      let folder = Scratch.folder.appending(path: place)
      if !FileManager.default.fileExists(atPath: folder.path) {
        _ = try Scratch.subfolder(place)
        for other in ["config.json", "model.safetensors"] {
          try FileManager.default.copyItem(
            at: fixture("bert").appending(path: other), to: folder.appending(path: other))
        }
        try Data(encoderTokenizer.utf8).write(to: folder.appending(path: "tokenizer.json"))
        try FileManager.default.createDirectory(
          at: folder.appending(path: "1_Pooling"), withIntermediateDirectories: true)
      }
      try Data(bytes).write(to: folder.appending(path: name))
      let encoder = try SentenceEncoder(folder: folder)
      let vectors = encoder.encode(["a b", "", "bc a b a b a b a b a b a b a b a b a b"])
      precondition(vectors.shape[0] == 3, "not one vector for each text")
    }
  }

  /// A file of a sentence encoder with linear layers, damaged in a copy of its folder.
  private static func sentenceEncoder(_ name: String) -> FuzzTarget {
    let place = "dense-encoder-\(name.replacing("/", with: "-"))"
    return FuzzTarget(
      place, seeds: { [try Array(Data(contentsOf: fixture("embeddinggemma").appending(path: name)))] }
    ) { bytes in
      let folder = Scratch.folder.appending(path: place)
      if !FileManager.default.fileExists(atPath: folder.path) {
        try FileManager.default.copyItem(at: fixture("embeddinggemma"), to: folder)
      }
      try Data(bytes).write(to: folder.appending(path: name))
      let encoder = try SentenceEncoder(folder: folder)
      let vectors = encoder.encode(["a film", ""])
      precondition(vectors.shape == [2, encoder.width], "not one vector for each text")
    }
  }

  private static let encoderTokenizer = """
    {"version": "1.0", "added_tokens": [{"id": 0, "content": "[PAD]", "special": true}], "normalizer": null, \
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], \
    "cls": ["[CLS]", 2]}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true}, "model": {"type": \
    "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": \
    {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "##b": 5, "b": 6, "##bc": 7}}}
    """
}
