extension Tensor {
  /// The lower triangular L with L Lᵀ = A, of symmetric positive definite matrices; only the lower triangle of A is read.
  ///
  /// Source of the gradient: Murray, *Differentiation of the Cholesky decomposition* (2016).
  /// - Returns: L, `[..., n, n]` like this tensor.
  /// - Throws: ``TensorError/notPositiveDefinite(operation:matrix:)``.
  public func cholesky() throws(TensorError) -> Tensor {
    checkSquare("cholesky")
    let factor = detached.copied()
    if let failed = factor.eachMatrix(SmallMatrices.factorizeCholesky) {
      throw .notPositiveDefinite(operation: "cholesky", matrix: failed)
    }
    let node = self.node
    return recording("cholesky", factor) { upstream, pass in
      // A̅ = ½ L⁻ᵀ (P + Pᵀ) L⁻¹ with P = Φ(Lᵀ L̅), the lower triangle with its diagonal halved.
      let size = factor.shape[factor.rank - 1]
      let triangle = Tensor.lowerTriangle(size).converted(to: factor.dtype)
      let halved = triangle - Tensor.identity(size, dtype: factor.dtype) * 0.5
      let inner = factor.matmul(upstream.detached * triangle, transposingSelf: true) * halved
      let both = inner + inner.transposed()
      let left = factor.solvedTriangular(both, transposed: true)
      let whole = factor.solvedTriangular(left.transposed(), transposed: true).transposed() * 0.5
      // What is read is the lower triangle: an element off the diagonal stands for two.
      pass.add((whole * 2) * halved, to: node)
    }
  }

  /// X with L X = B, or Lᵀ X = B, where L is the lower triangle of this tensor.
  ///
  /// - Parameters:
  ///   - right: B, `[..., n, m]`; the leading dimensions are this tensor's.
  ///   - isTransposed: whether Lᵀ X = B is solved.
  /// - Returns: X, of B's shape. A zero on the diagonal gives infinities.
  public func solvingTriangular(_ right: Tensor, transposed isTransposed: Bool = false) -> Tensor {
    checkSquare("solvingTriangular")
    checkRight(right, "solvingTriangular")
    let factor = detached
    let solution = factor.solvedTriangular(right.detached, transposed: isTransposed)
    return Tensor.custom("solvingTriangular", inputs: [self, right], output: solution) { upstream in
      let toRight = factor.solvedTriangular(upstream.detached, transposed: !isTransposed)
      let (a, b) = isTransposed ? (solution, toRight) : (toRight, solution)
      let triangle = Tensor.lowerTriangle(factor.shape[factor.rank - 1]).converted(to: factor.dtype)
      return [a.matmul(b, transposingOther: true).negated() * triangle, toRight]
    }
  }

  /// X with A X = B, where A is this tensor, by Gaussian elimination with row exchanges.
  ///
  /// - Parameter right: B, `[..., n, m]`; the leading dimensions are this tensor's.
  /// - Returns: X, of B's shape.
  /// - Throws: ``TensorError/singularMatrix(operation:matrix:)``.
  public func solving(_ right: Tensor) throws(TensorError) -> Tensor {
    checkSquare("solving")
    checkRight(right, "solving")
    let matrix = detached
    let solution = try matrix.solved(right.detached)
    let transposed = matrix.transposed()
    return Tensor.custom("solving", inputs: [self, right], output: solution) { upstream in
      // Aᵀ has the pivots of A: what A could be solved with, Aᵀ can.
      guard let toRight = try? transposed.solved(upstream.detached) else {
        preconditionFailure("solving: the transpose of a matrix of \(transposed.shape) turned out singular")
      }
      return [toRight.matmul(solution, transposingOther: true).negated(), toRight]
    }
  }

  private func checkSquare(_ operation: StaticString) {
    precondition(
      rank >= 2 && shape[rank - 1] == shape[rank - 2] && (dtype == .float32 || dtype == .float64),
      "\(operation): \(dtype) \(shape), expected square matrices of float32 or float64")
  }

  private func checkRight(_ right: Tensor, _ operation: StaticString) {
    precondition(
      right.dtype == dtype && right.rank == rank && right.shape.dropLast(1).elementsEqual(shape.dropLast(1)),
      "\(operation): a right side \(right.dtype) \(right.shape) for \(dtype) \(shape)")
  }

  private func solvedTriangular(_ right: Tensor, transposed isTransposed: Bool) -> Tensor {
    let (factor, result) = (dense(), right.copied())
    factor.eachPair(with: result) { SmallMatrices.solveTriangular($0, $1, $2, $3, isTransposed) }
    return result
  }

  private func solved(_ right: Tensor) throws(TensorError) -> Tensor {
    let (matrix, result) = (copied(), right.copied())
    if let failed = matrix.eachPair(with: result, SmallMatrices.eliminate) {
      throw .singularMatrix(operation: "solving", matrix: failed)
    }
    return result
  }

