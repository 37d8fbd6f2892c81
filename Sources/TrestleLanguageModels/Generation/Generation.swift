import TrestleNN
import TrestleTensor
import TrestleText

/// What to generate, and when to stop.
public struct GenerationOptions: Sendable {
  /// How tokens are chosen.
  public var sampling: Sampling
  /// The largest number of new tokens.
  public var maximumTokens: Int
  /// Tokens that end the text; they are not part of it.
  public var stopTokens: Set<Int32>
  /// Texts that end the text; they are not part of it.
  public var stopSequences: [String]
  /// Where random choices come from.
  public var seed: UInt64
  /// What may be said; anything for `nil`. Generation ends where a sequence of the trie ends that no other continues.
  public var constraint: TokenTrie?

  /// The options.
  public init(
    sampling: Sampling = .greedy, maximumTokens: Int = 256, stopTokens: Set<Int32> = [],
    stopSequences: [String] = [], seed: UInt64 = 0, constraint: TokenTrie? = nil
  ) {
    self.sampling = sampling
    self.maximumTokens = maximumTokens
    self.stopTokens = stopTokens
    self.stopSequences = stopSequences
    self.seed = seed
    self.constraint = constraint
  }
}

/// Why a generation ended.
public enum GenerationEnd: String, Sendable, Hashable {
  /// A stop token, a stop sequence, or the end of the only allowed sequence.
  case stop
  /// The largest number of tokens, or the model's context, was reached.
  case length
}

/// Generates tokens one by one; an iterator, so the caller decides how far to go.
///
/// ```swift
/// var generator = try TokenGenerator(model, prompt: ids, options: options)
/// while let token = generator.next() { … }
/// ```
public struct TokenGenerator: IteratorProtocol {
  private let model: any LanguageModel
  private let options: GenerationOptions
  /// Made at the first token, and taken over by the copy that goes on: copies of a generator do not meet.
  private var cache: KeyValueCache?
  private var random: RandomGenerator
  private var tokens: [Int32]
  private var pending: [Int32]
  private var position: TokenTrie.Position?
  /// The tokens generated so far.
  public private(set) var count = 0
  /// Why the generation ended; `nil` while it goes on.
  public private(set) var end: GenerationEnd?
  /// The sequences of the constraint that what was generated completes.
  public private(set) var completed: [Int] = []

  /// Prepares the generation after `prompt`; nothing is computed yet.
  ///
  /// - Throws: ``LanguageModelError/request(_:)`` if the prompt is empty, holds a token outside the vocabulary or leaves no
  ///   room in the context, or if a setting is out of range.
  public init(
    _ model: any LanguageModel, prompt: [Int32], options: GenerationOptions = GenerationOptions()
  ) throws(LanguageModelError) {
    try options.sampling.validate()
    guard !prompt.isEmpty else {
      throw .request(.init("", at: "prompt", expected: "at least one token", found: "none"))
    }
    guard prompt.count < model.contextLength else {
      throw .request(
        .init(
          "", at: "prompt", expected: "fewer tokens than the context's \(model.contextLength)",
          found: "\(prompt.count)"))
    }
    if let outside = prompt.first(where: { $0 < 0 || Int($0) >= model.vocabularySize }) {
      throw .request(
        .init(
          "", at: "prompt", expected: "tokens in 0..<\(model.vocabularySize)", found: "\(outside)"))
    }
    self.model = model
    self.options = options
    random = RandomGenerator(seed: options.seed)
    tokens = prompt
    pending = prompt
    position = options.constraint?.root
  }

  /// The next token; `nil` at the end, a stop token included.
  public mutating func next() -> Int32? {
    guard end == nil else { return nil }
    guard count < options.maximumTokens, tokens.count < model.contextLength else {
      end = .length
      return nil
    }
    var allowed: [Int32]?
    if let constraint = options.constraint, let position {
      let choices = constraint.allowed(at: position).filter { Int($0) < model.vocabularySize && $0 >= 0 }
      guard !choices.isEmpty else {
        end = .stop
        return nil
      }
      allowed = choices
    }
    let token = choose(allowed)
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
    pending = [token]
    count += 1
    return token
  }

  private mutating func choose(_ allowed: [Int32]?) -> Int32 {
    var cache = self.cache.take() ?? KeyValueCache(layerCount: model.layerCount)
    if !isKnownUniquelyReferenced(&cache) { cache = cache.forked(into: 1) }
    self.cache = cache
    let logits = withoutGradients {
      let states = model.hiddenStates(
        model.embed(pending), sequences: PackedSequences(lengths: [pending.count]), cache: cache)
      let last = pending.count == 1 ? states : states.rows([pending.count - 1])
      return model.logits(last).floats
    }
    return options.sampling.choose(from: logits, allowed: allowed, recent: tokens, using: &random)
  }
}

