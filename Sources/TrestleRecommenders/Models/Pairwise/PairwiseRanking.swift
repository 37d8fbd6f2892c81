internal import CTrestleKernels
import TrestleTensor

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

  /// Whether gradients of whole tables of so many rows together cost less than rows.
  static func areSmall(_ rowCount: Int) -> Bool { rowCount <= 8192 }
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
