import TrestleNN
import TrestleTensor

/// A pass through a decoder's blocks, with what they share prepared for its sequences.
struct DecoderPass {
  /// The rows of trained positions, which are added to embeddings, `[tokens, hidden]`; `nil` if the blocks place tokens.
  var positions: Tensor?
  /// The trainable parameters of a block, if passes through it are computed again when gradients are taken; `nil` if all is kept.
  var recomputed: ((Int) -> [Parameter])?
  /// Applies the block with the given number to the states of the layer of that number.
  let block: (Int, Tensor) -> Tensor
  /// The last normalisation.
  let norm: (Tensor) -> Tensor

  /// What enters the first block.
  func entrance(_ embeddings: Tensor) -> Tensor { positions.map { embeddings + $0 } ?? embeddings }

  /// The states after a block.
  func states(after layer: Int, _ x: Tensor) -> Tensor {
    guard let recomputed else { return block(layer, x) }
    return .recomputed([x], parameters: recomputed(layer)) { block(layer, $0[0]) }
  }
}

extension LanguageModel {
  /// What a pass through `layers` computes again: nothing where a cache keeps what it has made.
  func recomputed(_ layers: [some Module], _ cache: KeyValueCache?) -> ((Int) -> [Parameter])? {
    recomputesBlocks && cache == nil ? { layers[$0].trainableParameters } : nil
  }

  /// Prepares a pass over sequences that lie where the cache, if there is one, has placed them.
  typealias PassMaker = (_ sequences: PackedSequences, _ dtype: DType, _ cache: KeyValueCache?) -> DecoderPass

  /// Runs all blocks: what models share of ``LanguageModel/hiddenStates(_:sequences:cache:)``.
  func topStates(
    _ embeddings: Tensor, sequences: PackedSequences, cache: KeyValueCache?, through makePass: PassMaker
  ) -> Tensor {
    precondition(
      embeddings.shape == [sequences.queryCount, hiddenSize],
      "hiddenStates: embeddings \(embeddings.shape) for \(sequences.queryCount) tokens of width \(hiddenSize)"
    )
    let pass = makePass(cache?.extended(by: sequences) ?? sequences, embeddings.dtype, cache)
    var x = pass.entrance(embeddings)
    for layer in 0..<layerCount { x = pass.states(after: layer, x) }
    cache?.advance(by: sequences)
    return pass.norm(x)
  }

  /// Runs blocks from layer `start` on and collects the states of `layers`: what models share of
  /// ``LanguageModel/states(_:sequences:from:layers:)``.
  func collectStates(
    _ inputs: Tensor, sequences: PackedSequences, from start: Int, layers: [Int], through makePass: PassMaker
  ) -> [Tensor] {
    precondition(
      inputs.shape == [sequences.queryCount, hiddenSize],
      "states: inputs \(inputs.shape) for \(sequences.queryCount) tokens of width \(hiddenSize)")
    precondition(
      start >= 0 && start < layerCount && !layers.isEmpty
        && layers.allSatisfy { $0 >= start && $0 <= layerCount },
      "states(from: \(start), layers: \(layers)): a model of \(layerCount) layers")
    let pass = makePass(sequences, inputs.dtype, nil)
    let last = layers.max() ?? start
    var collected: [Int: Tensor] = [:]
    var x = start == 0 ? pass.entrance(inputs) : inputs
    for layer in start...last {
      if layers.contains(layer) { collected[layer] = layer == layerCount ? pass.norm(x) : x }
      if layer < last { x = pass.states(after: layer, x) }
    }
    return layers.map { collected[$0] ?? x }
  }
}

extension PackedSequences {
  /// The position of each query within its sequence.
  var queryPositions: [Int32] {
    var positions: [Int32] = []
    positions.reserveCapacity(queryCount)
    for index in 0..<count {
      let length = queryStarts[index + 1] - queryStarts[index]
      let end = keyStarts[index + 1] - keyStarts[index]
      positions.append(contentsOf: Int32(end - length)..<Int32(end))
    }
    return positions
  }
}
