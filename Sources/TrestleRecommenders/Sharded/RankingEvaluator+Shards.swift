import TrestleNN
import TrestleTensor

extension RankingEvaluator {
  /// Ranks and measures where the catalogue is cut over ranks: each scores its own items for all users, and the ranks' best are
  /// put together. The figures are those of one process.
  ///
  /// - Parameter model: on all ranks, as this evaluator is.
  /// - Returns: the same on every rank.
  /// - Throws: ``DataError/notANumber(operation:user:item:)`` for a NaN score, `CommunicatorError` if a rank is lost or the
  ///   engine fails.
  /// - Precondition: the measures have cutoffs, and there are no lists of candidates.
  public func evaluate(_ model: some ShardedRecommender) throws -> EvaluationResult {
    precondition(
      candidates == nil && configuration.metrics.allSatisfy { $0.cutoff != nil },
      "RankingEvaluator.evaluate: measures with a cutoff on the catalogue, or a set of its items")
    precondition(
      model.itemCount == relevant.itemCount && model.userCount == relevant.userCount,
      "RankingEvaluator.evaluate: \(model.userCount) users and \(model.itemCount) items, expected \(relevant.userCount) and \(relevant.itemCount)"
    )
    let start = ContinuousClock.now
    let rows = try model.representations()
    var batches: [Batch] = []
    // As many users at a time as make messages worth their while.
    let chunk = 32 * configuration.batchSize
    for first in stride(from: 0, to: users.count, by: chunk) {
      let places = first..<min(first + chunk, users.count)
      let some = Array(users[places])
      let scorer = try ShardScorer(model, rows, users: some)
      let own = try forEachBatch(in: places) { range in
        try scored(Array(users[range]), scorer, among: scorer.range)
      }
      let merged = try model.communicator.merged(own.flatMap { $0 }, limit: listLength)
      batches += stride(from: 0, to: some.count, by: configuration.batchSize).map { start in
        let part = start..<min(start + configuration.batchSize, some.count)
        return batch(of: Array(some[part]), Array(merged[part]))
      }
    }
    return result(batches, [], since: start)
  }
}

/// Scores some users by this rank's items.
struct ShardScorer: CatalogueScorer {
  let itemCount: Int
  /// Which items are this rank's.
  let range: Range<Int>
  /// Their rows.
  private let items: Tensor
  /// The users' rows.
  private let rows: Tensor
  /// Where a user's row is.
  private let places: [Int32: Int32]

  /// - Parameters:
  ///   - model: on all ranks.
  ///   - representations: this rank's rows of those that scores are made of.
  ///   - users: whom this rank is to score, in any order.
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  init(
    _ model: some ShardedRecommender, _ representations: Representations, users: [Int32]
  ) throws(CommunicatorError) {
    let request = try model.users.request(users)
    (itemCount, range, items) = (model.itemCount, model.items.ownRange, representations.items)
    rows = try model.users.rows(request, of: representations.users)
    places = Dictionary(zip(users, request.places), uniquingKeysWith: { first, _ in first })
  }

  func prepare(users: [Int32]) -> any UserBatchScores {
    let names = users.map { user in
      guard let place = places[user] else { preconditionFailure("ShardScorer: user \(user) was not named") }
      return place
    }
    return Scores(users: rows.gatheredRows(Tensor(names)), items: items, range: range)
  }

  private struct Scores: UserBatchScores {
    let users: Tensor
    let items: Tensor
    let range: Range<Int>

    func write(items tile: Range<Int>, into scores: inout [Float]) {
      let own = tile.lowerBound - range.lowerBound..<tile.upperBound - range.lowerBound
      let values = users.matmul(items.sliced(own, along: 0), transposingOther: true).floats
      scores.replaceSubrange(0..<values.count, with: values)
    }
  }
}

extension Communicator {
  /// The best items of each user among those that the ranks have found.
  func merged(_ tops: [TopItems], limit: Int) throws(CommunicatorError) -> [TopItems] {
    let counts = try allGatherRows(Tensor(tops.flatMap { [Int32($0.items.count), Int32($0.leftOutTies)] }))
      .map { $0.scalars(as: Int32.self) }
    let items = try allGatherRows(Tensor(tops.flatMap(\.items))).map { $0.scalars(as: Int32.self) }
    let scores = try allGatherRows(Tensor(tops.flatMap(\.scores))).map(\.floats)
    var next = [Int](repeating: 0, count: size)
    return tops.indices.map { user in
      let parts = (0..<size).map { rank in
        let found = next[rank]..<next[rank] + Int(counts[rank][2 * user])
        next[rank] = found.upperBound
        return TopItems(
          limit: limit, scores: Array(scores[rank][found]), items: Array(items[rank][found]),
          leftOutTies: Int(counts[rank][2 * user + 1]))
      }
      return TopItems(merging: parts, limit: limit)
    }
  }

  /// The best items of each user, and the scores of the relevant ones, each of which one rank knows.
  fileprivate func merged(
    _ scored: [RankingEvaluator.ScoredUser], limit: Int
  ) throws(CommunicatorError) -> [RankingEvaluator.ScoredUser] {
    let tops = try merged(scored.map(\.top), limit: limit)
    let known = try allGather(Tensor(scored.flatMap(\.relevantScores))).map(\.floats)
    var next = 0
    return zip(scored, tops).map { own, top in
      let scores = own.relevantScores.indices.map { place in
        known.map { $0[next + place] }.max() ?? -.infinity
      }
      next += own.relevantScores.count
      return RankingEvaluator.ScoredUser(top: top, relevantScores: scores)
    }
  }
}