/// Generates text: a token generator with a tokenizer behind it.
public struct TextGenerator: IteratorProtocol {
  private var tokens: TokenGenerator
  private var decoder: StreamingDecoder
  private let stopSequences: [[UInt8]]
  /// Text that may be the beginning of a stop sequence.
  private var held = ""
  private var isFinished = false

  /// Prepares the generation after `prompt`.
  ///
  /// - Throws: what ``TokenGenerator/init(_:prompt:options:)`` throws.
  public init(
    _ model: any LanguageModel, tokenizer: any Tokenizer, prompt: [Int32],
    options: GenerationOptions = GenerationOptions()
  ) throws(LanguageModelError) {
    tokens = try TokenGenerator(model, prompt: prompt, options: options)
    decoder = tokenizer.streamingDecoder()
    stopSequences = options.stopSequences.filter { !$0.isEmpty }.map { Array($0.utf8) }
  }

  /// The number of tokens generated so far.
  public var tokenCount: Int { tokens.count }
  /// Why the generation ended; `nil` while it goes on.
  public var end: GenerationEnd? { isFinished ? stopped ?? tokens.end : nil }
  private var stopped: GenerationEnd?

  /// The next piece of text, possibly empty while a character or a possible stop sequence is incomplete; `nil` at the end.
  public mutating func next() -> String? {
    guard !isFinished else { return nil }
    guard let token = tokens.next() else {
      isFinished = true
      let rest = held + decoder.finish()
      held = ""
      return rest.isEmpty ? nil : rest
    }
    held += decoder.append(token)
    return release()
  }

  /// Gives out what can no longer become a stop sequence.
  private mutating func release() -> String {
    let bytes = Array(held.utf8)
    var first: Int?
    for stop in stopSequences {
      if let found = bytes.firstOccurrence(of: stop) { first = min(first ?? found, found) }
    }
    if let first {
      isFinished = true
      stopped = .stop
      held = ""
      return String(decoding: bytes[..<first], as: UTF8.self)
    }
    var kept = 0
    for stop in stopSequences {
      for length in stride(from: min(stop.count - 1, bytes.count), to: kept, by: -1)
      where bytes.suffix(length).elementsEqual(stop.prefix(length)) {
        kept = length
        break
      }
    }
    // A stop sequence that begins within a character leaves the whole character held.
    var cut = bytes.count - kept
    while cut > 0 && cut < bytes.count && bytes[cut] & 0xC0 == 0x80 { cut -= 1 }
    held = String(decoding: bytes[cut...], as: UTF8.self)
    return String(decoding: bytes[..<cut], as: UTF8.self)
  }
}

extension Array where Element == UInt8 {
  fileprivate func firstOccurrence(of pattern: [UInt8]) -> Int? {
    guard pattern.count <= count else { return nil }
    return (0...count - pattern.count).first { self[$0..<$0 + pattern.count].elementsEqual(pattern) }
  }
}

/// Text as it is generated, piece by piece, as an `AsyncSequence`.
///
/// Each piece is computed when it is asked for, on the task that asks; a cancelled task ends the text.
///
/// ```swift
/// for try await piece in try TextStream(model, tokenizer: tokenizer, prompt: ids) { print(piece, terminator: "") }
/// ```
public struct TextStream: AsyncSequence {
  private let generator: TextGenerator

  /// Prepares the generation after `prompt`.
  ///
  /// - Throws: what ``TokenGenerator/init(_:prompt:options:)`` throws.
  public init(
    _ model: any LanguageModel, tokenizer: any Tokenizer, prompt: [Int32],
    options: GenerationOptions = GenerationOptions()
  ) throws(LanguageModelError) {
    generator = try TextGenerator(model, tokenizer: tokenizer, prompt: prompt, options: options)
  }

  /// The iterator.
  public struct AsyncIterator: AsyncIteratorProtocol {
    fileprivate var generator: TextGenerator

    /// The next piece of text; `nil` at the end, or when the task is cancelled.
    public mutating func next() async -> String? {
      if Task.isCancelled { return nil }
      // Gives other tasks their turn between tokens.
      await Task.yield()
      return generator.next()
    }
  }

  /// Starts the text.
  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(generator: generator) }
}
