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
  /// How many tokens are guessed ahead from what stands before in prompt and text, and read in one pass with the next one; 0 for
  /// none. Texts that repeat themselves or their prompt then take fewer passes; the tokens stay the same, but for rounding.
  public var promptLookup = 0

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
  private let lookup: Int
  private var state: GenerationState
  /// Made at the first token, and taken over by the copy that goes on: copies of a generator do not meet.
  private var cache: KeyValueCache?
  /// The logits of the next tokens as far as they are known: those of the next one, and one more for each of ``guesses``.
  private var known: [[Float]] = []
  /// The tokens that were read ahead of what has been said.
  private var guesses: ArraySlice<Int32> = []
  /// How many times the model has read; fewer than tokens where guesses were right.
  public private(set) var passCount = 0

  /// Prepares the generation after `prompt`; nothing is computed yet.
  ///
  /// - Throws: ``LanguageModelError/request(_:)`` if the prompt is empty, holds a token outside the vocabulary or leaves no
  ///   room in the context, or if a setting is out of range.
  public init(
    _ model: any LanguageModel, prompt: [Int32], options: GenerationOptions = GenerationOptions()
  ) throws(LanguageModelError) {
    self.model = model
    lookup = options.promptLookup
    state = try GenerationState(
      model, prompt: prompt, options: options, random: RandomGenerator(seed: options.seed))
    guard lookup >= 0 else {
      throw .request(.init("", at: "promptLookup", expected: "at least 0", found: "\(lookup)"))
    }
  }

  /// The tokens generated so far.
  public var count: Int { state.count }
  /// Why the generation ended; `nil` while it goes on.
  public var end: GenerationEnd? { state.end }
  /// The sequences of the constraint that what was generated completes.
  public var completed: [Int] { state.completed }

  /// The next token; `nil` at the end, a stop token included.
  public mutating func next() -> Int32? {
    guard state.mayContinue() else { return nil }
    if known.isEmpty { read() }
    guard let token = state.take(known.removeFirst()) else { return nil }
    if guesses.first == token {
      guesses = guesses.dropFirst()
    } else {
      (known, guesses) = ([], [])
    }
    return token
  }

  /// Reads what was said since the last pass, and what is guessed to follow.
  private mutating func read() {
    // All but the last token at most: the logits after it are wanted.
    let said = state.tokens.count
    var cache = self.cache.take() ?? KeyValueCache(layerCount: model.layerCount)
    let read = min(cache.lengths[0], said - 1)
    if !isKnownUniquelyReferenced(&cache) {
      cache = cache.forked(into: 1, keeping: read)
    } else if cache.lengths[0] > read {
      cache.truncate(to: read)
    }
    self.cache = cache
    guesses = state.guess(lookup)[...]
    let pending = Array(state.tokens[read...] + guesses)
    passCount += 1
    known = withoutGradients {
      let states = model.hiddenStates(
        model.embed(pending), sequences: PackedSequences(lengths: [pending.count]), cache: cache)
      let first = said - read - 1
      let wanted = pending.count == 1 ? states : states.rows(Array(first..<pending.count))
      let logits = model.logits(wanted)
      return (0..<wanted.shape[0]).map { logits.rowFloats($0) }
    }
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
