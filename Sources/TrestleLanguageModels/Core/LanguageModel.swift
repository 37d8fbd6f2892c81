import TrestleNN
import TrestleTensor

/// A decoder that reads tokens and says how likely each next token is.
///
/// Batches are packed: the tokens of all sequences lie one after the other, without padding, and `PackedSequences`
/// says where each begins. Positions count from the start of each sequence, or go on from what a cache holds.
///
/// ```swift
/// let sequences = PackedSequences(lengths: [3, 2])
/// let states = model.hiddenStates(model.embed([5, 6, 7, 8, 9]), sequences: sequences)
/// let logits = model.logits(states.rows([2, 4]))  // of the last token of each
/// ```
public protocol LanguageModel: Module, AnyObject {
  /// The number of tokens with rows in the embedding.
  var vocabularySize: Int { get }
  /// The width of the states.
  var hiddenSize: Int { get }
  /// The number of blocks.
  var layerCount: Int { get }
  /// The longest sequence that the model was made for.
  var contextLength: Int { get }
  /// In what the products with the weights are computed.
  var arithmetic: Arithmetic { get set }
  /// Whether gradients are taken block by block from what enters each: its values are computed again instead of being kept. A
  /// training step then needs memory for one block's values, and one pass forward more. A block reads nothing tracked but
  /// its states and parameters, which rules out ``LoRAAdapters/gated(by:_:)`` with gates that are trained.
  var recomputesBlocks: Bool { get set }

  /// The embedding rows of tokens, `[tokens, hidden]`.
  ///
  /// - Precondition: all tokens are within the vocabulary.
  func embed(_ tokens: [Int32]) -> Tensor

  /// The top-layer states, after the last normalisation, `[tokens, hidden]`.
  ///
  /// - Parameters:
  ///   - embeddings: `[tokens, hidden]`: rows of ``embed(_:)``, or any others.
  ///   - sequences: where each sequence lies; with a cache, `sequences` are the new tokens alone.
  ///   - cache: keys and values of earlier tokens of the same sequences; the new ones are added to it.
  func hiddenStates(_ embeddings: Tensor, sequences: PackedSequences, cache: KeyValueCache?) -> Tensor

  /// The states between the blocks of whole sequences, one tensor `[tokens, hidden]` for each of `layers`, in one pass that
  /// ends at the highest of them.
  ///
  /// Layers are counted as Transformers counts `hidden_states`: 0 is what enters the first block, n the state after n
  /// blocks, and ``layerCount`` the top-layer state, after the last normalisation.
  ///
  /// - Parameters:
  ///   - inputs: `[tokens, hidden]`: rows of ``embed(_:)`` for `start` 0, else the states of layer `start`, below
  ///     ``layerCount``.
  ///   - sequences: where each sequence lies.
  ///   - start: the layer that `inputs` are the states of.
  ///   - layers: the layers that are wanted, each in `start...layerCount`.
  func states(_ inputs: Tensor, sequences: PackedSequences, from start: Int, layers: [Int]) -> [Tensor]

  /// The logits of the next token.
  ///
  /// - Parameters:
  ///   - states: `[rows, hidden]`: those of the needed positions alone.
  ///   - columns: the needed tokens; all for `nil`.
  /// - Returns: `[rows, columns]`.
  func logits(_ states: Tensor, columns: [Int32]?) -> Tensor

  /// The mean and the standard deviation of the embedding's entries: what new rows should match.
  func embeddingStatistics() -> (mean: Tensor, deviation: Double)
}

extension LanguageModel {
  /// A model that keeps all of a pass, and cannot do otherwise unless it says so.
  public var recomputesBlocks: Bool {
    get { false }
    set { precondition(!newValue, "\(Self.self): its blocks cannot be computed again") }
  }

  /// The top-layer states of whole sequences.
  public func hiddenStates(_ embeddings: Tensor, sequences: PackedSequences) -> Tensor {
    hiddenStates(embeddings, sequences: sequences, cache: nil)
  }

  /// The top-layer states of whole sequences of which some go on from another one, as several questions do from one text: what
  /// they share is computed once, and gradients flow as if each had it for itself.
  ///
  /// - Parameters:
  ///   - embeddings: `[tokens, hidden]`, those of all sequences; of one that goes on, only what is new.
  ///   - sequences: where each sequence lies.
  ///   - continuing: for each sequence the earlier one that it goes on from, or `nil`.
  /// - Precondition: a sequence that others go on from goes on from none.
  public func hiddenStates(
    _ embeddings: Tensor, sequences: PackedSequences, continuing: [Int?]
  ) -> Tensor {
    precondition(
      continuing.count == sequences.count,
      "hiddenStates: \(continuing.count) sequences to go on from for \(sequences.count)")
    return hiddenStates(embeddings, sequences: sequences, cache: KeyValueCache(continuing: continuing))
  }

  /// The logits of all tokens of the vocabulary.
  public func logits(_ states: Tensor) -> Tensor { logits(states, columns: nil) }

  /// The top-layer states of token sequences, packed.
  public func hiddenStates(tokens: [[Int32]]) -> Tensor {
    hiddenStates(embed(Array(tokens.joined())), sequences: PackedSequences(lengths: tokens.map(\.count)))
  }

