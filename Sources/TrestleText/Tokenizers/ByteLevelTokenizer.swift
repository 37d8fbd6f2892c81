/// Byte-level byte-pair encoding: GPT-2, Llama 3, Qwen2, SmolLM.
///
/// Text is split into words (``PreTokenization``), a word into its UTF-8 bytes, and neighbouring tokens are merged
/// by the merge list. Every text has tokens and `decode(encode(text)) == text`, as long as the vocabulary has all
/// 256 bytes; text bytes that it lacks are left out. (The reference yields the unknown token, which in such
/// vocabularies is the one that separates documents: text could say where it ends.)
public struct ByteLevelTokenizer: Tokenizer {
  /// What a byte-level vocabulary is used with.
  public struct Configuration: Sendable, Hashable {
    /// How text is split into words.
    public var preTokenization: PreTokenization
    /// Whether text is first brought to Unicode normalization form C (Qwen2). Decoding then yields that form.
    public var normalizesToNFC: Bool
    /// Whether a word that is a token itself is taken whole, whatever the merges say (Llama 3).
    public var prefersWholeWords: Bool

    /// Creates a configuration.
    public init(
      preTokenization: PreTokenization, normalizesToNFC: Bool = false, prefersWholeWords: Bool = false
    ) {
      self.preTokenization = preTokenization
      self.normalizesToNFC = normalizesToNFC
      self.prefersWholeWords = prefersWholeWords
    }
  }

  /// What the vocabulary is used with.
  public let configuration: Configuration
  /// The tokens that plain text never yields, and their roles.
  public let specialTokens: SpecialTokens
  /// The number of ids, special tokens included.
  public var vocabularySize: Int { vocabulary.count }

  private let vocabulary: Vocabulary
  private let decoded: Vocabulary
  private let merges: MergeTable
  private let byteSymbols: [Int32]
  private let scanner: WordScanner
  private let workspaces = WorkspacePool()

  /// Creates a tokenizer.
  ///
  /// - Parameters:
  ///   - tokens: the tokens in the byte alphabet's spelling (`Ġhello`) as UTF-8, at their ids.
  ///   - merges: the merges, first things first. Merges that make a special token are left out.
  ///   - specialTokens: the tokens that plain text never yields. The symbol of a byte that is no entry of
  ///     ``SpecialTokens/ids`` loses its role instead: text has no other token for that byte.
  ///   - configuration: splitting and normalization.
  ///   - path: the file to name in errors.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` if two tokens are spelled alike, a token is not
  ///   UTF-8, or an id is out of range.
  public init(
    vocabulary tokens: [[UInt8]], merges: [TokenMerge], specialTokens: SpecialTokens,
    configuration: Configuration,
    path: String = "vocabulary"
  ) throws(TextError) {
    let source = Source(path: path)
    self.configuration = configuration
    let specialTokens = specialTokens.withoutRoles(ofBytesIn: tokens).including(controlTokensOf: tokens)
    self.specialTokens = specialTokens
    vocabulary = try source.vocabulary(tokens)
    try source.check(merges, specialTokens: specialTokens, vocabularySize: tokens.count)
    let usable = merges.filter {
      !specialTokens.contains($0.result) && !specialTokens.contains($0.left)
        && !specialTokens.contains($0.right)
    }
    self.merges = MergeTable(usable, ranks: (0..<UInt32(usable.count)).map { $0 })
    let known = vocabulary
    byteSymbols = (UInt8.min...UInt8.max).map { byte in
      guard let id = known.id(of: ByteAlphabet.spelling(of: byte)), !specialTokens.contains(id) else {
        return -1
      }
      return id
    }
    let decodedTokens = tokens.enumerated().map { id, token in
      var bytes: [UInt8] = []
      let isSpelled = !specialTokens.contains(Int32(id)) && ByteAlphabet.append(token: token, to: &bytes)
      return isSpelled ? bytes : token
    }
    decoded =
      Vocabulary.indexed(decodedTokens) { id in
        configuration.prefersWholeWords && !specialTokens.contains(Int32(id))
      }.vocabulary
    scanner = WordScanner(configuration.preTokenization)
  }

  /// The token ids of plain text, see ``Tokenizer/encode(_:at:)``.
  public func encode(_ text: String, at position: TextPosition) -> [Int32] {
    let bytes = Array(
      (configuration.normalizesToNFC ? CanonicalNormalization.composed.normalized(text) : text).utf8)
    var ids: [Int32] = []
    ids.reserveCapacity(bytes.count / 4 + 8)
    workspaces.withWorkspace { workspace in
      var start = 0
      while start < bytes.count {
        let end = scanner.wordEnd(in: bytes, from: start)
        appendWord(bytes, from: start, to: end, &ids, &workspace)
        start = end
      }
    }
    return ids
  }

  /// The token as the vocabulary spells it, `nil` outside the vocabulary.
  public func token(for id: Int32) -> String? { vocabulary.spelling(of: id) }

  /// The id of a token in the vocabulary's spelling.
  public func id(for token: String) -> Int32? { vocabulary.id(of: Array(token.utf8)) }

  /// Appends what a token stands for in decoded text, see ``Tokenizer/appendBytes(of:isFirst:to:)``.
  public func appendBytes(of id: Int32, isFirst: Bool, to bytes: inout [UInt8]) {
    guard id >= 0, id < decoded.count else { return }
    bytes.append(contentsOf: decoded[Int(id)])
  }

  @inline(__always)
  private func appendWord(
    _ bytes: [UInt8], from start: Int, to end: Int, _ ids: inout [Int32], _ workspace: inout EncodingWorkspace
  ) {
    if end - start == 1, byteSymbols[Int(bytes[start])] >= 0 {
      ids.append(byteSymbols[Int(bytes[start])])
      return
    }
    guard end - start <= WordCache.maximumBytes else {
      appendNewWord(bytes, from: start, to: end, &ids, &workspace)
      return
    }
    let key = WordCache.Key(bytes, from: start, to: end)
    if workspace.cache.append(key, to: &ids) { return }
    appendNewWord(bytes, from: start, to: end, &ids, &workspace)
    workspace.cache.insert(key, workspace.merger.symbols)
  }

  private func appendNewWord(
    _ bytes: [UInt8], from start: Int, to end: Int, _ ids: inout [Int32], _ workspace: inout EncodingWorkspace
  ) {
    workspace.merger.symbols.removeAll(keepingCapacity: true)
    if configuration.prefersWholeWords, end - start <= decoded.maximumLength,
      let id = decoded.id(of: bytes, from: start, to: end)
    {
      workspace.merger.symbols.append(id)
    } else {
      for index in start..<end {
        let symbol = byteSymbols[Int(bytes[index])]
        if symbol >= 0 { workspace.merger.symbols.append(symbol) }
      }
      workspace.merger.merge(with: merges)
    }
    ids.append(contentsOf: workspace.merger.symbols)
  }
}
