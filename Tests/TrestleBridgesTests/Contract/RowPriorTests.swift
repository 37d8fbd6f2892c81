import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What the language model wrote as the prior of the recommender's rows.
@Suite struct RowPriorTests {
  private let actual = Tensor([1, 1, -1, -1, 2, 2, -2, -2, 9, 9] as [Float], shape: [5, 2])
  private let weights: [Float] = [1, 1, 1, 1, 0]

  @Test func thePosteriorIsThePriorWithoutInteractionsAndTheRowWithMany() {
    let prior = RowPrior(rows: actual * 1.5, of: actual, weights: weights)
    // Off by half of each row: a quarter of the variance is left.
    let expected: Float = 0.75
    #expect(prior.confidences.floats.allSatisfy { abs($0 - expected) < 1e-6 })
    let drawn = prior.posterior(actual, counts: [0, 1, 3, 1_000_000, 0], strength: 4).floats
    #expect(drawn[0] == 1.5 && drawn[8] == 13.5)
    // κ c = 3 interactions beside one, and beside three.
    #expect(abs(drawn[2] - (-1 * 1 + 3 * -1.5) / 4) < 1e-6)
    #expect(abs(drawn[4] - (2 * 3 + 3 * 3) / 6) < 1e-6)
    #expect(abs(drawn[6] + 2) < 1e-4)
    #expect(prior.posterior(actual, counts: [0, 1, 3, 9, 0], strength: 0).floats == actual.floats)
  }

  @Test func aPriorThatExplainsNothingChangesNothing() {
    for rows in [-actual, .zeros([5, 2])] {
      let prior = RowPrior(rows: rows, of: actual, weights: weights)
      #expect(prior.confidences.floats == [0, 0, 0, 0, 0])
      #expect(prior.posterior(actual, counts: [0, 1, 1, 1, 1], strength: 100).floats == actual.floats)
    }
    // Rows of no weight are not judged by, and an entity of which nothing is said keeps its row.
    let silent = Tensor([1, 1, 0, 0, 2, 2, -2, -2, 0, 5] as [Float], shape: [5, 2])
    let prior = RowPrior(rows: silent, of: actual, weights: weights)
    #expect(prior.confidences.floats == [1, 0, 1, 1, 1])
    #expect(prior.posterior(actual, counts: [0, 0, 0, 0, 0], strength: 1).floats[2...3] == [-1, -1])
  }

  /// Not drawing at all is among the choices, so what is chosen ranks validation items no worse.
  @Test func theStrengthIsChosenOnValidationData() throws {
    func validation(_ fitsPrior: Bool) throws -> (value: Double, prior: Bool) {
      let composition = try SmallComposition(seed: 3)
      var configuration = shortConfiguration()
      configuration.sharing = .init(width: 16, writeRate: 1, isNormalized: false)
      configuration.domainDistance = .squaredDistance
      configuration.writtenItemSource = .encodedText
      configuration.writtenUserSource = .encodedText
      configuration.fitsPrior = fitsPrior
      let strategy = BDLMStrategy(configuration, schedule: shortSchedule(rounds: 1))
      try BridgeTrainer(strategy, composition.context).run()
      let domain = try #require(try strategy.recommenders(composition.context).domain)
      let evaluator = RankingEvaluator(
        composition.context.split, on: .validation, configuration: .init(only: [.ndcg(10)], userLimit: 2000))
      let value = try #require(try evaluator.evaluate(domain).mean(.ndcg(10)))
      return (value, strategy.saveState().tensors["prior.items.rows"] != nil)
    }
    let (with, without) = (try validation(true), try validation(false))
    #expect(with.value >= without.value && with.prior)
  }
}
