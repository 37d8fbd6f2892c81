import TrestleFormats

/// The parts of a `tokenizer.json` around its model, with sequences flattened. The combinations that the shipped
/// families use are turned into options of the tokenizers; any other is an error that names its place.
struct TokenizerComponents {
  enum Normalizer: Equatable {
    case nfc
    case prepend(String)
    case replace(String, by: String)
    case bert(BertNormalizer)
  }

  enum PreTokenizer: Equatable {
    case split(PreTokenization)
    /// Splits at spaces, wherever these go: nothing is left to do where a normalizer has replaced them.
    case splitAtSpaces
    case digits(individual: Bool)
    case byteLevel(addsPrefixSpace: Bool, usesExpression: Bool)
    case metaspace(scheme: String, splits: Bool)
    case bert
  }

  enum PostProcessor: Equatable {
    case byteLevel
    case template(prefix: [String], suffix: [String])
  }

  enum Decoder: Equatable {
    case byteLevel
    case wordPiece(prefix: String, cleansUp: Bool)
    case metaspace(scheme: String)
    case replace(String, by: String)
    case byteFallback
    case fuse
    case strip(String, start: Int, stop: Int)
  }

  var normalizers: [Normalizer] = []
  var preTokenizers: [PreTokenizer] = []
  var postProcessors: [PostProcessor] = []
  var decoders: [Decoder] = []

  // MARK: Combinations

  /// The options of byte-level BPE, `nil` if there is no byte-level pre-tokenizer.
  func byteLevel(_ source: Source) throws(TextError) -> (
    preTokenization: PreTokenization, normalizesToNFC: Bool
  )? {
    let withExpression = PreTokenizer.byteLevel(addsPrefixSpace: false, usesExpression: true)
    let alone = PreTokenizer.byteLevel(addsPrefixSpace: false, usesExpression: false)
    let rule: PreTokenization
    switch preTokenizers {
    case [withExpression]: rule = .gpt2
    case [.digits(individual: true), withExpression]: rule = .smolLM
    case [.split(.gpt2), alone]: rule = .gpt2
    case [.split(.llama3), alone]: rule = .llama3
    case [.split(.qwen2), alone]: rule = .qwen2
    default:
      let isByteLevel = preTokenizers.contains { if case .byteLevel = $0 { true } else { false } }
      guard isByteLevel else { return nil }
      throw source.error(
        "pre_tokenizer",
        expected: "ByteLevel without prefix space: alone, after individual digits, or after a known split",
        found: "\(preTokenizers)")
    }
    guard normalizers == [] || normalizers == [.nfc] else {
      throw source.error("normalizer", expected: "none or NFC, with ByteLevel", found: "\(normalizers)")
    }
    guard decoders == [.byteLevel] else {
      throw source.error("decoder", expected: "ByteLevel, as the pre-tokenizer", found: "\(decoders)")
    }
    return (rule, normalizers == [.nfc])
  }

  /// What SentencePiece-style BPE does with spaces.
  func sentencePiece(
    _ source: Source
  ) throws(TextError) -> (
    prefix: SentencePieceTokenizer.SpacePrefix, keepsExistingSpace: Bool, splitsAtEverySpace: Bool
  ) {
    let escape = Normalizer.replace(" ", by: "▁")
    let unescape = Decoder.replace("▁", by: " ")
    let result:
      (prefix: SentencePieceTokenizer.SpacePrefix, keepsExistingSpace: Bool, splitsAtEverySpace: Bool)
    if normalizers == [.prepend("▁"), escape] && preTokenizers == [] {
      result = (.always, false, false)
    } else if normalizers == [escape] && (preTokenizers == [] || preTokenizers == [.splitAtSpaces]) {
      result = (.never, false, false)
    } else if normalizers == [], preTokenizers.count == 1,
      case .metaspace(let scheme, let splits) = preTokenizers[0]
    {
      result = (scheme == "always" ? .always : scheme == "first" ? .first : .never, true, splits)
    } else {
      throw source.error(
        "normalizer and pre_tokenizer", expected: "▁ for spaces, as a normalizer or Metaspace, or ByteLevel",
        found: "\(normalizers) and \(preTokenizers)")
    }
    let strips: [Decoder] = [unescape, .byteFallback, .fuse, .strip(" ", start: 1, stop: 0)]
    let prefixed: [[Decoder]] = [
      strips, [.metaspace(scheme: "always")], [.metaspace(scheme: "first")],
      [.byteFallback, .metaspace(scheme: "always")], [.byteFallback, .metaspace(scheme: "first")],
    ]
    let bare: [[Decoder]] = [
      [unescape, .byteFallback, .fuse], [.metaspace(scheme: "never")],
      [.byteFallback, .metaspace(scheme: "never")],
    ]
    let isDecoded = (result.prefix == .never ? bare : prefixed).contains(decoders)
    guard isDecoded else {
      throw source.error("decoder", expected: "the inverse of what is done to spaces", found: "\(decoders)")
    }
    return result
  }

  /// The options of WordPiece.
  func wordPiece(
    _ source: Source, prefix: String
  ) throws(TextError) -> (normalizer: BertNormalizer?, cleansUpSpaces: Bool) {
    guard preTokenizers == [.bert] else {
      throw source.error(
        "pre_tokenizer", expected: "BertPreTokenizer, with WordPiece", found: "\(preTokenizers)")
    }
    let normalizer: BertNormalizer?
    if normalizers.isEmpty {
      normalizer = nil
    } else if normalizers.count == 1, case .bert(let bert) = normalizers[0] {
      normalizer = bert
    } else {
      throw source.error("normalizer", expected: "none or BertNormalizer", found: "\(normalizers)")
    }
    guard case .wordPiece(prefix, let cleansUp)? = decoders.first, decoders.count == 1 else {
      throw source.error("decoder", expected: "WordPiece with the prefix “\(prefix)”", found: "\(decoders)")
    }
    return (normalizer, cleansUp)
  }

  /// The names of the tokens that go before and after a sequence.
  func sequenceEnds(_ source: Source) throws(TextError) -> (prefix: [String], suffix: [String]) {
    var ends: (prefix: [String], suffix: [String])?
    for processor in postProcessors {
      guard case .template(let prefix, let suffix) = processor else { continue }
      guard ends == nil else {
        throw source.error("post_processor", expected: "one template", found: "several")
      }
      ends = (prefix, suffix)
    }
    return ends ?? ([], [])
  }
}
