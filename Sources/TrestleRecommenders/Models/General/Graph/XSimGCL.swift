import TrestleNN
import TrestleTensor

/// Light graph convolution with noise in every layer, and a contrast between the final rows and those of one layer.
///
/// After each propagation sign(E) ⊙ ε · n/‖n‖ is added, n uniform; the final rows are the mean over the layers without
/// the first tables. The loss is BPR + λ · InfoNCE over the batch's distinct users and distinct positives. Scores are
/// inner products of the rows without noise.
///
/// Rows start short, and the contrast, which sees directions only, then has a gradient a hundred times that of the
/// ranking loss: for the first tens of epochs (some 2,000 steps) validation stays below that of popularity, before it
/// rises past LightGCN's. The patience must outlast that.
///
/// Source: Yu et al., *XSimGCL: Towards Extremely Simple Graph Contrastive Learning for Recommendation* (2023).
public final class XSimGCL: GraphRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of propagations.
    public var layers = 2
    /// The layer, from 1, whose rows are set against the final ones.
    public var contrastedLayer = 1
    /// ε, the length of the noise on a row; the paper's is 0.2.
    public var noise = 0.1
    /// λ, the weight of the contrast; the paper's, for data a hundred times sparser than MovieLens-100K, is 0.2.
    public var contrastWeight = 0.05
    /// The temperature of the contrast.
    public var temperature = 0.2
    /// The weight of the penalty on the batch's own rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
    public var regularization = 1e-3

    /// The defaults.
    public init() {}
  }

  /// XSimGCL.
  public let name = "XSimGCL"
  /// How the model was built.
  public let configuration: Configuration
  private var adjacency: SparseMatrix
  private let rows: UserItemRows

  /// The tables go by RecBole's names.
  public static let checkpointKeys = ["rows": ""]

  /// A model over the graph of `training`, with rows drawn by Xavier's normal rule.
  ///
  /// - Precondition: the contrasted layer is one of the layers.
  public init(
    training: Interactions, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(
      (1...max(configuration.layers, 1)).contains(configuration.contrastedLayer) && configuration.layers > 0,
      "XSimGCL: layer \(configuration.contrastedLayer) of \(configuration.layers)")
    self.configuration = configuration
    adjacency = .normalizedBipartite(training, dtype: dtype)
    rows = UserItemRows(for: training, width: configuration.dimension, dtype: dtype, using: &generator)
  }

  /// The users' and the items' own rows.
  public var tables: (users: Parameter, items: Parameter) { rows.tables }

  /// Puts the graph of other interactions in place of the present one.
  public func setGraph(_ interactions: Interactions) {
    checkGraph(interactions)
    adjacency = .normalizedBipartite(interactions, dtype: rows.dtype)
  }

  /// The final rows, without noise.
  public func representations() -> Representations {
    Representations(joint: propagated(noise: nil).final, userCount: userCount)
  }

  /// The final rows and those of the contrasted layer, `[users + items, dimension]`.
  ///
  /// - Parameter noise: numbers from 0 to 1 for each layer, of the rows' shape; `nil` for no noise.
  package func propagated(noise: [Tensor]?) -> (final: Tensor, contrasted: Tensor) {
    let states = adjacency.states(
      of: rows.joint, layers: configuration.layers, noise: noise, length: configuration.noise)
    return (Tensor.mean(of: states), states[configuration.contrastedLayer - 1])
  }

  /// The loss of a batch under noise of its own, with the contrast.
  public func trainingLoss(
    _ batch: PairwiseBatch, _ representations: @autoclosure () -> Representations,
    using generator: inout RandomGenerator
  ) -> Tensor {
    loss(
      batch,
      noise: Tensor.noise(
        layers: configuration.layers, [userCount + itemCount, configuration.dimension],
        dtype: rows.dtype, using: &generator))
  }

  /// The loss of a batch under given noise; see ``propagated(noise:)``.
  package func loss(_ batch: PairwiseBatch, noise: [Tensor]) -> Tensor {
    let (final, contrasted) = propagated(noise: noise)
    let ranking = rankingLoss(
      batch, Representations(joint: final, userCount: userCount), penalty: configuration.regularization,
      hasDenseGradients: true)
    let contrast = batch.contrast(
      final, contrasted, userCount: userCount, temperature: configuration.temperature)
    return ranking + contrast * configuration.contrastWeight
  }

  /// The penalty on the batch's own rows.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    rowPenalty(batch, weight: configuration.regularization)
  }
}
