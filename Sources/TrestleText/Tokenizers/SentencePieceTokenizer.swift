/// SentencePiece-style byte-pair encoding with byte fallback: LLaMA 1 and 2, Vicuna, Mistral, Gemma.
///
/// Spaces are written `▁`, a text begins with one of its own, pieces are merged from characters, and characters
/// without a piece become the tokens of their UTF-8 bytes (`<0xE2>`).
public struct SentencePieceTokenizer: Tokenizer {
  /// When a text gets a `▁` in front of it.
  public enum SpacePrefix: Sendable, Hashable {
    /// At the start of a sequence and after control tokens.
    case always
    /// At the start of a sequence.
    case first
    /// Never.
    case never
  }

  /// What a SentencePiece vocabulary is used with.
  public struct Configuration: Sendable, Hashable {
    /// When a text gets a `▁` in front of it.
    public var spacePrefix: SpacePrefix
    /// Whether a text that begins with a space keeps that as its prefix, instead of getting a second one.
    public var keepsExistingSpace: Bool
    /// Whether every `▁` begins a word, so that runs of spaces are not merged.
    public var splitsAtEverySpace: Bool
    /// Whether characters without a piece become byte tokens. The vocabulary must then have all 256.
    public var fallsBackToBytes: Bool
    /// The token for what can be spelled in no other way, `nil` to leave it out; also left out if this token begins, ends
    /// or separates sequences.
    public var unknownToken: Int32?
    /// Whether neighbouring unknown characters are one unknown token.
    public var fusesUnknown: Bool
    /// Tokens that plain text yields wherever it spells them, before anything is merged; of several that begin at one
    /// place, the longest. Those of more than 128 bytes, spaces counted as three, are never found.
    public var wholeTokens: [Int32]

    /// Creates a configuration; the defaults are LLaMA's.
    public init(
      spacePrefix: SpacePrefix = .always, keepsExistingSpace: Bool = false, splitsAtEverySpace: Bool = false,
      fallsBackToBytes: Bool = true, unknownToken: Int32? = nil, fusesUnknown: Bool = true,
      wholeTokens: [Int32] = []
    ) {
      self.spacePrefix = spacePrefix
      self.keepsExistingSpace = keepsExistingSpace
      self.splitsAtEverySpace = splitsAtEverySpace
      self.fallsBackToBytes = fallsBackToBytes
      self.unknownToken = unknownToken
      self.fusesUnknown = fusesUnknown
      self.wholeTokens = wholeTokens
    }
  }

  /// What the vocabulary is used with.
  public let configuration: Configuration
  /// The tokens that plain text never yields, and their roles.
  public let specialTokens: SpecialTokens
  /// The number of ids, special tokens included.
  public var vocabularySize: Int { vocabulary.count }

  private let vocabulary: Vocabulary
  private let merges: MergeTable
  /// The byte that a token `<0xE2>` stands for.
  private let byteOfToken: [Int32: UInt8]
  private let byteTokens: [Int32]
  /// The tokens of single characters, by scalar value.
  private let characterTokens: [UInt32: Int32]
  private let asciiTokens: [Int32]
  /// Whether no merge joins a `▁` to a character before it, so that words are independent of each other.
  private let splitsIntoWords: Bool
  private let wholePieces: WholePieces
  private let workspaces = WorkspacePool()

  /// U+2581 in UTF-8.
  static let space: [UInt8] = [0xE2, 0x96, 0x81]

  /// Creates a tokenizer from a merge list.
  ///
  /// - Parameters:
  ///   - vocabulary: the pieces as UTF-8, at their ids.
  ///   - merges: the merges, first things first. Merges that make a special token are left out.
  ///   - specialTokens: the tokens that plain text never yields.
  ///   - configuration: prefix and fallback.
  ///   - path: the file to name in errors.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` if two pieces are spelled alike, one is not
  ///   UTF-8, an id is out of range, or a byte token is missing.
  public init(
    vocabulary: [[UInt8]], merges: [TokenMerge], specialTokens: SpecialTokens,
    configuration: Configuration = Configuration(), path: String = "vocabulary"
  ) throws(TextError) {
    try self.init(
      vocabulary: vocabulary, merges: merges, ranks: (0..<UInt32(merges.count)).map { $0 },
      specialTokens: specialTokens, configuration: configuration, source: Source(path: path))
  }

