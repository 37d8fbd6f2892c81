extension Tensor {
  /// xʸ, element by element, with broadcasting.
  ///
  /// The gradient of the exponent is 0 where x is 0 and y is not negative, as in PyTorch; it is NaN for negative x.
  /// - Parameter exponent: y, of this tensor's type.
  public func power(_ exponent: Tensor) -> Tensor { BinaryFunction.power.apply(self, exponent) }

  /// x − ⌊x / y⌋ y, element by element, with broadcasting: the remainder that has y's sign, as Python's `%` and NumPy's.
  ///
  /// - Parameter divisor: y, of this tensor's type.
  public func remainder(dividingBy divisor: Tensor) -> Tensor {
    BinaryFunction.remainder.apply(self, divisor)
  }
}

extension BinaryFunction {
  /// d xʸ / dx = y xʸ⁻¹, which is 0 for exponent 0, also at 0, where the formula gives 0 · ∞.
  static func powerSlope(_ x: Tensor, _ y: Tensor) -> Tensor {
    let slope = y * x.power(y - 1)
    let isConstant = y.isEqual(to: .zeros(y.shape, dtype: y.dtype)).broadcast(to: slope.shape)
    return Tensor.select(isConstant, .zeros(slope.shape, dtype: slope.dtype), slope)
  }

  /// d xʸ / dy = xʸ log x, which is 0 where x is 0 and y is not negative.
  static func exponentSlope(_ x: Tensor, _ y: Tensor) -> Tensor {
    let slope = x.power(y) * x.log()
    let zero = Tensor.zeros([], dtype: x.dtype)
    let isZero = (x.isEqual(to: zero) * (1 - y.isLess(than: zero))).broadcast(to: slope.shape)
    return Tensor.select(isZero, .zeros(slope.shape, dtype: slope.dtype), slope)
  }
}
