import TrestleNN
import TrestleTensor

/// ``EASE`` that also explains what is known of the items, and whose weights may be drawn to a prior.
///
/// With X the users' items, F the items' features, `[items, features]`, and B₀ the prior, 0 unless given, B of zero diagonal lowers
///
/// ‖X − X B‖² + α² ‖Fᵀ − Fᵀ B‖² + λ ‖B − B₀‖²:
///
/// each feature is one more user, who has the items that carry it, with weight α. With G = XᵀX + α² F Fᵀ and
/// P = (G + λ I)⁻¹, off the diagonal
///
/// B = λ P B₀ − P diag(γ), γⱼ = (1 + λ (P B₀)[j, j]) / P[j, j];
///
/// score(u, ·) = xᵤ B. An item that nobody has gets its weights through its features alone, and so can be ranked for everybody;
/// as its column lacks what users add to those of others, it is best ranked among its like
/// (``CandidateSet``). With α = 0 and no prior the weights are those of EASE, bit for bit. Cost: that of EASE
/// and, for dense features, items² · features multiplications, for a prior items³.
///
/// Source: Jeunen, Van Balen and Goethals, *Closed-Form Models for Collaborative Filtering with Side-Information* (2020), the collective
/// form; the prior is a ridge penalty centred elsewhere than at 0. Their form weights the rows of users by interaction;
/// here all weigh 1.
public final class FEASE: Recommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// λ, the ridge penalty.
    public var regularization = 250.0
    /// α, the weight of a feature as a user; its square stands before the features' products.
    public var featureWeight = 10.0
    /// The most items that the model may have: its matrix has their square of elements.
    public var maximumItems = 30_000

    /// The defaults.
    public init() {}
  }

  /// FEASE.
  public let name = "FEASE"
  /// How the model was built.
  public let configuration: Configuration
  /// B, `[items, items]`, `float32`.
  public let weights: Tensor
  private let history: UserItemMatrix

  /// Solves for the weights.
  ///
  /// - Parameters:
  ///   - training: repeated pairs count once; items without a row are ranked by their features.
  ///   - features: F; `nil` for none.
  ///   - prior: B₀, `[items, items]`, `float32` or `float64`: the weights from the item of a row to that of a column. Its
  ///     diagonal does not matter. `nil` for 0.
  ///   - configuration: how the model is built.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for more than the configured number of items, a penalty
  ///   that is not positive, a weight that is negative, or features or a prior of another shape or with numbers that are not finite.
  public init(
    training: Interactions, features: ItemFeatures? = nil, prior: Tensor? = nil,
    configuration: Configuration = Configuration()
  ) throws(DataError) {
    try Self.check(configuration, training.itemCount)
    try features?.check("FEASE", itemCount: training.itemCount)
    try prior.map { prior throws(DataError) in try Self.check(prior, training.itemCount) }
    self.configuration = configuration
    history = UserItemMatrix(training)
    let matrix = RidgeWeights.gram(history, configuration.regularization)
    if let features, configuration.featureWeight > 0 {
      features.addGram(times: configuration.featureWeight * configuration.featureWeight, to: matrix)
    }
    BlockCholesky.invert(matrix)
    weights =
      prior.map { RidgeWeights.weights(matrix, prior: $0, configuration.regularization) }
      ?? RidgeWeights.weights(matrix)
  }

  private static func check(_ configuration: Configuration, _ itemCount: Int) throws(DataError) {
    func require(_ holds: Bool, _ expected: String, _ found: String) throws(DataError) {
      guard holds else { throw .invalidParameter(operation: "FEASE", expected: expected, found: found) }
    }
    try require(
      itemCount <= configuration.maximumItems, "at most \(configuration.maximumItems) items", "\(itemCount)")
    let (penalty, weight) = (configuration.regularization, configuration.featureWeight)
    try require(penalty > 0 && penalty.isFinite, "a positive penalty", "\(penalty)")
    try require(weight >= 0 && weight.isFinite, "a weight of features of 0 or more", "\(weight)")
  }

  private static func check(_ prior: Tensor, _ itemCount: Int) throws(DataError) {
    guard prior.rank == 2, prior.shape[0] == itemCount, prior.shape[1] == itemCount,
      prior.dtype == .float32 || prior.dtype == .float64
    else {
      throw .invalidParameter(
        operation: "FEASE", expected: "a prior [\(itemCount), \(itemCount)] of float32 or float64",
        found: "\(prior.dtype) \(prior.shape)")
    }
    guard (prior.detached.dense() * 0).sum().item == 0 else {
      throw .invalidParameter(operation: "FEASE", expected: "a finite prior", found: "other numbers")
    }
  }

  /// The number of users.
  public var userCount: Int { history.userCount }
  /// The number of items.
  public var itemCount: Int { history.itemCount }

  /// A scorer over the training histories.
  public func makeScorer() -> any CatalogueScorer {
    ItemWeightsScorer(history: history, weights: weights)
  }
}
