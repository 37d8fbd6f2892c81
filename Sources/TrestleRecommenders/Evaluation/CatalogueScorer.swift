/// A recommender as the evaluator sees it: something that scores the catalogue for a batch of users.
///
/// Scoring has two steps so that the evaluator can walk the catalogue in tiles that stay in the cache and never holds
/// the scores of all items: `prepare(users:)` computes what depends on the users only (their embedding rows, the
/// state of a sequence model), and the returned ``UserBatchScores`` fills tiles.
///
/// Both steps are called from several threads at once, each batch on one thread, hence `Sendable`. A batch must be
/// scored the same whatever runs beside it; then results do not depend on the number of threads.
public protocol CatalogueScorer: Sendable {
  /// The number of items that can be ranked.
  var itemCount: Int { get }

  /// Prepares scoring for `users`, at most the evaluator's batch size of them.
  func prepare(users: [Int32]) throws -> any UserBatchScores
}

/// The scores of one batch of users, tile by tile.
public protocol UserBatchScores {
  /// Writes the scores of `items` for each user of the batch into the front of `scores`, `[users, items]` row-major.
  ///
  /// Higher is better. A score of −∞ means never to recommend the item; NaN stops the evaluation with an error.
  ///
  /// - Parameters:
  ///   - items: a range of the catalogue.
  ///   - scores: at least `users × items.count` elements; those behind are left alone.
  mutating func write(items: Range<Int>, into scores: inout [Float]) throws
}

/// A recommender that can score a few given items of a user for less than the whole catalogue; the evaluator asks it
/// when it ranks fixed candidates.
public protocol CandidateScorer: CatalogueScorer {
  /// The scores of `items` for `user`, in their order.
  func scores(user: Int32, items: [Int32]) throws -> [Float]
}

/// A scorer made of a function that gives whole rows: for tests, baselines and models whose scores come as rows.
public struct RowScorer: CatalogueScorer {
  /// The number of items of a row.
  public let itemCount: Int
  private let row: @Sendable (Int32) throws -> [Float]

  /// Creates a scorer; `row` gives the `itemCount` scores of a user and is called from several threads at once.
  public init(itemCount: Int, row: @escaping @Sendable (Int32) throws -> [Float]) {
    self.itemCount = itemCount
    self.row = row
  }

  /// Computes the users' rows.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    let rows = try users.map(row)
    precondition(
      rows.allSatisfy { $0.count == itemCount },
      "RowScorer: rows of \(rows.map(\.count)) scores, expected \(itemCount)")
    return Rows(rows: rows)
  }

  private struct Rows: UserBatchScores {
    let rows: [[Float]]

    func write(items: Range<Int>, into scores: inout [Float]) {
      for (index, row) in rows.enumerated() {
        let start = index * items.count
        for offset in 0..<items.count { scores[start + offset] = row[items.lowerBound + offset] }
      }
    }
  }
}
