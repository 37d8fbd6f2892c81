internal import CTrestleKernels

extension Tensor {
  /// The matrix product op(self) · op(other), over the last two dimensions; leading ones are batches and broadcast.
  ///
  /// Transposition is an argument: nothing is moved in memory. `bfloat16` operands are multiplied as they are and give
  /// a `float32` result.
  ///
  /// - Parameters:
  ///   - other: `[..., k, n]`, or `[..., n, k]` when transposed.
  ///   - transposingSelf: whether this tensor is `[..., k, m]` rather than `[..., m, k]`.
  ///   - transposingOther: whether `other` is `[..., n, k]`.
  ///   - arithmetic: in what the products are computed; anything but `.float32` trades accuracy for speed.
  /// - Returns: `[..., m, n]`.
  public func matmul(
    _ other: Tensor, transposingSelf: Bool = false, transposingOther: Bool = false,
    arithmetic: Arithmetic = .float32
  ) -> Tensor {
    let (a, b) = (detached, other.detached)
    let result = MatrixProduct.compute(a, transposingSelf, b, transposingOther, arithmetic)
    guard let tape = Tensor.tape("matmul", self, other) else { return result }
    let (aNode, bNode) = (node, other.node)
    return tape.record("matmul", result) { dy, pass in
      pass.add(
        MatrixProduct.leftGradient(dy, a, transposingSelf, b, transposingOther, arithmetic), to: aNode)
      pass.add(
        MatrixProduct.rightGradient(dy, a, transposingSelf, b, transposingOther, arithmetic), to: bNode)
    }
  }
}

/// The product on untracked tensors, and its gradients.
enum MatrixProduct {
  /// A tensor as a matrix operand: rows with unit steps, read transposed or not.
  private struct Operand {
    let tensor: Tensor
    let isTransposed: Bool
    let leading: Int
    let batch: Shape

    init(_ tensor: Tensor, _ isTransposed: Bool) {
      let rank = tensor.rank
      let (rowStep, columnStep) = (tensor.strides[rank - 2], tensor.strides[rank - 1])
      let (rows, columns) = (tensor.shape[rank - 2], tensor.shape[rank - 1])
      batch = Shape(tensor.shape.dropLast(2))
      if (columnStep == 1 || columns == 1) && (rowStep >= columns || rows == 1) {
        (self.tensor, self.isTransposed, leading) = (
          tensor, isTransposed, rows == 1 ? max(columns, 1) : rowStep
        )
      } else if (rowStep == 1 || rows == 1) && (columnStep >= rows || columns == 1) {
        (self.tensor, self.isTransposed, leading) = (
          tensor, !isTransposed, columns == 1 ? max(rows, 1) : columnStep
        )
      } else {
        (self.tensor, self.isTransposed, leading) = (tensor.dense(), isTransposed, max(columns, 1))
      }
    }

    /// The distance between matrices if it is the same for all batches, `nil` if there is none such.
    func batchStride(in target: Shape) -> Int? {
      let count = target.elementCount
      if count <= 1 || batch.elementCount == 1 { return 0 }
      guard batch == target else { return nil }
      var step = 0
      var expected = 0
      for dimension in stride(from: batch.rank - 1, through: 0, by: -1) where batch[dimension] != 1 {
        if step == 0 {
          step = tensor.strides[dimension]
          expected = step
        }
        if tensor.strides[dimension] != expected { return nil }
        expected *= batch[dimension]
      }
      return step
    }
  }

