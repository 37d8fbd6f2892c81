internal import CTrestleKernels

/// The functions of one variable that have a kernel in both directions.
enum UnaryFunction: Int {
  // The order is that of `trestle_unary`.
  case negate, abs, exp, log, sqrt, rsqrt, reciprocal, square, tanh, sigmoid, relu, gelu, geluTanh, silu,
    softplus
  case sin, cos, logSigmoid, erf

  var name: StaticString {
    switch self {
    case .negate: "negated"
    case .abs: "absolute"
    case .exp: "exp"
    case .log: "log"
    case .sqrt: "sqrt"
    case .rsqrt: "rsqrt"
    case .reciprocal: "reciprocal"
    case .square: "squared"
    case .tanh: "tanh"
    case .sigmoid: "sigmoid"
    case .relu: "relu"
    case .gelu: "gelu"
    case .geluTanh: "geluTanh"
    case .silu: "silu"
    case .softplus: "softplus"
    case .sin: "sin"
    case .cos: "cos"
    case .logSigmoid: "logSigmoid"
    case .erf: "erf"
    }
  }

  /// Whether the derivative is computed from the output alone, so that the input need not be kept.
  var needsOutputOnly: Bool {
    switch self {
    case .exp, .sqrt, .rsqrt, .reciprocal, .tanh, .sigmoid, .relu: true
    default: false
    }
  }

  func forward(_ x: Tensor) -> Tensor {
    let x = x.dense()
    let kernel = Kernels.unary(self, x.dtype)
    let result = Tensor(uninitialized: x.shape, dtype: x.dtype)
    let size = x.dtype.byteCount
    withExtendedLifetime(x.storage) {
      Kernels.parallel(x.elementCount) { start, count in
        kernel(x.data + start * size, result.data + start * size, Int64(count))
      }
    }
    return result
  }

  func backward(x: Tensor, y: Tensor, upstream: Tensor) -> Tensor {
    let dy = upstream.dense()
    let kernel = Kernels.unaryBackward(self, dy.dtype)
    let result = Tensor(uninitialized: dy.shape, dtype: dy.dtype)
    let size = dy.dtype.byteCount
    withExtendedLifetime((x.storage, y.storage, dy.storage)) {
      Kernels.parallel(dy.elementCount) { start, count in
        let shift = start * size
        kernel(x.data + shift, y.data + shift, dy.data + shift, result.data + shift, Int64(count))
      }
    }
    return result
  }
}

extension Kernels {
  typealias Unary = @convention(c) (UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64) -> Void
  typealias UnaryBackward =
    @convention(c) (
      UnsafeRawPointer?, UnsafeRawPointer?, UnsafeRawPointer?, UnsafeMutableRawPointer?, Int64
    ) -> Void

  // C arrays of function pointers arrive in Swift as tuples: index them through their address.
  static func unary(_ function: UnaryFunction, _ dtype: DType) -> Unary {
    let table = UnsafeRawPointer(table(dtype, function.name))
    let start = tableOffset(\.unary)
    return (table + start).assumingMemoryBound(to: Unary.self)[function.rawValue]
  }

  static func unaryBackward(_ function: UnaryFunction, _ dtype: DType) -> UnaryBackward {
    let table = UnsafeRawPointer(table(dtype, function.name))
    let start = tableOffset(\.unary_backward)
    return (table + start).assumingMemoryBound(to: UnaryBackward.self)[function.rawValue]
  }
}

extension Tensor {
  private func applying(_ function: UnaryFunction) -> Tensor {
    let x = detached.dense()
    let y = function.forward(x)
    guard tape != nil else { return y }
    let node = self.node
    if function.needsOutputOnly {
      return recording(function.name, y) { upstream, pass in
        pass.add(function.backward(x: y, y: y, upstream: upstream), to: node)
      }
    }
    return recording(function.name, y) { upstream, pass in
      pass.add(function.backward(x: x, y: x, upstream: upstream), to: node)
    }
  }

