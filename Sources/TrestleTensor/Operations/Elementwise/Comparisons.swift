internal import CTrestleKernels

/// The comparisons of two numbers: those of the list in `TrestleFunctions.h`.
enum Comparison {
  case less, lessOrEqual, greater, greaterOrEqual, equal, different

  /// The code of the comparison's kernels.
  var code: trestle_comparison {
    switch self {
    case .less: TRESTLE_LESS
    case .lessOrEqual: TRESTLE_LESS_EQUAL
    case .greater: TRESTLE_GREATER
    case .greaterOrEqual: TRESTLE_GREATER_EQUAL
    case .equal: TRESTLE_EQUAL
    case .different: TRESTLE_NOT_EQUAL
    }
  }
}

extension Tensor {
  /// 1 where the comparison holds, else 0; not tracked.
  func compared(with other: Tensor, using comparison: Comparison) -> Tensor {
    let shape = Tensor.broadcastShape(self.shape, other.shape, operation: "compare")
    let a = detached.broadcast(to: shape).dense()
    let b = other.detached.broadcast(to: shape).dense()
    precondition(a.dtype == b.dtype, "compare: types \(a.dtype) and \(b.dtype) differ")
    let kernel = Kernels.comparison(comparison.code, dtype)
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let size = dtype.byteCount
    withExtendedLifetime((a.storage, b.storage)) {
      Kernels.parallel(result.elementCount) { start, count in
        let shift = start * size
        kernel(a.data + shift, b.data + shift, result.data + shift, Int64(count))
      }
    }
    return result
  }

  /// 1 where this tensor is less than `other`, else 0. Not tracked: a comparison has no gradient.
  public func isLess(than other: Tensor) -> Tensor { compared(with: other, using: .less) }
  /// 1 where this tensor is greater than `other`, else 0. Not tracked.
  public func isGreater(than other: Tensor) -> Tensor { compared(with: other, using: .greater) }
  /// 1 where the elements are equal, else 0. Not tracked.
  public func isEqual(to other: Tensor) -> Tensor { compared(with: other, using: .equal) }

  /// `a` where `mask` is not 0, else `b`; all three of one shape.
  ///
  /// - Parameters:
  ///   - mask: not tracked, of the operands' type.
  ///   - a: the elements where the mask is not 0.
  ///   - b: the elements where it is 0.
  public static func select(_ mask: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(
      mask.shape == a.shape && a.shape == b.shape && mask.dtype == a.dtype && a.dtype == b.dtype,
      "select: mask \(mask.dtype) \(mask.shape), operands \(a.dtype) \(a.shape) and \(b.dtype) \(b.shape)")
    mask.requireUntracked("select (mask)")
    let (m, x, y) = (mask.dense(), a.detached.dense(), b.detached.dense())
    let table = Kernels.table(a.dtype, "select")
    let result = Tensor(uninitialized: a.shape, dtype: a.dtype)
    let size = a.dtype.byteCount
    withExtendedLifetime((m.storage, x.storage, y.storage)) {
      Kernels.parallel(a.elementCount) { start, count in
        let shift = start * size
        table.pointee.select(
          m.data + shift, x.data + shift, y.data + shift, result.data + shift, Int64(count))
      }
    }
    guard let tape = tape("select", a, b) else { return result }
    let (aNode, bNode) = (a.node, b.node)
    return tape.record("select", result) { dy, pass in
      let zeros = Tensor.zeros(dy.shape, dtype: dy.dtype)
      pass.add(select(m, dy, zeros), to: aNode)
      pass.add(select(m, zeros, dy), to: bNode)
    }
  }
}
