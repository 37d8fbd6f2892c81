import TrestleNN
import TrestleTensor

/// Light graph convolution with a contrast between two views that differ by noise alone.
///
/// The rows that scores come from are the mean of the states after each propagation, without the first tables; each view is
/// that mean when sign(E) ⊙ ε · n/‖n‖ has been added after every propagation, n uniform and drawn anew for each view and step.
/// The loss is BPR + λ · InfoNCE over the batch's distinct users and distinct positives. A step costs three
/// propagations where ``XSimGCL``'s costs one.
///
/// Source: Yu et al., *Are Graph Augmentations Necessary? Simple Graph Contrastive Learning for Recommendation* (2022).
public final class SimGCL: GraphRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of propagations.
    public var layers = 2
    /// ε, the length of the noise on a row.
    public var noise = 0.1
    /// λ, the weight of the contrast; the paper's, for sparser data than MovieLens-100K, is 0.5.
    public var contrastWeight = 0.05
    /// The temperature of the contrast.
    public var temperature = 0.2
    /// The weight of the penalty on the batch's own rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
    public var regularization = 1e-3

    /// The defaults.
    public init() {}
  }

  /// SimGCL.
  public let name = "SimGCL"
  /// How the model was built.
  public let configuration: Configuration
  private var adjacency: SparseMatrix
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
  /// - Precondition: at least one layer.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(configuration.layers > 0, "SimGCL: \(configuration.layers) layers")
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

  /// The rows that scores come from, without noise.
  public func representations() -> Representations {
    Representations(joint: view(noise: nil), userCount: userCount)
  }

  /// The mean of the states, `[users + items, dimension]`.
  private func view(noise: [Tensor]?) -> Tensor {
    .mean(
      of: adjacency.states(
        of: rows.joint, layers: configuration.layers, noise: noise, length: configuration.noise))
  }

  /// The loss of a batch with the contrast of two views of its own.
  public func trainingLoss(
    _ batch: PairwiseBatch, _ representations: @autoclosure () -> Representations,
    using generator: inout RandomGenerator
  ) -> Tensor {
    let shape: Shape = [userCount + itemCount, configuration.dimension]
    func draw() -> [Tensor] {
      Tensor.noise(layers: configuration.layers, shape, dtype: rows.dtype, using: &generator)
    }
    let (first, second) = (draw(), draw())
    return loss(batch, representations(), noise: (first, second))
  }

  /// The loss of a batch under given noise for each view and layer.
  package func loss(
    _ batch: PairwiseBatch, _ representations: Representations, noise: (first: [Tensor], second: [Tensor])
  ) -> Tensor {
    let ranking = rankingLoss(
      batch, representations, penalty: configuration.regularization, hasDenseGradients: true)
    let contrast = batch.contrast(
      view(noise: noise.first), view(noise: noise.second), userCount: userCount,
      temperature: configuration.temperature)
    return ranking + contrast * configuration.contrastWeight
  }

  /// The penalty on the batch's own rows.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    rowPenalty(batch, weight: configuration.regularization)
  }
}
