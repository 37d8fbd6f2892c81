import TrestleTensor

/// Cross-correlates images with trained kernels: `[batch, inputs, height, width]` → `[batch, outputs, rows, columns]`.
public final class Conv2d: Module {
  /// The kernels, `[outputs, inputs / groups, height, width]`.
  public let weight: Parameter
  /// The offset of each output, `[outputs]`; `nil` for none.
  public let bias: Parameter?
  /// From one window to the next, in height and width.
  public let stride: (height: Int, width: Int)
  /// Zeros beyond each edge, in height and width.
  public let padding: (height: Int, width: Int)
  /// From one element of a window to the next, in height and width.
  public let dilation: (height: Int, width: Int)
  /// In how many groups inputs and outputs fall.
  public let groups: Int

  /// A layer whose weights and offsets are drawn uniformly from ±1/√(numbers that an output is made of).
  public init(
    inputs: Int, outputs: Int, kernel: (height: Int, width: Int), stride: (height: Int, width: Int) = (1, 1),
    padding: (height: Int, width: Int) = (0, 0), dilation: (height: Int, width: Int) = (1, 1),
    groups: Int = 1,
    hasBias: Bool = true, dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    (weight, bias) = drawnKernels(
      "Conv2d", inputs: inputs, outputs: outputs, kernel: [kernel.height, kernel.width], groups: groups,
      hasBias: hasBias, dtype: dtype, using: &generator)
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// The output, `[batch, outputs, rows, columns]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.convolved(
      with: weight.value, bias: bias?.value, stride: stride, padding: padding, dilation: dilation,
      groups: groups)
  }
}

/// Cross-correlates sequences with trained kernels: `[batch, inputs, length]` → `[batch, outputs, places]`.
public final class Conv1d: Module {
  /// The kernels, `[outputs, inputs / groups, length]`.
  public let weight: Parameter
  /// The offset of each output, `[outputs]`; `nil` for none.
  public let bias: Parameter?
  /// From one window to the next.
  public let stride: Int
  /// Zeros beyond each end.
  public let padding: Int
  /// From one element of a window to the next.
  public let dilation: Int
  /// In how many groups inputs and outputs fall.
  public let groups: Int

  /// A layer whose weights and offsets are drawn uniformly from ±1/√(numbers that an output is made of).
  public init(
    inputs: Int, outputs: Int, kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1,
    groups: Int = 1,
    hasBias: Bool = true, dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    (weight, bias) = drawnKernels(
      "Conv1d", inputs: inputs, outputs: outputs, kernel: [kernel], groups: groups, hasBias: hasBias,
      dtype: dtype, using: &generator)
    self.stride = stride
    self.padding = padding
    self.dilation = dilation
    self.groups = groups
  }

  /// The output, `[batch, outputs, places]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.convolved1D(
      with: weight.value, bias: bias?.value, stride: stride, padding: padding, dilation: dilation,
      groups: groups)
  }
}

/// Kernels `[outputs, inputs / groups, kernel…]` and offsets, drawn uniformly from ±1/√(numbers that an output is made of).
private func drawnKernels(
  _ layer: String, inputs: Int, outputs: Int, kernel: [Int], groups: Int, hasBias: Bool, dtype: DType,
  using generator: inout RandomGenerator
) -> (weight: Parameter, bias: Parameter?) {
  precondition(
    groups > 0 && inputs % groups == 0 && outputs % groups == 0,
    "\(layer): \(inputs) inputs and \(outputs) outputs in \(groups) groups")
  let bound = 1 / Double(max(1, kernel.reduce(inputs / groups, *))).squareRoot()
  func draw(_ shape: Shape) -> Parameter {
    Parameter(.uniform(shape, in: -bound..<bound, dtype: dtype, using: &generator))
  }
  let weight = draw(Shape([outputs, inputs / groups] + kernel))
  return (weight, hasBias ? draw([outputs]) : nil)
}
