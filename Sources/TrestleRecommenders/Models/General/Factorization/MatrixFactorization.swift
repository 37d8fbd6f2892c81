import TrestleNN
import TrestleTensor

/// Matrix factorisation trained by Bayesian personalised ranking: score(u, i) = ⟨pᵤ, qᵢ⟩.
///
/// Source: Rendle et al., *BPR: Bayesian Personalized Ranking from Implicit Feedback* (2009).
public final class MatrixFactorization: PairwiseRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows.
    public var dimension = 64
    /// The weight of the penalty on the batch's rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
    public var regularization = 1e-2

    /// The defaults.
    public init() {}
  }

  /// MF-BPR.
  public let name = "MF-BPR"
  /// How the model was built.
  public let configuration: Configuration
  private let rows: UserItemRows

  /// The tables go by RecBole's names.
  public static let checkpointKeys = ["rows": ""]

  /// A model with rows drawn by Xavier's normal rule.
  public init(
    userCount: Int, itemCount: Int, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    self.configuration = configuration
    rows = UserItemRows(
      userCount: userCount, itemCount: itemCount, width: configuration.dimension, dtype: dtype,
      using: &generator)
  }

  /// A model for the users and items of `training`, with the settings that suit it.
  public convenience init(
    training: Interactions, dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    self.init(
      userCount: training.userCount, itemCount: training.itemCount,
      configuration: .recommended(for: DataProfile(training)), dtype: dtype, using: &generator)
  }

  /// The users' and the items' rows.
  public var tables: (users: Parameter, items: Parameter) { rows.tables }

  /// The tables themselves.
  public func representations() -> Representations {
    Representations(users: rows.users.value, items: rows.items.value)
  }

  /// The mean BPR loss of a batch with the penalty on its rows.
  public func loss(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor {
    rankingLoss(
      batch, representations, penalty: configuration.regularization,
      hasDenseGradients: updatesWholeTables)
  }

  /// The penalty on the batch's rows.
  public func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor? {
    rowPenalty(batch, weight: configuration.regularization)
  }
}
