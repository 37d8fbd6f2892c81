import TrestleNN
import TrestleTensor

/// Light graph convolution with a contrast between two views of the graph of which parts were left out at random.
///
/// Scores come from the mean of the states E⁽⁰⁾ … E⁽ᴷ⁾ on the whole graph, as in ``LightGCN``; each view's rows are that mean on
/// a graph without some edges or nodes, normalised anew. The loss is BPR + λ · InfoNCE between the views' rows of the batch's
/// distinct users and distinct positives. The views are drawn for every step, where the paper and RecBole draw them for
/// every epoch; RecBole counts a user of the contrast as often as the batch has it.
///
/// Source: Wu et al., *Self-supervised Graph Learning for Recommendation* (2021).
public final class SGL: GraphRecommender {
  /// What a view leaves out.
  public enum Augmentation: String, Codable, Sendable {
    /// Edges, the same in every layer (ED).
    case edges
    /// Nodes with all their edges (ND).
    case nodes
    /// Edges, others in every layer (RW).
    case walk
  }

  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of propagations, K.
    public var layers = 3
    /// What a view leaves out.
    public var augmentation = Augmentation.edges
    /// The probability with which an edge or a node is left out.
    public var dropRate = 0.1
    /// λ, the weight of the contrast.
    public var contrastWeight = 0.05
    /// The temperature of the contrast.
    public var temperature = 0.2
    /// Whether a row of the contrast competes with those of all users (items), as in the paper, or with those of the batch:
    /// logits are `[distinct users of the batch, users]`, which is too much for a million.
    public var comparesAll = true
    /// The weight of the penalty on the batch's own rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
    public var regularization = 1e-3

    /// The defaults.
    public init() {}
  }

  /// SGL.
  public let name = "SGL"
  /// How the model was built.
  public let configuration: Configuration
  private var adjacency: SparseMatrix
  private var edgeUsers: [Int32]
  private var edgeItems: [Int32]
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
  /// - Precondition: at least one layer, a rate of at least 0 and below 1.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      configuration.layers > 0 && configuration.dropRate >= 0 && configuration.dropRate < 1,
      "SGL: \(configuration.layers) layers, a rate of \(configuration.dropRate)")
    self.configuration = configuration
    (edgeUsers, edgeItems, adjacency) = Self.graph(of: training, dtype)
    rows = UserItemRows(for: training, width: configuration.dimension, dtype: dtype, using: &generator)
  }

  /// The users' and the items' own rows.
  public var tables: (users: Parameter, items: Parameter) { rows.tables }

  private static func graph(
    of interactions: Interactions, _ dtype: DType
  ) -> (users: [Int32], items: [Int32], adjacency: SparseMatrix) {
    let matrix = UserItemMatrix(interactions)
    let users = matrix.owners()
    return (
      users, matrix.items,
      .normalizedBipartite(
        users: users, items: matrix.items, userCount: matrix.userCount, itemCount: matrix.itemCount,
        dtype: dtype)
    )
  }

  /// Puts the graph of other interactions in place of the present one; views leave out parts of that.
  public func setGraph(_ interactions: Interactions) {
    checkGraph(interactions)
    (edgeUsers, edgeItems, adjacency) = Self.graph(of: interactions, rows.dtype)
  }

  /// The rows propagated over the whole graph.
  public func representations() -> Representations {
    Representations(joint: view(over: [adjacency]), userCount: userCount)
  }

  /// The mean over the layers, on one graph or on one a layer, `[users + items, dimension]`.
  private func view(over graphs: [SparseMatrix]) -> Tensor {
    if graphs.count == 1 {
      return rows.propagatedMean(over: graphs[0], layers: configuration.layers)
    }
    var states = [rows.joint]
    for graph in graphs { states.append(graph.matmul(states[states.count - 1])) }
    return .mean(of: states)
  }

  /// The graph of some edges, normalised.
  ///
  /// - Parameter keeps: whether each edge stays, in the order of users, then items.
  package func graph(keeping keeps: [Bool]) -> SparseMatrix {
    precondition(keeps.count == edgeUsers.count, "SGL: \(keeps.count) marks for \(edgeUsers.count) edges")
    let kept = keeps.indices.filter { keeps[$0] }
    return .normalizedBipartite(
      users: kept.map { edgeUsers[$0] }, items: kept.map { edgeItems[$0] }, userCount: userCount,
      itemCount: itemCount, dtype: rows.dtype)
  }

  /// One view's graph, or one for each layer.
  private func drawView(_ generator: inout RandomGenerator) -> [SparseMatrix] {
    func draws(_ count: Int) -> [Bool] {
      (0..<count).map { _ in generator.uniform() >= configuration.dropRate }
    }
    switch configuration.augmentation {
    case .edges: return [graph(keeping: draws(edgeUsers.count))]
    case .walk: return (0..<configuration.layers).map { _ in graph(keeping: draws(edgeUsers.count)) }
    case .nodes:
      let (users, items) = (draws(userCount), draws(itemCount))
      return [graph(keeping: zip(edgeUsers, edgeItems).map { users[Int($0)] && items[Int($1)] })]
    }
  }

  /// The loss of a batch with the contrast of two views of its own.
  public func trainingLoss(
    _ batch: PairwiseBatch, _ representations: @autoclosure () -> Representations,
    using generator: inout RandomGenerator
  ) -> Tensor {
    let (first, second) = (drawView(&generator), drawView(&generator))
    return loss(batch, representations(), views: (first, second))
  }

  /// The loss of a batch with the contrast of two views, each one graph or one for each layer.
  package func loss(
    _ batch: PairwiseBatch, _ representations: Representations,
    views: (first: [SparseMatrix], second: [SparseMatrix])
  ) -> Tensor {
    let ranking = rankingLoss(
      batch, representations, penalty: configuration.regularization, hasDenseGradients: true)
    let contrast = batch.contrast(
      view(over: views.first), view(over: views.second), userCount: userCount,
      temperature: configuration.temperature, comparesAll: configuration.comparesAll)
    return ranking + contrast * configuration.contrastWeight
  }

  /// The penalty on the batch's own rows.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    rowPenalty(batch, weight: configuration.regularization)
  }
}