  /// Creates a tokenizer from the pieces' scores, as SentencePiece and GGUF files store them: of all neighbours
  /// that form a piece, those of the highest score merge first.
  ///
  /// - Parameters:
  ///   - vocabulary: the pieces' bytes, by id.
  ///   - scores: one for each piece.
  ///   - isMergeable: for each piece, whether merging may form it; `false` for control, byte and unused pieces.
  ///   - specialTokens: the tokens that text never makes.
  ///   - configuration: how text is prepared.
  ///   - path: what errors call the file.
  /// - Throws: as the other initializer, and if the counts differ or a score is not a number.
  public init(
    vocabulary: [[UInt8]], scores: [Float], isMergeable: [Bool], specialTokens: SpecialTokens,
    configuration: Configuration = Configuration(), path: String = "vocabulary"
  ) throws(TextError) {
    let source = Source(path: path)
    guard scores.count == vocabulary.count, isMergeable.count == vocabulary.count else {
      throw source.error(
        "scores", expected: "one for each of \(vocabulary.count) pieces",
        found: "\(scores.count) scores, \(isMergeable.count) types")
    }
    if let id = scores.firstIndex(where: { $0.isNaN }) {
      throw source.error("scores[\(id)]", expected: "a number", found: "\(scores[id])")
    }
    let (merges, ranks) = try source.merges(of: vocabulary, scores: scores, isMergeable: isMergeable)
    try self.init(
      vocabulary: vocabulary, merges: merges, ranks: ranks, specialTokens: specialTokens,
      configuration: configuration, source: source)
  }

  private init(
    vocabulary tokens: [[UInt8]], merges: [TokenMerge], ranks: [UInt32], specialTokens: SpecialTokens,
    configuration: Configuration, source: Source
  ) throws(TextError) {
    let specialTokens = specialTokens.including(controlTokensOf: tokens)
    self.specialTokens = specialTokens
    vocabulary = try source.vocabulary(tokens)
    try source.check(merges, specialTokens: specialTokens, vocabularySize: tokens.count)
    var configuration = configuration
    if let unknown = configuration.unknownToken {
      try source.check("unknown token", unknown, vocabularySize: tokens.count)
      if !specialTokens.mayStandForText(unknown, spelled: tokens[Int(unknown)]) {
        configuration.unknownToken = nil
      }
    }
    self.configuration = configuration
    if let bad = configuration.wholeTokens.first(where: { $0 < 0 || Int($0) >= tokens.count }) {
      throw source.error("whole tokens", expected: "ids below \(tokens.count)", found: "\(bad)")
    }
    wholePieces = WholePieces(
      configuration.wholeTokens.filter { !specialTokens.contains($0) }
        .map { (bytes: Self.escaped(tokens[Int($0)]), id: $0) })

    var byteTokens = [Int32](repeating: -1, count: 256)
    var byteOfToken: [Int32: UInt8] = [:]
    if configuration.fallsBackToBytes {
      for byte in UInt8.min...UInt8.max {
        let spelling = Self.spelling(of: byte)
        guard let id = vocabulary.id(of: Array(spelling.utf8)), !specialTokens.contains(id) else {
          throw source.error("vocabulary", expected: "the byte token \(spelling)", found: "none")
        }
        byteTokens[Int(byte)] = id
        byteOfToken[id] = byte
      }
    }
    self.byteTokens = byteTokens
    self.byteOfToken = byteOfToken

    let usable = merges.indices.filter { index in
      let merge = merges[index]
      return ![merge.left, merge.right, merge.result].contains {
        specialTokens.contains($0) || byteOfToken[$0] != nil
      }
    }
    self.merges = MergeTable(usable.map { merges[$0] }, ranks: usable.map { ranks[$0] })
    splitsIntoWords = usable.allSatisfy { !Self.joinsWords(tokens[Int(merges[$0].result)]) }

    var characters: [UInt32: Int32] = [:]
    for (id, token) in tokens.enumerated() where !token.isEmpty && token.count <= 4 {
      let (value, end) = decodeScalar(at: 0, in: token)
      if end == token.count && !specialTokens.contains(Int32(id)) { characters[value] = Int32(id) }
    }
    characterTokens = characters
    asciiTokens = (0..<128).map { characters[$0] ?? -1 }
  }

