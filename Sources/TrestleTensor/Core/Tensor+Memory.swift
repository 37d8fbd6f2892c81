extension Tensor {
  /// Reads the elements where they are, in row-major order; a tensor with gaps is copied first.
  ///
  /// - Parameter body: gets the elements' bytes, which are valid during the call alone.
  public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    let dense = detached.dense()
    return try withExtendedLifetime(dense.storage) {
      try body(UnsafeRawBufferPointer(start: dense.data, count: elementCount * dtype.byteCount))
    }
  }

  /// Reads the elements where they are, as Swift numbers in row-major order; a tensor with gaps is copied first.
  ///
  /// - Parameters:
  ///   - type: the element type, ``dtype``'s.
  ///   - body: gets the elements, which are valid during the call alone.
  public func withUnsafeScalars<Scalar: TensorScalar, Result>(
    as type: Scalar.Type = Scalar.self, _ body: (UnsafeBufferPointer<Scalar>) throws -> Result
  ) rethrows -> Result {
    precondition(
      dtype == Scalar.dtype, "withUnsafeScalars(as:): the tensor holds \(dtype), not \(Scalar.dtype)")
    return try withUnsafeBytes { try body($0.bindMemory(to: Scalar.self)) }
  }

  /// Changes the elements in place, in row-major order; copied first if another tensor shares them.
  ///
  /// - Parameter body: gets the elements' bytes, which are valid during the call alone.
  /// - Precondition: the tensor is not tracked: its tape may need the values.
  public mutating func withUnsafeMutableBytes<Result>(
    _ body: (UnsafeMutableRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    precondition(
      !isTracked, "withUnsafeMutableBytes: the tensor of shape \(shape) is tracked; use `detached`")
    makeUnique()
    return try withExtendedLifetime(storage) {
      try body(UnsafeMutableRawBufferPointer(start: data, count: elementCount * dtype.byteCount))
    }
  }

  /// A tensor over memory that belongs to someone else; nothing is copied.
  ///
  /// - Parameters:
  ///   - bytes: the elements in row-major order, aligned for their type, as many as `shape` has; nobody writes them while a
  ///     tensor reads them.
  ///   - shape: the shape.
  ///   - dtype: the element type.
  ///   - owner: kept alive as long as the tensor or a view of it lives.
  public init(borrowing bytes: UnsafeRawBufferPointer, shape: Shape, dtype: DType, owner: AnyObject) {
    let expected = shape.elementCount * dtype.byteCount
    precondition(
      bytes.count == expected,
      "Tensor(borrowing:): \(bytes.count) bytes for \(dtype) \(shape), \(expected) needed")
    guard let base = bytes.baseAddress, expected > 0 else {
      self.init(uninitialized: shape, dtype: dtype)
      return
    }
    precondition(
      Int(bitPattern: base) % dtype.byteCount == 0,
      "Tensor(borrowing:): the memory is not aligned for \(dtype)")
    self.init(
      storage: Storage(borrowing: base, byteCount: bytes.count, owner: owner), shape: shape, dtype: dtype)
  }

  /// A tensor of a copy of the given bytes.
  ///
  /// - Parameters:
  ///   - bytes: the elements in row-major order, as many as `shape` has.
  ///   - shape: the shape.
  ///   - dtype: the element type.
  public init(copying bytes: UnsafeRawBufferPointer, shape: Shape, dtype: DType) {
    self.init(uninitialized: shape, dtype: dtype)
    let expected = shape.elementCount * dtype.byteCount
    precondition(
      bytes.count == expected,
      "Tensor(copying:): \(bytes.count) bytes for \(dtype) \(shape), \(expected) needed")
    if let base = bytes.baseAddress, expected > 0 { data.copyMemory(from: base, byteCount: expected) }
  }
}
