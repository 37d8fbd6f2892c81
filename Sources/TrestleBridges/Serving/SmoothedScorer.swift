import TrestleRecommenders
import TrestleTensor

/// Any recommender, with the scores of some items read off those of items that read alike.
///
/// A target's score is a weighted sum of the user's scores for the examples, as ``KernelRidge/smoother(inputs:weights:targets:configuration:)``
/// weights them; every other item keeps its own. With inner products this is what predicting the targets' rows gives; but the
/// recommender needs no rows: item-to-item weights in closed form, neighbours and networks take new items in the same way.
public struct SmoothedScorer: CatalogueScorer {
  /// What is predicted of some items.
  public struct Smoother: Sendable {
    /// The items whose scores are predicted.
    public let targets: [Int32]
    /// The items whose scores are looked at.
    public let examples: [Int32]
    /// How much each example counts for each target, `[targets, examples]`.
    public let matrix: Tensor

    /// Takes the parts.
    public init(targets: [Int32], examples: [Int32], matrix: Tensor) {
      precondition(
        matrix.shape == [targets.count, examples.count],
        "SmoothedScorer: \(targets.count) targets, \(examples.count) examples, matrix \(matrix.shape)")
      (self.targets, self.examples, self.matrix) = (targets, examples, matrix)
    }

    /// What is predicted of the targets' rows, `[targets, width]`.
    public func rows(_ rows: Tensor) -> Tensor { matrix.matmul(rows.gatheredRows(Tensor(examples))) }
  }

  private let base: any CatalogueScorer
  private let smoothers: [Smoother]
  /// The factor of predicted scores.
  public let scale: Float

  /// A scorer over another.
  ///
  /// - Parameters:
  ///   - base: whose scores are looked at.
  ///   - smoothers: what is predicted, of disjoint targets.
  ///   - scale: the factor of predicted scores beside the others.
  public init(_ base: any CatalogueScorer, _ smoothers: [Smoother], scale: Double = 1) {
    (self.base, self.smoothers, self.scale) = (base, smoothers, Float(scale))
  }

  /// The number of items.
  public var itemCount: Int { base.itemCount }

  /// Scores the whole catalogue for the users, and predicts the targets' scores.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    var own = [Float](repeating: 0, count: users.count * itemCount)
    var scores = try base.prepare(users: users)
    try scores.write(items: 0..<itemCount, into: &own)
    var result = own
    for smoother in smoothers where !smoother.targets.isEmpty {
      var known = [Float](repeating: 0, count: users.count * smoother.examples.count)
      for user in users.indices {
        for (place, item) in smoother.examples.enumerated() {
          known[user * smoother.examples.count + place] = own[user * itemCount + Int(item)]
        }
      }
      let predicted = Tensor(known, shape: [users.count, smoother.examples.count])
        .matmul(smoother.matrix, transposingOther: true).floats
      for user in users.indices {
        for (place, item) in smoother.targets.enumerated() {
          result[user * itemCount + Int(item)] = scale * predicted[user * smoother.targets.count + place]
        }
      }
    }
    return Batch(scores: result, itemCount: itemCount, userCount: users.count)
  }

  struct Batch: UserBatchScores {
    let scores: [Float]
    let itemCount: Int
    let userCount: Int

    func write(items: Range<Int>, into target: inout [Float]) {
      for user in 0..<userCount {
        for item in items {
          target[user * items.count + item - items.lowerBound] = scores[user * itemCount + item]
        }
      }
    }
  }
}

/// What a user has, weighted by how alike an item reads: neighbours by text instead of by users.
public struct TextNeighborScorer: CatalogueScorer {
  private let texts: Tensor
  private let history: UserItemMatrix

  /// Neighbours by what a model makes of the items' texts.
  ///
  /// - Parameters:
  ///   - readings: `[items, hidden]`.
  ///   - training: what the users have.
  public init(readings: Tensor, training: Interactions) {
    texts = InputScaling(fitting: readings)(readings)
    history = UserItemMatrix(training)
  }

  /// The number of items.
  public var itemCount: Int { texts.shape[0] }

  /// Adds up exp(4 (cosine − 1)) over each user's items.
  public func prepare(users: [Int32]) throws -> any UserBatchScores {
    let items = Array(Set(users.flatMap { history.items(of: Int($0)) })).sorted()
    var result = [Float](repeating: 0, count: users.count * itemCount)
    if !items.isEmpty {
      let places = Dictionary(uniqueKeysWithValues: items.enumerated().map { ($1, $0) })
      var has = [Float](repeating: 0, count: users.count * items.count)
      for (place, user) in users.enumerated() {
        for item in history.items(of: Int(user)) { has[place * items.count + (places[item] ?? 0)] = 1 }
      }
      let near = ((texts.gatheredRows(Tensor(items)).matmul(texts, transposingOther: true) - 1) * 4).exp()
      result = Tensor(has, shape: [users.count, items.count]).matmul(near).floats
    }
    return SmoothedScorer.Batch(scores: result, itemCount: itemCount, userCount: users.count)
  }
}
