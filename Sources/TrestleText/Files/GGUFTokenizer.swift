import TrestleFormats

extension PretrainedTokenizer {
  /// Reads the tokenizer that a GGUF file's metadata describes (`tokenizer.ggml.*`, `tokenizer.chat_template`).
  ///
  /// Models `gpt2` (byte-level BPE, with the `pre` rules `gpt-2`, `default`, `smollm`, `llama-bpe`, `qwen2`),
  /// `llama` (SentencePiece BPE by scores) and `bert` (WordPiece, uncased). Tokens of the types control, unknown
  /// and user-defined are special, and so are those that have a role (`tokenizer.ggml.*_token_id`) or a control token's
  /// spelling, whatever the file says of their types: plain text never yields them. User-defined tokens of
  /// white space alone are the exception in `llama` files, where they are how text spells its runs of spaces and line
  /// breaks. In `gpt2` files an ordinary token that is the symbol of a byte has no role: some writers say "none" by the
  /// id 0, which is `!` there.
  ///
  /// - Throws: ``TextError/invalid(path:place:expected:found:)``.
  public init(gguf: GGUFFile) throws(TextError) {
    self = try GGUFTokenizerReader(metadata: gguf.metadata, source: Source(path: gguf.file.path)).read()
  }
}

/// Reads `tokenizer.ggml.*`.
private struct GGUFTokenizerReader {
  let metadata: GGUFMetadata
  let source: Source

  /// The token types of the format.
  private enum TokenType: Int {
    case normal = 1
    case unknown
    case control
    case userDefined
    case unused
    case byte
  }

  func read() throws(TextError) -> PretrainedTokenizer {
    let tokens = try strings("tokens")
    let types = try tokenTypes(tokens)
    let tokenizer: any Tokenizer
    switch try string("model") ?? "none" {
    case "gpt2": tokenizer = try byteLevel(tokens, types)
    case "llama": tokenizer = try sentencePiece(tokens, types)
    case "bert": tokenizer = try wordPiece(tokens, types)
    case let model:
      throw source.error("tokenizer.ggml.model", expected: "gpt2, llama or bert", found: model)
    }
    let key = "tokenizer.chat_template"
    let template =
      metadata.contains(key)
      ? try TextError.converting { () throws(FormatError) in try metadata.string(key) } : nil
    return PretrainedTokenizer(tokenizer: tokenizer, chatTemplate: template)
  }

  private func byteLevel(_ tokens: [[UInt8]], _ types: [TokenType]) throws(TextError) -> any Tokenizer {
    let rule: PreTokenization
    let pre = try string("pre") ?? "default"
    switch pre {
    case "smollm": rule = .smolLM
    case "llama-bpe", "llama3", "llama-v3": rule = .llama3
    case "qwen2": rule = .qwen2
    case "gpt-2", "gpt2", "default": rule = .gpt2
    default:
      throw source.error(
        "tokenizer.ggml.pre", expected: "smollm, llama-bpe, qwen2, gpt-2 or default", found: pre)
    }
    let vocabulary = try source.vocabulary(tokens)
    var merges: [TokenMerge] = []
    let list = try TextError.converting { () throws(FormatError) in
      try metadata.strings("tokenizer.ggml.merges")
    }
    merges.reserveCapacity(list.count)
    for index in list.indices {
      let place = { "tokenizer.ggml.merges[\(index)]" }
      let (left, right) = try source.mergeParts(list.withBytes(at: index) { Array($0) }, at: place())
      merges.append(try source.merge(left, right, vocabulary, at: place()))
    }
    return try ByteLevelTokenizer(
      vocabulary: tokens, merges: merges,
      specialTokens: try specialTokens(
        tokens, types, beginsByDefault: rule == .llama3, mayHaveRole: { !ByteAlphabet.isSymbol($0) }),
      configuration: .init(
        preTokenization: rule, normalizesToNFC: rule == .qwen2, prefersWholeWords: rule == .llama3),
      path: source.path)
  }

  private func sentencePiece(_ tokens: [[UInt8]], _ types: [TokenType]) throws(TextError) -> any Tokenizer {
    let scores = try TextError.converting { () throws(FormatError) in
      try metadata.floats("tokenizer.ggml.scores")
    }
    let isText = zip(tokens, types).map { token, type in type == .userDefined && Self.isWhiteSpace(token) }
    let specials = try specialTokens(
      tokens, zip(types, isText).map { $1 ? .normal : $0 }, beginsByDefault: true)
    let prefix: SentencePieceTokenizer.SpacePrefix =
      try flag("add_space_prefix", default: true) ? .always : .never
    return try SentencePieceTokenizer(
      vocabulary: tokens, scores: scores, isMergeable: types.map { $0 == .normal }, specialTokens: specials,
      configuration: .init(
        spacePrefix: prefix, unknownToken: specials.unknown,
        wholeTokens: isText.indices.filter { isText[$0] }.map(Int32.init)),
      path: source.path)
  }

  /// Whether a token is spaces, tabs and line breaks alone.
  private static func isWhiteSpace(_ token: [UInt8]) -> Bool {
    !token.isEmpty && token.allSatisfy { $0 == 0x20 || (0x09...0x0D).contains($0) }
  }