  /// The token ids of plain text, see ``Tokenizer/encode(_:at:)``.
  public func encode(_ text: String, at position: TextPosition) -> [Int32] {
    guard !text.isEmpty else { return [] }
    let bytes = escaped(text, at: position)
    var ids: [Int32] = []
    ids.reserveCapacity(bytes.count / 4 + 8)
    workspaces.withWorkspace { workspace in
      var start = 0
      var index = wholePieces.isEmpty ? bytes.count : 0
      while index < bytes.count {
        guard let piece = wholePieces.longest(in: bytes, at: index) else {
          index += 1
          continue
        }
        appendWords(bytes, from: start, to: index, &ids, &workspace)
        ids.append(piece.id)
        (start, index) = (piece.end, piece.end)
      }
      appendWords(bytes, from: start, to: bytes.count, &ids, &workspace)
    }
    return ids
  }

  /// Appends the tokens of a stretch without whole pieces.
  private func appendWords(
    _ bytes: [UInt8], from first: Int, to last: Int, _ ids: inout [Int32],
    _ workspace: inout EncodingWorkspace
  ) {
    var start = first
    while start < last {
      let end = wordEnd(in: bytes, from: start, to: last)
      appendWord(bytes, from: start, to: end, &ids, &workspace)
      start = end
    }
  }

  /// The token as the vocabulary spells it, `nil` outside the vocabulary.
  public func token(for id: Int32) -> String? { vocabulary.spelling(of: id) }

  /// The id of a token in the vocabulary's spelling.
  public func id(for token: String) -> Int32? { vocabulary.id(of: Array(token.utf8)) }

  /// Appends what a token stands for in decoded text, see ``Tokenizer/appendBytes(of:isFirst:to:)``.
  public func appendBytes(of id: Int32, isFirst: Bool, to bytes: inout [UInt8]) {
    guard id >= 0, id < vocabulary.count else { return }
    if let byte = byteOfToken[id] {
      bytes.append(byte)
      return
    }
    let piece = vocabulary[Int(id)]
    if specialTokens.contains(id) {
      bytes.append(contentsOf: piece)
      return
    }
    var index = piece.startIndex
    if isFirst, configuration.spacePrefix != .never, piece.starts(with: Self.space) { index += 3 }
    while index < piece.endIndex {
      if piece[index] == 0xE2, piece[index...].starts(with: Self.space) {
        bytes.append(UInt8(ascii: " "))
        index += 3
      } else {
        bytes.append(piece[index])
        index += 1
      }
    }
  }

