import TrestleTensor

/// Long short-term memory over a batch of sequences of one length.
///
/// i, f, o = σ(W x + U h + offsets), g = tanh(W x + U h + offsets), c ← f c + i g, h ← o tanh(c); PyTorch's order i, f, g, o
/// and PyTorch's two offsets.
///
/// Source: Hochreiter and Schmidhuber, *Long Short-Term Memory* (1997).
public final class LSTM: Module {
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
      gates: 4, inputs: inputs, hidden: hidden, layerCount: layerCount, hasBias: hasBias, dtype: dtype,
      using: &generator)
    self.hidden = hidden
    self.layerCount = layerCount
  }

  /// What the layers remember between steps, `[layers, batch, hidden]` each.
  public struct State: Sendable {
    /// h, the output.
    public var output: Tensor
    /// c, the memory.
    public var memory: Tensor

    /// A state of both parts.
    public init(output: Tensor, memory: Tensor) {
      self.output = output
      self.memory = memory
    }
  }

  /// The top layer's outputs at every step, and the state after the last.
  ///
  /// - Parameters:
  ///   - x: `[batch, time, inputs]`.
  ///   - initial: the state before the first step; zeros by default.
  /// - Returns: `[batch, time, hidden]`, and the state.
  public func callAsFunction(_ x: Tensor, initial: State? = nil) -> (outputs: Tensor, state: State) {
    precondition(x.rank == 3, "LSTM: input \(x.shape), expected [batch, time, inputs]")
    let zeros = Tensor.zeros([x.shape[0], hidden], dtype: x.dtype)
    let (outputs, last) = weights.outputs(for: x, layerCount: layerCount, hidden: hidden) { layer in
      State(output: initial?.output[layer] ?? zeros, memory: initial?.memory[layer] ?? zeros)
    } step: { input, layer, state in
      let parts = (input + weights.ofState(state.output, layer: layer)).split(into: 4, along: 1)
      state.memory = parts[1].sigmoid() * state.memory + parts[0].sigmoid() * parts[2].tanh()
      state.output = parts[3].sigmoid() * state.memory.tanh()
      return state.output
    }
    return (outputs, State(output: .stacked(last.map(\.output)), memory: .stacked(last.map(\.memory))))
  }
}
