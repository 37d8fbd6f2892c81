import TrestleNN
import TrestleTensor

/// Light graph convolution: rows propagated over the graph of interactions, and averaged over the layers.
///
/// With Â = D^−½ A D^−½ of the bipartite graph, E⁽ᵏ⁺¹⁾ = Â E⁽ᵏ⁾ and E = mean(E⁽⁰⁾ … E⁽ᴷ⁾); scores are inner products.
///
/// Source: He et al., *LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation* (2020).
public final class LightGCN: GraphRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of propagations, K.
    public var layers = 3
    /// The weight of the penalty on the batch's own rows. Sparse data wants more: 3e-2 for ten interactions a user.
    public var regularization = 1e-3
    /// What the penalty sums.
    public var penalty = Penalty.squares

    /// The defaults.
    public init() {}
  }

  /// A penalty on the batch's own rows, divided by the batch's size.
  public enum Penalty: String, Codable, Sendable {
    /// Half of each row's squared length, as the paper has it.
    case squares
    /// The Frobenius norm of the batch's users, of its positives and of its negatives, as RecBole has it.
    case norms
  }

  /// LightGCN.
  public let name = "LightGCN"
  /// How the model was built.
  public let configuration: Configuration
  /// Â over users, then items.
  private(set) var adjacency: SparseMatrix
  private let rows: UserItemRows

  /// The tables go by RecBole's names.
  public static let checkpointKeys = ["rows": ""]

  /// A model over the graph of `training`, with rows drawn by Xavier's normal rule.
  ///
  /// - Parameters:
  ///   - training: the graph.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the rows.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    self.configuration = configuration
    adjacency = .normalizedBipartite(training, dtype: dtype)
    rows = UserItemRows(for: training, width: configuration.dimension, dtype: dtype, using: &generator)
  }

  /// The users' and the items' own rows, E⁽⁰⁾.
  public var tables: (users: Parameter, items: Parameter) { rows.tables }

  /// Puts the graph of other interactions in place of the present one.
  public func setGraph(_ interactions: Interactions) {
    checkGraph(interactions)
    adjacency = .normalizedBipartite(interactions, dtype: rows.dtype)
  }

  /// The propagated rows, E.
  public func representations() -> Representations {
    Representations(
      joint: rows.propagatedMean(over: adjacency, layers: configuration.layers), userCount: userCount)
  }

  /// The mean BPR loss of a batch with the penalty on its own rows.
  public func loss(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor {
    let isFused = configuration.penalty == .squares
    let loss = rankingLoss(
      batch, representations, penalty: isFused ? configuration.regularization : nil, hasDenseGradients: true)
    guard !isFused, let penalty = regularization(batch, representations) else { return loss }
    return loss + penalty
  }

  /// The penalty on the batch's own rows.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    let weight = configuration.regularization
    guard configuration.penalty == .norms, weight > 0 else { return rowPenalty(batch, weight: weight) }
    let parts = [
      rows.users.value.gatheredRows(batch.users), rows.items.value.gatheredRows(batch.positives),
      rows.items.value.gatheredRows(batch.negatives),
    ]
    let norms = parts.map { $0.flattened().norm() }
    return (norms[0] + norms[1] + norms[2]) * (weight / Double(batch.count))
  }
}
