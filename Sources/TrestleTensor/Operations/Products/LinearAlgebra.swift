internal import CTrestleKernels

extension Tensor {
  /// The lower triangular L with L Lᵀ = A, of symmetric positive definite matrices; only the lower triangle of A is read.
  ///
  /// Source of the gradient: Murray, *Differentiation of the Cholesky decomposition* (2016).
  /// - Returns: L, `[..., n, n]` like this tensor.
  /// - Throws: ``TensorError/notPositiveDefinite(operation:matrix:)``.
  public func cholesky() throws(TensorError) -> Tensor {
    checkSquare("cholesky")
    let factor = detached.copied()
    let factorize = Kernels.system(\.cholesky)
    if let failed = factor.eachMatrix({ factorize($0, Int64($1)) != 0 }) {
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
    let solve = Kernels.system(\.solve_triangular)
    factor.eachPair(with: result) { triangle, right, size, columns in
      solve(triangle, right, Int64(size), Int64(columns), isTransposed ? 1 : 0)
      return true
    }
    return result
  }

  private func solved(_ right: Tensor) throws(TensorError) -> Tensor {
    let (matrix, result) = (copied(), right.copied())
    let solve = Kernels.system(\.solve)
    if let failed = matrix.eachPair(with: result, { solve($0, $1, Int64($2), Int64($3)) != 0 }) {
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

extension Kernels {
  /// A kernel for small systems of equations, which compute in double precision whatever the type.
  fileprivate static func system<Function>(_ field: KeyPath<trestle_kernels, Function?>) -> Function {
    guard let function = InstructionSet.kernels.double.pointee[keyPath: field] else {
      preconditionFailure("kernels: no function for systems of equations")
    }
    return function
  }
}
