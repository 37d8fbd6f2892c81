/// WordPiece: BERT, MiniLM.
///
/// Normalized text is split at spaces and around punctuation; each word becomes the longest token that begins it,
/// then the longest continuation (`##ing`) of what is left, and so on. A word that cannot be spelled so, or is
/// longer than ``Configuration/maximumWordLength``, is the unknown token. Decoding puts words back together with
/// spaces: case, accents and the original spaces are gone.
public struct WordPieceTokenizer: Tokenizer {
  /// What a WordPiece vocabulary is used with.
  public struct Configuration: Sendable, Hashable {
    /// What is done to text first, `nil` for nothing.
    public var normalizer: BertNormalizer?
    /// What begins a token that continues a word.
    public var continuationPrefix: String
    /// The longest word in characters that is split into tokens.
    public var maximumWordLength: Int
    /// The token for words that cannot be spelled.
    public var unknownToken: Int32
    /// Whether decoding removes the spaces before punctuation and contractions.
    public var cleansUpSpaces: Bool

    /// Creates a configuration; the defaults are BERT's.
    public init(
      unknownToken: Int32, normalizer: BertNormalizer? = BertNormalizer(), continuationPrefix: String = "##",
      maximumWordLength: Int = 100, cleansUpSpaces: Bool = true
    ) {
      self.unknownToken = unknownToken
      self.normalizer = normalizer
      self.continuationPrefix = continuationPrefix
      self.maximumWordLength = maximumWordLength
      self.cleansUpSpaces = cleansUpSpaces
    }
  }

  /// What the vocabulary is used with.
  public let configuration: Configuration
  /// The tokens that plain text never yields, and their roles.
  public let specialTokens: SpecialTokens
  /// The number of ids, special tokens included.
  public var vocabularySize: Int { vocabulary.count }

  /// All tokens as the file spells them.
  private let vocabulary: Vocabulary
  /// The tokens that begin a word.
  private let beginnings: TokenAutomaton
  /// The tokens that continue one, indexed without their prefix.
  private let continuations: TokenAutomaton
  private let isContinuation: [Bool]

  /// Creates a tokenizer.
  ///
  /// - Parameters:
  ///   - tokens: the tokens as UTF-8, at their ids.
  ///   - specialTokens: the tokens that plain text never yields, the unknown token apart.
  ///   - configuration: normalization and limits.
  ///   - path: the file to name in errors.
  /// - Throws: ``TextError/invalid(path:place:expected:found:)`` if two tokens are spelled alike, a token is not
  ///   UTF-8, or an id is out of range.
  public init(
    vocabulary tokens: [[UInt8]], specialTokens: SpecialTokens, configuration: Configuration,
    path: String = "vocabulary"
  ) throws(TextError) {
    let source = Source(path: path)
    let specialTokens = specialTokens.including(controlTokensOf: tokens)
    vocabulary = try source.vocabulary(tokens)
    try source.check([], specialTokens: specialTokens, vocabularySize: tokens.count)
    let unknown = configuration.unknownToken
    try source.check("unknown token", unknown, vocabularySize: tokens.count)
    guard specialTokens.mayStandForText(unknown, spelled: tokens[Int(unknown)]) else {
      throw source.error(
        "unknown token", expected: "one that does not begin, end, separate or fill sequences",
        found: String(decoding: tokens[Int(unknown)], as: UTF8.self))
    }
    let prefix = Array(configuration.continuationPrefix.utf8)
    let isContinuation = tokens.enumerated().map { id, token in
      !prefix.isEmpty && token.count > prefix.count && token.starts(with: prefix)
        && !specialTokens.contains(Int32(id))
    }
    beginnings = TokenAutomaton(tokens) { !specialTokens.contains(Int32($0)) && Int32($0) != unknown }
    continuations = TokenAutomaton(
      tokens.indices.map { isContinuation[$0] ? Array(tokens[$0].dropFirst(prefix.count)) : [] }
    ) { isContinuation[$0] }
    self.isContinuation = isContinuation
    self.configuration = configuration
    self.specialTokens = specialTokens
  }

