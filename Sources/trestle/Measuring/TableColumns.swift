import Trestle
import TrestleCommand

/// The measures in the columns of a table.
enum TableColumns {
  static let help =
    "the table's columns, rows from the largest of the first: NDCG@10, ILD@10, Miscalibration@10 …; --json has them all"

  /// The columns that were asked for; the usual ones if none were.
  static func names(_ asked: [String]?, for items: ItemAttributes) throws -> [String] {
    guard let asked else { return Leaderboard.defaultMetrics }
    let measured = RankingEvaluator.Configuration()
    let nobody = Interactions.empty(userCount: 0, itemCount: items.count)
    let known =
      measured.metrics.map(\.name) + measured.listMetrics.map(\.name)
      + items.genreMetrics(training: nobody).map(\.name)
    if let other = asked.first(where: { !known.contains($0) }) {
      throw UsageError(
        "--metrics: expected names of \(known.joined(separator: ", ")), found '\(other)'; ILD@10 and Miscalibration@10 are there where the items have genres"
      )
    }
    guard !asked.isEmpty else {
      throw UsageError("--metrics: expected names with commas between them, found none")
    }
    return asked
  }
}
