import TrestleTensor

/// What the closed forms of linear item-to-item models have in common.
enum RidgeWeights {
  /// Rows of items that a task computes.
  static let grain = 16
  /// Columns that are computed at a time where a product is large.
  private static let band = 512

  /// XᵀX + λ I, `[items, items]`, `float64`; counts are exact, whoever adds them up.
  static func gram(_ history: UserItemMatrix, _ regularization: Double) -> Tensor {
    let count = history.itemCount
    let gram = Tensor.zeros([count, count], dtype: .float64)
    let (starts, users) = history.usersByItem()
    ThreadPool.shared.run((count + grain - 1) / grain) { task in
      for item in task * grain..<min((task + 1) * grain, count) {
        let row = gram.pointer(Double.self) + item * count
        for user in users[starts[item]..<starts[item + 1]] {
          for other in history.items(of: Int(user)) { row[Int(other)] += 1 }
        }
        row[item] += regularization
      }
    }
    return gram
  }

  /// B of P = (G + λ I)⁻¹, without a prior: −P[i, j] / P[j, j] off the diagonal, `float32`.
  static func weights(_ inverse: Tensor) -> Tensor {
    let count = inverse.shape[0]
    let weights = Tensor(uninitialized: [count, count], dtype: .float32)
    let diagonal = inverse.pointer(Double.self)
    let scales = (0..<count).map { -1 / diagonal[$0 * count + $0] }
    ThreadPool.shared.run((count + grain - 1) / grain) { task in
      for item in task * grain..<min((task + 1) * grain, count) {
        let source = inverse.pointer(Double.self) + item * count
        let target = weights.pointer(Float.self) + item * count
        for column in 0..<count { target[column] = Float(source[column] * scales[column]) }
        target[item] = 0
      }
    }
    return withExtendedLifetime(inverse) { weights }
  }

  /// B of P = (G + λ I)⁻¹ with a prior B₀: λ P B₀ − P diag(γ) off the diagonal, γⱼ = (1 + λ (P B₀)[j, j]) / P[j, j], `float32`.
  static func weights(_ inverse: Tensor, prior: Tensor, _ regularization: Double) -> Tensor {
    let count = inverse.shape[0]
    let weights = Tensor(uninitialized: [count, count], dtype: .float32)
    for start in stride(from: 0, to: count, by: band) {
      let columns = start..<min(start + band, count)
      let drawn = prior.detached.sliced(columns, along: 1).converted(to: .float64).dense()
      let product = inverse.matmul(drawn).dense()
      let width = columns.count
      ThreadPool.shared.run((count + grain - 1) / grain) { task in
        let (source, drawn) = (inverse.pointer(Double.self), product.pointer(Double.self))
        let multipliers = columns.map { column in
          (1 + regularization * drawn[column * width + column - start]) / source[column * count + column]
        }
        for item in task * grain..<min((task + 1) * grain, count) {
          let target = weights.pointer(Float.self) + item * count
          for column in columns {
            let value =
              regularization * drawn[item * width + column - start]
              - source[item * count + column] * multipliers[column - start]
            target[column] = column == item ? 0 : Float(value)
          }
        }
      }
      withExtendedLifetime((product, weights)) {}
    }
    return withExtendedLifetime(inverse) { weights }
  }
}

/// Sums of rows of weights over the items that users have.
struct ItemWeightsScorer: CatalogueScorer {
  let history: UserItemMatrix
  /// `[items, items]`.
  let weights: Tensor
  var itemCount: Int { history.itemCount }

  func prepare(users: [Int32]) -> any UserBatchScores {
    var rows: [Int32] = []
    var columns: [Int32] = []
    for (row, user) in users.enumerated() {
      let items = history.items(of: Int(user))
      rows.append(contentsOf: repeatElement(Int32(row), count: items.count))
      columns.append(contentsOf: items)
    }
    let batch = SparseMatrix(
      rowCount: users.count, columnCount: itemCount, rows: rows, columns: columns,
      values: [Float](repeating: 1, count: rows.count))
    return ScoreTable(scores: batch.matmul(weights))
  }
}

/// The scores of a batch of users in one table, `[users, items]`.
struct ScoreTable: UserBatchScores {
  let scores: Tensor

  func write(items: Range<Int>, into target: inout [Float]) {
    let values = scores.sliced(items, along: 1).floats
    target.replaceSubrange(0..<values.count, with: values)
  }
}