  /// −x, element by element.
  public func negated() -> Tensor { applying(.negate) }
  /// |x|, element by element; the gradient at 0 is 0.
  public func absolute() -> Tensor { applying(.abs) }
  /// eˣ, element by element.
  public func exp() -> Tensor { applying(.exp) }
  /// The natural logarithm, element by element.
  public func log() -> Tensor { applying(.log) }
  /// √x, element by element.
  public func sqrt() -> Tensor { applying(.sqrt) }
  /// 1/√x, element by element.
  public func rsqrt() -> Tensor { applying(.rsqrt) }
  /// 1/x, element by element.
  public func reciprocal() -> Tensor { applying(.reciprocal) }
  /// x², element by element.
  public func squared() -> Tensor { applying(.square) }
  /// The hyperbolic tangent, element by element.
  public func tanh() -> Tensor { applying(.tanh) }
  /// 1 / (1 + e⁻ˣ), element by element.
  public func sigmoid() -> Tensor { applying(.sigmoid) }
  /// max(x, 0), element by element; the gradient at 0 is 0.
  public func relu() -> Tensor { applying(.relu) }
  /// x Φ(x) with the exact normal distribution function, element by element.
  ///
  /// Source: Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016).
  public func gelu() -> Tensor { applying(.gelu) }
  /// GELU in its approximation by a hyperbolic tangent, as GPT-2 uses it.
  public func geluTanh() -> Tensor { applying(.geluTanh) }
  /// x σ(x), element by element.
  public func silu() -> Tensor { applying(.silu) }
  /// log(1 + eˣ), element by element, without overflow.
  public func softplus() -> Tensor { applying(.softplus) }
  /// The sine, element by element.
  public func sin() -> Tensor { applying(.sin) }
  /// The cosine, element by element.
  public func cos() -> Tensor { applying(.cos) }
  /// log σ(x), element by element, without overflow.
  public func logSigmoid() -> Tensor { applying(.logSigmoid) }
  /// The error function, element by element.
  public func erf() -> Tensor { applying(.erf) }

  /// xᵖ, element by element.
  public func power(_ exponent: Double) -> Tensor {
    let x = detached.dense()
    let y = x.mapped("power") { table, from, to, count in table.pointee.power(from, exponent, to, count) }
    let node = self.node
    return recording("power", y) { upstream, pass in
      // Constant for exponent 0, also at 0, where the formula gives 0 · ∞.
      let slope = exponent == 0 ? Tensor.zeros(x.shape, dtype: x.dtype) : x.power(exponent - 1) * exponent
      pass.add(upstream * slope, to: node)
    }
  }

  /// x limited to `range`, element by element; no gradient flows where the limit acts.
  public func clamped(to range: ClosedRange<Double>) -> Tensor {
    let x = detached.dense()
    let y = x.mapped("clamped") { table, from, to, count in
      table.pointee.clamp(from, range.lowerBound, range.upperBound, to, count)
    }
    let node = self.node
    return recording("clamped", y) { upstream, pass in
      pass.add(upstream * x.compared(with: y, using: TRESTLE_EQUAL), to: node)
    }
  }

  /// Applies a table's kernel over fixed chunks of this dense tensor.
  func mapped(
    _ operation: StaticString,
    _ body: (Kernels.Table, UnsafeRawPointer, UnsafeMutableRawPointer, Int64) -> Void
  ) -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let table = Kernels.table(dtype, operation)
    let size = dtype.byteCount
    withExtendedLifetime(storage) {
      Kernels.parallel(elementCount) { start, count in
        body(table, data + start * size, result.data + start * size, Int64(count))
      }
    }
    return result
  }

  /// The flat index of the first NaN or infinity, `nil` if all elements are finite.
  public var firstNonFiniteIndex: Int? {
    guard dtype == .float32 || dtype == .float64 else { return nil }
    let x = detached.dense()
    let found = withExtendedLifetime(x.storage) {
      Kernels.table(dtype, "firstNonFiniteIndex").pointee.find_nonfinite(x.data, Int64(elementCount))
    }
    return found < 0 ? nil : Int(found)
  }
}
