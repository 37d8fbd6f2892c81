/// How far predicted ratings are from those that were given.
public struct RatingErrors: Sendable, Codable, Equatable {
  /// The number of ratings.
  public let count: Int
  /// The root of the mean squared difference, `√(Σ (r̂ − r)² / n)`; 0 of none.
  public let rmse: Double
  /// The mean absolute difference, `Σ |r̂ − r| / n`; 0 of none.
  public let mae: Double

  /// The errors of predictions.
  ///
  /// - Parameters:
  ///   - predictions: the predicted ratings, all finite.
  ///   - ratings: those that were given, as many.
  ///   - range: the scale of the ratings, to which predictions are brought first; `nil` leaves them.
  /// - Precondition: as many predictions as ratings.
  public init(
    _ predictions: [Double], of ratings: [Double], within range: ClosedRange<Double>? = nil
  ) {
    precondition(
      predictions.count == ratings.count,
      "RatingErrors: \(predictions.count) predictions of \(ratings.count) ratings")
    var (squares, distances) = (0.0, 0.0)
    for (prediction, rating) in zip(predictions, ratings) {
      let brought = range.map { min(max(prediction, $0.lowerBound), $0.upperBound) } ?? prediction
      squares += (brought - rating) * (brought - rating)
      distances += abs(brought - rating)
    }
    count = ratings.count
    rmse = count == 0 ? 0 : (squares / Double(count)).squareRoot()
    mae = count == 0 ? 0 : distances / Double(count)
  }

  /// The errors of a scorer whose scores are ratings, on rows that have them.
  ///
  /// - Parameters:
  ///   - scorer: the recommender.
  ///   - rows: users, items and ratings.
  ///   - range: the scale of the ratings, to which scores are brought first; `nil` leaves them.
  /// - Throws: what scoring throws, ``DataError/notANumber(operation:user:item:)`` for a score that is none, and
  ///   ``DataError/invalidParameter(operation:expected:found:)`` for rows without ratings.
  public init(
    of scorer: some CatalogueScorer, on rows: Interactions, within range: ClosedRange<Double>? = nil
  ) throws {
    guard let ratings = rows.ratings else {
      throw DataError.invalidParameter(
        operation: "RatingErrors", expected: "rows with ratings", found: "none")
    }
    let order = rows.users.indices.sorted { (rows.users[$0], $0) < (rows.users[$1], $1) }
    var predictions = [Double](repeating: 0, count: rows.count)
    var scores = [Float](repeating: 0, count: scorer.itemCount)
    var place = 0
    while place < order.count {
      let user = rows.users[order[place]]
      var batch = try scorer.prepare(users: [user])
      try batch.write(items: 0..<scorer.itemCount, into: &scores)
      while place < order.count, rows.users[order[place]] == user {
        let row = order[place]
        let score = scores[Int(rows.items[row])]
        guard !score.isNaN else {
          throw DataError.notANumber(operation: "RatingErrors", user: Int(user), item: Int(rows.items[row]))
        }
        predictions[row] = Double(score)
        place += 1
      }
    }
    self.init(predictions, of: ratings.map(Double.init), within: range)
  }
}
