internal import CTrestleKernels
import TrestleTensor

extension SparseMatrix {
  /// (1 / (layers + 1)) · Σ Âᵏ x for k from 0 to `layers`, by Horner's rule, x being two tables one above the other.
  ///
  /// - Parameters:
  ///   - users: `[users, width]`.
  ///   - items: `[items, width]`; both of the values' type.
  /// - Precondition: the matrix is symmetric, so that the gradient is the same sum, and square of `users + items` rows.
  /// - Returns: `[users + items, width]`.
  package func propagatedMean(users: Tensor, items: Tensor, layers: Int) -> Tensor {
    precondition(
      rowCount == users.shape[0] + items.shape[0] && columnCount == rowCount
        && users.shape[1] == items.shape[1]
        && users.dtype == values.dtype && items.dtype == values.dtype,
      "propagatedMean: users \(users.shape), items \(items.shape), matrix [\(rowCount), \(columnCount)]")
    let result = meanOfPowers([users.detached, items.detached], layers)
    guard let tape = Tensor.tape("propagatedMean", users, items) else { return result }
    let (userNode, itemNode, split) = (users.node, items.node, users.shape[0])
    return tape.record("propagatedMean", result) { [self] upstream, pass in
      let gradient = meanOfPowers([upstream], layers)
      pass.add(gradient.sliced(0..<split, along: 0), to: userNode)
      pass.add(gradient.sliced(split..<rowCount, along: 0), to: itemNode)
    }
  }

  private func meanOfPowers(_ parts: [Tensor], _ layers: Int) -> Tensor {
    let cols = parts[0].shape[1]
    let dtype = values.dtype
    let table = Kernels.table(dtype, "propagatedMean")
    let base = Tensor(uninitialized: [rowCount, cols], dtype: dtype)
    var offset = 0
    for part in parts.map({ $0.dense() }) {
      let place = base.data + offset * dtype.byteCount
      withExtendedLifetime(part.storage) {
        Kernels.parallel(part.elementCount) { start, count in
          let shift = start * dtype.byteCount
          table.pointee.linear_combination(
            1 / Double(layers + 1), part.data + shift, 0, part.data + shift, place + shift, Int64(count))
        }
      }
      offset += part.elementCount
    }
    var state = base
    for layer in 0..<layers {
      // The last sum may overwrite the base.
      let next = layer == layers - 1 && layers > 1 ? base : base.copied()
      addProduct(with: state, to: next)
      state = next
    }
    return state
  }
}
