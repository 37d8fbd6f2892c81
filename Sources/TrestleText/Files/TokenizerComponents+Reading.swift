import TrestleFormats

extension TokenizerComponents {
  /// Reads the components; sequences may nest a few levels.
  init(
    normalizer: JSONValue?, preTokenizer: JSONValue?, postProcessor: JSONValue?, decoder: JSONValue?,
    source: Source
  ) throws(TextError) {
    normalizers = try Self.parts(normalizer, "normalizers", "normalizer", source, Self.normalizer)
    preTokenizers = try Self.parts(
      preTokenizer, "pretokenizers", "pre_tokenizer", source, Self.preTokenizer)
    postProcessors = try Self.parts(
      postProcessor, "processors", "post_processor", source, Self.postProcessor)
    decoders = try Self.parts(decoder, "decoders", "decoder", source, Self.decoder)
  }

  /// The components of one kind, each read by `read`; none for `nil`.
  private static func parts<Component>(
    _ value: JSONValue?, _ key: String, _ place: String, _ source: Source,
    _ read: (JSONValue, String, Source) throws(TextError) -> Component
  ) throws(TextError) -> [Component] {
    guard let value else { return [] }
    var components: [Component] = []
    for (part, place) in try flattened(value, key, place, source) {
      components.append(try read(part, place, source))
    }
    return components
  }

  /// The components of a sequence, or the one component there is, with their places.
  private static func flattened(
    _ value: JSONValue, _ key: String, _ place: String, _ source: Source, depth: Int = 0
  ) throws(TextError) -> [(JSONValue, String)] {
    guard try string(try member("type", of: value)) == "Sequence" else { return [(value, place)] }
    guard depth < 4 else { throw source.error(place, expected: "sequences up to 4 deep", found: "deeper") }
    try source.checkKeys(of: value, at: place, ["type", key])
    var parts: [(JSONValue, String)] = []
    for (index, part) in try array(try member(key, of: value)).enumerated() {
      parts += try flattened(part, key, "\(place).\(key)[\(index)]", source, depth: depth + 1)
      guard parts.count <= 64 else {
        throw source.error(place, expected: "up to 64 components", found: "more")
      }
    }
    return parts
  }

  /// The keys of `ByteLevel`, which splits, processes and decodes.
  private static let byteLevelKeys: Set<String> = [
    "type", "add_prefix_space", "trim_offsets", "use_regex",
  ]