  /// Calls `body` for every matrix of this freshly made, dense tensor, and returns the first one for which it is false.
  private func eachMatrix(_ body: (UnsafeMutablePointer<Double>, Int) -> Bool) -> Int? {
    eachPair(with: self) { matrix, _, size, _ in body(matrix, size) }
  }

  /// The same with the matrices of a second dense tensor, whose type is this one's; both may be changed.
  ///
  /// Arithmetic runs in double precision whatever the type.
  @discardableResult
  private func eachPair(
    with other: Tensor,
    _ body: (UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, _ size: Int, _ columns: Int) -> Bool
  ) -> Int? {
    let (size, columns) = (shape[rank - 1], other.shape[other.rank - 1])
    let count = shape.dropLast(2).reduce(1, *)
    let isWide = dtype == .float64
    let (a, b) = (isWide ? self : converted(to: .float64), isWide ? other : other.converted(to: .float64))
    let same = a.storage === b.storage || self.storage === other.storage
    let second = same ? a : b
    var outcome = [Bool](repeating: true, count: count)
    outcome.withUnsafeMutableBufferPointer { outcome in
      nonisolated(unsafe) let outcome = outcome
      Kernels.parallel(count, grain: Swift.max(1, (1 << 14) / Swift.max(1, size * size * size))) {
        first, matrices in
        for matrix in first..<first + matrices {
          outcome[matrix] = body(
            a.pointer(Double.self) + matrix * size * size,
            second.pointer(Double.self) + matrix * size * columns, size,
            columns)
        }
      }
    }
    withExtendedLifetime((a.storage, second.storage)) {}
    if !isWide { other.overwrite(with: second.converted(to: dtype), at: 0, along: 0) }
    return outcome.firstIndex(of: false)
  }
}

/// Algorithms on one row-major matrix: small ones, for which no blocks are needed.
private enum SmallMatrices {
  typealias Numbers = UnsafeMutablePointer<Double>

  /// A becomes L, with zeros above the diagonal; false if A is not positive definite.
  static func factorizeCholesky(_ a: Numbers, _ size: Int) -> Bool {
    for row in 0..<size {
      for column in 0...row {
        var total = a[row * size + column]
        for k in 0..<column { total -= a[row * size + k] * a[column * size + k] }
        if row == column {
          guard total > 0 else { return false }
          a[row * size + row] = total.squareRoot()
        } else {
          a[row * size + column] = total / a[column * size + column]
        }
      }
      for column in row + 1..<Swift.max(size, row + 1) { a[row * size + column] = 0 }
    }
    return true
  }

  /// B becomes L⁻¹ B or L⁻ᵀ B.
  static func solveTriangular(
    _ l: Numbers, _ b: Numbers, _ size: Int, _ columns: Int, _ isTransposed: Bool
  ) -> Bool {
    for step in 0..<size {
      let row = isTransposed ? size - 1 - step : step
      for other in isTransposed ? row + 1..<size : 0..<row {
        let factor = isTransposed ? l[other * size + row] : l[row * size + other]
        for column in 0..<columns { b[row * columns + column] -= factor * b[other * columns + column] }
      }
      for column in 0..<columns { b[row * columns + column] /= l[row * size + row] }
    }
    return true
  }

  /// B becomes A⁻¹ B, A is lost; false if A is singular.
  static func eliminate(_ a: Numbers, _ b: Numbers, _ size: Int, _ columns: Int) -> Bool {
    func exchange(_ x: Numbers, _ width: Int, _ one: Int, _ two: Int) {
      for column in 0..<width {
        let held = x[one * width + column]
        x[one * width + column] = x[two * width + column]
        x[two * width + column] = held
      }
    }
    for step in 0..<size {
      var pivot = step
      for row in step + 1..<Swift.max(size, step + 1)
      where abs(a[row * size + step]) > abs(a[pivot * size + step]) {
        pivot = row
      }
      guard abs(a[pivot * size + step]) > 0 else { return false }
      if pivot != step {
        exchange(a, size, pivot, step)
        exchange(b, columns, pivot, step)
      }
      for row in step + 1..<Swift.max(size, step + 1) {
        let factor = a[row * size + step] / a[step * size + step]
        if factor == 0 { continue }
        for column in step..<size { a[row * size + column] -= factor * a[step * size + column] }
        for column in 0..<columns { b[row * columns + column] -= factor * b[step * columns + column] }
      }
    }
    for row in (0..<size).reversed() {
      for other in row + 1..<Swift.max(size, row + 1) {
        let factor = a[row * size + other]
        for column in 0..<columns { b[row * columns + column] -= factor * b[other * columns + column] }
      }
      for column in 0..<columns { b[row * columns + column] /= a[row * size + row] }
    }
    return true
  }
}
