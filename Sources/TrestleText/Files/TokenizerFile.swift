import TrestleFormats

/// Reads a `tokenizer.json`: checks every part of it and builds the tokenizer it describes. A component or an
/// option that this library does not have is an error, because leaving it out would give other tokens.
struct TokenizerFile {
  private let root: JSONValue
  private let config: JSONValue?
  let source: Source

  init(_ root: JSONValue, config: JSONValue?, source: Source) {
    self.root = root
    self.config = config
    self.source = source
  }

  func tokenizer() throws(TextError) -> any Tokenizer {
    try checkKeys(
      of: root, at: "the root",
      [
        "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
        "decoder", "model",
      ])
    let model = try member("model", of: root)
    switch try modelType(model) {
    case "BPE": return try bytePairTokenizer(model)
    case "WordPiece": return try wordPieceTokenizer(model)
    case let type:
      throw source.error("model.type", expected: "BPE or WordPiece", found: type)
    }
  }

  /// Files of before 2020 leave the type out.
  private func modelType(_ model: JSONValue) throws(TextError) -> String {
    if let type = try optional("type", of: model) { return try string(type) }
    if model["merges"] != nil { return "BPE" }
    if model["max_input_chars_per_word"] != nil { return "WordPiece" }
    throw source.error("model", expected: "a type", found: "none")
  }

  // MARK: Models

  private func bytePairTokenizer(_ model: JSONValue) throws(TextError) -> any Tokenizer {
    try checkKeys(
      of: model, at: "model",
      [
        "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
        "byte_fallback", "ignore_merges", "vocab", "merges",
      ])
    if let dropout = try optional("dropout", of: model), try number(dropout) != 0 {
      throw source.error("model.dropout", expected: "null or 0", found: "\(try number(dropout))")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let affix = try optional(key, of: model), try !string(affix).isEmpty {
        throw source.error("model.\(key)", expected: "null or nothing", found: try string(affix))
      }
    }
    var entries = try vocabularyEntries(model)
    let names = try addAddedTokens(to: &entries)
    let tokens = try tokens(entries)
    let (vocabulary, _) = Vocabulary.indexed(tokens)
    let merges = try merges(model, vocabulary)
    let components = try components()
    let unknown = try optional("unk_token", of: model).map { value throws(TextError) in
      try id(of: try string(value), in: vocabulary, at: "model.unk_token")
    }
    let specials = try specialTokens(names, components, vocabulary, unknown: unknown)

    let ignoresMerges = try flag("ignore_merges", of: model)
    let fallsBack = try flag("byte_fallback", of: model)
    if let byteLevel = try components.byteLevel(source) {
      if fallsBack {
        throw source.error("model.byte_fallback", expected: "false with ByteLevel", found: "true")
      }
      return try ByteLevelTokenizer(
        vocabulary: tokens, merges: merges, specialTokens: specials,
        configuration: .init(
          preTokenization: byteLevel.preTokenization, normalizesToNFC: byteLevel.normalizesToNFC,
          prefersWholeWords: ignoresMerges),
        path: source.path)
    }
    let spaces = try components.sentencePiece(source)
    if ignoresMerges { throw source.error("model.ignore_merges", expected: "false", found: "true") }
    return try SentencePieceTokenizer(
      vocabulary: tokens, merges: merges, specialTokens: specials,
      configuration: .init(
        spacePrefix: spaces.prefix, keepsExistingSpace: spaces.keepsExistingSpace,
        splitsAtEverySpace: spaces.splitsAtEverySpace, fallsBackToBytes: fallsBack, unknownToken: unknown,
        fusesUnknown: try flag("fuse_unk", of: model)),
      path: source.path)
  }

