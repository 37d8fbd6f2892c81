import Foundation
import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Scores standardised by user: one definition, whoever weighs them.
@Suite struct StandardScoreTests {
  private static func scorer(_ row: [Float]) -> RowScorer { RowScorer(itemCount: row.count) { _ in row } }

  /// The scores that the fusion gives to one user.
  private static func fused(_ domain: [Float], _ language: [Float], alpha: Float) throws -> [Float] {
    var batch = try FusedScorer(domain: scorer(domain), language: scorer(language), weights: [alpha])
      .prepare(users: [0])
    var scores = [Float](repeating: .nan, count: domain.count)
    try batch.write(items: 0..<domain.count, into: &scores)
    return scores
  }

  private static func reference(_ scores: [Float]) -> [Double] {
    let finite = scores.filter(\.isFinite).map(Double.init)
    let mean = finite.reduce(0, +) / Double(finite.count)
    let variance = finite.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(finite.count)
    return scores.map { (Double($0) - mean) / variance.squareRoot() }
  }

  /// More items than one piece of the catalogue, with a mean that is large beside the deviation.
  @Test(arguments: [0, 1e3, 1e6, -3e7] as [Float]) func aLargeMeanCostsNoDigits(_ offset: Float) throws {
    var generator = RandomGenerator(seed: 3)
    var scores = (0..<5000).map { _ in Float(generator.normal() * 20) + offset }
    scores[17] = -.infinity
    let found = try Self.fused(scores.map { $0 * 2 }, scores, alpha: 1)
    for (own, expected) in zip(found, Self.reference(scores)) {
      #expect(own == Float(expected) || abs(Double(own) - expected) < 1e-6 * (1 + abs(expected)))
    }
    let stacked = try StackedScorer([Self.scorer(scores)], weights: [1]).prepare(users: [0])
    var batch = stacked
    var own = [Float](repeating: 0, count: scores.count)
    try batch.write(items: 0..<scores.count, into: &own)
    #expect(own == found)
  }

  @Test func scoresThatAreAlikeSayNothingAndKeptOutStaysOut() throws {
    let language: [Float] = [1, 2, -.infinity, 5]
    #expect(try Self.fused([7, 7, 7, 7], language, alpha: 0.5)[2] == -.infinity)
    let alike = try Self.fused(language, [7, -.infinity, 7, 7], alpha: 1)
    #expect(alike == [0, -.infinity, 0, 0])
    // Each side keeps out its own; with all the weight on one, the other has no say.
    let domain: [Float] = [-.infinity, 0, 4, 8]
    let both = try Self.fused(domain, language, alpha: 0.5)
    #expect(both[0] == -.infinity && both[2] == -.infinity && both[1].isFinite && both[3].isFinite)
    #expect(try Self.fused(domain, language, alpha: 0)[2].isFinite)
    #expect(try Self.fused(domain, language, alpha: 1)[0].isFinite)
    #expect(try Self.fused([1, .nan, 2, 3], language, alpha: 0.5)[1].isNaN)
  }

  /// A hybrid answers requests with the scores that it is evaluated by.
  @Test func requestsAreAnsweredWithTheScoresOfTheEvaluation() throws {
    let small = try SmallHybrid()
    let hybrid = try small.recommender()
    let (domain, language) = (try #require(hybrid.domain), try #require(hybrid.language))
    let weights = hybrid.fusion.weights(training: small.split.training)
    #expect(Set(weights).count > 1)
    var batch = try FusedScorer(
      domain: InnerProductScorer(domain), language: InnerProductScorer(language), weights: weights
    ).prepare(users: (0..<12).map { $0 })
    var scores = [Float](repeating: 0, count: 12 * 10)
    try batch.write(items: 0..<10, into: &scores)
    for user in 0..<12 {
      for item in try hybrid.recommend(for: small.dataset.userIDs[user], count: 10) {
        let index = try hybrid.catalogue.item(item.id)
        #expect(abs(item.score - scores[user * 10 + index]) < 1e-5)
      }
    }
  }
}
