import TrestleTensor

/// The weights of layers of recurrent units, by PyTorch's names: for layer k `weight_ih_lk` `[gates · hidden, inputs]`,
/// `weight_hh_lk` `[gates · hidden, hidden]`, and, if there are offsets, `bias_ih_lk`, `bias_hh_lk` `[gates · hidden]`.
enum RecurrentWeights {
  /// Weights drawn uniformly from ±1/√hidden.
  static func drawn(
    gates: Int, inputs: Int, hidden: Int, layerCount: Int, hasBias: Bool, dtype: DType,
    using generator: inout RandomGenerator
  ) -> [String: Parameter] {
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
    return weights
  }

  /// x Wᵀ + b with the weights called `weight_NAME_lLAYER` and, if there are offsets, `bias_NAME_lLAYER`.
  static func projected(
    _ x: Tensor, by weights: [String: Parameter], _ name: String, _ layer: Int
  ) -> Tensor {
    guard let weight = weights["weight_\(name)_l\(layer)"] else {
      preconditionFailure("recurrent units: there is no layer \(layer)")
    }
    let y = x.matmul(weight.value, transposingOther: true)
    return weights["bias_\(name)_l\(layer)"].map { y + $0.value } ?? y
  }
}
