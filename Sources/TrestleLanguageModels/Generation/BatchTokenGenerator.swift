import TrestleNN
import TrestleTensor

/// Generates after several prompts side by side, a token of each at a time.
///
/// A step reads the weights once for all prompts. What all prompts begin with is read once. A text that has ended leaves the batch.
///
/// ```swift
/// let batch = try BatchTokenGenerator(model, prompts: prompts, options: options)
/// while let tokens = batch.next() { … }  // one for each prompt, nil for those that have ended
/// ```
///
/// With greedy choice the tokens are those of ``TokenGenerator``, but for rounding; each prompt has random numbers of its own.
public final class BatchTokenGenerator: IteratorProtocol {
  private let model: any LanguageModel
  private var states: [GenerationState]
  private var cache: KeyValueCache?
  /// The prompts that the cache has sequences of, in its order.
  private var active: [Int]

  /// Prepares the generation; nothing is computed yet.
  ///
  /// - Parameters:
  ///   - model: the language model.
  ///   - prompts: at least one token each.
  ///   - options: what to generate after each of them.
  /// - Throws: ``LanguageModelError/request(_:)`` if a prompt is empty, holds a token outside the vocabulary or leaves no room in the
  ///   context, or if a setting is out of range.
  public init(
    _ model: any LanguageModel, prompts: [[Int32]], options: GenerationOptions = GenerationOptions()
  ) throws(LanguageModelError) {
    self.model = model
    let random = RandomGenerator(seed: options.seed)
    var states: [GenerationState] = []
    for (index, prompt) in prompts.enumerated() {
      states.append(
        try GenerationState(
          model, prompt: prompt, options: options, random: random.split(UInt64(index)),
          place: "prompt \(index + 1) of \(prompts.count)"))
    }
    self.states = states
    active = Array(states.indices)
  }

  /// Why each text ended; `nil` while it goes on.
  public var ends: [GenerationEnd?] { states.map(\.end) }
  /// How many tokens of each text there are so far.
  public var counts: [Int] { states.map(\.count) }
  /// The sequences of the constraint that each text completes.
  public var completed: [[Int]] { states.map(\.completed) }

  /// The next token of each text, `nil` for one that has ended; `nil` once all have.
  public func next() -> [Int32?]? {
    let going = active.indices.filter { states[active[$0]].mayContinue() }
    if going.isEmpty { return nil }
    if going.count < active.count {
      cache?.keep(going)
      active = going.map { active[$0] }
    }
    let logits = withoutGradients { nextLogits() }
    var tokens = [Int32?](repeating: nil, count: states.count)
    for (row, index) in active.enumerated() { tokens[index] = states[index].take(logits.rowFloats(row)) }
    return tokens
  }

  /// All tokens that are still to come, text by text.
  public func rest() -> [[Int32]] {
    var texts = [[Int32]](repeating: [], count: states.count)
    while let tokens = next() {
      for (index, token) in tokens.enumerated() {
        if let token { texts[index].append(token) }
      }
    }
    return texts
  }

  /// The logits of the active texts, `[texts, vocabulary]`.
  private func nextLogits() -> Tensor {
    let cache = self.cache ?? begun()
    self.cache = cache
    let pending = active.indices.map { Array(states[active[$0]].tokens.dropFirst(cache.lengths[$0])) }
    let sequences = PackedSequences(lengths: pending.map(\.count))
    let hidden = model.hiddenStates(model.embed(Array(pending.joined())), sequences: sequences, cache: cache)
    return model.logits(hidden.rows(sequences.lastRows))
  }

  /// A cache of the active texts in which what they all begin with has been read.
  private func begun() -> KeyValueCache {
    let prompts = active.map { states[$0].tokens }
    var shared = prompts[0].dropLast()[...]
    for prompt in prompts.dropFirst() {
      let same = zip(shared, prompt.dropLast()).prefix { $0 == $1 }.count
      shared = shared.prefix(same)
    }
    guard prompts.count > 1, !shared.isEmpty else {
      return KeyValueCache(layerCount: model.layerCount, sequenceCount: prompts.count)
    }
    let cache = KeyValueCache(layerCount: model.layerCount)
    _ = model.hiddenStates(
      model.embed(Array(shared)), sequences: PackedSequences(lengths: [shared.count]), cache: cache)
    return cache.forked(into: prompts.count)
  }
}

extension Tensor {
  /// One row of a matrix.
  func rowFloats(_ row: Int) -> [Float] { sliced(row..<row + 1, along: 0).floats }
}
