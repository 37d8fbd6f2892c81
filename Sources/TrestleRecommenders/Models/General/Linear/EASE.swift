import TrestleNN
import TrestleTensor

/// A linear item-to-item model in closed form: score(u, ·) = xᵤ B, with the B of zero diagonal that comes closest to
/// X = X B under a ridge penalty.
///
/// P = (XᵀX + λ I)⁻¹; B[i, j] = −P[i, j] / P[j, j] off the diagonal. P is computed in `float64` by a blocked Cholesky
/// factorisation on matrix products, in place: time is about 4/3 items³ operations, memory at most 14 bytes times items².
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
    let matrix = Self.gram(history, configuration.regularization)
    BlockCholesky.invert(matrix)
    weights = Self.weights(matrix)
  }

  /// Rows of items that a task computes.
  private static let grain = 16

  /// XᵀX + λ I; counts are exact, whoever adds them up.
  private static func gram(_ history: UserItemMatrix, _ regularization: Double) -> Tensor {
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

  private static func weights(_ inverse: Tensor) -> Tensor {
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
