import Synchronization
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Which negatives a training sees, and what drawing them costs.
@Suite struct NegativesTests {
  @Test func neuMFDrawsTheConfiguredNegatives() throws {
    let split = try SyntheticWorld(seed: 4).dataset().interactions.split(.ratio(), seed: 1)
    func losses(_ negatives: NegativeSampling) throws -> Double {
      var generator = RandomGenerator(seed: 1)
      let model = NeuMF(userCount: split.userCount, itemCount: split.itemCount, using: &generator)
      var configuration = TrainingConfiguration()
      (configuration.batchSize, configuration.learningRate) = (256, 5e-3)
      configuration.negatives = negatives
      let trainer = try RecommenderTrainer(
        model, training: split.training, configuration: configuration)
      return try (0..<4).map { _ in try trainer.trainEpoch() }[3]
    }
    let uniform = try losses(.uniform)
    // Popular items, and those that score high, are harder to tell from positives.
    #expect(try losses(.popularity(exponent: 1)) > uniform * 1.02)
    #expect(try losses(.dynamic(candidates: 6)) > uniform * 1.02)
  }

  @Test func scoresAreSnappedOnceForAllCandidates() throws {
    let data = Interactions(users: [0, 1, 2], items: [0, 1, 2], userCount: 3, itemCount: 30)
    let calls = Mutex((snapshots: 0, scores: 0))
    let sampler = DynamicNegativeSampler(
      avoiding: UserItemMatrix(data), candidates: 7,
      snapshot: {
        calls.withLock { $0.snapshots += 1 }
        return { _, items in
          calls.withLock { $0.scores += 1 }
          return items.map { Float($0) }
        }
      })
    var generator = RandomGenerator(seed: 1)
    var negatives: [Int32] = []
    sampler.sample(users: [0, 1, 2], positives: [0, 1, 2], into: &negatives, generator: &generator)
    #expect(calls.withLock { $0.snapshots } == 1 && calls.withLock { $0.scores } == 7)
    #expect(negatives.count == 3 && negatives.allSatisfy { $0 > 5 })
  }

  /// Over many draws the gradient of the sampled loss is that of the loss over the catalogue; without the correction
  /// popular items would be pushed down.
  @Test func theSampledSoftmaxIsCorrectedForPopularity() throws {
    let itemCount = 30
    // Item 0 is half of all targets.
    var generator = RandomGenerator(seed: 4)
    let items = (0..<600).map { _ in
      generator.index(below: 2) == 0 ? Int32(0) : Int32(1 + generator.index(below: itemCount - 1))
    }
    let data = Interactions(
      users: (0..<600).map { Int32($0 / 20) }, items: items, userCount: 30, itemCount: itemCount)
    var settings = GRU4Rec.Configuration()
    (settings.dimension, settings.hidden) = (8, 8)
    let model = GRU4Rec(training: data, configuration: settings, dtype: .float64, using: &generator)
    var counts = [Float](repeating: 0, count: itemCount)
    for item in items { counts[Int(item)] += 1 }
    let shares = counts.map { $0 / 600 }
    let states = Tensor.normal([4, 8], deviation: 1, dtype: .float64, using: &generator)
    func mean(_ rounds: Int, _ loss: ([Int32]) -> Tensor) throws -> [Double] {
      var sum = [Double](repeating: 0, count: itemCount)
      for _ in 0..<rounds {
        let targets = (0..<4).map { _ in items[generator.index(below: 600)] }
        let (_, gradients) = valueAndGradients(of: [model.itemEmbedding]) { loss(targets) }
        let rows: [Double] = try #require(gradients[model.itemEmbedding]).dense().sum(along: [1]).scalars()
        for item in 0..<itemCount { sum[item] += rows[item] / Double(rounds) }
      }
      return sum
    }
    let whole = try mean(1500) { model.loss(states: states, targets: Tensor($0)) }
    var draws = RandomGenerator(seed: 9)
    func sampled(_ shares: [Float]) throws -> [Double] {
      try mean(1500) {
        model.sampledLoss(states: states, targets: $0, sampled: 8, shares: shares, using: &draws)
      }
    }
    let uniform = [Float](repeating: 1 / Float(itemCount), count: itemCount)
    let (corrected, uncorrected) = (try sampled(shares), try sampled(uniform))
    func distance(_ gradient: [Double]) -> Double { abs(gradient[0] - whole[0]) }
    #expect(
      distance(corrected) < 0.5 * distance(uncorrected), "\(whole[0]): \(corrected[0]), \(uncorrected[0])")
  }
}