  /// The token ids of plain text, see ``Tokenizer/encode(_:at:)``.
  public func encode(_ text: String, at position: TextPosition) -> [Int32] {
    let bytes = configuration.normalizer?.normalizedBytes(text) ?? Array(text.utf8)
    var ids: [Int32] = []
    ids.reserveCapacity(bytes.count / 4 + 4)
    var workspace = Workspace()
    var start = 0
    var length = 0
    var index = 0
    while index < bytes.count {
      let (value, end) = decodeScalar(at: index, in: bytes)
      switch WordBoundary(value) {
      case .none: length += 1
      case .space:
        appendWord(bytes, from: start, to: index, length: length, &ids, &workspace)
        (start, length) = (end, 0)
      case .punctuation:
        appendWord(bytes, from: start, to: index, length: length, &ids, &workspace)
        appendWord(bytes, from: index, to: end, length: 1, &ids, &workspace)
        (start, length) = (end, 0)
      }
      index = end
    }
    appendWord(bytes, from: start, to: bytes.count, length: length, &ids, &workspace)
    return ids
  }

  /// The token as the vocabulary spells it, `nil` outside the vocabulary.
  public func token(for id: Int32) -> String? { vocabulary.spelling(of: id) }

  /// The id of a token in the vocabulary's spelling.
  public func id(for token: String) -> Int32? { vocabulary.id(of: Array(token.utf8)) }

  /// Appends what a token stands for in decoded text, see ``Tokenizer/appendBytes(of:isFirst:to:)``.
  public func appendBytes(of id: Int32, isFirst: Bool, to bytes: inout [UInt8]) {
    guard id >= 0, id < vocabulary.count else { return }
    let token = vocabulary[Int(id)]
    if isFirst {
      bytes.append(contentsOf: token)
    } else if isContinuation[Int(id)] {
      bytes.append(contentsOf: token.dropFirst(configuration.continuationPrefix.utf8.count))
    } else {
      if !(configuration.cleansUpSpaces && Self.attachments.contains { token.starts(with: $0.utf8) }) {
        bytes.append(UInt8(ascii: " "))
      }
      bytes.append(contentsOf: token)
    }
  }

  /// The longest tokens at each place of a word.
  private struct Workspace {
    var beginnings: [(id: Int32, length: Int32)] = []
    var continuations: [(id: Int32, length: Int32)] = []
  }

  /// Appends the tokens of the word `bytes[start..<end]`, which has `length` characters.
  private func appendWord(
    _ bytes: [UInt8], from start: Int, to end: Int, length: Int, _ ids: inout [Int32],
    _ workspace: inout Workspace
  ) {
    guard start < end else { return }
    guard length <= configuration.maximumWordLength else {
      ids.append(configuration.unknownToken)
      return
    }
    beginnings.longestTokens(in: bytes, from: start, to: end, &workspace.beginnings)
    let first = workspace.beginnings[0]
    if first.id >= 0, Int(first.length) == end - start {
      ids.append(first.id)
      return
    }
    continuations.longestTokens(in: bytes, from: start, to: end, &workspace.continuations)
    let count = ids.count
    var place = start
    while place < end {
      let piece = place == start ? first : workspace.continuations[place - start]
      guard piece.id >= 0 else {
        ids.removeLast(ids.count - count)
        ids.append(configuration.unknownToken)
        return
      }
      ids.append(piece.id)
      place += Int(piece.length)
    }
  }

  /// What decoding attaches to the word before it.
  private static let attachments = [".", "?", "!", ",", "n't", "'m", "'s", "'ve", "'re"]
}

/// What a character does to the word before it.
private enum WordBoundary {
  case none, space, punctuation

  init(_ value: UInt32) {
    if value < 0x80 {
      self = Self.ascii[Int(value)]
    } else if let scalar = Unicode.Scalar(value) {
      self = Self.boundary(scalar)
    } else {
      self = .none
    }
  }

  private static let ascii: [WordBoundary] = (0..<0x80).map { boundary(Unicode.Scalar(UInt8($0))) }

  private static func boundary(_ scalar: Unicode.Scalar) -> WordBoundary {
    if BertNormalizer.isPunctuation(scalar) { return .punctuation }
    return scalar.properties.isWhitespace ? .space : .none
  }
}