  /// The text with `▁` for spaces and the prefix that its position asks for.
  private func escaped(_ text: String, at position: TextPosition) -> [UInt8] {
    let isPrefixed =
      switch (configuration.spacePrefix, position) {
      case (.always, .start), (.always, .afterControl), (.first, .start): true
      default: false
      }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count + text.utf8.count / 2)
    var isFirst = true
    for byte in text.utf8 {
      if isFirst, isPrefixed,
        !(configuration.keepsExistingSpace && (byte == 0x20 || text.utf8.starts(with: Self.space)))
      {
        bytes.append(contentsOf: Self.space)
      }
      isFirst = false
      if byte == UInt8(ascii: " ") {
        bytes.append(contentsOf: Self.space)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  /// A token's bytes with `▁` for spaces, as ``escaped(_:at:)`` leaves them in a text.
  private static func escaped(_ token: [UInt8]) -> [UInt8] {
    token.flatMap { $0 == UInt8(ascii: " ") ? space : [$0] }
  }

  /// The end of the word at `start`: the next `▁` that follows another character, or any next `▁`; the end of the
  /// text for vocabularies whose merges cross words.
  private func wordEnd(in bytes: [UInt8], from start: Int, to last: Int) -> Int {
    guard splitsIntoWords || configuration.splitsAtEverySpace else { return last }
    var index = start
    var isInside = false
    while index < last {
      let isSpace =
        bytes[index] == 0xE2 && index + 2 < last && bytes[index + 1] == 0x96
        && bytes[index + 2] == 0x81
      if isSpace {
        if isInside || (configuration.splitsAtEverySpace && index > start) { return index }
        index += 3
      } else {
        isInside = true
        index += 1
      }
    }
    return last
  }

  private func appendWord(
    _ bytes: [UInt8], from start: Int, to end: Int, _ ids: inout [Int32], _ workspace: inout EncodingWorkspace
  ) {
    let isCached = end - start <= WordCache.maximumBytes
    let key = isCached ? WordCache.Key(bytes, from: start, to: end) : WordCache.Key()
    if isCached && workspace.cache.append(key, to: &ids) { return }
    workspace.merger.symbols.removeAll(keepingCapacity: true)
    var index = start
    while index < end {
      let (value, next) = decodeScalar(at: index, in: bytes)
      let token = value < 128 ? asciiTokens[Int(value)] : characterTokens[value] ?? -1
      if token >= 0 {
        workspace.merger.symbols.append(token)
      } else if configuration.fallsBackToBytes {
        for byte in bytes[index..<next] { workspace.merger.symbols.append(byteTokens[Int(byte)]) }
      } else if let unknown = configuration.unknownToken,
        !(configuration.fusesUnknown && workspace.merger.symbols.last == unknown)
      {
        workspace.merger.symbols.append(unknown)
      }
      index = next
    }
    workspace.merger.merge(with: merges)
    ids.append(contentsOf: workspace.merger.symbols)
    if isCached { workspace.cache.insert(key, workspace.merger.symbols) }
  }

  /// The spelling of a byte's token, `<0x0A>`.
  static func spelling(of byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "<0x0\(digits)>" : "<0x\(digits)>"
  }

  /// Whether a piece has a `▁` after another character.
  private static func joinsWords(_ piece: [UInt8]) -> Bool {
    var index = 0
    while piece[index...].starts(with: space) { index += 3 }
    while index < piece.count {
      if piece[index] == 0xE2, piece[index...].starts(with: space) { return true }
      index += 1
    }
    return false
  }
}

extension Source {
  /// All pairs of pieces that form a piece, ranked by its score: equal scores have equal ranks.
  fileprivate func merges(
    of tokens: [[UInt8]], scores: [Float], isMergeable: [Bool]
  ) throws(TextError) -> (merges: [TokenMerge], ranks: [UInt32]) {
    let vocabulary = try vocabulary(tokens)
    let order = tokens.indices.sorted { scores[$0] > scores[$1] }
    var merges: [TokenMerge] = []
    var ranks: [UInt32] = []
    var rank: UInt32 = 0
    var previousScore = Float.infinity
    for id in order where isMergeable[id] {
      if scores[id] != previousScore { rank += 1 }
      previousScore = scores[id]
      let token = tokens[id]
      // Long pieces in a hostile file would make this quadratic; SentencePiece's own limit is 16 characters.
      guard token.count <= 512 else { continue }
      for split in token.indices.dropFirst() where token[split] & 0xC0 != 0x80 {
        guard let left = vocabulary.id(of: token, from: 0, to: split),
          let right = vocabulary.id(of: token, from: split, to: token.count),
          isMergeable[Int(left)], isMergeable[Int(right)]
        else { continue }
        merges.append(TokenMerge(left: left, right: right, result: Int32(id)))
        ranks.append(rank)
      }
    }
    return (merges, ranks)
  }
}