  /// The mean cross-entropy of each token given those before it: the ordinary language-model loss.
  ///
  /// - Parameter sequences: token sequences; those with fewer than two tokens add nothing.
  public func nextTokenLoss(_ sequences: [[Int32]]) -> Tensor {
    let inputs = sequences.map { Array($0.dropLast()) }.filter { !$0.isEmpty }
    let labels = sequences.filter { $0.count > 1 }.flatMap { $0.dropFirst() }
    precondition(!labels.isEmpty, "nextTokenLoss: no sequence has two tokens")
    return logits(hiddenStates(tokens: inputs)).crossEntropy(labels: Tensor(labels)).mean()
  }

  /// The sum of the log-probabilities of each continuation of one prompt; the prompt is computed once.
  ///
  /// - Parameters:
  ///   - prompt: at least one token.
  ///   - continuations: at least one token each.
  public func logLikelihoods(of continuations: [[Int32]], after prompt: [Int32]) -> [Double] {
    precondition(
      !prompt.isEmpty && continuations.allSatisfy { !$0.isEmpty },
      "logLikelihoods: a prompt of \(prompt.count) tokens, continuations of \(continuations.map(\.count))")
    if continuations.isEmpty { return [] }
    return withoutGradients {
      let cache = KeyValueCache(layerCount: layerCount)
      let states = hiddenStates(
        embed(prompt), sequences: PackedSequences(lengths: [prompt.count]), cache: cache)
      let first = logits(states.rows([prompt.count - 1])).logSoftmax().floats
      var results = continuations.map { Double(first[Int($0[0])]) }
      let longer = continuations.indices.filter { continuations[$0].count > 1 }
      if longer.isEmpty { return results }
      let inputs = longer.map { Array(continuations[$0].dropLast()) }
      let forked = cache.forked(into: longer.count)
      let rest = logits(
        hiddenStates(
          embed(inputs.flatMap { $0 }), sequences: PackedSequences(lengths: inputs.map(\.count)),
          cache: forked))
      let labels = longer.flatMap { continuations[$0].dropFirst() }
      let losses = rest.crossEntropy(labels: Tensor(labels)).floats
      var position = 0
      for index in longer {
        let count = continuations[index].count - 1
        results[index] -= losses[position..<position + count].reduce(0) { $0 + Double($1) }
        position += count
      }
      return results
    }
  }

  /// How much likelier "yes" is than "no" as the next token of each prompt: σ(yes − no), the score of CoLLM and TALLRec.
  ///
  /// - Parameters:
  ///   - states: the states that the answer is read from, `[prompts, hidden]`.
  ///   - yes: the token of the positive answer.
  ///   - no: the token of the negative answer.
  /// - Returns: the difference of the two logits, `[prompts]`; its sigmoid is the probability.
  public func yesNoLogits(_ states: Tensor, yes: Int32, no: Int32) -> Tensor {
    let pair = logits(states, columns: [yes, no])
    return (pair.sliced(0..<1, along: 1) - pair.sliced(1..<2, along: 1)).squeezed(1)
  }
}

extension Tensor {
  /// Some rows of a matrix of states, `[rows, hidden]`; gradients flow back to them.
  public func rows(_ indices: [Int]) -> Tensor {
    gatheredRows(Tensor(indices.map(Int32.init)))
  }
}

extension PackedSequences {
  /// The row of each sequence's last query.
  public var lastRows: [Int] {
    (0..<count).map { index in
      precondition(
        queryStarts[index + 1] > queryStarts[index], "PackedSequences.lastRows: sequence \(index) is empty")
      return queryStarts[index + 1] - 1
    }
  }

  /// The mean of each sequence's rows, `[sequences, hidden]`.
  ///
  /// - Parameters:
  ///   - states: `[tokens, hidden]`.
  ///   - skipping: how many rows at each sequence's beginning are left out, one number a sequence; the last row always
  ///     counts. `nil` leaves none out.
  public func meanPooled(_ states: Tensor, skipping: [Int]? = nil) -> Tensor {
    precondition(
      states.rank == 2 && states.shape[0] == queryCount && (skipping?.count ?? count) == count,
      "meanPooled: states \(states.shape) for \(queryCount) tokens of \(count) sequences, \(skipping?.count ?? count) numbers of rows"
    )
    var owners: [Int32] = []
    owners.reserveCapacity(queryCount)
    var weights: [Float] = []
    weights.reserveCapacity(count)
    var rows: [Int32] = []
    for index in 0..<count {
      let length = queryStarts[index + 1] - queryStarts[index]
      let skipped = Swift.min(Swift.max(skipping?[index] ?? 0, 0), Swift.max(length - 1, 0))
      owners.append(contentsOf: repeatElement(Int32(index), count: length - skipped))
      if skipping != nil { rows += (queryStarts[index] + skipped..<queryStarts[index + 1]).map { Int32($0) } }
      weights.append(length == 0 ? 0 : 1 / Float(length - skipped))
    }
    let pooled = skipping != nil ? states.gatheredRows(Tensor(rows)) : states
    let sums = pooled.scatterAddedRows(at: Tensor(owners), rowCount: count)
    return sums * Tensor(weights, shape: [count, 1]).converted(to: states.dtype)
  }
}
