import TrestleRecommenders
import TrestleTensor

/// Two scorers as one: α · z(language) + (1 − α) · z(domain), with each user's scores standardised over the catalogue.
///
/// α may differ from user to user. Standardisation takes one pass over the catalogue when a batch is prepared, so the
/// scores themselves are never held in full.
public struct FusedScorer: CatalogueScorer {
  private let domain: any CatalogueScorer
  private let language: any CatalogueScorer
  /// The language side's weight for each user.
  public let weights: [Float]

  /// A fusion of two scorers of one catalogue.
  ///
  /// - Parameters:
  ///   - domain: the scorer of the domain side.
  ///   - language: the scorer of the language side.
  ///   - weights: α for each user, between 0 (the domain side alone) and 1.
  public init(domain: any CatalogueScorer, language: any CatalogueScorer, weights: [Float]) {
    precondition(
      domain.itemCount == language.itemCount,
      "FusedScorer: catalogues of \(domain.itemCount) and \(language.itemCount) items")
    self.domain = domain
    self.language = language
    self.weights = weights
  }

  /// The number of items.
  public var itemCount: Int { domain.itemCount }

  /// Prepares both scorers and measures each user's scores.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    var sides: [Standardized] = []
    for scorer in [domain, language] {
      sides.append(
        try Standardized(scorer.prepare(users: users), userCount: users.count, itemCount: itemCount))
    }
    return Batch(domain: sides[0], language: sides[1], weights: users.map { weights[Int($0)] })
  }

  /// A batch's scores with their mean and deviation by user.
  struct Standardized {
    var scores: any UserBatchScores
    private(set) var means: [Float]
    private(set) var scales: [Float]

    init(_ scores: any UserBatchScores, userCount: Int, itemCount: Int) throws {
      self.scores = scores
      var sums = [Double](repeating: 0, count: userCount)
      var squares = sums
      var counts = sums
      let tile = 2048
      var buffer = [Float](repeating: 0, count: userCount * min(tile, max(itemCount, 1)))
      for start in stride(from: 0, to: itemCount, by: tile) {
        let range = start..<min(start + tile, itemCount)
        try self.scores.write(items: range, into: &buffer)
        for user in 0..<userCount {
          for value in buffer[user * range.count..<(user + 1) * range.count] where value.isFinite {
            sums[user] += Double(value)
            squares[user] += Double(value) * Double(value)
            counts[user] += 1
          }
        }
      }
      means = []
      scales = []
      for user in 0..<userCount {
        let count = max(counts[user], 1)
        let mean = sums[user] / count
        let variance = max(squares[user] / count - mean * mean, 0)
        means.append(Float(mean))
        scales.append(variance > 1e-20 ? Float(1 / variance.squareRoot()) : 0)
      }
    }

    mutating func write(items: Range<Int>, into buffer: inout [Float]) throws {
      try scores.write(items: items, into: &buffer)
      for user in means.indices {
        for place in user * items.count..<(user + 1) * items.count {
          buffer[place] = (buffer[place] - means[user]) * scales[user]
        }
      }
    }
  }

  private struct Batch: UserBatchScores {
    var domain: Standardized
    var language: Standardized
    let weights: [Float]

    mutating func write(items: Range<Int>, into scores: inout [Float]) throws {
      var other = [Float](repeating: 0, count: weights.count * items.count)
      try domain.write(items: items, into: &scores)
      try language.write(items: items, into: &other)
      for (user, weight) in weights.enumerated() {
        for place in user * items.count..<(user + 1) * items.count {
          scores[place] = weight * other[place] + (1 - weight) * scores[place]
        }
      }
    }
  }
}
