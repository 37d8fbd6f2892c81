import TrestleTensor

/// What an adapter adds to a linear layer: LoRA and its like.
public protocol LinearAdapter: Module {
  /// The adapted output.
  ///
  /// - Parameters:
  ///   - input: the layer's input, `[..., inputs]`.
  ///   - output: what the layer makes of it, `[..., outputs]`.
  func adapt(input: Tensor, output: Tensor) -> Tensor
}

/// An affine map of the last dimension: y = x Wᵀ + b.
///
/// ```swift
/// let layer = Linear(inputs: 64, outputs: 10, using: &generator)
/// let logits = layer(x)  // [batch, 64] → [batch, 10]
/// ```
public final class Linear: Module {
  /// W, `[outputs, inputs]`.
  public let weight: Parameter
  /// b, `[outputs]`; `nil` for a linear map without offset.
  public let bias: Parameter?
  /// Changes the output if set. Its parameters are part of the module.
  public var adapter: (any LinearAdapter)?
  /// In what the products are computed.
  public var arithmetic = Arithmetic.float32

  /// A layer with the given weights.
  public init(weight: Tensor, bias: Tensor? = nil) {
    precondition(
      weight.rank == 2 && (bias?.shape ?? [weight.shape[0]]) == [weight.shape[0]],
      "Linear: weight \(weight.shape), bias \(bias.map { "\($0.shape)" } ?? "nil")")
    self.weight = Parameter(weight)
    self.bias = bias.map { Parameter($0) }
  }

  /// A layer whose weights and bias are drawn uniformly from ±1/√inputs.
  public convenience init(
    inputs: Int, outputs: Int, hasBias: Bool = true, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let bound = 1 / Double(max(inputs, 1)).squareRoot()
    let weight = Tensor.uniform([outputs, inputs], in: -bound..<bound, dtype: dtype, using: &generator)
    let bias = hasBias ? Tensor.uniform([outputs], in: -bound..<bound, dtype: dtype, using: &generator) : nil
    self.init(weight: weight, bias: bias)
  }

  /// The number of input features.
  public var inputs: Int { weight.shape[1] }
  /// The number of output features.
  public var outputs: Int { weight.shape[0] }

  /// x Wᵀ + b, adapted if there is an adapter.
  ///
  /// - Parameter x: `[..., inputs]`.
  /// - Returns: `[..., outputs]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let matrix = x.rank == 1 ? x.expanded(at: 0) : x
    var y = matrix.matmul(weight.value, transposingOther: true, arithmetic: arithmetic)
    if let bias { y = y + bias.value }
    if let adapter { y = adapter.adapt(input: matrix, output: y) }
    return x.rank == 1 ? y.squeezed(0) : y
  }
}
