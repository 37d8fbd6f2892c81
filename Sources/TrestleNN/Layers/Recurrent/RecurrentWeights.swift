import TrestleTensor

/// The weights of layers of recurrent units, by PyTorch's names: for layer k `weight_ih_lk` `[gates · hidden, inputs]`,
/// `weight_hh_lk` `[gates · hidden, hidden]`, and, if there are offsets, `bias_ih_lk`, `bias_hh_lk` `[gates · hidden]`.
struct RecurrentWeights: Module {
  static let checkpointKeys = ["byName": ""]
  private let byName: [String: Parameter]

  /// Weights drawn uniformly from ±1/√hidden.
  init(
    gates: Int, inputs: Int, hidden: Int, layerCount: Int, hasBias: Bool, dtype: DType,
    using generator: inout RandomGenerator
  ) {
    let bound = 1 / Double(max(hidden, 1)).squareRoot()
    func draw(_ shape: Shape) -> Parameter {
      Parameter(.uniform(shape, in: -bound..<bound, dtype: dtype, using: &generator))
    }
    var weights: [String: Parameter] = [:]
    for layer in 0..<layerCount {
      weights["weight_ih_l\(layer)"] = draw([gates * hidden, layer == 0 ? inputs : hidden])
      weights["weight_hh_l\(layer)"] = draw([gates * hidden, hidden])
      guard hasBias else { continue }
      weights["bias_ih_l\(layer)"] = draw([gates * hidden])
      weights["bias_hh_l\(layer)"] = draw([gates * hidden])
    }
    byName = weights
  }

  /// What a layer's gates take from its inputs: x Wᵀ + b of `weight_ih_lk` and `bias_ih_lk`.
  func ofInputs(_ x: Tensor, layer: Int) -> Tensor { projected(x, "ih_l\(layer)") }

  /// What a layer's gates take from its own state: h Uᵀ + c of `weight_hh_lk` and `bias_hh_lk`.
  func ofState(_ state: Tensor, layer: Int) -> Tensor { projected(state, "hh_l\(layer)") }

  /// Runs layers of units over time, each fed with the outputs of the one below.
  ///
  /// - Parameters:
  ///   - x: `[batch, time, inputs]`.
  ///   - layerCount: the number of layers.
  ///   - hidden: the width of the outputs.
  ///   - initial: what a layer remembers before the first step.
  ///   - step: makes a step's output, `[batch, hidden]`, of what the gates take from its inputs, of the layer and of what the
  ///     layer remembers, and changes the latter.
  /// - Returns: the top layer's outputs, `[batch, time, hidden]`, and what each layer remembers after the last step.
  func outputs<Memory>(
    for x: Tensor, layerCount: Int, hidden: Int, from initial: (_ layer: Int) -> Memory,
    step: (_ input: Tensor, _ layer: Int, _ memory: inout Memory) -> Tensor
  ) -> (outputs: Tensor, memories: [Memory]) {
    let (batch, time) = (x.shape[0], x.shape[1])
    var sequence = x.permuted([1, 0, 2])
    var memories: [Memory] = []
    for layer in 0..<layerCount {
      let input = ofInputs(sequence, layer: layer)
      var memory = initial(layer)
      var outputs: [Tensor] = []
      outputs.reserveCapacity(time)
      for place in 0..<time { outputs.append(step(input[place], layer, &memory)) }
      memories.append(memory)
      sequence = outputs.isEmpty ? .zeros([0, batch, hidden], dtype: x.dtype) : .stacked(outputs)
    }
    return (sequence.permuted([1, 0, 2]), memories)
  }

  private func projected(_ x: Tensor, _ name: String) -> Tensor {
    guard let weight = byName["weight_" + name] else {
      preconditionFailure("recurrent units: there is no weight_\(name)")
    }
    let y = x.matmul(weight.value, transposingOther: true)
    return byName["bias_" + name].map { y + $0.value } ?? y
  }
}
