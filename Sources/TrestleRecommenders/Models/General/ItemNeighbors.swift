import TrestleNN
import TrestleTensor

/// Item-based neighbours: an item scores by its similarity to the items that the user has.
///
/// s(i, j) = |Uᵢ ∩ Uⱼ| / (√|Uᵢ| √|Uⱼ| + shrinkage + 1e-6), the cosine of the items' columns, of which each item keeps
/// those of its nearest neighbours; score(u, j) = Σ over the items i of u of s(i, j).
///
/// Source: Sarwar et al., *Item-based Collaborative Filtering Recommendation Algorithms* (2001).
public final class ItemNeighbors: Recommender {
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
  private let history: UserItemMatrix
  private let lists: NeighborLists

  /// Computes the neighbours from the interactions; time Σ |items of u|² over the users.
  ///
  /// - Precondition: at least one neighbour.
  public init(training: Interactions, configuration: Configuration = Configuration()) {
    precondition(configuration.neighbors > 0, "ItemNeighbors: \(configuration.neighbors) neighbours")
    self.configuration = configuration
    history = UserItemMatrix(training)
    lists = NeighborLists(history, configuration)
  }

  /// The number of users.
  public var userCount: Int { history.userCount }
  /// The number of items.
  public var itemCount: Int { history.itemCount }

  /// The neighbours that `item` keeps, the most similar first; of equal ones the lower item.
  public func neighbors(of item: Int32) -> [(item: Int32, similarity: Float)] { lists.kept[Int(item)] }

  /// A scorer over the training histories.
  public func makeScorer() -> any CatalogueScorer {
    RowScorer(itemCount: itemCount) { [history, lists] user in
      var scores = [Float](repeating: 0, count: history.itemCount)
      for item in history.items(of: Int(user)) {
        for place in lists.starts[Int(item)]..<lists.starts[Int(item) + 1] {
          scores[Int(lists.targets[place])] += lists.weights[place]
        }
      }
      return scores
    }
  }
}

/// The kept similarities, by the item that keeps them and by the neighbour.
private struct NeighborLists: Sendable {
  /// For each item the neighbours that it keeps.
  let kept: [[(item: Int32, similarity: Float)]]
  /// For each neighbour, where the items that keep it begin.
  private(set) var starts: [Int]
  private(set) var targets: [Int32]
  private(set) var weights: [Float]

  init(_ matrix: UserItemMatrix, _ configuration: ItemNeighbors.Configuration) {
    let itemCount = matrix.itemCount
    let norms = matrix.itemCounts().map { Double($0).squareRoot() }
    let users = Self.users(of: matrix)
    var common = [Int32](repeating: 0, count: itemCount)
    kept = (0..<itemCount).map { item in
      for user in users.rows[users.starts[item]..<users.starts[item + 1]] {
        for other in matrix.items(of: Int(user)) { common[Int(other)] += 1 }
      }
      common[item] = 0
      var top = TopItems(limit: configuration.neighbors)
      var similarities = [Float](repeating: 0, count: itemCount)
      for other in 0..<itemCount where common[other] > 0 {
        similarities[other] = Float(
          Double(common[other]) / (norms[item] * norms[other] + configuration.shrinkage + 1e-6))
        common[other] = 0
      }
      _ = top.offer(similarities, from: 0, count: itemCount, first: 0)
      return top.sorted().filter { $0.score > 0 }.map { ($0.item, $0.score) }
    }
    starts = [Int](repeating: 0, count: itemCount + 1)
    for list in kept { for entry in list { starts[Int(entry.item) + 1] += 1 } }
    for index in 0..<itemCount { starts[index + 1] += starts[index] }
    var next = starts
    targets = [Int32](repeating: 0, count: starts[itemCount])
    weights = [Float](repeating: 0, count: starts[itemCount])
    for (item, list) in kept.enumerated() {
      for entry in list {
        let place = next[Int(entry.item)]
        (targets[place], weights[place]) = (Int32(item), entry.similarity)
        next[Int(entry.item)] += 1
      }
    }
  }

  private static func users(of matrix: UserItemMatrix) -> (starts: [Int], rows: [Int32]) {
    var owners: [Int32] = []
    owners.reserveCapacity(matrix.count)
    for user in 0..<matrix.userCount {
      owners.append(contentsOf: repeatElement(Int32(user), count: matrix.count(of: user)))
    }
    let (starts, rows) = Interactions.grouped(matrix.items, below: matrix.itemCount)
    return (starts, rows.map { owners[Int($0)] })
  }
}
