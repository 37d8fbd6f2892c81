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
    return WholeScores(scores: result, itemCount: itemCount, userCount: users.count)
  }
}

/// A batch whose scores of the whole catalogue are there, `[users, items]`.
struct WholeScores: UserBatchScores {
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
