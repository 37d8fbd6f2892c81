import TrestleFormats

/// The special, added and control tokens of a tokenizer: the ids that no plain text yields.
public struct SpecialTokens: Sendable, Equatable {
  /// The ids by the tokens' spelling.
  public let ids: [String: Int32]
  /// The token that begins a sequence, `<s>`.
  public var beginning: Int32? { didSet { collect() } }
  /// The token that ends a sequence, `</s>`.
  public var end: Int32? { didSet { collect() } }
  /// The token that fills up a batch.
  public var padding: Int32? { didSet { collect() } }
  /// The token for text that the vocabulary cannot spell.
  public var unknown: Int32? { didSet { collect() } }
  /// The tokens that the model expects before a sequence.
  public var sequencePrefix: [Int32] = [] { didSet { collect() } }
  /// The tokens that the model expects after a sequence.
  public var sequenceSuffix: [Int32] = [] { didSet { collect() } }

  /// Every id of ``ids`` and of a role.
  private var all: Set<Int32> = []

  /// Creates the list from each token's spelling and id.
  public init(
    ids: [String: Int32], beginning: Int32? = nil, end: Int32? = nil, padding: Int32? = nil,
    unknown: Int32? = nil
  ) {
    self.ids = ids
    self.beginning = beginning
    self.end = end
    self.padding = padding
    self.unknown = unknown
    collect()
  }

  /// A token with a role is special, whatever the file calls it.
  private mutating func collect() {
    all = Set(ids.values).union([beginning, end, padding, unknown].compactMap { $0 })
      .union(sequencePrefix).union(sequenceSuffix)
  }

  /// The list with every token of `vocabulary` whose spelling is a control token's.
  func including(controlTokensOf vocabulary: [[UInt8]]) -> SpecialTokens {
    var ids = ids
    for (id, token) in vocabulary.enumerated() where Self.isControlSpelling(token) && !contains(Int32(id)) {
      ids[String(decoding: token, as: UTF8.self).streamSafe] = Int32(id)
    }
    guard ids.count > self.ids.count else { return self }
    var copy = SpecialTokens(
      ids: ids, beginning: beginning, end: end, padding: padding, unknown: unknown)
    copy.sequencePrefix = sequencePrefix
    copy.sequenceSuffix = sequenceSuffix
    return copy
  }

  /// The list without the roles of tokens that are no special ones otherwise and the symbols of single bytes: files say
  /// "none" by the id 0, which in byte-level vocabularies is `!`, and text has no other token for that byte.
  func withoutRoles(ofBytesIn vocabulary: [[UInt8]]) -> SpecialTokens {
    let listed = Set(ids.values)
    func isKept(_ id: Int32) -> Bool {
      listed.contains(id) || !vocabulary.indices.contains(Int(id))
        || !ByteAlphabet.isSymbol(vocabulary[Int(id)])
    }
    func kept(_ id: Int32?) -> Int32? { id.flatMap { isKept($0) ? $0 : nil } }
    var copy = SpecialTokens(
      ids: ids, beginning: kept(beginning), end: kept(end), padding: kept(padding), unknown: kept(unknown))
    copy.sequencePrefix = sequencePrefix.filter(isKept)
    copy.sequenceSuffix = sequenceSuffix.filter(isKept)
    return copy
  }

  /// Whether text without tokens may become this token: not if it also begins, ends, separates or fills.
  func mayStandForText(_ id: Int32, spelled token: [UInt8]) -> Bool {
    let hasRole =
      id == beginning || id == end || id == padding || sequencePrefix.contains(id)
      || sequenceSuffix.contains(id)
    return !hasRole && !Self.isBarred(token)
  }

  /// Whether a spelling is one that models take for a control token wherever it stands: text never yields such a token,
  /// even if the file calls it an ordinary one.
  static func isControlSpelling(_ token: [UInt8]) -> Bool {
    guard let first = token.first, first == UInt8(ascii: "<") || first == UInt8(ascii: "[") else {
      return false
    }
    return isBarred(token) || controlSpellings.contains(token)
  }

  /// `<|im_end|>` and the like, also with DeepSeek's bars of full width.
  private static func isBarred(_ token: [UInt8]) -> Bool {
    bars.contains { first, last in
      token.count > first.utf8.count + last.utf8.count && token.starts(with: first.utf8)
        && token.suffix(last.utf8.count).elementsEqual(last.utf8)
    }
  }

  private static let bars = [("<|", "|>"), ("<\u{FF5C}", "\u{FF5C}>")]

  private static let controlSpellings = Set(
    [
      "<s>", "</s>", "<bos>", "<eos>", "<unk>", "<pad>", "<mask>", "<sep>", "<cls>", "[CLS]", "[SEP]",
      "[PAD]", "[UNK]", "[MASK]",
      // LLaMA 2's system message.
      "<<SYS>>", "<</SYS>>",
      // Gemma's turns and images.
      "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>",
      // Mistral's instructions, tools and images.
      "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]",
      "[/TOOL_RESULTS]", "[TOOL_CONTENT]", "[CALL_ID]", "[ARGS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]",
      "[IMG]", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]", "[SUFFIX]", "[THINK]", "[/THINK]",
      "[AUDIO]", "[BEGIN_AUDIO]",
      // What writes and calls in Qwen's and others' turns.
      "<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>",
    ].map { Array($0.utf8) })

  /// The id of the special token spelled so.
  public func id(named name: String) -> Int32? { ids[name] }

  /// Whether the id is that of a special token.
  public func contains(_ id: Int32) -> Bool { all.contains(id) }
}
