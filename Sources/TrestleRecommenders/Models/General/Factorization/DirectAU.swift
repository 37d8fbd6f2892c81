import TrestleNN
import TrestleTensor

/// Rows trained for alignment and uniformity: those of a user and its items are drawn together, those of all users and of all
/// items apart, on the unit sphere, without negatives.
///
/// With f the rows at unit length, the loss of a batch of pairs is mean ‖f(u) − f(i)‖² + γ · ½ (U(users) + U(items)), where
/// U = log mean exp(−2 ‖f(x) − f(y)‖²) over the pairs of the batch's rows. Scores are inner products of the rows as they
/// are, whose lengths training leaves alone. The rows are the tables themselves or their propagation over the graph.
///
/// Source: Wang et al., *Towards Representation Alignment and Uniformity in Collaborative Filtering* (2022).
public final class DirectAU: GraphRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The number of propagations over the graph, as in ``LightGCN``: 0 for the tables themselves.
    public var layers = 2
    /// γ, the weight of the uniformity. Where users have many items, much of it leaves them no room near these: with 1 and
    /// without propagation the ranking of MovieLens-100K stays below popularity.
    public var uniformityWeight = 0.3
    /// The weight of half the squared length of the batch's users and positives, divided by its size.
    public var regularization = 1e-4

    /// The defaults.
    public init() {}
  }

  /// DirectAU.
  public let name = "DirectAU"
  /// How the model was built.
  public let configuration: Configuration
  private var adjacency: SparseMatrix?
  private let rows: UserItemRows

  /// The tables go by their names in the authors' code and RecBole's.
  public static let checkpointKeys = ["rows": ""]

  /// A model for the users and items of `training`, with rows drawn by Xavier's normal rule.
  ///
  /// - Parameters:
  ///   - training: the graph, if rows are propagated.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the rows.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    self.configuration = configuration
    adjacency = configuration.layers > 0 ? .normalizedBipartite(training, dtype: dtype) : nil
    rows = UserItemRows(for: training, width: configuration.dimension, dtype: dtype, using: &generator)
  }

  /// The users' and the items' own rows.
  public var tables: (users: Parameter, items: Parameter) { rows.tables }

  /// Puts the graph of other interactions in place of the present one; without propagation there is none.
  public func setGraph(_ interactions: Interactions) {
    checkGraph(interactions)
    guard adjacency != nil else { return }
    adjacency = .normalizedBipartite(interactions, dtype: rows.dtype)
  }

  /// The tables, or their propagation.
  public func representations() -> Representations {
    guard let adjacency else { return Representations(users: rows.users.value, items: rows.items.value) }
    return Representations(
      joint: rows.propagatedMean(over: adjacency, layers: configuration.layers), userCount: userCount)
  }

  /// Alignment and uniformity of the batch's users and positives, with the penalty; the negatives are not looked at.
  public func loss(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor {
    let users = representations.users.gatheredRows(batch.users)
    let items = representations.items.gatheredRows(batch.positives)
    let uniformity = Losses.uniformity(users) + Losses.uniformity(items)
    let loss = Losses.alignment(users, items) + uniformity * (configuration.uniformityWeight / 2)
    guard let penalty = regularization(batch, representations) else { return loss }
    return loss + penalty
  }

  /// Half the squared length of the rows of the batch's users and positives, divided by the batch's size.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    let weight = configuration.regularization
    guard weight > 0 else { return nil }
    let lengths =
      rows.users.value.gatheredRows(batch.users).squared().sum()
      + rows.items.value.gatheredRows(batch.positives).squared().sum()
    return lengths * (weight / 2 / Double(batch.count))
  }
}
