internal import CTrestleKernels

/// A function of one variable that has a kernel in both directions: a code of the list in `TrestleFunctions.h`, from which
/// the kernels of all levels follow, and the name of the operation in messages.
struct UnaryFunction {
  let code: trestle_unary
  let name: StaticString

  init(_ code: trestle_unary, _ name: StaticString) {
    self.code = code
    self.name = name
  }

  /// What the derivative is computed from: the rest need not be kept.
  var reads: trestle_reads { trestle_unary_reads(code) }

  func forward(_ x: Tensor) -> Tensor {
    let kernel = Kernels.unary(self, x.dtype)
    return x.mappingElements { x, y, count in kernel(x, y, count) }
  }

  /// The gradient of the input.
  ///
  /// - Parameter source: what ``reads`` says, the input or the output; not looked at where nothing is read.
  func backward(_ source: Tensor?, upstream: Tensor) -> Tensor {
    let dy = upstream.dense()
    let kernel = Kernels.unaryBackward(self, dy.dtype)
    let result = Tensor(uninitialized: dy.shape, dtype: dy.dtype)
    let size = dy.dtype.byteCount
    withExtendedLifetime((source?.storage, dy.storage)) {
      Kernels.parallel(dy.elementCount) { start, count in
        let shift = start * size
        let read = source.map { $0.data + shift }
        kernel(read, read, dy.data + shift, result.data + shift, Int64(count))
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

  private enum UnaryOffsets {
    static let forward = tableOffset(\.unary)
    static let backward = tableOffset(\.unary_backward)
  }

  // C arrays of function pointers arrive in Swift as tuples: index them through their address.
  static func unary(_ function: UnaryFunction, _ dtype: DType) -> Unary {
    let table = UnsafeRawPointer(table(dtype, function.name))
    return (table + UnaryOffsets.forward).assumingMemoryBound(to: Unary.self)[Int(function.code.rawValue)]
  }

  static func unaryBackward(_ function: UnaryFunction, _ dtype: DType) -> UnaryBackward {
    let table = UnsafeRawPointer(table(dtype, function.name))
    return (table + UnaryOffsets.backward).assumingMemoryBound(to: UnaryBackward.self)[
      Int(function.code.rawValue)]
  }
}

extension Tensor {
  private func applying(_ code: trestle_unary, _ name: StaticString) -> Tensor {
    let function = UnaryFunction(code, name)
    let x = detached.dense()
    let y = function.forward(x)
    guard tape != nil else { return y }
    let node = self.node
    let source: Tensor? =
      switch function.reads {
      case TRESTLE_READS_INPUT: x
      case TRESTLE_READS_OUTPUT: y
      default: nil
      }
    return recording(name, y) { upstream, pass in
      pass.add(function.backward(source, upstream: upstream), to: node)
    }
  }

  /// −x, element by element.
  public func negated() -> Tensor { applying(TRESTLE_NEGATE, "negated") }
  /// |x|, element by element; the gradient at 0 is 0.
  public func absolute() -> Tensor { applying(TRESTLE_ABS, "absolute") }
  /// eˣ, element by element.
  public func exp() -> Tensor { applying(TRESTLE_EXP, "exp") }
  /// The natural logarithm, element by element.
  public func log() -> Tensor { applying(TRESTLE_LOG, "log") }
  /// √x, element by element.
  public func sqrt() -> Tensor { applying(TRESTLE_SQRT, "sqrt") }
  /// 1/√x, element by element.
  public func rsqrt() -> Tensor { applying(TRESTLE_RSQRT, "rsqrt") }
  /// 1/x, element by element.
  public func reciprocal() -> Tensor { applying(TRESTLE_RECIPROCAL, "reciprocal") }
  /// x², element by element.
  public func squared() -> Tensor { applying(TRESTLE_SQUARE, "squared") }
  /// The hyperbolic tangent, element by element.
  public func tanh() -> Tensor { applying(TRESTLE_TANH, "tanh") }
  /// 1 / (1 + e⁻ˣ), element by element.
  public func sigmoid() -> Tensor { applying(TRESTLE_SIGMOID, "sigmoid") }
  /// max(x, 0), element by element; the gradient at 0 is 0.
  public func relu() -> Tensor { applying(TRESTLE_RELU, "relu") }
  /// x Φ(x) with the exact normal distribution function, element by element.
  ///
  /// Source: Hendrycks and Gimpel, *Gaussian Error Linear Units* (2016).
  public func gelu() -> Tensor { applying(TRESTLE_GELU, "gelu") }
  /// GELU in its approximation by a hyperbolic tangent, as GPT-2 uses it.
  public func geluTanh() -> Tensor { applying(TRESTLE_GELU_TANH, "geluTanh") }
  /// x σ(x), element by element.
  public func silu() -> Tensor { applying(TRESTLE_SILU, "silu") }
  /// log(1 + eˣ), element by element, without overflow.
  public func softplus() -> Tensor { applying(TRESTLE_SOFTPLUS, "softplus") }
  /// The sine, element by element.
  public func sin() -> Tensor { applying(TRESTLE_SIN, "sin") }
  /// The cosine, element by element.
  public func cos() -> Tensor { applying(TRESTLE_COS, "cos") }
  /// log σ(x), element by element, without overflow.
  public func logSigmoid() -> Tensor { applying(TRESTLE_LOG_SIGMOID, "logSigmoid") }
  /// The error function, element by element.
  public func erf() -> Tensor { applying(TRESTLE_ERF, "erf") }

  /// log(1 + x), element by element, accurate for small x.
  public func log1p() -> Tensor { applying(TRESTLE_LOG1P, "log1p") }
  /// eˣ − 1, element by element, accurate for small x.
  public func expm1() -> Tensor { applying(TRESTLE_EXPM1, "expm1") }
  /// −1, 0 or 1 by the sign, element by element; no gradient flows.
  public func sign() -> Tensor { applying(TRESTLE_SIGN, "sign") }
  /// The largest whole number that is not above x, element by element; no gradient flows.
  public func floor() -> Tensor { applying(TRESTLE_FLOOR, "floor") }
  /// The smallest whole number that is not below x, element by element; no gradient flows.
  public func ceiling() -> Tensor { applying(TRESTLE_CEIL, "ceiling") }
  /// The whole number next to x towards 0, element by element; no gradient flows.
  public func truncated() -> Tensor { applying(TRESTLE_TRUNCATE, "truncated") }
  /// The whole number nearest to x, halves to the even one as in NumPy, element by element; no gradient flows.
  public func rounded() -> Tensor { applying(TRESTLE_ROUND, "rounded") }

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
      pass.add(upstream * x.compared(with: y, using: .equal), to: node)
    }
  }

  /// Applies a kernel over fixed chunks of the elements.
  func mappingElements(_ kernel: (UnsafeRawPointer, UnsafeMutableRawPointer, Int64) -> Void) -> Tensor {
    let x = dense()
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let size = dtype.byteCount
    withExtendedLifetime(x.storage) {
      Kernels.parallel(elementCount) { start, count in
        kernel(x.data + start * size, result.data + start * size, Int64(count))
      }
    }
    return result
  }

  /// Applies a table's kernel over fixed chunks of the elements.
  func mapped(
    _ operation: StaticString,
    _ body: (Kernels.Table, UnsafeRawPointer, UnsafeMutableRawPointer, Int64) -> Void
  ) -> Tensor {
    let table = Kernels.table(dtype, operation)
    return mappingElements { x, y, count in body(table, x, y, count) }
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
