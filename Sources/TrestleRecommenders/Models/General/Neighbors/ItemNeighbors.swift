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

  /// Items whose neighbours a task finds.
  private static let grain = 64

  init(_ matrix: UserItemMatrix, _ configuration: ItemNeighbors.Configuration) {
    let itemCount = matrix.itemCount
    let norms = matrix.itemCounts().map { Double($0).squareRoot() }
    let common = CommonUsers(matrix)
    var found = [[(item: Int32, similarity: Float)]](repeating: [], count: itemCount)
    found.withUnsafeMutableBufferPointer { found in
      // Safe: each task writes the lists of its own items.
      nonisolated(unsafe) let found = found
      ThreadPool.shared.run((itemCount + Self.grain - 1) / Self.grain) { task in
        var row = common.makeRow()
        for item in task * Self.grain..<min((task + 1) * Self.grain, itemCount) {
          var top = TopItems(limit: configuration.neighbors)
          common.forEach(with: item, &row) { other, count in
            let similarity = Float(
              Double(count) / (norms[item] * norms[other] + configuration.shrinkage + 1e-6))
            if similarity > 0 { top.offer(similarity, other) }
          }
          found[item] = top.sorted().map { ($0.item, $0.score) }
        }
      }
    }
    kept = found
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
}

/// How many users items have in common, item by item.
struct CommonUsers: Sendable {
  /// The counts of one item, kept between items so that they need not be cleared.
  struct Row {
    fileprivate var counts: [Int32]
    fileprivate var touched: [Int32] = []
  }

  private let matrix: UserItemMatrix
  private let starts: [Int]
  private let users: [Int32]

  init(_ matrix: UserItemMatrix) {
    self.matrix = matrix
    (starts, users) = matrix.usersByItem()
  }

  func makeRow() -> Row { Row(counts: [Int32](repeating: 0, count: matrix.itemCount)) }

  /// Calls `body` with every other item that shares a user with `item`, ascending, and the number of shared users.
  func forEach(with item: Int, _ row: inout Row, _ body: (_ other: Int, _ count: Int32) -> Void) {
    row.touched.removeAll(keepingCapacity: true)
    for user in users[starts[item]..<starts[item + 1]] {
      for other in matrix.items(of: Int(user)) {
        if row.counts[Int(other)] == 0 { row.touched.append(other) }
        row.counts[Int(other)] += 1
      }
    }
    // Sorting a few beats looking at all, looking at all beats sorting many.
    if row.touched.count * 16 < matrix.itemCount {
      row.touched.sort()
      for other in row.touched where Int(other) != item { body(Int(other), row.counts[Int(other)]) }
    } else {
      for other in row.counts.indices where row.counts[other] > 0 && other != item {
        body(other, row.counts[other])
      }
    }
    for other in row.touched { row.counts[Int(other)] = 0 }
  }
}
