import TrestleTensor

/// Gated recurrent units over a batch of sequences of one length.
///
/// r = σ(W_r x + U_r h), z = σ(W_z x + U_z h), n = tanh(W_n x + b_n + r (U_n h + c_n)), h ← (1 − z) n + z h, each with
/// offsets; PyTorch's order r, z, n and PyTorch's two offsets.
///
/// Source: Cho et al., *Learning Phrase Representations using RNN Encoder–Decoder* (2014).
public final class GRU: Module {
  /// The parameters lie directly under the layer: `weight_ih_l0`, as in PyTorch.
  public static let checkpointKeys = ["weights": ""]
  private let weights: RecurrentWeights
  /// The width of the states.
  public let hidden: Int
  /// The number of layers, each fed with the states of the one below.
  public let layerCount: Int

  /// Layers whose weights are drawn uniformly from ±1/√hidden.
  public init(
    inputs: Int, hidden: Int, layerCount: Int = 1, hasBias: Bool = true, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    weights = RecurrentWeights(
      gates: 3, inputs: inputs, hidden: hidden, layerCount: layerCount, hasBias: hasBias, dtype: dtype,
      using: &generator)
    self.hidden = hidden
    self.layerCount = layerCount
  }

  /// The top layer's states at every step.
  ///
  /// - Parameters:
  ///   - x: `[batch, time, inputs]`.
  ///   - initial: each layer's state before the first step, `[layers, batch, hidden]`; zeros by default.
  /// - Returns: `[batch, time, hidden]`.
  public func callAsFunction(_ x: Tensor, initial: Tensor? = nil) -> Tensor {
    precondition(x.rank == 3, "GRU: input \(x.shape), expected [batch, time, inputs]")
    return weights.outputs(for: x, layerCount: layerCount, hidden: hidden) { layer in
      initial?[layer] ?? Tensor.zeros([x.shape[0], hidden], dtype: x.dtype)
    } step: { input, layer, state in
      state = Self.step(input, weights.ofState(state, layer: layer), state, hidden)
      return state
    }.outputs
  }

  /// The state after a step: `input` and `own` are both `[batch, 3 · hidden]`, `state` is `[batch, hidden]`.
  private static func step(_ input: Tensor, _ own: Tensor, _ state: Tensor, _ hidden: Int) -> Tensor {
    let gates = (input.sliced(0..<2 * hidden, along: 1) + own.sliced(0..<2 * hidden, along: 1)).sigmoid()
    let reset = gates.sliced(0..<hidden, along: 1)
    let update = gates.sliced(hidden..<2 * hidden, along: 1)
    let proposal =
      (input.sliced(2 * hidden..<3 * hidden, along: 1) + reset * own.sliced(2 * hidden..<3 * hidden, along: 1))
      .tanh()
    return proposal + update * (state - proposal)
  }
}
