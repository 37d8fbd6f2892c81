import Foundation
import Testing
import TrestleFormats
import TrestleLanguageModels
import TrestleTensor
import TrestleTestSupport
import TrestleText

/// Seeded damage to the files that a model is loaded from: each file loads or throws one of the package's errors, and
/// what loads computes without trapping.
@Suite struct MutationTests {
  private struct Outcome {
    var loaded = 0
    var refused = 0
  }

  private static let count = 3000
  private static let words = [
    "null", "true", "-1", "0", "1e9", "1e999", "9223372036854775807", "\"\"", "[]", "{}", ",", "\u{0}", "0.5",
  ].map { Array($0.utf8) }

  /// Damages `bytes` in one to three places below `limit`.
  private static func damaged(
    _ original: [UInt8], below limit: Int, _ generator: inout RandomGenerator
  ) -> [UInt8] {
    var bytes = original
    for _ in 0...generator.index(below: 3) {
      let bound = min(limit, bytes.count)
      guard bound > 0 else { break }
      let place = generator.index(below: bound)
      switch generator.index(below: 6) {
      case 0: bytes[place] = UInt8(generator.index(below: 256))
      case 1: bytes[place] ^= 1 << UInt8(generator.index(below: 8))
      case 2: bytes.removeSubrange(place..<min(bytes.count, place + 1 + generator.index(below: 12)))
      case 3: bytes.insert(contentsOf: words[generator.index(below: words.count)], at: place)
      case 4:
        // Another number: what sizes and counts are made of.
        let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
        guard let first = bytes[place..<bound].firstIndex(where: digits.contains) else { continue }
        let end = bytes[first...].firstIndex { !digits.contains($0) } ?? bytes.count
        bytes.replaceSubrange(first..<end, with: words[generator.index(below: words.count)])
      default:
        let length = min(1 + generator.index(below: 8), bytes.count - place)
        let from = generator.index(below: bytes.count - length + 1)
        bytes.replaceSubrange(place..<place + length, with: bytes[from..<from + length])
      }
    }
    return bytes
  }

  /// Puts damaged copies of a file where `load` finds them.
  private static func run(
    _ original: [UInt8], at file: URL, below limit: Int? = nil, count: Int = count, seed: UInt64,
    _ load: () throws -> Void
  ) throws -> Outcome {
    var outcome = Outcome()
    let source = RandomGenerator(seed: seed)
    for index in 0..<count {
      var generator = source.split(UInt64(index))
      try Data(damaged(original, below: limit ?? original.count, &generator)).write(to: file)
      do {
        try load()
        outcome.loaded += 1
      } catch let error as LanguageModelError {
        #expect(!"\(error)".isEmpty)
        outcome.refused += 1
      } catch is TextError {
        outcome.refused += 1
      }
    }
    return outcome
  }

