import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleTensor
import TrestleTestSupport

/// Folders of sentence encoders that are wrong in one place, and those that are no decoders.
@Suite struct SentenceEncoderLoadingTests {
  /// A copy of a family's folder with a file replaced, or removed for `nil`.
  private func withCopy(
    of family: String = "embeddinggemma", _ name: String? = nil, _ edit: (String) throws -> String? = { $0 },
    _ body: (URL) throws -> Void
  ) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "encoder-\(UUID().uuidString)")
    try FileManager.default.copyItem(at: try Fixture(family).folder, to: folder)
    defer { try? FileManager.default.removeItem(at: folder) }
    if let name {
      let file = folder.appending(path: name)
      let text = try edit(
        FileManager.default.fileExists(atPath: file.path)
          ? String(decoding: Data(contentsOf: file), as: UTF8.self) : "")
      try? FileManager.default.removeItem(at: file)
      if let text { try Data(text.utf8).write(to: file) }
    }
    try body(folder)
  }

  private func failure(_ folder: URL) -> (any Error)? {
    do {
      _ = try SentenceEncoder(folder: folder)
      return nil
    } catch { return error }
  }

  private func message(_ folder: URL) throws -> String {
    let error = try #require(failure(folder))
    return "\(error)"
  }

  /// Edits of a file of EmbeddingGemma's folder: what is replaced, by what, and what the error says.
  static let edits: [(file: String, old: String, new: String, words: String)] = [
    ("2_Dense/config.json", "\"in_features\": 18", "\"in_features\": 17", "at in_features: expected 18"),
    ("2_Dense/config.json", "\"in_features\": 18", "\"in_features\": null", "in_features"),
    ("2_Dense/config.json", "\"out_features\": 32", "\"out_features\": 33", "linear.weight"),
    ("2_Dense/config.json", "\"out_features\": 32", "\"out_features\": 0", "out_features"),
    ("2_Dense/config.json", "\"out_features\": 32", "\"out_features\": -32", "out_features"),
    ("2_Dense/config.json", "\"out_features\": 32", "\"out_features\": 100000000000", "out_features"),
    ("2_Dense/config.json", "\"out_features\": 32", "\"out_features\": 3.5", "out_features"),
    ("2_Dense/config.json", "\"bias\": false", "\"bias\": true", "linear.bias"),
    ("2_Dense/config.json", "\"bias\": false", "\"bias\": 0", "bias"),
    ("2_Dense/config.json", "linear.Identity", "activation.PReLU", "torch.nn.modules.activation.PReLU"),
    ("2_Dense/config.json", "torch.nn.modules.linear.Identity", "mine.Identity", "mine.Identity"),
    ("2_Dense/config.json", "\"bias\"", "\"use_residual\": true, \"bias\"", "use_residual"),
    (
      "2_Dense/config.json", "\"bias\"", "\"module_input_name\": \"token_embeddings\", \"bias\"",
      "module_input_name"
    ),
    (
      "2_Dense/config.json", "\"bias\"", "\"module_output_name\": \"other\", \"bias\"", "module_output_name"
    ),
    ("3_Dense/config.json", "\"in_features\": 32", "\"in_features\": 18", "3_Dense"),
    ("modules.json", "\"2_Dense\"", "\"3_Dense\"", "in_features"),
    ("modules.json", "\"2_Dense\"", "\"../2_Dense\"", "module 2"),
    ("modules.json", "\"2_Dense\"", "\"\"", "module 2"),
    ("modules.json", "\"2_Dense\"", "\"9_Dense\"", "9_Dense"),
    ("modules.json", "models.Pooling", "models.Dense", "module 1"),
    ("modules.json", "models.Normalize", "models.LayerNorm", "models.LayerNorm"),
    ("1_Pooling/config.json", "\"include_prompt\": true", "\"include_prompt\": false", "include_prompt"),
    (
      "1_Pooling/config.json", "\"include_prompt\"",
      "\"pooling_mode\": [\"mean\", \"max\"], \"include_prompt\"",
      "mean, max"
    ),
    (
      "1_Pooling/config.json", "\"include_prompt\"", "\"pooling_mode\": 3, \"include_prompt\"", "a string"
    ),
    (
      "sentence_bert_config.json", "\"do_lower_case\": false", "\"do_lower_case\": true", "do_lower_case"
    ),
    (
      "sentence_bert_config.json", "\"do_lower_case\"",
      "\"transformer_task\": \"fill-mask\", \"do_lower_case\"", "transformer_task"
    ),
    ("config.json", "\"num_key_value_heads\": 1", "\"num_key_value_heads\": 2", "num_key_value_heads"),
  ]

  @Test(arguments: edits) func whatIsWrongIsNamed(
    edit: (file: String, old: String, new: String, words: String)
  ) throws {
    try withCopy(
      edit.file,
      { text in
        #expect(text.contains(edit.old), "the fixture has no \(edit.old)")
        return text.replacing(edit.old, with: edit.new)
      },
      { folder in
        let error = try #require(failure(folder), "\(edit.new)")
        #expect(error is LanguageModelError)
        #expect("\(error)".contains(edit.words), "\(error)")
      })
  }

  @Test func filesThatAreNotThereAreNamed() throws {
    for name in ["2_Dense/config.json", "2_Dense/model.safetensors"] {
      try withCopy(name, { _ in nil }) { folder in
        let error = try #require(failure(folder), "\(name)")
        #expect(error is LanguageModelError && "\(error)".contains("2_Dense"), "\(error)")
      }
    }
    try withCopy("3_Dense/model.safetensors", { _ in "no tensors" }) { folder in
      let message = try message(folder)
      #expect(message.contains("3_Dense"))
    }
  }

  @Test func aTensorTooManyIsNamed() throws {
    try withCopy { folder in
      let file = folder.appending(path: "2_Dense/model.safetensors")
      let mapped = try SafetensorsFile(file).tensor("linear.weight")
      let weight = Tensor(mapped.floats, shape: mapped.shape)
      try SafetensorsWriter.write(
        [
          SafetensorsSource(name: "linear.weight", tensor: weight),
          SafetensorsSource(name: "residual.weight", tensor: weight),
        ], to: file)
      guard case .unknownTensor(let details)? = failure(folder) as? LanguageModelError else {
        Issue.record("found \(String(describing: failure(folder)))")
        return
      }
      #expect(details.found.contains("residual.weight"))
    }
  }

  @Test func aListOfTooManyModulesIsRefused() throws {
    try withCopy(
      "modules.json",
      { text in
        let normalize = #",{"path": "4_Normalize", "type": "sentence_transformers.models.Normalize"}"#
        return text.replacing("\n]", with: String(repeating: normalize, count: 40) + "]")
      },
      { folder in
        let message = try message(folder)
        #expect(message.contains("found 45"))
      })
  }

  /// What a file without another limit says of the tokenizer's.
  @Test func theTokenizersLimitCounts() throws {
    for (written, limit) in [("30", 30), ("1000000000000000019884624838656", 96), ("null", 96)] {
      try withCopy("sentence_bert_config.json", { _ in nil }) { folder in
        try Data(#"{"model_max_length": \#(written)}"#.utf8)
          .write(to: folder.appending(path: "tokenizer_config.json"))
        #expect(try SentenceEncoder(folder: folder).maximumLength == limit)
      }
    }
    for written in ["0", "-5", "2.5", "\"30\""] {
      try withCopy("sentence_bert_config.json", { _ in nil }) { folder in
        try Data(#"{"model_max_length": \#(written)}"#.utf8)
          .write(to: folder.appending(path: "tokenizer_config.json"))
        let message = try message(folder)
        #expect(message.contains("model_max_length"))
      }
    }
  }

  @Test func anEncoderInBothDirectionsIsNoDecoder() throws {
    let folder = try Fixture("embeddinggemma").folder
    let loads: [() throws -> Void] = [
      { _ = try LanguageModels.load(folder) }, { _ = try LoadedModel(contentsOf: folder) },
    ]
    for load in loads {
      do {
        try load()
        Issue.record("loaded as a decoder")
      } catch {
        guard case .unsupported(let details)? = error as? LanguageModelError else {
          Issue.record("\(error)")
          continue
        }
        #expect(details.place == "use_bidirectional_attention" && details.found == "true")
        #expect(details.path.hasSuffix("config.json"))
      }
    }
  }

  /// The same weights in one direction are another model: a decoder.
  @Test func theSameFolderInOneDirectionIsADecoder() throws {
    let ids: [Int32] = [2, 270, 271, 272, 273, 1]
    let both = try LanguageModels.loadTextEncoder(try Fixture("embeddinggemma").folder)
    try withCopy("config.json", { $0.replacing("attention\": true", with: "attention\": false") }) { folder in
      let decoder = try LanguageModels.load(folder)
      let states = decoder.hiddenStates(tokens: [ids]).floats
      #expect(largestDifference(both.hiddenStates(tokens: [ids]).floats, states) > 0.01)
      #expect(try SentenceEncoder(folder: folder).model is DecoderEncoder)
      let first = decoder.hiddenStates(tokens: [Array(ids.prefix(2))]).floats
      #expect(largestDifference(first, Array(states.prefix(first.count))) < 1e-5)
    }
  }
}
