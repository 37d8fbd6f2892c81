/// A matrix that rows are multiplied with, `[outputs, inputs]`.
package enum ProductMatrix {
  /// Dense numbers.
  case dense(Tensor)
  /// Blocks.
  case quantized(QuantizedMatrix)
}

extension Tensor {
  /// The products of this tensor with the transposes of several matrices: x Wᵀ for each W; not tracked.
  ///
  /// Few rows, the case of generation, are multiplied with all of the matrices in one job of the thread pool. The bits are
  /// those of each product alone.
  /// - Parameters:
  ///   - matrices: each `[outputs, inputs]`.
  ///   - arithmetic: in what the products are computed.
  /// - Returns: `[..., outputs]` for each matrix; this tensor is `[..., inputs]`.
  package func products(with matrices: [ProductMatrix], arithmetic: Arithmetic) -> [Tensor] {
    let x = detached.dense()
    let results = matrices.map { matrix in
      let outputs =
        switch matrix {
        case .dense(let weight): weight.shape[0]
        case .quantized(let blocks): blocks.rows
        }
      return Tensor(uninitialized: Shape(x.shape.dropLast() + [outputs]), dtype: .float32)
    }
    let isDone = withExtendedLifetime((x.storage, matrices)) {
      let products = zip(matrices, results).map { matrix, result in
        matrix.product(x, into: result, arithmetic)
      }
      guard let group = KernelProductGroup(products.compactMap { $0 }),
        !products.contains(where: { $0 == nil })
      else { return false }
      group.run()
      return true
    }
    if isDone { return results }
    return matrices.map { matrix in
      switch matrix {
      case .dense(let weight): x.matmul(weight.detached, transposingOther: true, arithmetic: arithmetic)
      case .quantized(let blocks): x.matmul(transposing: blocks, arithmetic: arithmetic)
      }
    }
  }
}

extension ProductMatrix {
  /// The product of dense float32 rows with this matrix; `nil` if its kernel does not read the matrix as it lies.
  fileprivate func product(_ x: Tensor, into result: Tensor, _ arithmetic: Arithmetic) -> KernelProduct? {
    guard x.rank >= 1, x.dtype == .float32 else { return nil }
    let (m, k) = (x.shape.rowCount, x.shape.lastDimension)
    switch self {
    case .quantized(let matrix):
      precondition(
        k == matrix.columns, "products(with:): \(x.shape) and a quantised matrix \(matrix.shape)")
      return matrix.kernelProduct(x, into: result, arithmetic)
    case .dense(let weight):
      precondition(
        weight.rank == 2 && k == weight.shape[1], "products(with:): \(x.shape) and \(weight.shape)")
      guard weight.isDense, weight.dtype == .float32 || weight.dtype == .bfloat16 else { return nil }
      return KernelProduct(
        a: MatrixKernel.operand(x.data, k, .float32, kIsContiguous: true),
        b: MatrixKernel.operand(weight.data, k, weight.dtype, kIsContiguous: true), cType: .float32, m: m,
        n: weight.shape[0], k: k, alpha: 1, accumulate: false, c: result.data, ldc: weight.shape[0],
        arithmetic: arithmetic)
    }
  }
}
