import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleTensor
import TrestleTestSupport

import TrestleLanguageModels
import TrestleText

/// What is refused changes nothing, what is loaded cannot leave its bounds.
@Suite struct LoadingSafetyTests {
  private func withFolder(_ body: (URL) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "loading-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  // MARK: Adapters

  private func adapterFolder(_ folder: URL, config: (inout [String: Any]) -> Void = { _ in }) throws {
    let source = try Fixture("llama").folder.appending(path: "lora/final")
    try? FileManager.default.removeItem(at: folder)
    try FileManager.default.copyItem(at: source, to: folder)
    let url = folder.appending(path: "adapter_config.json")
    var root = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    config(&root)
    try JSONSerialization.data(withJSONObject: root).write(to: url)
  }

  @Test func aRefusedAdapterLeavesTheModelTrainable() throws {
    try withSteadyInstructionSet {
      try withFolder { folder in
        let place = folder.appending(path: "adapter")
        let model = try LanguageModels.load(try Fixture("llama").folder, storage: .float32)
        let before = withoutGradients { model.hiddenStates(tokens: [[1, 2, 3]]) }.floats
        func expectRefused(_ what: String) {
          do {
            _ = try LoRAAdapters.load(from: place, into: model)
            Issue.record("loaded: \(what)")
          } catch {}
          let isTrainable = model.parameters.allSatisfy(\.isTrainable)
          #expect(isTrainable, "\(what)")
          let after = withoutGradients { model.hiddenStates(tokens: [[1, 2, 3]]) }.floats
          #expect(after == before, "\(what)")
        }
        // One tensor that no target layer takes.
        try adapterFolder(place) { $0["target_modules"] = ["q_proj"] }
        expectRefused("unknown tensors")
        try adapterFolder(place) { $0["alpha_pattern"] = ["q_proj": 0] }
        expectRefused("alpha 0")
        try adapterFolder(place) { $0["alpha_pattern"] = ["q_.*": 4] }
        expectRefused("a regular expression")
        try adapterFolder(place) { $0["rank_pattern"] = ["q_proj": 3] }
        expectRefused("another rank")
      }
    }
  }

  @Test func alphasOfSingleLayersCount() throws {
    try withSteadyInstructionSet {
      try withFolder { folder in
        let place = folder.appending(path: "adapter")
        func states(_ config: (inout [String: Any]) -> Void) throws -> ([Float], LoRAAdapters) {
          try adapterFolder(place, config: config)
          let model = try LanguageModels.load(try Fixture("llama").folder, storage: .float32)
          let adapters = try LoRAAdapters.load(from: place, into: model)
          return (withoutGradients { model.hiddenStates(tokens: [[1, 2, 3]]) }.floats, adapters)
        }
        var alpha = 0.0
        var targets: [String] = []
        let (plain, _) = try states {
          alpha = ($0["lora_alpha"] as? NSNumber)?.doubleValue ?? 0
          targets = $0["target_modules"] as? [String] ?? []
        }
        // The same alpha by pattern for all layers is the same update; twice for one kind of layer is another.
        let (doubled, _) = try states { config in
          config["lora_alpha"] = alpha / 2
          config["alpha_pattern"] = Dictionary(uniqueKeysWithValues: targets.map { ($0, alpha) })
        }
        #expect(largestDifference(doubled, plain) < 1e-6)
        let (changed, adapters) = try states { $0["alpha_pattern"] = [targets[0]: alpha * 2] }
        #expect(largestDifference(changed, plain) > 1e-5)
        // Saved and read again they are the same.
        let saved = folder.appending(path: "saved")
        try FileManager.default.createDirectory(at: saved, withIntermediateDirectories: true)
        try Data("mine".utf8).write(to: saved.appending(path: "README.md"))
        try adapters.save(to: saved)
        let model = try LanguageModels.load(try Fixture("llama").folder, storage: .float32)
        _ = try LoRAAdapters.load(from: saved, into: model)
        let again = withoutGradients { model.hiddenStates(tokens: [[1, 2, 3]]) }.floats
        #expect(again == changed)
        #expect(try Data(contentsOf: saved.appending(path: "README.md")) == Data("mine".utf8))
      }
    }
  }

  // MARK: Constraint

  @Test func generationCannotLeaveItsTrieWithoutNumbers() throws {
    var sampling = Sampling()
    sampling.temperature = 0.8
    let settings = [
      Sampling.greedy, sampling, Sampling(temperature: 1, topP: 0.5), Sampling(temperature: 1, topK: 2),
      Sampling(temperature: 1, topK: 2, topP: 0.1, repetitionPenalty: 2),
    ]
    let rows: [[Float]] = [
      [Float](repeating: .nan, count: 8), [Float](repeating: -.infinity, count: 8),
      [Float](repeating: .infinity, count: 8), [.nan, 1, .nan, .infinity, -.infinity, 0, .nan, 2],
    ]
    for sampling in settings {
      for logits in rows {
        var generator = RandomGenerator(seed: 4)
        for _ in 0..<20 {
          let token = sampling.choose(from: logits, allowed: [3, 5, 6], recent: [3], using: &generator)
          #expect([3, 5, 6].contains(token))
          let free = sampling.choose(from: logits, allowed: nil, recent: [3], using: &generator)
          #expect((0..<8).contains(free))
        }
      }
    }
    // A finite logit is preferred to NaN.
    var generator = RandomGenerator(seed: 4)
    #expect(
      Sampling(temperature: 1, topP: 0.5).choose(
        from: [.nan, 1, .nan], allowed: [0, 1, 2], recent: [], using: &generator) == 1)
  }

