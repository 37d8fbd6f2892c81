import TrestleTensor

/// Sparse linear weights between items, fitted column by column as an elastic net.
///
/// With n users, the weights wⱼ to item j lower 1/(2n) ‖xⱼ − X wⱼ‖² + α ρ ‖wⱼ‖₁ + ½ α (1 − ρ) ‖wⱼ‖², with wⱼⱼ = 0 and, unless
/// configured otherwise, no weight below 0; score(u, ·) = xᵤ W. Each column is found by cyclic coordinate descent on the counts of
/// common users, all threads taking columns. Where weights may not be negative, only items that share more than n α ρ users with
/// j can get one, so no others are looked at. Memory: 8 bytes for each ordered pair of items with
/// a common user, and 16 more while they are counted.
///
/// Source: Ning and Karypis, *SLIM: Sparse Linear Methods for Top-N Recommender Systems* (2011); the descent: Friedman, Hastie and
/// Tibshirani, *Regularization Paths for Generalized Linear Models via Coordinate Descent* (2010).
public final class SLIM: ItemToItemRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// α, the weight of both penalties; RecBole's is 0.2.
    public var regularization = 0.1
    /// ρ, the share of the absolute values in the penalty; the rest is that of the squares.
    public var l1Ratio = 0.02
    /// Whether weights may not be negative.
    public var isPositive = true
    /// The most sweeps over a column's weights.
    public var sweeps = 100
    /// The change of a weight in a sweep, as a share of the column's largest weight, below which the column is done.
    public var tolerance = 1e-4

    /// The defaults.
    public init() {}
  }

  /// SLIM.
  public let name = "SLIM"
  /// How the model was built.
  public let configuration: Configuration
  /// What each user has.
  public let history: UserItemMatrix
  /// W.
  public let itemWeights: ItemToItemWeights

  /// Fits the weights.
  ///
  /// - Parameters:
  ///   - training: repeated pairs count once.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  /// - Precondition: α is positive, and ρ at least 0 and below 1: the solution is unique then.
  public init(training: Interactions, configuration: Configuration? = nil) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      configuration.regularization > 0 && configuration.l1Ratio >= 0 && configuration.l1Ratio < 1,
      "SLIM: penalty \(configuration.regularization), share of absolute values \(configuration.l1Ratio)")
    self.configuration = configuration
    history = UserItemMatrix(training)
    itemWeights = ItemToItemWeights(
      columns: ElasticNetColumns(history, configuration).solve())
  }
}

/// The elastic nets of all items.
private struct ElasticNetColumns: Sendable {
  /// The users that items have in common.
  private let common: ItemToItemWeights
  private let counts: [Double]
  private let configuration: SLIM.Configuration
  /// The penalties times the number of users.
  private let absolutePenalty: Double
  private let squarePenalty: Double

  /// Columns that a task fits.
  private static let grain = 8

  init(_ matrix: UserItemMatrix, _ configuration: SLIM.Configuration) {
    self.configuration = configuration
    counts = matrix.itemCounts().map(Double.init)
    common = ItemToItemWeights(rows: CommonUsers(matrix).all())
    let scale = Double(matrix.userCount) * configuration.regularization
    absolutePenalty = scale * configuration.l1Ratio
    squarePenalty = scale * (1 - configuration.l1Ratio)
  }

  func solve() -> [[(item: Int32, weight: Float)]] {
    var columns = [[(item: Int32, weight: Float)]](repeating: [], count: counts.count)
    columns.withUnsafeMutableBufferPointer { columns in
      // Safe: each task writes its own columns.
      nonisolated(unsafe) let columns = columns
      ThreadPool.shared.run((counts.count + Self.grain - 1) / Self.grain) { task in
        for item in task * Self.grain..<min((task + 1) * Self.grain, counts.count) {
          columns[item] = column(of: item)
        }
      }
    }
    return columns
  }

  /// The weights to `item` that are not 0, ascending by item.
  private func column(of item: Int) -> [(item: Int32, weight: Float)] {
    var targets = [Double](repeating: 0, count: counts.count)
    for entry in common.weights(from: Int32(item)) { targets[Int(entry.item)] = Double(entry.weight) }
    let candidates = targets.indices.filter { other in
      other != item && counts[other] > 0 && (!configuration.isPositive || targets[other] > absolutePenalty)
    }
    var weights = [Double](repeating: 0, count: candidates.count)
    // What the weights explain of each item's count: Σ of their products with the counts of common users.
    var explained = [Double](repeating: 0, count: counts.count)
    for _ in 0..<configuration.sweeps {
      var (largestChange, largest) = (0.0, 0.0)
      for (place, other) in candidates.enumerated() {
        let before = weights[place]
        let rest = targets[other] - explained[other] + counts[other] * before
        let after = shrunk(rest) / (counts[other] + squarePenalty)
        largest = max(largest, abs(after))
        guard after != before else { continue }
        largestChange = max(largestChange, abs(after - before))
        weights[place] = after
        explained[other] += counts[other] * (after - before)
        add(after - before, from: other, to: &explained)
      }
      if largestChange <= configuration.tolerance * largest { break }
    }
    return zip(candidates, weights).compactMap { other, weight in
      weight == 0 ? nil : (Int32(other), Float(weight))
    }
  }

  /// Adds the counts that `item` has in common with others, times `change`.
  private func add(_ change: Double, from item: Int, to explained: inout [Double]) {
    let places = common.starts[item]..<common.starts[item + 1]
    explained.withUnsafeMutableBufferPointer { explained in
      common.targets.withUnsafeBufferPointer { others in
        common.weights.withUnsafeBufferPointer { weights in
          for place in places { explained[Int(others[place])] += Double(weights[place]) * change }
        }
      }
    }
  }

  /// Soft thresholding by the penalty on absolute values.
  private func shrunk(_ value: Double) -> Double {
    if value > absolutePenalty { return value - absolutePenalty }
    return !configuration.isPositive && value < -absolutePenalty ? value + absolutePenalty : 0
  }
}
