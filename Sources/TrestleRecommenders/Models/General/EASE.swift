import TrestleNN
import TrestleTensor

/// A linear item-to-item model in closed form: score(u, ·) = xᵤ B, with the B of zero diagonal that comes closest to
/// X = X B under a ridge penalty.
///
/// P = (XᵀX + λ I)⁻¹; B[i, j] = −P[i, j] / P[j, j] off the diagonal. P is computed in `float64` by recursive block
/// elimination on matrix products; memory is a few times items² × 8 bytes.
///
/// Source: Steck, *Embarrassingly Shallow Autoencoders for Sparse Data* (2019).
public final class EASE: Recommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// λ, the ridge penalty.
    public var regularization = 250.0
    /// The most items that the model may have: its matrix has their square of elements.
    public var maximumItems = 30_000

    /// The defaults.
    public init() {}
  }

  /// EASE.
  public let name = "EASE"
  /// How the model was built.
  public let configuration: Configuration
  /// B, `[items, items]`, `float32`.
  public let weights: Tensor
  private let history: UserItemMatrix

  /// Solves for the weights.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for more than the configured number of items or
  ///   a penalty that is not positive.
  public init(training: Interactions, configuration: Configuration = Configuration()) throws(DataError) {
    guard training.itemCount <= configuration.maximumItems else {
      throw .invalidParameter(
        operation: "EASE", expected: "at most \(configuration.maximumItems) items",
        found: "\(training.itemCount)")
    }
    guard configuration.regularization > 0 else {
      throw .invalidParameter(
        operation: "EASE", expected: "a positive penalty", found: "\(configuration.regularization)")
    }
    self.configuration = configuration
    history = UserItemMatrix(training)
    let inverse = BlockInverse.inverse(Self.gram(history, configuration.regularization))
    weights = Self.weights(inverse)
  }

  /// XᵀX + λ I.
  private static func gram(_ history: UserItemMatrix, _ regularization: Double) -> Tensor {
    let count = history.itemCount
    var gram = [Double](repeating: 0, count: count * count)
    for user in 0..<history.userCount {
      let items = history.items(of: user)
      for first in items {
        let row = Int(first) * count
        for second in items { gram[row + Int(second)] += 1 }
      }
    }
    for item in 0..<count { gram[item * count + item] += regularization }
    return Tensor(gram, shape: [count, count])
  }

  private static func weights(_ inverse: Tensor) -> Tensor {
    let count = inverse.shape[0]
    let values: [Double] = inverse.scalars()
    let scales = (0..<count).map { -1 / values[$0 * count + $0] }
    var weights = [Float](repeating: 0, count: count * count)
    for row in 0..<count {
      for column in 0..<count where column != row {
        weights[row * count + column] = Float(values[row * count + column] * scales[column])
      }
    }
    return Tensor(weights, shape: [count, count])
  }

  /// The number of users.
  public var userCount: Int { history.userCount }
  /// The number of items.
  public var itemCount: Int { history.itemCount }

  /// A scorer over the training histories.
  public func makeScorer() -> any CatalogueScorer { Scorer(history: history, weights: weights) }

  private struct Scorer: CatalogueScorer {
    let history: UserItemMatrix
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
}

/// The scores of a batch of users in one table, `[users, items]`.
struct ScoreTable: UserBatchScores {
  let scores: Tensor

  func write(items: Range<Int>, into target: inout [Float]) {
    let values = scores.sliced(items, along: 1).floats
    target.replaceSubrange(0..<values.count, with: values)
  }
}

/// The inverse of symmetric positive definite matrices.
///
/// With M = [A Bᵀ; B D] and the Schur complement S = D − B A⁻¹ Bᵀ, which is positive definite too:
/// M⁻¹ = [A⁻¹ + Wᵀ S⁻¹ W, −Wᵀ S⁻¹; −S⁻¹ W, S⁻¹] with W = B A⁻¹. Halving down to small blocks, nearly all the work
/// is matrix products.
enum BlockInverse {
  /// The size from which a block is cut in two.
  private static let blockSize = 48

  /// The inverse of `[n, n]` in `float64`.
  static func inverse(_ matrix: Tensor) -> Tensor {
    let count = matrix.shape[0]
    if count <= blockSize { return small(matrix) }
    let half = count / 2
    func part(_ rows: Range<Int>, _ columns: Range<Int>) -> Tensor {
      matrix.sliced(rows, along: 0).sliced(columns, along: 1)
    }
    let a = inverse(part(0..<half, 0..<half))
    let b = part(half..<count, 0..<half)
    let w = b.matmul(a)
    let s = inverse(part(half..<count, half..<count) - w.matmul(b, transposingOther: true))
    let lower = s.matmul(w).negated()
    let upper = a - w.matmul(lower, transposingSelf: true)
    return Tensor.concatenated(
      [
        Tensor.concatenated([upper, lower.transposed()], along: 1),
        Tensor.concatenated([lower, s], along: 1),
      ], along: 0)
  }

  /// Gauss–Jordan elimination without pivoting, which positive definite matrices do not need.
  private static func small(_ matrix: Tensor) -> Tensor {
    let count = matrix.shape[0]
    var values: [Double] = matrix.scalars()
    for pivot in 0..<count {
      let scale = 1 / values[pivot * count + pivot]
      values[pivot * count + pivot] = 1
      for column in 0..<count { values[pivot * count + column] *= scale }
      for row in 0..<count where row != pivot {
        let factor = values[row * count + pivot]
        values[row * count + pivot] = 0
        for column in 0..<count { values[row * count + column] -= factor * values[pivot * count + column] }
      }
    }
    return Tensor(values, shape: [count, count])
  }
}
