internal import CTrestleKernels

/// Triples of a user, an item that the user wants and one that the user does not, as rows of tables.
package struct RankingTriples: Sendable {
  /// The users' rows, `[batch]`, `int32`.
  package let users: Tensor
  /// The wanted items' rows, `[batch]`, `int32`.
  package let positives: Tensor
  /// The other items' rows, `[batch]`, `int32`.
  package let negatives: Tensor

  package init(users: Tensor, positives: Tensor, negatives: Tensor) {
    (self.users, self.positives, self.negatives) = (users, positives, negatives)
  }

  var count: Int { users.elementCount }
}

/// The rows that pairwise ranking compares.
package struct RankingTables {
  /// `[users, width]`, or all rows in one table, `[users + items, width]`.
  package let users: Tensor
  /// `[items, width]`; `nil` if they are in the users' table, behind the users.
  package let items: Tensor?
  /// The number of users.
  package let userCount: Int
  /// The number of items.
  package let itemCount: Int

  package init(users: Tensor, items: Tensor) {
    (self.users, self.items) = (users, items)
    (userCount, itemCount) = (users.shape[0], items.shape[0])
  }

  /// All rows in one table, users first.
  package init(joint: Tensor, userCount: Int) {
    (users, items) = (joint, nil)
    (self.userCount, itemCount) = (userCount, joint.shape[0] - userCount)
  }

  var width: Int { users.shape[1] }
}

/// The penalty on the rows that a batch names: weight / (2 · batch) · Σ ‖row‖², each row as often as it is named.
package struct RankingPenalty {
  /// `[users, width]`.
  package let users: Tensor
  /// `[items, width]`.
  package let items: Tensor
  package let weight: Double

  package init(users: Tensor, items: Tensor, weight: Double) {
    (self.users, self.items, self.weight) = (users, items, weight)
  }
}

extension Tensor {
  /// The mean BPR loss of a batch of triples of table rows, −log σ(⟨u, p⟩ − ⟨u, n⟩), with the penalty on its rows.
  ///
  /// One operation instead of gathers, products and their scattered gradients: the gradient of each table is a sparse
  /// matrix, made of the batch, times the other table, so every touched row is written once and no row of the batch is
  /// stored.
  ///
  /// - Parameter hasDenseGradients: whether the gradients cover whole tables, which is faster for small tables (the
  ///   optimizer then moves every row's moments); otherwise they hold the touched rows. A joint table's is dense.
  /// - Returns: a scalar.
  package static func pairwiseRankingLoss(
    _ tables: RankingTables, _ triples: RankingTriples, penalty: RankingPenalty? = nil,
    hasDenseGradients: Bool
  ) -> Tensor {
    let step = PairwiseRankingStep(
      tables, triples, penalty, isDense: hasDenseGradients || tables.items == nil)
    let result = step.loss()
    let inputs = [tables.users, tables.items, penalty?.users, penalty?.items].compactMap { $0 }
    guard let tape = commonTape("pairwiseRankingLoss", inputs) else { return result }
    let nodes = PairwiseRankingStep.Nodes(
      users: tables.users.node, items: tables.items?.node ?? -1, penalizedUsers: penalty?.users.node ?? -1,
      penalizedItems: penalty?.items.node ?? -1)
    return tape.record("pairwiseRankingLoss", result) { upstream, pass in
      step.addGradients(upstream.item, to: nodes, &pass)
    }
  }
}

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