  static func compute(
    _ a: Tensor, _ transposeA: Bool, _ b: Tensor, _ transposeB: Bool, _ arithmetic: Arithmetic
  ) -> Tensor {
    precondition(
      a.rank >= 2 && b.rank >= 2, "matmul: shapes \(a.shape) and \(b.shape), expected two dimensions each")
    let (m, k) = dimensions(a, transposeA)
    let (k2, n) = dimensions(b, transposeB)
    precondition(
      k == k2,
      "matmul: inner dimensions of \(a.shape)\(transposeA ? "ᵀ" : "") and \(b.shape)\(transposeB ? "ᵀ" : "") differ"
    )
    if b.rank == 2 && a.rank > 2 && !transposeA {
      // One matrix for all batches: a single tall product.
      let flat = compute(
        a.dense().reshaped(to: [a.shape.rowCount, k] as Shape), false, b, transposeB, arithmetic)
      return flat.reshaped(to: Shape(a.shape.dropLast() + [n]))
    }
    let batch = Tensor.broadcastShape(
      Shape(a.shape.dropLast(2)), Shape(b.shape.dropLast(2)), operation: "matmul")
    let type: DType = a.dtype == .float64 ? .float64 : .float32
    let result = Tensor(uninitialized: Shape(Array(batch) + [m, n]), dtype: type)
    var left = Operand(a, transposeA)
    var right = Operand(b, transposeB)
    var leftStride = left.batchStride(in: batch)
    if leftStride == nil {
      left = Operand(a.broadcast(to: Shape(Array(batch) + a.shape.suffix(2))).copied(), transposeA)
      leftStride = left.batchStride(in: batch)
    }
    var rightStride = right.batchStride(in: batch)
    if rightStride == nil {
      right = Operand(b.broadcast(to: Shape(Array(batch) + b.shape.suffix(2))).copied(), transposeB)
      rightStride = right.batchStride(in: batch)
    }
    withExtendedLifetime((left.tensor.storage, right.tensor.storage)) {
      MatrixKernel.multiplyBatched(
        batch: batch.elementCount, strideA: leftStride ?? 0, strideB: rightStride ?? 0, strideC: m * n,
        aType: a.dtype, bType: b.dtype, cType: type, transposeA: left.isTransposed,
        transposeB: right.isTransposed,
        m: m, n: n, k: k, alpha: 1, a: left.tensor.data, lda: left.leading, b: right.tensor.data,
        ldb: right.leading, accumulate: false, c: result.data, ldc: max(n, 1), arithmetic: arithmetic)
    }
    return result
  }

  private static func dimensions(_ x: Tensor, _ isTransposed: Bool) -> (Int, Int) {
    let (rows, columns) = (x.shape[x.rank - 2], x.shape[x.rank - 1])
    return isTransposed ? (columns, rows) : (rows, columns)
  }

  /// d/da of op(a) op(b): dy op(b)ᵀ, or its transpose.
  static func leftGradient(
    _ dy: Tensor, _ a: Tensor, _ transposeA: Bool, _ b: Tensor, _ transposeB: Bool, _ arithmetic: Arithmetic
  ) -> Tensor {
    let gradient =
      transposeA
      ? compute(b, transposeB, dy, true, arithmetic) : compute(dy, false, b, !transposeB, arithmetic)
    return summed(gradient, to: a)
  }

  /// d/db of op(a) op(b): op(a)ᵀ dy, or its transpose.
  static func rightGradient(
    _ dy: Tensor, _ a: Tensor, _ transposeA: Bool, _ b: Tensor, _ transposeB: Bool, _ arithmetic: Arithmetic
  ) -> Tensor {
    if b.rank == 2 && a.rank > 2 && !transposeA {
      // Sum over the batches within one product.
      let x = a.dense().reshaped(to: [a.shape.rowCount, a.shape.lastDimension] as Shape)
      let g = dy.dense().reshaped(to: [dy.shape.rowCount, dy.shape.lastDimension] as Shape)
      return rightGradient(g, x, false, b, transposeB, arithmetic)
    }
    let gradient =
      transposeB
      ? compute(dy, true, a, transposeA, arithmetic) : compute(a, !transposeA, dy, false, arithmetic)
    return summed(gradient, to: b)
  }

  private static func summed(_ gradient: Tensor, to target: Tensor) -> Tensor {
    let reduced = gradient.reduced(to: target.shape)
    return target.dtype == .float64 || target.dtype == .float32 ? reduced : reduced.converted(to: .float32)
  }
}
