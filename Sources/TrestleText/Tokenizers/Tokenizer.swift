/// What stands before a text that is tokenised. It matters to tokenizers that mark the start of a text with a
/// space (SentencePiece's `▁`); byte-level BPE and WordPiece ignore it.
public enum TextPosition: Sendable, Hashable {
  /// Nothing: the text begins the sequence.
  case start
  /// A control token.
  case afterControl
  /// Other text, of which this is the continuation.
  case afterText
}

/// Turns text into token ids and back.
///
/// Ids are those of the model's embedding rows, `0 ..< vocabularySize`. Plain text **never** yields a special,
/// added or control token, whatever it looks like: `<|im_end|>` in a text becomes the tokens of its characters.
/// The one exception is the unknown token of vocabularies that cannot spell every character (WordPiece, SentencePiece
/// without bytes), which stands for what has no tokens; a file whose unknown token also begins, ends or separates
/// sequences is refused, or the text is left out. Control tokens come from ``Prompt`` segments only.
public protocol Tokenizer: Sendable {
  /// The number of ids, control tokens included.
  var vocabularySize: Int { get }
  /// The special, added and control tokens and their roles.
  var specialTokens: SpecialTokens { get }

  /// The token ids of plain text, without any special token.
  func encode(_ text: String, at position: TextPosition) -> [Int32]
  /// The token as the vocabulary file spells it (`Ġhello`, `▁hello`, `##ing`), `nil` outside the vocabulary.
  func token(for id: Int32) -> String?
  /// The id of a token in the vocabulary file's spelling.
  func id(for token: String) -> Int32?
  /// Appends the UTF-8 bytes that a token stands for in decoded text: possibly a part of a character only.
  ///
  /// - Parameters:
  ///   - id: the token; ids outside the vocabulary (entity tokens that extend it) stand for no text.
  ///   - isFirst: whether it is the first token of the decoded text.
  ///   - bytes: where the bytes go.
  func appendBytes(of id: Int32, isFirst: Bool, to bytes: inout [UInt8])
}

extension Tokenizer {
  /// The token ids of plain text that begins a sequence, without any special token.
  public func encode(_ text: String) -> [Int32] { encode(text, at: .start) }

  /// The token ids of a prompt.
  ///
  /// Each text segment is tokenised apart from its neighbours, so untrusted text cannot change the tokens of the
  /// template around it, and a shared beginning has the same tokens in every prompt. A space between two segments
  /// therefore belongs to the later one, where word-initial tokens have it. Only `.control` segments yield
  /// special or entity tokens; an id beyond the vocabulary is an entity token, which extends it.
  ///
  /// - Throws: ``TextError/unknownControlToken(name:)`` or ``TextError/invalidControlToken(id:)``.
  public func encode(_ prompt: Prompt) throws(TextError) -> [Int32] {
    var ids: [Int32] = []
    var position = TextPosition.start
    for segment in prompt.segments {
      switch segment {
      case .control(.id(let id)):
        guard id >= 0 else { throw .invalidControlToken(id: id) }
        ids.append(id)
        position = .afterControl
      case .control(.name(let name)):
        guard let id = specialTokens.id(named: name) else { throw .unknownControlToken(name: name) }
        ids.append(id)
        position = .afterControl
      case .trusted(let text), .untrusted(let text):
        guard !text.isEmpty else { continue }
        ids.append(contentsOf: encode(text, at: position))
        position = .afterText
      }
    }
    return ids
  }

  /// The token ids of a text as a whole sequence: with the special tokens that the model expects around one
  /// (`[CLS] … [SEP]` for BERT, `<s> …` for LLaMA, none for GPT-2).
  public func encodeSequence(_ text: String) -> [Int32] {
    specialTokens.sequencePrefix + encode(text) + specialTokens.sequenceSuffix
  }

  /// The text of token ids. Bytes that form no valid UTF-8 become U+FFFD.
  ///
  /// - Parameters:
  ///   - ids: the tokens.
  ///   - skippingSpecialTokens: leave special tokens out instead of spelling them.
  public func decode(_ ids: [Int32], skippingSpecialTokens: Bool = false) -> String {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(ids.count * 4)
    var isFirst = true
    for id in ids where !(skippingSpecialTokens && specialTokens.contains(id)) {
      appendBytes(of: id, isFirst: isFirst, to: &bytes)
      isFirst = false
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// A decoder for tokens that arrive one by one.
  public func streamingDecoder(skippingSpecialTokens: Bool = true) -> StreamingDecoder {
    StreamingDecoder(tokenizer: self, skippingSpecialTokens: skippingSpecialTokens)
  }
}

/// Decodes tokens one by one, holding back the bytes of a character until it is complete.
public struct StreamingDecoder: Sendable {
  private let tokenizer: any Tokenizer
  private let skippingSpecialTokens: Bool
  private var pending: [UInt8] = []
  private var isFirst = true

  /// Creates a decoder; nothing has been decoded yet.
  public init(tokenizer: any Tokenizer, skippingSpecialTokens: Bool = true) {
    self.tokenizer = tokenizer
    self.skippingSpecialTokens = skippingSpecialTokens
  }

  /// Takes the next token and returns the text that it completes, possibly none.
  public mutating func append(_ id: Int32) -> String {
    if skippingSpecialTokens && tokenizer.specialTokens.contains(id) { return "" }
    tokenizer.appendBytes(of: id, isFirst: isFirst, to: &pending)
    isFirst = false
    let complete = pending.count - incompleteSuffixLength(of: pending)
    let text = String(decoding: pending[..<complete], as: UTF8.self)
    pending.removeFirst(complete)
    return text
  }

  /// Returns what is still held back (an incomplete character becomes U+FFFD) and begins anew.
  public mutating func finish() -> String {
    let text = String(decoding: pending, as: UTF8.self)
    pending = []
    isFirst = true
    return text
  }
}

/// The length of a valid but unfinished character at the end of `bytes`, 0 to 3: a leading byte with fewer
/// continuation bytes than it announces. Bytes that can no longer become valid are not held back.
func incompleteSuffixLength(of bytes: [UInt8]) -> Int {
  for length in 1...3 where length <= bytes.count {
    let byte = bytes[bytes.count - length]
    if byte & 0xC0 == 0x80 { continue }
    let announced =
      switch byte {
      case 0xC2...0xDF: 2
      case 0xE0...0xEF: 3
      case 0xF0...0xF4: 4
      default: 1
      }
    guard announced > length else { return 0 }
    if length >= 2 {
      let second = bytes[bytes.count - length + 1]
      let isPossible =
        switch byte {
        case 0xE0: second >= 0xA0
        case 0xED: second <= 0x9F
        case 0xF0: second >= 0x90
        case 0xF4: second <= 0x8F
        default: true
        }
      guard isPossible else { return 0 }
    }
    return length
  }
  return 0
}