  private func wordPieceTokenizer(_ model: JSONValue) throws(TextError) -> any Tokenizer {
    try checkKeys(
      of: model, at: "model",
      ["type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"])
    var entries = try vocabularyEntries(model)
    let names = try addAddedTokens(to: &entries)
    let tokens = try tokens(entries)
    let (vocabulary, _) = Vocabulary.indexed(tokens)
    let unknown = try id(
      of: try string(try member("unk_token", of: model)), in: vocabulary, at: "model.unk_token")
    let prefix = try string(try member("continuing_subword_prefix", of: model))
    let limit = try integer(try member("max_input_chars_per_word", of: model), in: 1...10_000)
    let components = try components()
    let wordPiece = try components.wordPiece(source, prefix: prefix)
    return try WordPieceTokenizer(
      vocabulary: tokens, specialTokens: try specialTokens(names, components, vocabulary, unknown: unknown),
      configuration: .init(
        unknownToken: unknown, normalizer: wordPiece.normalizer, continuationPrefix: prefix,
        maximumWordLength: limit, cleansUpSpaces: wordPiece.cleansUpSpaces),
      path: source.path)
  }

  // MARK: Vocabulary

  private struct Entry {
    var id: Int
    var token: [UInt8]
  }

  private func vocabularyEntries(_ model: JSONValue) throws(TextError) -> [Entry] {
    let vocabulary = try member("vocab", of: model)
    return try TextError.converting { () throws(FormatError) in
      var entries: [Entry] = []
      let object = try vocabulary.object()
      entries.reserveCapacity(object.count)
      try object.forEachMember { key, value throws(FormatError) in
        entries.append(Entry(id: try value.int(in: 0...Source.maximumVocabularySize - 1), token: Array(key)))
      }
      return entries
    }
  }