  @Test func aModelOfNaNSaysOnlyWhatTheTrieAllows() throws {
    let model = try Llama(
      LlamaConfiguration(
        vocabularySize: 12, hiddenSize: 8, intermediateSize: 8, layerCount: 1, headCount: 1,
        keyValueHeadCount: 1),
      using: RandomGenerator(seed: 1))
    for parameter in model.parameters {
      parameter.update(to: Tensor.full(parameter.shape, .nan))
    }
    for topP in [1, 0.5] {
      var options = GenerationOptions(sampling: Sampling(temperature: 1, topP: topP), maximumTokens: 10)
      options.constraint = TokenTrie([[3, 4], [5]])
      var generator = try TokenGenerator(model, prompt: [1], options: options)
      var said: [Int32] = []
      while let token = generator.next() { said.append(token) }
      #expect(said == [3, 4] || said == [5], "\(said)")
      #expect(generator.end == .stop && generator.completed.count == 1)
    }
  }

  // MARK: Tokenizers and tables

  private func tokenizer(_ count: Int) throws -> any Tokenizer {
    try WordPieceTokenizer(
      vocabulary: (["[UNK]"] + (1..<count).map { "t\($0)" }).map { Array($0.utf8) },
      specialTokens: SpecialTokens(ids: [:]), configuration: .init(unknownToken: 0))
  }