  private static func normalizer(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> Normalizer {
    switch try string(try member("type", of: value)) {
    case "NFC":
      try source.checkKeys(of: value, at: place, ["type"])
      return .nfc
    case "Prepend":
      try source.checkKeys(of: value, at: place, ["type", "prepend"])
      return .prepend(try string(try member("prepend", of: value)))
    case "Replace":
      return .replace(try replaced(value, place, source), by: try string(try member("content", of: value)))
    case "BertNormalizer":
      try source.checkKeys(
        of: value, at: place,
        ["type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"])
      let lowercases = try flag("lowercase", of: value, default: true)
      return .bert(
        BertNormalizer(
          cleansText: try flag("clean_text", of: value, default: true),
          separatesChineseCharacters: try flag("handle_chinese_chars", of: value, default: true),
          stripsAccents: try flag("strip_accents", of: value, default: lowercases), lowercases: lowercases))
    case let type:
      throw source.error(
        place, expected: "NFC, Prepend, Replace, BertNormalizer or Sequence", found: type)
    }
  }

  private static func preTokenizer(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> PreTokenizer {
    switch try string(try member("type", of: value)) {
    case "ByteLevel":
      try source.checkKeys(of: value, at: place, byteLevelKeys)
      return .byteLevel(
        addsPrefixSpace: try flag("add_prefix_space", of: value, default: true),
        usesExpression: try flag("use_regex", of: value, default: true))
    case "Digits":
      try source.checkKeys(of: value, at: place, ["type", "individual_digits"])
      return .digits(individual: try flag("individual_digits", of: value))
    case "Split": return try split(value, place, source)
    case "Metaspace":
      let scheme = try metaspaceScheme(value, place, source)
      return .metaspace(scheme: scheme, splits: try flag("split", of: value, default: true))
    case "BertPreTokenizer":
      try source.checkKeys(of: value, at: place, ["type"])
      return .bert
    case let type:
      throw source.error(
        place, expected: "ByteLevel, Digits, Split, Metaspace, BertPreTokenizer or Sequence", found: type)
    }
  }

  private static func split(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> PreTokenizer {
    try source.checkKeys(of: value, at: place, ["type", "pattern", "behavior", "invert"])
    let pattern = try member("pattern", of: value)
    if let text = try optional("String", of: pattern), try string(text) == " ", try !flag("invert", of: value)
    {
      return .splitAtSpaces
    }
    let behavior = try string(try member("behavior", of: value))
    guard behavior == "Isolated", try !flag("invert", of: value) else {
      throw source.error(place, expected: "behavior Isolated, not inverted", found: behavior)
    }
    try source.checkKeys(of: pattern, at: "\(place).pattern", ["Regex"])
    let expression = try string(try member("Regex", of: pattern))
    for rule in PreTokenization.allCases where rule.expression == expression { return .split(rule) }
    throw source.error(
      "\(place).pattern.Regex", expected: "the expression of GPT-2, Llama 3 or Qwen2", found: expression)
  }

  private static func postProcessor(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> PostProcessor {
    switch try string(try member("type", of: value)) {
    case "ByteLevel":
      try source.checkKeys(of: value, at: place, byteLevelKeys)
      return .byteLevel
    case "TemplateProcessing":
      try source.checkKeys(of: value, at: place, ["type", "single", "pair", "special_tokens"])
      return try template(try array(try member("single", of: value)), "\(place).single", source)
    case "BertProcessing":
      try source.checkKeys(of: value, at: place, ["type", "sep", "cls"])
      return .template(
        prefix: [try tokenName(value, "cls", place, source)],
        suffix: [try tokenName(value, "sep", place, source)])
    case let type:
      throw source.error(
        place, expected: "ByteLevel, TemplateProcessing, BertProcessing or Sequence", found: type)
    }
  }

  /// The tokens around the sequence `A` of a template.
  private static func template(
    _ pieces: JSONArray, _ place: String, _ source: Source
  ) throws(TextError) -> PostProcessor {
    var prefix: [String] = []
    var suffix: [String] = []
    var hasSequence = false
    for (index, piece) in pieces.enumerated() {
      if let token = try optional("SpecialToken", of: piece) {
        let name = try string(try member("id", of: token))
        if hasSequence { suffix.append(name) } else { prefix.append(name) }
      } else {
        let sequence = try string(try member("id", of: try member("Sequence", of: piece)))
        guard sequence == "A", !hasSequence else {
          throw source.error("\(place)[\(index)]", expected: "the sequence A, once", found: sequence)
        }
        hasSequence = true
      }
    }
    guard hasSequence else { throw source.error(place, expected: "the sequence A", found: "none") }
    return .template(prefix: prefix, suffix: suffix)
  }

  private static func tokenName(
    _ value: JSONValue, _ key: String, _ place: String, _ source: Source
  ) throws(TextError) -> String {
    let pair = try array(try member(key, of: value))
    guard pair.count == 2 else {
      throw source.error("\(place).\(key)", expected: "a token and its id", found: "\(pair.count) values")
    }
    return try string(pair[0])
  }

  private static func decoder(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> Decoder {
    switch try string(try member("type", of: value)) {
    case "ByteLevel":
      try source.checkKeys(of: value, at: place, byteLevelKeys)
      return .byteLevel
    case "WordPiece":
      try source.checkKeys(of: value, at: place, ["type", "prefix", "cleanup"])
      return .wordPiece(
        prefix: try string(try member("prefix", of: value)),
        cleansUp: try flag("cleanup", of: value, default: true))
    case "Metaspace": return .metaspace(scheme: try metaspaceScheme(value, place, source))
    case "Replace":
      return .replace(try replaced(value, place, source), by: try string(try member("content", of: value)))
    case "ByteFallback":
      try source.checkKeys(of: value, at: place, ["type"])
      return .byteFallback
    case "Fuse":
      try source.checkKeys(of: value, at: place, ["type"])
      return .fuse
    case "Strip":
      try source.checkKeys(of: value, at: place, ["type", "content", "start", "stop"])
      return .strip(
        try string(try member("content", of: value)),
        start: try integer(try member("start", of: value), in: 0...1_000),
        stop: try integer(try member("stop", of: value), in: 0...1_000))
    case let type:
      throw source.error(
        place, expected: "ByteLevel, WordPiece, Metaspace, Replace, ByteFallback, Fuse, Strip or Sequence",
        found: type)
    }
  }

  /// The string that a Replace component looks for.
  private static func replaced(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> String {
    try source.checkKeys(of: value, at: place, ["type", "pattern", "content"])
    let pattern = try member("pattern", of: value)
    try source.checkKeys(of: pattern, at: "\(place).pattern", ["String"])
    return try string(try member("String", of: pattern))
  }

  /// `always`, `first` or `never`; older files say it with `add_prefix_space`.
  private static func metaspaceScheme(
    _ value: JSONValue, _ place: String, _ source: Source
  ) throws(TextError) -> String {
    try source.checkKeys(
      of: value, at: place,
      ["type", "replacement", "str_rep", "add_prefix_space", "prepend_scheme", "split"])
    let replacement = try string(try member("replacement", of: value))
    guard replacement == "▁" else {
      throw source.error("\(place).replacement", expected: "▁", found: replacement)
    }
    guard let scheme = try optional("prepend_scheme", of: value) else {
      return try flag("add_prefix_space", of: value, default: true) ? "always" : "never"
    }
    let name = try string(scheme)
    guard ["always", "first", "never"].contains(name) else {
      throw source.error("\(place).prepend_scheme", expected: "always, first or never", found: name)
    }
    return name
  }
}

extension Source {
  /// Checks that an object has no other keys: an unknown option could change the tokens.
  func checkKeys(of value: JSONValue, at place: String, _ known: Set<String>) throws(TextError) {
    let object = try TextError.converting { () throws(FormatError) in try value.object() }
    for key in object.keys where !known.contains(key) {
      throw error(place, expected: "no keys but \(known.sorted().joined(separator: ", "))", found: key)
    }
  }
}

extension TokenizerFile {
  func checkKeys(of value: JSONValue, at place: String, _ known: Set<String>) throws(TextError) {
    try source.checkKeys(of: value, at: place, known)
  }
}

extension PreTokenization {
  /// The rule as the regular expression that files write it with; SmolLM's is two components.
  var expression: String? {
    switch self {
    case .gpt2: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
    case .smolLM: nil
    case .llama3: Self.cased(digits: #"\p{N}{1,3}"#)
    case .qwen2: Self.cased(digits: #"\p{N}"#)
    }
  }

  private static func cased(digits: String) -> String {
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"# + digits
      + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
  }
}
