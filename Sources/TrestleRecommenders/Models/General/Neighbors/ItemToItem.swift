import TrestleTensor

/// A few weights between items, by the item that a user has: what having it adds to the scores of others.
public struct ItemToItemWeights: Sendable {
  /// Where each item's weights begin, `[items + 1]`.
  public let starts: [Int]
  /// The item that each weight is for.
  public let targets: [Int32]
  /// The weights.
  public let weights: [Float]

  /// Takes for each item the items that it adds to.
  public init(rows: [[(item: Int32, weight: Float)]]) {
    var starts = [0]
    starts.reserveCapacity(rows.count + 1)
    for row in rows { starts.append(starts[starts.count - 1] + row.count) }
    self.starts = starts
    targets = rows.flatMap { $0.map(\.item) }
    weights = rows.flatMap { $0.map(\.weight) }
  }

  /// Takes for each item the items that add to it; the weights of an item are then in the order of what they are for.
  public init(columns: [[(item: Int32, weight: Float)]]) {
    var starts = [Int](repeating: 0, count: columns.count + 1)
    for column in columns { for entry in column { starts[Int(entry.item) + 1] += 1 } }
    for index in columns.indices { starts[index + 1] += starts[index] }
    var next = starts
    var targets = [Int32](repeating: 0, count: starts[columns.count])
    var weights = [Float](repeating: 0, count: starts[columns.count])
    for (target, column) in columns.enumerated() {
      for entry in column {
        let place = next[Int(entry.item)]
        (targets[place], weights[place]) = (Int32(target), entry.weight)
        next[Int(entry.item)] += 1
      }
    }
    (self.starts, self.targets, self.weights) = (starts, targets, weights)
  }

  /// The number of items.
  public var itemCount: Int { starts.count - 1 }

  /// The weights from `item` to others.
  public func weights(from item: Int32) -> [(item: Int32, weight: Float)] {
    (starts[Int(item)]..<starts[Int(item) + 1]).map { (targets[$0], weights[$0]) }
  }

  /// Σ over `items` of their weights, `[items]`.
  public func scores(of items: some Sequence<Int32>) -> [Float] {
    var scores = [Float](repeating: 0, count: itemCount)
    for item in items {
      for place in starts[Int(item)]..<starts[Int(item) + 1] { scores[Int(targets[place])] += weights[place] }
    }
    return scores
  }
}

/// A recommender whose scores are sums of weights between items: score(u, j) = Σ over the items i of u of w(i, j).
///
/// A new model of this kind computes its weights; scoring, serving, fold-in and updates follow.
public protocol ItemToItemRecommender: Recommender {
  /// What each user has.
  var history: UserItemMatrix { get }
  /// w.
  var itemWeights: ItemToItemWeights { get }
}

extension ItemToItemRecommender {
  /// The number of users.
  public var userCount: Int { history.userCount }
  /// The number of items.
  public var itemCount: Int { history.itemCount }

  /// A scorer over the training histories.
  public func makeScorer() -> any CatalogueScorer {
    RowScorer(itemCount: itemCount) { [history, itemWeights] user in
      itemWeights.scores(of: history.items(of: Int(user)))
    }
  }
}

/// What items have in common, item by item: the number of users who have both, or the sum of these users' weights.
struct CommonUsers: Sendable {
  /// The sums of one item, kept between items so that they need not be cleared.
  struct Row {
    fileprivate var sums: [Double]
    fileprivate var touched: [Int32] = []
  }

  /// Items whose neighbours a task finds.
  private static let grain = 64

  private let matrix: UserItemMatrix
  private let starts: [Int]
  private let users: [Int32]
  private let userWeights: [Double]?

  /// - Parameter userWeights: a positive weight for each user; `nil` for 1.
  init(_ matrix: UserItemMatrix, userWeights: [Double]? = nil) {
    self.matrix = matrix
    self.userWeights = userWeights
    (starts, users) = matrix.usersByItem()
  }

  func makeRow() -> Row { Row(sums: [Double](repeating: 0, count: matrix.itemCount)) }

  /// Calls `body` with every other item that shares a user with `item`, ascending, and the sum over the shared users.
  func forEach(with item: Int, _ row: inout Row, _ body: (_ other: Int, _ sum: Double) -> Void) {
    row.touched.removeAll(keepingCapacity: true)
    for user in users[starts[item]..<starts[item + 1]] {
      let weight = userWeights?[Int(user)] ?? 1
      for other in matrix.items(of: Int(user)) {
        if row.sums[Int(other)] == 0 { row.touched.append(other) }
        row.sums[Int(other)] += weight
      }
    }
    // Sorting a few beats looking at all, looking at all beats sorting many.
    if row.touched.count * 16 < matrix.itemCount {
      row.touched.sort()
      for other in row.touched where Int(other) != item { body(Int(other), row.sums[Int(other)]) }
    } else {
      for other in row.sums.indices where row.sums[other] > 0 && other != item {
        body(other, row.sums[other])
      }
    }
    for other in row.touched { row.sums[Int(other)] = 0 }
  }

  /// For every item the `limit` others of highest similarity above 0, the highest first; of equal ones the lower item.
  ///
  /// - Parameter similarity: of an item and another, from the sum over their shared users.
  func nearest(
    _ limit: Int, _ similarity: (_ item: Int, _ other: Int, _ sum: Double) -> Double
  ) -> [[(item: Int32, weight: Float)]] {
    lists { item, row in
      var top = TopItems(limit: limit)
      forEach(with: item, &row) { other, sum in
        let value = Float(similarity(item, other, sum))
        if value > 0 { top.offer(value, other) }
      }
      return top.sorted().map { ($0.item, $0.score) }
    }
  }

  /// For every item all others that share a user with it, ascending, and the sum over the shared users.
  func all() -> [[(item: Int32, weight: Float)]] {
    lists { item, row in
      var list: [(item: Int32, weight: Float)] = []
      forEach(with: item, &row) { other, sum in list.append((Int32(other), Float(sum))) }
      return list
    }
  }

  /// A list for every item, made on all threads.
  private func lists(
    _ list: (_ item: Int, _ row: inout Row) -> [(item: Int32, weight: Float)]
  ) -> [[(item: Int32, weight: Float)]] {
    var found = [[(item: Int32, weight: Float)]](repeating: [], count: matrix.itemCount)
    found.withUnsafeMutableBufferPointer { found in
      // Safe: each task writes the lists of its own items.
      nonisolated(unsafe) let found = found
      ThreadPool.shared.run((matrix.itemCount + Self.grain - 1) / Self.grain) { task in
        var row = makeRow()
        for item in task * Self.grain..<min((task + 1) * Self.grain, matrix.itemCount) {
          found[item] = list(item, &row)
        }
      }
    }
    return found
  }
}
