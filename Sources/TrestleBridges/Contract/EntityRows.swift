import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

extension Representations {
  /// The rows of a kind.
  subscript(kind: EntityKind) -> Tensor { kind == .user ? users : items }
}

extension EntityTokens {
  /// The rows of a kind's tokens.
  subscript(kind: EntityKind) -> Parameter { kind == .user ? users : items }
}

extension BridgeParameterGroup {
  /// The group `adapters` of a side, without parameters if it has no adapters.
  static func adapters(_ adapters: LoRAAdapters?, learningRate: Double) -> BridgeParameterGroup {
    BridgeParameterGroup(
      name: "adapters",
      parameters: (adapters?.parameters ?? []).enumerated().map { ("adapter.\($0.offset)", $0.element) },
      learningRate: learningRate)
  }
}

extension MLP {
  /// A network with one hidden layer, whose last weights are scaled: what meets rows that are small at first is to be small.
  convenience init(
    _ inputs: Int, hidden: Int, outputs: Int, lastScale: Double, activation: Activation = .gelu,
    using generator: inout RandomGenerator
  ) {
    self.init(widths: [inputs, hidden, outputs], activation: activation, using: &generator)
    layers[1].weight.update(to: layers[1].weight.detached * lastScale)
  }
}
