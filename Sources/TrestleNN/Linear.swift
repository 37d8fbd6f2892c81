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

/// The matrix of a linear layer or an embedding: dense and trainable, or quantised in blocks and fixed.
public enum LinearWeight: Module {
  /// `[outputs, inputs]`, in `float32` or `float64`, or in `bfloat16` if frozen.
  case dense(Parameter)
  /// `[outputs, inputs]`, read block by block.
  case quantized(QuantizedMatrix)

  /// The parameter has the name of the weight itself.
  public static var checkpointKeys: [String: String] { ["dense": ""] }

  /// `[outputs, inputs]`.
  public var shape: Shape {
    switch self {
    case .dense(let parameter): parameter.shape
    case .quantized(let matrix): matrix.shape
    }
  }

  /// x Wᵀ, `[..., outputs]`.
  ///
  /// A frozen weight costs no gradient and keeps no input alive for one.
  public func product(_ x: Tensor, arithmetic: Arithmetic) -> Tensor {
    switch self {
    case .quantized(let matrix): return x.matmul(transposing: matrix, arithmetic: arithmetic)
    case .dense(let parameter):
      let weight = parameter.value
      guard x.isTracked && !weight.isTracked else {
        return x.matmul(weight, transposingOther: true, arithmetic: arithmetic)
      }
      let output = x.detached.matmul(weight, transposingOther: true, arithmetic: arithmetic)
      return Tensor.custom("linear", inputs: [x], output: output) { upstream in
        [upstream.matmul(weight, arithmetic: arithmetic)]
      }
    }
  }

  /// Some rows of W: an embedding lookup.
  ///
  /// - Returns: `[indices, inputs]`.
  /// - Precondition: all indices are within the rows.
  public func gatheredRows(_ indices: [Int32]) -> Tensor {
    switch self {
    case .dense(let parameter): parameter.value.gatheredRows(Tensor(indices))
    case .quantized(let matrix): matrix.gatheredRows(indices)
    }
  }

  /// W as a dense, untracked tensor in `float32` (or `float64` if it is that).
  public func densified() -> Tensor {
    switch self {
    case .dense(let parameter):
      let value = parameter.detached
      return value.dtype == .float64 ? value : value.converted(to: .float32)
    case .quantized(let matrix): return matrix.dequantized()
    }
  }
}

/// An affine map of the last dimension: y = x Wᵀ + b.
///
/// ```swift
/// let layer = Linear(inputs: 64, outputs: 10, using: &generator)
/// let logits = layer(x)  // [batch, 64] → [batch, 10]
/// ```
public final class Linear: Module {
  /// W, dense or quantised.
  public private(set) var matrix: LinearWeight
  /// b, `[outputs]`; `nil` for a linear map without offset.
  public let bias: Parameter?
  /// Changes the output if set. Its parameters are part of the module.
  public var adapter: (any LinearAdapter)?
  /// In what the products are computed. With `.bfloat16` and a `float32` weight, the weight is the master copy: factors
  /// are rounded on their way into the product, sums and gradients stay in `float32`.
  public var arithmetic = Arithmetic.float32

  /// The matrix is called `weight`; an adapter's parameters stand beside it.
  public static var checkpointKeys: [String: String] { ["matrix": "weight", "adapter": ""] }

  /// A layer with the given matrix.
  public init(matrix: LinearWeight, bias: Tensor? = nil) {
    precondition(
      matrix.shape.rank == 2 && (bias?.shape ?? [matrix.shape[0]]) == [matrix.shape[0]],
      "Linear: weight \(matrix.shape), bias \(bias.map { "\($0.shape)" } ?? "nil")")
    self.matrix = matrix
    self.bias = bias.map { Parameter($0) }
  }

  /// A layer with the given weights.
  public convenience init(weight: Tensor, bias: Tensor? = nil) {
    self.init(matrix: .dense(Parameter(weight)), bias: bias)
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

  /// W, `[outputs, inputs]`.
  ///
  /// - Precondition: the layer's matrix is dense; ask ``matrix`` if it may be quantised.
  public var weight: Parameter {
    guard case .dense(let parameter) = matrix else {
      preconditionFailure("Linear.weight: the layer of shape \(matrix.shape) has a quantised matrix")
    }
    return parameter
  }

  /// The number of input features.
  public var inputs: Int { matrix.shape[1] }
  /// The number of output features.
  public var outputs: Int { matrix.shape[0] }

  /// Replaces W: by a dense copy of a quantised one, say.
  ///
  /// - Precondition: the shape stays.
  public func replaceMatrix(by matrix: LinearWeight) {
    precondition(
      matrix.shape == self.matrix.shape,
      "Linear.replaceMatrix: shape \(matrix.shape), expected \(self.matrix.shape)")
    self.matrix = matrix
  }

  /// x Wᵀ + b, adapted if there is an adapter.
  ///
  /// - Parameter x: `[..., inputs]`.
  /// - Returns: `[..., outputs]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let input = x.rank == 1 ? x.expanded(at: 0) : x
    let y = completed(matrix.product(input, arithmetic: arithmetic), input: input)
    return x.rank == 1 ? y.squeezed(0) : y
  }

  /// What follows the product x Wᵀ: the offset and the adapter.
  func completed(_ product: Tensor, input: Tensor) -> Tensor {
    var y = product
    if let bias { y = y + bias.value }
    if let adapter { y = adapter.adapt(input: input, output: y) }
    return y
  }
}

/// A linear layer and its name within a model.
public struct NamedLinear {
  /// The path to the layer, with dots, as checkpoints write it: `model.layers.0.self_attn.q_proj`.
  public let name: String
  /// The layer.
  public let linear: Linear
}

extension Module {
  /// All linear layers with their names, in the order of the properties.
  public var namedLinears: [NamedLinear] {
    var result: [NamedLinear] = []
    collectLinears(self, prefix: "", into: &result)
    return result
  }
}

private func collectLinears(_ value: Any, prefix: String, into result: inout [NamedLinear]) {
  if let linear = value as? Linear {
    result.append(NamedLinear(name: prefix, linear: linear))
    return
  }
  let mirror = Mirror(reflecting: value)
  func path(_ name: String) -> String {
    prefix.isEmpty ? name : name.isEmpty ? prefix : prefix + "." + name
  }
  switch mirror.displayStyle {
  case .optional:
    if let child = mirror.children.first { collectLinears(child.value, prefix: prefix, into: &result) }
  case .collection:
    for (index, child) in mirror.children.enumerated() {
      guard child.value is Module else { return }
      collectLinears(child.value, prefix: path("\(index)"), into: &result)
    }
  default:
    guard let module = value as? any Module else { return }
    let keys = type(of: module).checkpointKeys
    for child in mirror.children {
      guard let label = child.label else { continue }
      collectLinears(child.value, prefix: path(keys[label] ?? label), into: &result)
    }
  }
}
