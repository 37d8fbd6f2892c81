import TrestleRecommenders

/// How a user's scores are standardised over the catalogue, for whatever weighs scores of several recommenders:
/// z = (score − mean) / deviation.
///
/// Mean and deviation are those of the finite scores, the squares divided by their number. They are measured in double precision
/// and in two passes, piece by piece of the catalogue: first a piece's mean, then the squared distances from it, which are put
/// together as by Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances* (1979). So
/// a large mean costs no digits, and scores that are all the same have a deviation of exactly 0.
///
/// Where the deviation is at most 1e-10, the scores say nothing, and each finite one becomes 0. Those that are not finite stay as
/// they are: −∞ goes on keeping an item out, and NaN goes on stopping the evaluation.
struct ScoreStandardization: Sendable {
  /// How many items are measured at a time.
  static let piece = 2048

  private var count = 0.0
  private var mean = 0.0
  /// The sum of the squared distances from the mean.
  private var squares = 0.0

  /// Takes in the scores of a further piece of the catalogue.
  mutating func measure(_ scores: ArraySlice<Float>) {
    var (own, sum) = (0.0, 0.0)
    for score in scores where score.isFinite {
      own += 1
      sum += Double(score)
    }
    guard own > 0 else { return }
    let middle = sum / own
    var distances = 0.0
    for score in scores where score.isFinite {
      let distance = Double(score) - middle
      distances += distance * distance
    }
    let (gap, total) = (middle - mean, count + own)
    squares += distances + gap * gap * (count * own / total)
    mean += gap * (own / total)
    count = total
  }

  /// Standardises scores of the catalogue that was measured, at some places of an array.
  func apply(to scores: inout [Float], at places: Range<Int>) {
    let variance = squares / max(count, 1)
    let scale = variance > 1e-20 ? 1 / variance.squareRoot() : 0
    for place in places where scores[place].isFinite {
      scores[place] = Float((Double(scores[place]) - mean) * scale)
    }
  }

  /// The standardised scores of a whole catalogue.
  static func standardized(_ scores: [Float]) -> [Float] {
    var own = ScoreStandardization()
    for start in stride(from: 0, to: scores.count, by: piece) {
      own.measure(scores[start..<min(start + piece, scores.count)])
    }
    var result = scores
    own.apply(to: &result, at: result.indices)
    return result
  }

  /// Two sides' standardised scores as one: α · language + (1 − α) · domain. A side of weight 0 has no say, not even by −∞.
  ///
  /// - Parameters:
  ///   - language: the scores of the language side.
  ///   - scores: those of the domain side, in whose place the sums come.
  ///   - places: where they are, in both.
  ///   - alpha: the language side's weight.
  static func fuse(_ language: [Float], into scores: inout [Float], at places: Range<Int>, alpha: Float) {
    guard alpha != 0 else { return }
    let rest = 1 - alpha
    for place in places {
      scores[place] = rest == 0 ? language[place] : alpha * language[place] + rest * scores[place]
    }
  }
}

/// A batch's scores, each user's standardised over the catalogue.
///
/// Measuring takes one pass over the catalogue when the batch is made, so the scores themselves are never held in full.
struct StandardScores: UserBatchScores {
  private var scores: any UserBatchScores
  private var users: [ScoreStandardization]

  /// Measures the scores that a scorer gives to some users.
  init(of scorer: any CatalogueScorer, users batch: [Int32]) throws {
    scores = try scorer.prepare(users: batch)
    users = batch.map { _ in ScoreStandardization() }
    let (items, piece) = (scorer.itemCount, ScoreStandardization.piece)
    var buffer = [Float](repeating: 0, count: batch.count * min(piece, max(items, 1)))
    for start in stride(from: 0, to: items, by: piece) {
      let count = min(piece, items - start)
      try scores.write(items: start..<start + count, into: &buffer)
      for user in users.indices { users[user].measure(buffer[user * count..<(user + 1) * count]) }
    }
  }

  mutating func write(items: Range<Int>, into buffer: inout [Float]) throws {
    try scores.write(items: items, into: &buffer)
    for user in users.indices {
      users[user].apply(to: &buffer, at: user * items.count..<(user + 1) * items.count)
    }
  }
}
