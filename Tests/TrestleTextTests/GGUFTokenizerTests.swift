import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport
import TrestleText

/// Tokenizers from GGUF metadata, in files written here: the vocabularies of the fixtures, as converters store them.
struct GGUFTokenizerTests {
  /// Metadata of a GGUF file without tensors.
  struct Builder {
    private var bytes: [UInt8] = []
    private var count: UInt64 = 0

    private mutating func append<Value: FixedWidthInteger>(_ value: Value) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    private mutating func append(_ text: String) {
      append(UInt64(text.utf8.count))
      bytes.append(contentsOf: text.utf8)
    }

    private mutating func key(_ key: String, type: UInt32) {
      append(key)
      append(type)
      count += 1
    }

    mutating func set(_ name: String, _ text: String) {
      key(name, type: 8)
      append(text)
    }

    mutating func set(_ name: String, _ flag: Bool) {
      key(name, type: 7)
      append(UInt8(flag ? 1 : 0))
    }

    mutating func set(_ name: String, _ id: UInt32) {
      key(name, type: 4)
      append(id)
    }

    mutating func set(_ name: String, _ texts: [String]) {
      key(name, type: 9)
      append(UInt32(8))
      append(UInt64(texts.count))
      for text in texts { append(text) }
    }

    mutating func set(_ name: String, _ values: [Int32]) {
      key(name, type: 9)
      append(UInt32(5))
      append(UInt64(values.count))
      for value in values { append(value) }
    }

    mutating func set(_ name: String, _ values: [Float]) {
      key(name, type: 9)
      append(UInt32(6))
      append(UInt64(values.count))
      for value in values { append(value.bitPattern) }
    }

    /// Writes the file, calls `body` with it and removes it.
    func withFile<Result>(_ body: (GGUFFile) throws -> Result) throws -> Result {
      var header = Builder()
      header.bytes = Array("GGUF".utf8)
      header.append(UInt32(3))
      header.append(UInt64(0))
      header.append(count)
      let url = FileManager.default.temporaryDirectory.appending(path: "\(UUID().uuidString).gguf")
      try Data(header.bytes + bytes).write(to: url)
      defer { try? FileManager.default.removeItem(at: url) }
      return try body(GGUFFile(url))
    }
  }

