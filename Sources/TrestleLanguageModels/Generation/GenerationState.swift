import TrestleTensor

/// What has been said after one prompt, and what may come next: the part of generation that needs no model.
struct GenerationState {
  private let options: GenerationOptions
  private let vocabularySize: Int
  private let contextLength: Int
  private var random: RandomGenerator
  private var position: TokenTrie.Position?
  /// The prompt and what was generated.
  private(set) var tokens: [Int32]
  /// The tokens generated so far.
  private(set) var count = 0
  /// Why the generation ended; `nil` while it goes on.
  private(set) var end: GenerationEnd?
  /// The sequences of the constraint that what was generated completes.
  private(set) var completed: [Int] = []

  /// Checks a prompt and its options.
  ///
  /// - Parameters:
  ///   - model: whose tokens these are.
  ///   - prompt: at least one token, and fewer than the context has room for.
  ///   - options: what to generate.
  ///   - random: where random choices come from.
  ///   - place: names the prompt in errors.
  /// - Throws: ``LanguageModelError/request(_:)``.
  init(
    _ model: any LanguageModel, prompt: [Int32], options: GenerationOptions, random: RandomGenerator,
    place: String = "prompt"
  ) throws(LanguageModelError) {
    try options.sampling.validate()
    guard !prompt.isEmpty else {
      throw .request(.init("", at: place, expected: "at least one token", found: "none"))
    }
    guard prompt.count < model.contextLength else {
      throw .request(
        .init(
          "", at: place, expected: "fewer tokens than the context's \(model.contextLength)",
          found: "\(prompt.count)"))
    }
    if let outside = prompt.first(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
      throw .request(
        .init("", at: place, expected: "tokens in 0..<\(model.vocabularySize)", found: "\(outside)"))
    }
    self.options = options
    self.random = random
    (vocabularySize, contextLength) = (model.vocabularySize, model.contextLength)
    tokens = prompt
    position = options.constraint?.root
  }

  /// How many more tokens there may be at most.
  var room: Int { min(options.maximumTokens - count, contextLength - tokens.count) }

  /// Whether a next token can be asked for; if not, the generation has ended.
  mutating func mayContinue() -> Bool {
    guard end == nil else { return false }
    if room <= 0 { end = .length } else if allowed?.isEmpty == true { end = .stop }
    return end == nil
  }

  /// The tokens that may come next, as the constraint has it; `nil` for all.
  private var allowed: [Int32]? {
    guard let constraint = options.constraint, let position else { return nil }
    return constraint.allowed(at: position).filter { Int($0) < vocabularySize && $0 >= 0 }
  }

  /// Chooses the next token.
  ///
  /// - Parameter logits: one for each token of the vocabulary, given all of ``tokens``.
  /// - Returns: the token; `nil` if the text ends here.
  mutating func take(_ logits: [Float]) -> Int32? {
    let token = options.sampling.choose(from: logits, allowed: allowed, recent: tokens, using: &random)
    if options.stopTokens.contains(token) {
      end = .stop
      return nil
    }
    if let constraint = options.constraint, let here = position {
      // What the trie does not allow ends the text; it is never said.
      guard let there = constraint.position(after: token, from: here) else {
        end = .stop
        return nil
      }
      position = there
      completed = constraint.sequences(endingAt: there)
    }
    tokens.append(token)
    count += 1
    return token
  }

  /// What followed where the last tokens stood before: a guess at what comes next, of at most `limit` tokens.
  ///
  /// Three tokens are looked for, then two; the last place counts. Source: Saxena, *Prompt Lookup Decoding* (2023).
  func guess(_ limit: Int) -> [Int32] {
    let most = min(limit, room - 1)
    guard most > 0 else { return [] }
    for length in [3, 2] where tokens.count > length {
      let last = tokens.suffix(length)
      for start in stride(from: tokens.count - length - 1, through: 0, by: -1)
      where tokens[start..<start + length].elementsEqual(last) {
        return Array(tokens[(start + length)...].prefix(most))
      }
    }
    return []
  }
}
