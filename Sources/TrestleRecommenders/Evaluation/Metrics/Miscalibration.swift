import Foundation

/// How far the categories of a list are from the proportions that they have in the user's history: Steck's `C_KL`, 0 for a list
/// in the same proportions, and the higher the worse.
///
/// With `p` the distribution of categories over the user's training interactions and `q` that over the first `k` items of the
/// list, it is the Kullback–Leibler divergence `Σ_g p(g)·ln(p(g) / q̃(g))` with `q̃ = (1 − α)·q + α·p`, in nats, which the smoothing
/// keeps at or below `ln(1/α)`. Every interaction and every place of a list weighs the same, and an item with several categories
/// gives each an equal share of its weight. A list shorter than `k` counts as it is.
///
/// Items without categories are left out of both distributions; a list that has no other item gets `ln(1/α)`, as does one whose
/// categories the user never had. For a user without a category in training the measure is not defined
/// (``isDefined(for:)``): no mean and no comparison counts them.
///
/// Source: Steck, *Calibrated Recommendations*, RecSys 2018.
public struct Miscalibration: CustomRankingMetric {
  /// The name in results, `Miscalibration@10`.
  public var name: String { "Miscalibration@\(cutoff)" }
  /// How many places of a list are looked at.
  public let cutoff: Int
  /// `α`, the weight of the user's own distribution in the list's.
  public let smoothing: Double
  private let categories: ItemCategories
  /// Where each user's distribution starts, `[users + 1]`.
  private let offsets: [Int]
  /// The categories of all users' histories with their shares, ascending for each user.
  private let history: [(category: Int32, share: Double)]

  /// Prepares the measure.
  ///
  /// - Parameters:
  ///   - categories: those of every item.
  ///   - training: the users' histories; an interaction that is repeated counts each time.
  ///   - cutoff: `k`, at least 1.
  ///   - smoothing: `α`, above 0 and below 1; .01 in the paper.
  /// - Precondition: the categories are those of as many items as `training` has, and the smoothing is in its range.
  public init(
    _ categories: ItemCategories, training: Interactions, cutoff: Int = 10, smoothing: Double = 0.01
  ) {
    precondition(
      categories.itemCount == training.itemCount,
      "Miscalibration: categories of \(categories.itemCount) items for interactions with \(training.itemCount)"
    )
    precondition(
      smoothing > 0 && smoothing < 1,
      "Miscalibration: a smoothing of \(smoothing), expected one above 0 and below 1")
    (self.categories, self.cutoff, self.smoothing) = (categories, cutoff, smoothing)
    let (starts, rows) = training.rowsByUser()
    var offsets = [0]
    offsets.reserveCapacity(training.userCount + 1)
    var history: [(category: Int32, share: Double)] = []
    for user in 0..<training.userCount {
      let items = rows[starts[user]..<starts[user + 1]].lazy.map { training.items[Int($0)] }
      for (category, share) in categories.distribution(of: items).sorted(by: { $0.key < $1.key }) {
        history.append((category, share))
      }
      offsets.append(history.count)
    }
    (self.offsets, self.history) = (offsets, history)
  }

  /// Whether the user has a training interaction with an item that has a category.
  public func isDefined(for user: Int32) -> Bool { offsets[Int(user)] < offsets[Int(user) + 1] }

  /// The divergence for one user's list; 0 for a user for whom it is not defined.
  public func value(_ list: RankedList) -> Double {
    let shares = categories.distribution(of: list.items.prefix(cutoff))
    var divergence = 0.0
    for (category, wanted) in history[offsets[Int(list.user)]..<offsets[Int(list.user) + 1]] {
      let found = (1 - smoothing) * (shares[category] ?? 0) + smoothing * wanted
      divergence += wanted * log(wanted / found)
    }
    // Rounding may bring a divergence of 0 below it.
    return max(0, divergence)
  }
}