  private func fixture(_ family: Family) throws -> (tokens: [String], merges: [[String]], special: Set<Int>) {
    let data = try Data(contentsOf: try #require(family.url))
    let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let model = try #require(root["model"] as? [String: Any])
    var special: Set<Int> = []
    for token in try #require(root["added_tokens"] as? [[String: Any]]) {
      special.insert(try #require(token["id"] as? Int))
    }
    // Not from the JSON: as keys of a dictionary, canonically equivalent tokens would be one.
    let tokenizer = try family.tokenizer()
    let tokens = (0..<Int32(tokenizer.vocabularySize)).compactMap { tokenizer.token(for: $0) }
    // Files write a merge as two strings, older ones as one with a space between.
    let lines = (model["merges"] as? [String] ?? []).map { $0.split(separator: " ").map(String.init) }
    return (tokens, model["merges"] as? [[String]] ?? lines, special)
  }

  private func expectReferenceIDs(_ family: Family, _ tokenizer: any Tokenizer) throws {
    let fixture = try TokenizerFixture(family.rawValue)
    for row in fixture.strings { #expect(tokenizer.encode(row.text) == row.ids, "\(row.text)") }
    let texts = randomStrings(seed: fixture.random.seed, count: fixture.random.count)
    #expect(hash(of: texts.map { tokenizer.encode($0) }) == fixture.random.hash)
    for row in fixture.template { #expect(tokenizer.encodeSequence(row.text) == row.ids) }
  }

  @Test func sentencePieceScoresGiveTheReferencesIds() throws {
    let (tokens, merges, special) = try fixture(.llama2)
    var scores = [Float](repeating: -1e6, count: tokens.count)
    let reference = try Family.llama2.tokenizer()
    for (rank, merge) in merges.enumerated().reversed() {
      scores[Int(try #require(reference.id(for: merge.joined())))] = -Float(rank)
    }
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "llama")
    builder.set("tokenizer.ggml.tokens", tokens)
    builder.set("tokenizer.ggml.scores", scores)
    let types = tokens.enumerated().map { id, token -> Int32 in
      if special.contains(id) { return id == 0 ? 2 : 3 }
      return token.hasPrefix("<0x") ? 6 : 1
    }
    builder.set("tokenizer.ggml.token_type", types)
    builder.set("tokenizer.ggml.bos_token_id", UInt32(1))
    builder.set("tokenizer.ggml.eos_token_id", UInt32(2))
    builder.set("tokenizer.ggml.unknown_token_id", UInt32(0))
    builder.set("tokenizer.chat_template", "{{ '[INST] <<SYS>>' }}")
    let pretrained = try builder.withFile { try PretrainedTokenizer(gguf: $0) }
    try expectReferenceIDs(.llama2, pretrained.tokenizer)
    #expect(pretrained.tokenizer.specialTokens.end == 2)
    #expect(pretrained.chatTemplate == "{{ '[INST] <<SYS>>' }}")
  }

  @Test func wordPieceGivesTheReferencesIds() throws {
    let (tokens, _, special) = try fixture(.bert)
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "bert")
    builder.set(
      "tokenizer.ggml.tokens",
      tokens.enumerated().map { id, token in
        if special.contains(id) { return token }
        let scalars = token.unicodeScalars
        return scalars.starts(with: "##".unicodeScalars) ? String(scalars.dropFirst(2)) : "▁" + token
      })
    builder.set("tokenizer.ggml.token_type", tokens.indices.map { special.contains($0) ? Int32(3) : 1 })
    builder.set("tokenizer.ggml.unknown_token_id", UInt32(1))
    builder.set("tokenizer.ggml.cls_token_id", UInt32(2))
    builder.set("tokenizer.ggml.seperator_token_id", UInt32(3))
    try expectReferenceIDs(.bert, try builder.withFile { try PretrainedTokenizer(gguf: $0) }.tokenizer)
  }

  @Test(arguments: [(Family.llama3, "llama-bpe"), (.qwen2, "qwen2"), (.gpt2, "gpt-2")])
  func byteLevelRulesGiveTheReferencesIds(family: Family, rule: String) throws {
    let (tokens, merges, special) = try fixture(family)
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "gpt2")
    builder.set("tokenizer.ggml.pre", rule)
    builder.set("tokenizer.ggml.tokens", tokens)
    builder.set("tokenizer.ggml.merges", merges.map { $0.joined(separator: " ") })
    builder.set("tokenizer.ggml.token_type", tokens.indices.map { special.contains($0) ? Int32(3) : 1 })
    let first = UInt32(tokens.firstIndex(of: "<|begin_of_text|>") ?? 0)
    builder.set("tokenizer.ggml.bos_token_id", first)
    try expectReferenceIDs(family, try builder.withFile { try PretrainedTokenizer(gguf: $0) }.tokenizer)
  }

  @Test func faultsAreErrorsThatNameTheKey() throws {
    func place(
      _ change: (inout Builder) -> Void, model: String = "gpt2", tokens: [String] = ["a", "b", "ab"]
    ) -> String? {
      var builder = Builder()
      builder.set("tokenizer.ggml.model", model)
      builder.set("tokenizer.ggml.tokens", tokens)
      change(&builder)
      do {
        _ = try builder.withFile { try PretrainedTokenizer(gguf: $0) }
        return nil
      } catch TextError.invalid(_, let place, _, _) {
        return place
      } catch {
        return "\(error)"
      }
    }
    let merges = { (builder: inout Builder) in builder.set("tokenizer.ggml.merges", ["a b"]) }
    #expect(place(merges) == nil)
    #expect(place({ _ in }, model: "t5") == "tokenizer.ggml.model")
    #expect(
      place {
        merges(&$0); $0.set("tokenizer.ggml.pre", "tekken")
      } == "tokenizer.ggml.pre")
    #expect(place { $0.set("tokenizer.ggml.merges", ["a c"]) } == "tokenizer.ggml.merges[0]")
    #expect(place { $0.set("tokenizer.ggml.merges", ["ab"]) } == "tokenizer.ggml.merges[0]")
    #expect(place({ _ in })?.contains("file") == true)
    #expect(
      place {
        merges(&$0); $0.set("tokenizer.ggml.token_type", [Int32(1), 1])
      } == "tokenizer.ggml.token_type")
    #expect(
      place {
        merges(&$0); $0.set("tokenizer.ggml.token_type", [Int32(1), 1, 9])
      } == "tokenizer.ggml.token_type[2]")
    #expect(
      place {
        merges(&$0); $0.set("tokenizer.ggml.eos_token_id", UInt32(3))
      }?.contains("eos_token_id") == true)
    #expect(place(merges, tokens: ["a", "b", "ab", "a"]) == "token 3")
    #expect(place(merges, tokens: []) == "vocabulary")
    #expect(place({ $0.set("tokenizer.ggml.scores", [Float(0)]) }, model: "llama") == "scores")
    #expect(
      place({ $0.set("tokenizer.ggml.scores", [Float(0), .nan, 0]) }, model: "llama") == "scores[1]")
    #expect(place({ _ in }, model: "bert") == "tokenizer.ggml.unknown_token_id")
  }
}
