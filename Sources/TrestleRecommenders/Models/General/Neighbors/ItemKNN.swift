import TrestleTensor

/// Item-based neighbours: an item scores by its similarity to the items that the user has.
///
/// s(i, j) = |Uᵢ ∩ Uⱼ| / (√|Uᵢ| √|Uⱼ| + shrinkage + 1e-6), the cosine of the items' columns, of which each item keeps
/// those of its nearest neighbours; score(u, j) = Σ over the items i of u of s(i, j).
///
/// Source: Sarwar et al., *Item-based Collaborative Filtering Recommendation Algorithms* (2001).
public final class ItemKNN: ItemToItemRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// How many neighbours an item keeps.
    public var neighbors = 100
    /// What is added to the denominator: similarities that rest on few users fall.
    public var shrinkage = 0.0

    /// The defaults.
    public init() {}
  }

  /// ItemKNN.
  public let name = "ItemKNN"
  /// How the model was built.
  public let configuration: Configuration
  /// What each user has.
  public let history: UserItemMatrix
  /// The similarities, by the neighbour: an item adds to the scores of those that keep it.
  public let itemWeights: ItemToItemWeights
  private let kept: [[(item: Int32, weight: Float)]]

  /// Computes the neighbours from the interactions; time Σ |items of u|² over the users.
  ///
  /// - Precondition: at least one neighbour.
  public init(training: Interactions, configuration: Configuration = Configuration()) {
    precondition(configuration.neighbors > 0, "ItemKNN: \(configuration.neighbors) neighbours")
    self.configuration = configuration
    history = UserItemMatrix(training)
    let norms = history.itemCounts().map { Double($0).squareRoot() }
    let shrinkage = configuration.shrinkage
    kept = CommonUsers(history).nearest(configuration.neighbors) { item, other, count in
      count / (norms[item] * norms[other] + shrinkage + 1e-6)
    }
    itemWeights = ItemToItemWeights(columns: kept)
  }

  /// The neighbours that `item` keeps, the most similar first; of equal ones the lower item.
  public func neighbors(of item: Int32) -> [(item: Int32, similarity: Float)] {
    kept[Int(item)].map { ($0.item, $0.weight) }
  }
}

/// The former name of ``ItemKNN``.
@available(*, deprecated, renamed: "ItemKNN")
public typealias ItemNeighbors = ItemKNN
