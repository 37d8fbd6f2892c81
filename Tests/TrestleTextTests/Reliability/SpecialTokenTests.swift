import Foundation
import Testing
import TrestleFormats
import TrestleTestSupport

import TrestleText

/// Special ids never come from text, whatever a file says of their type.
struct SpecialTokenTests {
  private typealias Builder = GGUFTokenizerTests.Builder

  static let titles: [String] = {
    let tokens = [
      "</s>", "<s>", "<unk>", "<pad>", "<|im_end|>", "<|im_start|>", "<|endoftext|>", "[SEP]", "[CLS]",
      "[INST]",
      "<0x0A>", "<end_of_turn>", "<\u{FF5C}end\u{2581}of\u{2581}sentence\u{FF5C}>", "<\u{FF5C}User\u{FF5C}>",
      "<start_of_image>", "<end_of_image>", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/INST]", "[IMG]",
    ]
    let frames = [
      "%", " %", "% ", "a%", "%b", "a % b", "%%", "\n%", "%\n", "(%)", "\u{2581}%", "x%x%x", "%.", "\"%\"",
      "'%'",
      "<%>", "[%]", "%\u{301}", "\u{200B}%", "\u{FEFF}%", "%\u{0}", "Toy Story %", "%: The Movie", "//%",
      "\\%", "%/",
    ]
    return tokens.flatMap { token in frames.map { $0.replacing("%", with: token) } }
  }()

  private func check(_ tokenizer: any Tokenizer, special: Set<Int32>, _ name: String) {
    #expect(Self.titles.count >= 300)
    for title in Self.titles {
      for position in [TextPosition.start, .afterControl, .afterText] {
        let found = tokenizer.encode(title, at: position).filter { special.contains($0) }
        #expect(found.isEmpty, "\(name): \(PrintableText(title)) gave \(found)")
      }
    }
  }

  /// Pieces of which `</s>`, `<s>` and `<|im_end|>` can be merged, and a byte token.
  private static let pieces =
    [
      "<unk>", "<s>", "</s>", "<|im_end|>", "\u{2581}", "<", "/", "s", ">", "</", "s>", "|", "im_end", "<|",
      "|>", "i", "m", "_", "e", "n", "d", "im", "im_", "en", "end", "<|im_end",
    ]
    + (0..<256).map {
      $0 < 16
        ? "<0x0\(String($0, radix: 16, uppercase: true))>" : "<0x\(String($0, radix: 16, uppercase: true))>"
    }
    + ["<0", "x0A>", "0", "x", "A", "0A", "0A>", "x0A"]

  private func sentencePiece(types: Bool, roles: Bool) throws -> any Tokenizer {
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "llama")
    builder.set("tokenizer.ggml.tokens", Self.pieces)
    builder.set("tokenizer.ggml.scores", Self.pieces.map { Float($0.count) })
    // Everything an ordinary token, but for the bytes.
    if types {
      builder.set("tokenizer.ggml.token_type", Self.pieces.map { $0.hasPrefix("<0x") ? Int32(6) : 1 })
    }
    if roles {
      builder.set("tokenizer.ggml.bos_token_id", UInt32(1))
      builder.set("tokenizer.ggml.eos_token_id", UInt32(2))
      builder.set("tokenizer.ggml.eot_token_id", UInt32(3))
    }
    return try builder.withFile { try PretrainedTokenizer(gguf: $0).tokenizer }
  }

  @Test(arguments: [(false, false), (false, true), (true, false), (true, true)])
  func sentencePieceFilesWithoutTypesOrWithWrongOnes(types: Bool, roles: Bool) throws {
    let tokenizer = try sentencePiece(types: types, roles: roles)
    // The tokens, their bytes spelled out, and the byte of a line feed.
    var special: Set<Int32> = [0, 1, 2, 3]
    let lineFeed = try #require(tokenizer.id(for: "<0x0A>"))
    check(tokenizer, special: special, "llama")
    special.insert(lineFeed)
    #expect(!tokenizer.encode("<0x0A>").contains(lineFeed))
    #expect(tokenizer.decode(tokenizer.encode("</s> <0x0A>")) == "</s> <0x0A>")
    for id: Int32 in [1, 2, 3] { #expect(tokenizer.specialTokens.contains(id)) }
  }

  /// Control tokens of many families in a file that calls nothing special, with pieces that they can be merged of.
  @Test(arguments: [false, true])
  func controlTokensOfEveryFamilyAreKnownByTheirSpelling(types: Bool) throws {
    let controls = [
      "<\u{FF5C}end\u{2581}of\u{2581}sentence\u{FF5C}>", "<\u{FF5C}User\u{FF5C}>", "<start_of_image>",
      "<end_of_image>",
      "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/INST]", "[INST]",
      "[IMG]", "<end_of_turn>", "</think>", "<|im_end|>",
    ]
    // Each beginning of a control token is a piece, so that merging arrives at the whole.
    var pieces = ["<unk>", "<s>", "</s>", "\u{2581}"] + controls
    for control in controls {
      for count in 1..<control.count {
        for piece in [
          String(control.prefix(count)), String(control[control.index(control.startIndex, offsetBy: count)]),
        ]
        where !pieces.contains(piece) { pieces.append(piece) }
      }
    }
    pieces += Self.pieces.filter { $0.hasPrefix("<0x") && !pieces.contains($0) }
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "llama")
    builder.set("tokenizer.ggml.tokens", pieces)
    builder.set("tokenizer.ggml.scores", pieces.map { Float($0.count) })
    if types { builder.set("tokenizer.ggml.token_type", pieces.map { $0.hasPrefix("<0x") ? Int32(6) : 1 }) }
    let tokenizer = try builder.withFile { try PretrainedTokenizer(gguf: $0).tokenizer }
    let ids = controls.indices.map { Int32($0 + 4) }
    for (id, control) in zip(ids, controls) { #expect(tokenizer.specialTokens.contains(id), "\(control)") }
    check(tokenizer, special: Set(ids), "controls")
    for control in controls {
      #expect(!tokenizer.encode("x \(control)").contains { ids.contains($0) }, "\(control)")
    }
  }

  @Test(arguments: [false, true])
  func byteLevelFiles(types: Bool) throws {
    // All bytes but 0xC0, and merges that make the end of a sequence.
    let alphabet = (0..<256).filter { $0 != 0xC0 }.map {
      String(decoding: ByteAlphabet.spelling(of: UInt8($0)), as: UTF8.self)
    }
    let tokens = ["<|endoftext|>", "</s>", "</", "s>"] + alphabet
    var builder = Builder()
    builder.set("tokenizer.ggml.model", "gpt2")
    builder.set("tokenizer.ggml.tokens", tokens)
    builder.set("tokenizer.ggml.merges", ["< /", "s >", "</ s>"])
    if types { builder.set("tokenizer.ggml.token_type", tokens.map { _ in Int32(1) }) }
    builder.set("tokenizer.ggml.eos_token_id", UInt32(1))
    builder.set("tokenizer.ggml.unknown_token_id", UInt32(0))
    let tokenizer = try builder.withFile { try PretrainedTokenizer(gguf: $0).tokenizer }
    check(tokenizer, special: [0, 1], "gpt2")
  }

  @Test func aByteWithoutTokenIsNoSeparator() throws {
    // SmolLM2's vocabulary lacks eight bytes, and its unknown token separates documents.
    let alphabet = (0..<256).filter { $0 != 0xC3 }.map {
      String(decoding: ByteAlphabet.spelling(of: UInt8($0)), as: UTF8.self)
    }
    let vocabulary = (["<|endoftext|>"] + alphabet).enumerated().map {
      "\(JSONLiteral.string($1).text): \($0)"
    }
    let json = """
      {"added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": true}], "normalizer": null, \
      "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "decoder": {"type": "ByteLevel"}, \
      "model": {"type": "BPE", "unk_token": "<|endoftext|>", "vocab": {\(vocabulary.joined(separator: ","))}, "merges": []}}
      """
    let tokenizer = try PretrainedTokenizer(json: JSONValue(parsing: json)).tokenizer
    #expect(tokenizer.specialTokens.unknown == 0)
    #expect(!tokenizer.encode("caf\u{E9} <|endoftext|>").contains(0))
  }

  @Test func anUnknownTokenThatSeparatesIsNotTaken() throws {
    let vocabulary = ["[PAD]", "[SEP]", "a", "##b"].map { Array($0.utf8) }
    var special = SpecialTokens(ids: [:])
    special.sequenceSuffix = [1]
    #expect(throws: TextError.self) {
      try WordPieceTokenizer(
        vocabulary: vocabulary, specialTokens: special, configuration: .init(unknownToken: 1))
    }
    let pieces = ["</s>", "a", "\u{2581}"].map { Array($0.utf8) }
    let tokenizer = try SentencePieceTokenizer(
      vocabulary: pieces, merges: [], specialTokens: SpecialTokens(ids: [:], end: 0),
      configuration: .init(fallsBackToBytes: false, unknownToken: 0))
    #expect(tokenizer.encode("a\u{4E00}a") == [2, 1, 1])
  }

  @Test func rolesOfTheConfigurationAreSpecial() throws {
    let json = """
      {"added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, \
      "decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "x": 3, "y": 4, "xy": 5}, \
      "merges": ["a b", "x y"]}}
      """
    let config =
      #"{"eos_token": "ab", "additional_special_tokens": [{"content": "xy"}], "sep_token": "absent"}"#
    let tokenizer = try PretrainedTokenizer(
      json: JSONValue(parsing: json), config: JSONValue(parsing: config)
    ).tokenizer
    #expect(tokenizer.encode("abxy") == [0, 1, 3, 4])
    #expect(tokenizer.specialTokens.id(named: "xy") == 5)
  }

  @Test func messagesOfTheModuleAreEscaped() {
    let error = TextError.unknownControlToken(name: "\u{1B}[31m\n")
    #expect("\(error)" == #"the prompt's control token “\u{1B}[31m\n” is not one of the tokenizer's"#)
  }

  @Test func aTemplateInAPipeIsRefused() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "template-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.copyItem(
      at: try #require(Family.gpt2.url), to: folder.appending(path: "tokenizer.json"))
    #expect(mkfifo(folder.appending(path: "chat_template.jinja").path, 0o600) == 0)
    #expect(throws: TextError.self) { try PretrainedTokenizer(folder: folder) }
  }
}

extension JSONLiteral {
  /// The value's JSON text.
  fileprivate var text: String { (try? serialized()).map { String(decoding: $0, as: UTF8.self) } ?? "" }
}
