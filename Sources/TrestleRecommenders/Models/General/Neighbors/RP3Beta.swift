import Foundation
import TrestleTensor

/// A random walk of three steps on the graph of interactions, held back from popular items.
///
/// From a user the walk goes to an item, to a user and to an item again. With P(u, i) = 1/|Iᵤ| and P(i, u) = 1/|Uᵢ| the weight
/// of j for someone who has i is w(i, j) = Σ over the users v of both of P(i, v)^α P(v, j)^α / |Uⱼ|^β; each item keeps its
/// largest ones, and score(u, j) = Σ over the items i of u of w(i, j). The walk's first step is the same for all of a user's
/// items and so changes no ranking.
///
/// Source: Paudel et al., *Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive Applications* (2017).
public final class RP3Beta: ItemToItemRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// α, the exponent of the transition probabilities.
    public var alpha = 0.6
    /// β, the exponent of the popularity that weights are divided by: 0 for none.
    public var beta = 0.6
    /// How many weights an item keeps.
    public var neighbors = 200

    /// The defaults.
    public init() {}
  }

  /// RP3beta.
  public let name = "RP3beta"
  /// How the model was built.
  public let configuration: Configuration
  /// What each user has.
  public let history: UserItemMatrix
  /// w.
  public let itemWeights: ItemToItemWeights

  /// Computes the weights from the interactions; time Σ |items of u|² over the users.
  ///
  /// - Parameters:
  ///   - training: repeated pairs count once.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  /// - Precondition: at least one weight an item.
  public init(training: Interactions, configuration: Configuration? = nil) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(configuration.neighbors > 0, "RP3Beta: \(configuration.neighbors) weights an item")
    self.configuration = configuration
    let matrix = UserItemMatrix(training)
    history = matrix
    let leaving = (0..<matrix.userCount).map { user in
      pow(1 / Double(max(matrix.count(of: user), 1)), configuration.alpha)
    }
    let counts = matrix.itemCounts().map { Double(max($0, 1)) }
    let reaching = counts.map { pow(1 / $0, configuration.alpha) }
    let popularity = counts.map { pow($0, -configuration.beta) }
    let kept = CommonUsers(matrix, userWeights: leaving).nearest(configuration.neighbors) {
      item, other, sum in
      reaching[item] * sum * popularity[other]
    }
    itemWeights = ItemToItemWeights(rows: kept)
  }
}
