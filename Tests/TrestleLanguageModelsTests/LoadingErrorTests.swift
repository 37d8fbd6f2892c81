import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleTensor
import TrestleTestSupport

/// Files that are wrong in one place each: the error names it, nothing traps.
@Suite struct LoadingErrorTests {
  /// A copy of the tiny Llama with changes, in a folder of its own.
  private func withCopy(
    of family: String = "llama", config edit: (String) -> String = { $0 },
    tensors: ((inout [SafetensorsSource]) -> Void)? = nil, _ body: (URL) throws -> Void
  ) throws {
    let source = try Fixture(family).folder
    let folder = FileManager.default.temporaryDirectory.appending(path: "model-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let config = try String(contentsOf: source.appending(path: "config.json"), encoding: .utf8)
    try edit(config).write(to: folder.appending(path: "config.json"), atomically: true, encoding: .utf8)
    let weights = source.appending(path: "model.safetensors")
    if let tensors {
      let file = try SafetensorsFile(weights)
      var sources = try file.names.map { SafetensorsSource(name: $0, tensor: try file.tensor($0)) }
      tensors(&sources)
      try SafetensorsWriter.write(sources, to: folder.appending(path: "model.safetensors"))
    } else {
      try FileManager.default.copyItem(at: weights, to: folder.appending(path: "model.safetensors"))
    }
    try body(folder)
  }

  private func failure(_ folder: URL) -> LanguageModelError? {
    do {
      _ = try LanguageModels.load(folder)
      return nil
    } catch { return error }
  }

  @Test func anUnchangedCopyLoads() throws {
    try withCopy { #expect(failure($0) == nil) }
    try withCopy(tensors: { _ in }) { #expect(failure($0) == nil) }
  }

  @Test func aMissingTensorIsNamed() throws {
    try withCopy(tensors: { $0.removeAll { $0.name == "model.layers.1.mlp.up_proj.weight" } }) { folder in
      guard case .missingTensor(let details)? = failure(folder) else {
        Issue.record("found \(String(describing: failure(folder)))")
        return
      }
      #expect(details.expected.contains("model.layers.1.mlp.up_proj.weight"))
    }
  }

  @Test func anUnknownTensorIsNamed() throws {
    let extra = SafetensorsSource(name: "model.layers.7.surprise", tensor: .zeros([2]))
    try withCopy(tensors: { $0.append(extra) }) { folder in
      guard case .unknownTensor(let details)? = failure(folder) else {
        Issue.record("found \(String(describing: failure(folder)))")
        return
      }
      #expect(details.found.contains("model.layers.7.surprise"))
    }
  }

  @Test func aTensorOfAnotherShapeOrTypeIsNamed() throws {
    for tensor in [Tensor.zeros([24, 23]), Tensor.zeros([24, 24], dtype: .int32), Tensor.zeros([24])] {
      try withCopy(tensors: { sources in
        sources.removeAll { $0.name == "model.layers.0.self_attn.q_proj.weight" }
        sources.append(SafetensorsSource(name: "model.layers.0.self_attn.q_proj.weight", tensor: tensor))
      }) { folder in
        guard case .wrongShape(let details)? = failure(folder) else {
          Issue.record("found \(String(describing: failure(folder)))")
          return
        }
        #expect(details.place.contains("model.layers.0.self_attn.q_proj.weight"))
        #expect(details.expected.contains("[24, 24]"))
      }
    }
  }

  /// Edits of `config.json`: what is replaced, by what, and the key that the error names.
  static let edits: [(String, String, String)] = [
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0", "num_hidden_layers"),
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 100000000000", "num_hidden_layers"),
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": \"2\"", "num_hidden_layers"),
    ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2.5", "num_hidden_layers"),
    ("\"num_attention_heads\": 4", "\"num_attention_heads\": 0", "num_attention_heads"),
    ("\"num_attention_heads\": 4", "\"num_attention_heads\": -4", "num_attention_heads"),
    ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "num_key_value_heads"),
    ("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 0", "num_key_value_heads"),
    ("\"hidden_size\": 24", "\"hidden_size\": null", "hidden_size"),
    ("\"hidden_size\": 24", "\"hidden_size\": 4611686018427387904", "hidden_size"),
    ("\"vocab_size\": 72", "\"vocab_size\": -1", "vocab_size"),
    ("\"rms_norm_eps\": 1e-05", "\"rms_norm_eps\": -1", "rms_norm_eps"),
    ("\"rope_theta\": 10000.0", "\"rope_theta\": 0", "rope_theta"),
    ("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"dynamic\"}", "rope_scaling.rope_type"),
    ("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"yarn\"}", "rope_scaling.factor"),
    ("\"rope_scaling\": null", "\"rope_scaling\": {\"rope_type\": \"linear\"}", "rope_scaling.factor"),
    ("\"hidden_act\": \"silu\"", "\"hidden_act\": \"relu\"", "hidden_act"),
    ("\"model_type\": \"llama\"", "\"model_type\": \"mamba\"", "model_type"),
  ]

  @Test(arguments: edits) func aConfigurationOutOfRangeIsNamed(edit: (String, String, String)) throws {
    let (old, new, key) = edit
    try withCopy(
      config: { text in
        #expect(text.contains(old), "the fixture has no \(old)")
        return text.replacingOccurrences(of: old, with: new)
      },
      { folder in
        let error = try #require(failure(folder))
        #expect(error.details.path.hasSuffix("config.json"))
        #expect("\(error)".contains(key), "\(error)")
      })
  }

  /// The same for what other families' files say.
  @Test func aVariantOutOfRangeIsNamed() throws {
    let edits = [
      ("qwen3_moe", "\"num_local_experts\": 6", "\"num_local_experts\": 0", "num_experts"),
      ("qwen3_moe", "\"num_local_experts\": 6", "\"num_local_experts\": 100000000", "num_experts"),
      ("qwen3_moe", "\"num_local_experts\": 6", "\"num_local_experts\": 7", "mlp.gate"),
      ("qwen3_moe", "\"num_local_experts\": 6", "\"num_local_experts\": 5", "mlp.gate"),
      ("qwen3_moe", "\"num_experts_per_tok\": 2", "\"num_experts_per_tok\": 7", "num_experts_per_tok"),
      ("qwen3_moe", "\"decoder_sparse_step\": 1", "\"decoder_sparse_step\": 0", "decoder_sparse_step"),
      ("smollm3", "\"no_rope_layers\": [", "\"no_rope_layers\": [1,", "no_rope_layers"),
      ("smollm3", "\"use_sliding_window\": false", "\"use_sliding_window\": true", "use_sliding_window"),
      ("phi3", "\"short_factor\": [", "\"short_factor\": [1.0,", "short_factor"),
      ("phi3", "\"long_factor\": [", "\"long_factor\": [0.0,", "long_factor"),
      ("phi3", "\"short_factor\"", "\"other\"", "short_factor"),
      ("phi4", "\"partial_rotary_factor\": 0.75", "\"partial_rotary_factor\": 2", "partial_rotary_factor"),
      ("phi4", "\"partial_rotary_factor\": 0.75", "\"partial_rotary_factor\": 0.4", "rotary_dim"),
    ]
    for (family, old, new, key) in edits {
      try withCopy(
        of: family,
        config: { text in
          #expect(text.contains(old), "the fixture has no \(old)")
          return text.replacingOccurrences(of: old, with: new)
        },
        { folder in
          let error = try #require(failure(folder), "\(family) \(new)")
          #expect("\(error)".contains(key), "\(error)")
        })
    }
  }

  @Test func pathsWithoutAModelAreErrors() throws {
    let nowhere = URL(filePath: "/nonexistent/model.gguf")
    guard case .noModel? = failure(nowhere) else {
      Issue.record("found \(String(describing: failure(nowhere)))")
      return
    }
    // A folder without config.json, and a file that is no GGUF file; with a tokenizer it is the same.
    let file = TestAssets.fixtures.appending(path: "README.md")
    #expect(failure(TestAssets.fixtures) != nil && failure(file) != nil)
    for (place, found) in [(TestAssets.fixtures, "none in it"), (file, "another file"), (nowhere, "nothing")]
    {
      do {
        _ = try LoadedModel(contentsOf: place)
        Issue.record("\(place.path) was read")
      } catch {
        guard case .noModel(let details)? = error as? LanguageModelError else {
          Issue.record("\(error)")
          continue
        }
        #expect(details.found == found)
      }
    }
  }
}