  /// Adds the added tokens that the vocabulary does not have and returns the ids of all of them by name.
  private func addAddedTokens(to entries: inout [Entry]) throws(TextError) -> [String: Int32] {
    guard let list = try optional("added_tokens", of: root) else { return [:] }
    let known = Dictionary(entries.map { ($0.token, $0.id) }, uniquingKeysWith: { first, _ in first })
    var names: [String: Int32] = [:]
    for (index, token) in try array(list).enumerated() {
      let place = "added_tokens[\(index)]"
      try checkKeys(
        of: token, at: place,
        ["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])
      let content = try string(try member("content", of: token))
      let id = try integer(try member("id", of: token), in: 0...Source.maximumVocabularySize - 1)
      guard !content.isEmpty else {
        throw source.error("\(place).content", expected: "a spelling", found: "nothing")
      }
      guard names.updateValue(Int32(id), forKey: content) == nil else {
        throw source.error("\(place).content", expected: "a token of its own", found: content)
      }
      if let existing = known[Array(content.utf8)] {
        guard existing == id else {
          throw source.error(
            "\(place).id", expected: "\(existing), the vocabulary's id of “\(content)”", found: "\(id)")
        }
      } else {
        entries.append(Entry(id: id, token: Array(content.utf8)))
      }
    }
    return names
  }

  /// The tokens in the order of their ids, which must be all of `0 ..< count`.
  private func tokens(_ entries: [Entry]) throws(TextError) -> [[UInt8]] {
    var tokens = [[UInt8]?](repeating: nil, count: entries.count)
    for entry in entries {
      guard entry.id < entries.count, tokens[entry.id] == nil else {
        throw source.error(
          "the id of “\(String(decoding: entry.token, as: UTF8.self))”",
          expected: "an id below \(entries.count), the number of tokens, of its own", found: "\(entry.id)")
      }
      tokens[entry.id] = entry.token
    }
    return tokens.compactMap { $0 }
  }

  private func merges(_ model: JSONValue, _ vocabulary: Vocabulary) throws(TextError) -> [TokenMerge] {
    var merges: [TokenMerge] = []
    let list = try array(try member("merges", of: model))
    merges.reserveCapacity(list.count)
    for (index, item) in list.enumerated() {
      var left: [UInt8]
      var right: [UInt8]
      if item.kind == .array {
        let pair = try array(item)
        guard pair.count == 2 else {
          throw source.error("model.merges[\(index)]", expected: "two tokens", found: "\(pair.count)")
        }
        (left, right) = (try bytes(pair[0]), try bytes(pair[1]))
      } else {
        (left, right) = try source.mergeParts(try bytes(item), at: "model.merges[\(index)]")
      }
      merges.append(try source.merge(left, right, vocabulary, at: "model.merges[\(index)]"))
    }
    return merges
  }

  // MARK: Roles

  private func specialTokens(
    _ names: [String: Int32], _ components: TokenizerComponents, _ vocabulary: Vocabulary, unknown: Int32?
  ) throws(TextError) -> SpecialTokens {
    var names = names
    try addConfiguredTokens(to: &names, vocabulary)
    var specials = SpecialTokens(
      ids: names, beginning: try role("bos_token", vocabulary), end: try role("eos_token", vocabulary),
      padding: try role("pad_token", vocabulary), unknown: unknown)
    let (prefix, suffix) = try components.sequenceEnds(source)
    specials.sequencePrefix = try prefix.map { name throws(TextError) in
      try id(of: name, in: vocabulary, at: "post_processor")
    }
    specials.sequenceSuffix = try suffix.map { name throws(TextError) in
      try id(of: name, in: vocabulary, at: "post_processor")
    }
    return specials
  }

  /// Adds the further special tokens that `tokenizer_config.json` names and the vocabulary has.
  private func addConfiguredTokens(
    to names: inout [String: Int32], _ vocabulary: Vocabulary
  ) throws(TextError) {
    guard let config else { return }
    var values: [JSONValue] = []
    for key in ["cls_token", "sep_token", "mask_token", "unk_token"] {
      if let value = try optional(key, of: config) { values.append(value) }
    }
    if let list = try optional("additional_special_tokens", of: config) { values += Array(try array(list)) }
    if let added = try optional("added_tokens_decoder", of: config) {
      let object = try TextError.converting { () throws(FormatError) in try added.object() }
      for (_, value) in object where try flag("special", of: value) { values.append(value) }
    }
    for value in values {
      let name = try tokenName(value)
      if let id = vocabulary.id(of: Array(name.utf8)) { names[name] = id }
    }
  }

  /// A token that a configuration names: a string, or an object with its content.
  private func tokenName(_ value: JSONValue) throws(TextError) -> String {
    value.kind == .object ? try string(try member("content", of: value)) : try string(value)
  }

  /// The token that `tokenizer_config.json` names for a role: a string, or an object with its content.
  private func role(_ key: String, _ vocabulary: Vocabulary) throws(TextError) -> Int32? {
    guard let config, let value = try optional(key, of: config) else { return nil }
    let name = try tokenName(value)
    return try id(of: name, in: vocabulary, at: "tokenizer_config.json: \(key)")
  }

  private func id(of token: String, in vocabulary: Vocabulary, at place: String) throws(TextError) -> Int32 {
    guard let id = vocabulary.id(of: Array(token.utf8)) else {
      throw source.error(place, expected: "a token of the vocabulary", found: token)
    }
    return id
  }

  // MARK: Components

  private func components() throws(TextError) -> TokenizerComponents {
    try TokenizerComponents(
      normalizer: try optional("normalizer", of: root), preTokenizer: try optional("pre_tokenizer", of: root),
      postProcessor: try optional("post_processor", of: root), decoder: try optional("decoder", of: root),
      source: source)
  }
}

extension Source {
  /// The two tokens of a merge written as one string with a space between.
  func mergeParts(_ merge: [UInt8], at place: @autoclosure () -> String) throws(TextError) -> (
    [UInt8], [UInt8]
  ) {
    guard let space = merge.firstIndex(of: UInt8(ascii: " ")), space > 0, space + 1 < merge.count,
      merge.lastIndex(of: UInt8(ascii: " ")) == space
    else {
      throw error(
        place(), expected: "two tokens with one space between", found: String(decoding: merge, as: UTF8.self))
    }
    return (Array(merge[..<space]), Array(merge[(space + 1)...]))
  }

  /// The ids of a merge's tokens and of the token that they form.
  func merge(
    _ left: [UInt8], _ right: [UInt8], _ vocabulary: Vocabulary, at place: @autoclosure () -> String
  ) throws(TextError) -> TokenMerge {
    guard let leftID = vocabulary.id(of: left), let rightID = vocabulary.id(of: right),
      let result = vocabulary.id(of: left + right)
    else {
      throw error(
        place(), expected: "two tokens that form a third, all of the vocabulary",
        found: "\(String(decoding: left, as: UTF8.self)) \(String(decoding: right, as: UTF8.self))")
    }
    return TokenMerge(left: leftID, right: rightID, result: result)
  }
}