  @Test func aTokenizerLargerThanTheTableIsRefused() throws {
    let model = try LanguageModels.load(try Fixture("llama").folder)
    let rows = model.vocabularySize
    let loaded = try LoadedModel(model: model, tokenizer: try tokenizer(rows))
    #expect(loaded.tokenizer.vocabularySize == rows)
    #expect(throws: LanguageModelError.self) {
      try LoadedModel(model: model, tokenizer: try tokenizer(rows + 1))
    }
  }

  // MARK: Sentence encoders

  private static let modules =
    #"[{"idx":0,"path":"","type":"sentence_transformers.models.Transformer"},{"idx":1,"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}"#

  private static func tokenizerJSON(rows: Int, processor: String) -> String {
    let names = ["[UNK]", "[CLS]", "[SEP]"] + (3..<rows).map { "t\($0)" }
    let vocabulary = names.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    return """
      {"added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": \(processor), \
      "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true}, "model": {"type": "WordPiece", "unk_token": "[UNK]", \
      "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {\(vocabulary)}}}
      """
  }

  private func encoder(
    _ folder: URL, rows: Int? = nil, processor: String = "null", files: [String: String] = [:]
  ) throws -> SentenceEncoder {
    let source = try Fixture("bert").folder
    try? FileManager.default.removeItem(at: folder)
    try FileManager.default.createDirectory(
      at: folder.appending(path: "1_Pooling"), withIntermediateDirectories: true)
    for name in ["config.json", "model.safetensors"] {
      try FileManager.default.copyItem(at: source.appending(path: name), to: folder.appending(path: name))
    }
    let size = try LanguageModels.loadEncoder(folder).configuration.vocabularySize
    try Data(Self.tokenizerJSON(rows: rows ?? size, processor: processor).utf8)
      .write(to: folder.appending(path: "tokenizer.json"))
    for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
    return try SentenceEncoder(folder: folder)
  }

  @Test func emptyTextsWithoutSpecialTokensHaveZeros() throws {
    try withFolder { folder in
      let vectors = try encoder(folder).encode(["", "t5 t6", ""])
      #expect(vectors.shape[0] == 3)
      #expect(vectors[0].floats.allSatisfy { $0 == 0 } && vectors[1].floats.contains { $0 != 0 })
    }
  }

  @Test func lengthsAndSizesOutOfRangeAreRefused() throws {
    try withFolder { folder in
      for length in ["0", "-1", "-9223372036854775808", "1e9"] {
        #expect(throws: LanguageModelError.self, "\(length)") {
          try encoder(folder, files: ["sentence_bert_config.json": "{\"max_seq_length\": \(length)}"])
        }
      }
      let size = try LanguageModels.loadEncoder(try Fixture("bert").folder).configuration.vocabularySize
      #expect(throws: LanguageModelError.self) { try encoder(folder, rows: size + 1) }
    }
  }

  @Test func theListOfModulesIsRead() throws {
    try withFolder { (folder: URL) throws in
      let mean = ["1_Pooling/config.json": #"{"pooling_mode_mean_tokens": true}"#]
      #expect(try encoder(folder, files: mean).isNormalized)
      let plain = mean.merging(["modules.json": Self.modules + "]"]) { $1 }
      #expect(try encoder(folder, files: plain).isNormalized == false)
      let normalized =
        Self.modules + #",{"idx":2,"path":"2","type":"sentence_transformers.models.Normalize"}]"#
      let third = mean.merging(["modules.json": normalized]) { $1 }
      #expect(try encoder(folder, files: third).isNormalized)
      for wrong in [
        Self.modules + #",{"idx":2,"path":"2_Dense","type":"sentence_transformers.models.Dense"}]"#, "[]",
        Self.modules.replacing("1_Pooling", with: "../x") + "]",
        Self.modules.replacing("models.Transformer", with: "models.CLIPModel") + "]",
      ] {
        let files = mean.merging(["modules.json": wrong]) { $1 }
        #expect(throws: LanguageModelError.self, "\(wrong)") { try encoder(folder, files: files) }
      }
      for wrong in [
        #"{"pooling_mode_max_tokens": true}"#, "{}",
        #"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#,
      ] {
        #expect(throws: LanguageModelError.self, "\(wrong)") {
          try encoder(folder, files: ["1_Pooling/config.json": wrong])
        }
      }
    }
  }

  /// A folder as Qwen3-Embedding's: the backbone alone, under names without `model.`.
  @Test func aDecoderPoolsItsLastTokens() throws {
    try withFolder { folder in
      let fixture = try Fixture("qwen3")
      let decoder = try LanguageModels.load(fixture.folder)
      try? FileManager.default.removeItem(at: folder)
      try FileManager.default.createDirectory(
        at: folder.appending(path: "1_Pooling"), withIntermediateDirectories: true)
      let weights = try SafetensorsFile(fixture.folder.appending(path: "model.safetensors"))
      let bare = try weights.names.map { name in
        SafetensorsSource(name: name.replacing("model.", with: ""), tensor: try weights.tensor(name))
      }
      try SafetensorsWriter.write(bare, to: folder.appending(path: "model.safetensors"))
      try FileManager.default.copyItem(
        at: fixture.folder.appending(path: "config.json"), to: folder.appending(path: "config.json"))
      let files = [
        "tokenizer.json": Self.tokenizerJSON(rows: decoder.vocabularySize, processor: "null"),
        "1_Pooling/config.json": #"{"pooling_mode_lasttoken": true}"#,
        "config_sentence_transformers.json": #"{"prompts": {"query": "t7 t8 ", "document": ""}}"#,
      ]
      for (name, text) in files { try Data(text.utf8).write(to: folder.appending(path: name)) }
      let encoder = try SentenceEncoder(folder: folder)
      #expect(encoder.pooling == .last && encoder.prompts == ["query": "t7 t8 ", "document": ""])
      let vectors = encoder.encode(["t3 t4 t5", "t9"], prompt: try #require(encoder.prompts["query"]))
      let sequences: [[Int32]] = [[7, 8, 3, 4, 5], [7, 8, 9]]
      let expected = decoder.hiddenStates(tokens: sequences).rows([4, 7]).unitNormalized()
      #expect(largestDifference(vectors.floats, expected.floats) < 1e-6)
      #expect(vectors.shape == [2, decoder.hiddenSize])
    }
  }

  @Test func messagesAreEscaped() {
    let error = LanguageModelError.configuration(
      .init("\u{1B}x", at: "a\nb", expected: "c", found: "\u{202E}"))
    #expect("\(error)" == #"\u{1B}x: bad configuration at a\nb: expected c, found \u{202E}."#)
  }
}