  private func withFolder(_ body: (URL) throws -> Void) throws {
    let memory = URL(fileURLWithPath: "/dev/shm")
    let isThere = FileManager.default.isWritableFile(atPath: memory.path)
    let folder = (isThere ? memory : FileManager.default.temporaryDirectory)
      .appending(path: "mutations-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder)
  }

  @Test(arguments: ["llama3", "gpt2"])
  func configurationsLoadOrThrow(family: String) throws {
    let source = try Fixture(family).folder
    let original = try Array(Data(contentsOf: source.appending(path: "config.json")))
    try withFolder { folder in
      try FileManager.default.copyItem(
        at: source.appending(path: "model.safetensors"), to: folder.appending(path: "model.safetensors"))
      let outcome = try Self.run(original, at: folder.appending(path: "config.json"), seed: 1) {
        let model = try LanguageModels.load(folder)
        let states = withoutGradients { model.hiddenStates(tokens: [[1, 2, 3]]) }
        #expect(states.shape == [3, model.hiddenSize])
      }
      #expect(outcome.loaded > 100 && outcome.refused > 1000, "\(outcome)")
    }
  }

  /// A file with a model of one block and a tokenizer; `edit` changes it before it is written out.
  static func tinyGGUF(tokenizer: String, edit: (inout GGUFWriter) -> Void = { _ in }) -> [UInt8] {
    typealias W = GGUFWriter
    var writer = W()
    writer.add("general.architecture", W.value("llama"))
    let sizes: [(String, UInt32)] = [
      ("embedding_length", 32), ("feed_forward_length", 48), ("block_count", 1), ("context_length", 64),
      ("attention.head_count", 2), ("attention.head_count_kv", 1), ("rope.dimension_count", 16),
    ]
    for (key, size) in sizes { writer.add("llama." + key, W.value(.uint32, size)) }
    writer.add(
      "llama.attention.layer_norm_rms_epsilon",
      W.encode(GGUFValueType.float32.rawValue) + W.encode(Float(1e-5).bitPattern))
    let tokens = ["<unk>", "<s>", "</s>", "\u{2581}", "a", "b", "ab", "\u{2581}a", "\u{120}", "c"]
    func text(_ token: String) -> [UInt8] { W.encode(UInt64(token.utf8.count)) + Array(token.utf8) }
    writer.add("tokenizer.ggml.model", W.value(tokenizer))
    writer.add("tokenizer.ggml.tokens", W.array(.string, tokens.map(text)))
    writer.add(
      "tokenizer.ggml.token_type",
      W.array(.int32, [2, 3, 3, 1, 1, 1, 1, 1, 1, 1].map { W.encode(Int32($0)) }))
    writer.add(
      "tokenizer.ggml.scores", W.array(.float32, tokens.indices.map { W.encode((-Float($0)).bitPattern) }))
    writer.add("tokenizer.ggml.merges", W.array(.string, ["a b"].map(text)))
    for (key, id) in [("bos", UInt32(1)), ("eos", 2), ("unknown", 0)] {
      writer.add("tokenizer.ggml.\(key)_token_id", W.value(.uint32, id))
    }
    func tensor(_ name: String, _ dimensions: [Int]) {
      let bytes = (0..<dimensions.reduce(1, *)).flatMap { W.encode(Float(sin(Double($0))).bitPattern) }
      writer.tensors.append(.init(name, dimensions: dimensions.map(UInt64.init), type: 0, bytes: bytes))
    }
    tensor("token_embd.weight", [32, tokens.count])
    tensor("output_norm.weight", [32])
    for (name, rows, columns) in [
      ("attn_q", 32, 32), ("attn_k", 16, 32), ("attn_v", 16, 32), ("attn_output", 32, 32),
      ("ffn_gate", 48, 32), ("ffn_up", 48, 32), ("ffn_down", 32, 48),
    ] {
      tensor("blk.0.\(name).weight", [columns, rows])
    }
    for name in ["attn_norm", "ffn_norm"] { tensor("blk.0.\(name).weight", [32]) }
    edit(&writer)
    return writer.serialized()
  }

  /// Damage to metadata (the model's and the tokenizer's) and to the tensors' records, with the tensors' bytes left alone.
  @Test(arguments: ["gpt2"])
  func ggufMetadataLoadsOrThrows(tokenizer: String) throws {
    let original = Self.tinyGGUF(tokenizer: tokenizer)
    let tensorBytes = 4 * (32 * 10 + 32 + 2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32 + 2 * 32)
    try withFolder { folder in
      let file = folder.appending(path: "tiny.gguf")
      let outcome = try Self.run(original, at: file, below: original.count - tensorBytes, seed: 2) {
        // Both readers, whatever the other says.
        let pretrained = Result { try PretrainedTokenizer(contentsOf: file) }
        let model = try LanguageModels.load(file)
        _ = withoutGradients { model.hiddenStates(tokens: [[1, 4, 5]]) }
        let text = try pretrained.get().tokenizer
        _ = text.decode(text.encode("ab a\u{E9} b"))
      }
      #expect(outcome.loaded > 50 && outcome.refused > 1000, "\(outcome)")
    }
  }

  @Test func adaptersLoadOrThrow() throws {
    let source = try Fixture("llama").folder
    let names = ["adapter_config.json", "adapter_model.safetensors"]
    let initial = source.appending(path: "lora/initial")
    let model = try LanguageModels.load(source, storage: .float32)
    for (index, name) in names.enumerated() {
      try withFolder { folder in
        for name in names {
          try FileManager.default.copyItem(
            at: initial.appending(path: name), to: folder.appending(path: name))
        }
        let original = try Array(Data(contentsOf: initial.appending(path: name)))
        let outcome = try Self.run(original, at: folder.appending(path: name), seed: 3 + UInt64(index)) {
          guard let llama = model as? Llama else { return }
          let adapters = try LoRAAdapters.load(from: folder, into: llama)
          _ = withoutGradients { llama.hiddenStates(tokens: [[1, 2]]) }
          adapters.unload()
        }
        #expect(outcome.loaded > 20 && outcome.refused > 500, "\(name): \(outcome)")
      }
    }
  }

  @Test(arguments: ["modules.json", "2_Dense/config.json", "2_Dense/model.safetensors"])
  func modulesOfSentenceEncodersLoadOrThrow(name: String) throws {
    let source = try Fixture("embeddinggemma").folder
    let original = try Array(Data(contentsOf: source.appending(path: name)))
    try withFolder { folder in
      let copy = folder.appending(path: "encoder")
      try FileManager.default.copyItem(at: source, to: copy)
      let outcome = try Self.run(
        original, at: copy.appending(path: name), below: min(original.count, 400), count: 1000, seed: 5
      ) {
        let encoder = try SentenceEncoder(folder: copy)
        #expect(encoder.encode(["a", ""]).shape == [2, encoder.width])
      }
      #expect(outcome.loaded > 10 && outcome.refused > 100, "\(outcome)")
    }
  }
}