  /// The converter writes `▁` before tokens that begin a word and takes `##` from those that continue one; the
  /// reverse gives BERT's own vocabulary.
  private func wordPiece(_ tokens: [[UInt8]], _ types: [TokenType]) throws(TextError) -> any Tokenizer {
    let space = SentencePieceTokenizer.space
    let restored = zip(tokens, types).map { token, type -> [UInt8] in
      let isBracketed = token.first == UInt8(ascii: "[") && token.last == UInt8(ascii: "]") && token.count > 2
      if type != .normal || isBracketed { return token }
      // The mark alone marks no word: it is a continuation spelled so.
      return token.starts(with: space) && token.count > space.count
        ? Array(token.dropFirst(space.count)) : Array("##".utf8) + token
    }
    var specials = try specialTokens(restored, types, beginsByDefault: false)
    let vocabulary = try source.vocabulary(restored)
    let unknown = specials.unknown ?? vocabulary.id(of: Array("[UNK]".utf8))
    guard let unknown else {
      throw source.error(
        "tokenizer.ggml.unknown_token_id", expected: "an id, or the token [UNK]", found: "neither")
    }
    let first =
      try id("cls_token_id", tokens.count) ?? specials.beginning ?? vocabulary.id(of: Array("[CLS]".utf8))
    let last = try id("seperator_token_id", tokens.count) ?? vocabulary.id(of: Array("[SEP]".utf8))
    specials.unknown = unknown
    specials.sequencePrefix = first.map { [$0] } ?? []
    specials.sequenceSuffix = last.map { [$0] } ?? []
    return try WordPieceTokenizer(
      vocabulary: restored, specialTokens: specials, configuration: .init(unknownToken: unknown),
      path: source.path)
  }

  private func specialTokens(
    _ tokens: [[UInt8]], _ types: [TokenType], beginsByDefault: Bool,
    mayHaveRole: ([UInt8]) -> Bool = { _ in true }
  ) throws(TextError) -> SpecialTokens {
    var ids: [String: Int32] = [:]
    for (id, type) in types.enumerated() {
      switch type {
      case .control, .unknown, .userDefined:
        let name = String(decoding: tokens[id], as: UTF8.self).streamSafe
        guard ids.updateValue(Int32(id), forKey: name) == nil else {
          throw source.error("token \(id)", expected: "a special token of its own", found: name)
        }
      case .normal, .unused, .byte: break
      }
    }
    let prefix = "tokenizer.ggml."
    for key in metadata.keys where key.utf8.starts(with: prefix.utf8) && key.hasSuffix("_token_id") {
      // Some writers say "none" by an id outside the vocabulary.
      guard let id = try? metadata.int(key, in: 0...max(tokens.count - 1, 0)), mayHaveRole(tokens[id]),
        !ids.values.contains(Int32(id))
      else { continue }
      ids[String(decoding: tokens[id], as: UTF8.self).streamSafe] = Int32(id)
    }
    var specials = SpecialTokens(
      ids: ids, beginning: try id("bos_token_id", tokens.count), end: try id("eos_token_id", tokens.count),
      padding: try id("padding_token_id", tokens.count), unknown: try id("unknown_token_id", tokens.count))
    if try flag("add_bos_token", default: beginsByDefault), let beginning = specials.beginning {
      specials.sequencePrefix = [beginning]
    }
    if try flag("add_eos_token", default: false), let end = specials.end { specials.sequenceSuffix = [end] }
    return specials
  }

  // MARK: Values

  private func strings(_ key: String) throws(TextError) -> [[UInt8]] {
    let list = try TextError.converting { () throws(FormatError) in
      try metadata.strings("tokenizer.ggml.\(key)")
    }
    return list.indices.map { index in list.withBytes(at: index) { Array($0) } }
  }

  private func string(_ key: String) throws(TextError) -> String? {
    let key = "tokenizer.ggml.\(key)"
    guard metadata.contains(key) else { return nil }
    return try TextError.converting { () throws(FormatError) in try metadata.string(key) }
  }

  private func flag(_ key: String, default absent: Bool) throws(TextError) -> Bool {
    let key = "tokenizer.ggml.\(key)"
    guard metadata.contains(key) else { return absent }
    return try TextError.converting { () throws(FormatError) in try metadata.bool(key) }
  }

  private func id(_ key: String, _ count: Int) throws(TextError) -> Int32? {
    let key = "tokenizer.ggml.\(key)"
    guard metadata.contains(key) else { return nil }
    return Int32(
      try TextError.converting { () throws(FormatError) in try metadata.int(key, in: 0...max(count - 1, 0)) })
  }

  private func tokenTypes(_ tokens: [[UInt8]]) throws(TextError) -> [TokenType] {
    let count = tokens.count
    let key = "tokenizer.ggml.token_type"
    guard metadata.contains(key) else { return tokens.map(Self.type(ofSpelling:)) }
    let values = try TextError.converting { () throws(FormatError) in try metadata.ints(key) }
    guard values.count == count else {
      throw source.error(key, expected: "\(count) types, one for each token", found: "\(values.count)")
    }
    return try values.enumerated().map { index, value throws(TextError) in
      guard let type = TokenType(rawValue: value) else {
        throw source.error("\(key)[\(index)]", expected: "a type from 1 to 6", found: "\(value)")
      }
      return type
    }
  }

  /// The type of a token in a file that says none.
  private static func type(ofSpelling token: [UInt8]) -> TokenType {
    let isByte = token.count == 6 && token.starts(with: "<0x".utf8) && token.last == UInt8(ascii: ">")
    if isByte { return .byte }
    return SpecialTokens.isControlSpelling(token) ? .control : .normal
  }
}
