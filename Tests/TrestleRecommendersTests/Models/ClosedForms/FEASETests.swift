import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// EASE with features and a prior against plain elimination, and what features do for items that nobody has.
@Suite struct FEASETests {
  private static let world: Dataset? = {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions, world.hasTexts) = (60, 23, 500, false)
    return try? SyntheticWorld(world, seed: 5).dataset()
  }()

  private func configuration(_ weight: Double) -> FEASE.Configuration {
    var configuration = FEASE.Configuration()
    (configuration.regularization, configuration.featureWeight) = (7, weight)
    return configuration
  }

  /// Column by column without the item itself: (G + λ I) b = g + λ b₀ over the other items, by Gaussian elimination.
  private func reference(
    _ data: Interactions, _ features: [[Double]], _ prior: [[Double]]?, weight: Double, penalty: Double
  ) -> [[Double]] {
    let count = data.itemCount
    var gram = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
    let matrix = UserItemMatrix(data)
    for user in 0..<data.userCount {
      for first in matrix.items(of: user) {
        for second in matrix.items(of: user) { gram[Int(first)][Int(second)] += 1 }
      }
    }
    for row in 0..<count {
      for column in 0..<count {
        gram[row][column] +=
          weight * weight * zip(features[row], features[column]).reduce(0) { $0 + $1.0 * $1.1 }
      }
    }
    var weights = [[Double]](repeating: [Double](repeating: 0, count: count), count: count)
    for item in 0..<count {
      let others = (0..<count).filter { $0 != item }
      var system = others.map { row in
        others.map { gram[row][$0] + ($0 == row ? penalty : 0) }
          + [gram[row][item] + penalty * (prior?[row][item] ?? 0)]
      }
      for pivot in others.indices {
        for row in others.indices where row != pivot {
          let factor = system[row][pivot] / system[pivot][pivot]
          for column in pivot...others.count { system[row][column] -= factor * system[pivot][column] }
        }
      }
      for (place, row) in others.enumerated() {
        weights[row][item] = system[place][others.count] / system[place][place]
      }
    }
    return weights
  }

  private func distance(_ found: Tensor, _ expected: [[Double]]) -> Double {
    let values: [Double] = found.converted(to: .float64).scalars()
    return zip(values, expected.joined()).map { abs($0 - $1) }.max() ?? .infinity
  }

  @Test(arguments: [false, true]) func theWeightsAreThoseOfPlainElimination(_ hasPrior: Bool) throws {
    let data = try #require(Self.world).interactions
    let count = data.itemCount
    var generator = RandomGenerator(seed: 2)
    // Half of the numbers are 0, so that the sparse form leaves something out.
    let dense = Tensor.normal([count, 6], deviation: 1, dtype: .float32, using: &generator).relu()
    let values = dense.floats
    let prior = Tensor.normal([count, count], deviation: 0.1, dtype: .float64, using: &generator)
    let priorRows: [Double] = prior.scalars()
    let expected = reference(
      data, (0..<count).map { row in (0..<6).map { Double(values[row * 6 + $0]) } },
      hasPrior ? (0..<count).map { Array(priorRows[$0 * count..<($0 + 1) * count]) } : nil, weight: 3,
      penalty: 7)
    let places = values.indices.filter { values[$0] != 0 }
    let sparse = SparseMatrix(
      rowCount: count, columnCount: 6, rows: places.map { Int32($0 / 6) },
      columns: places.map { Int32($0 % 6) },
      values: places.map { values[$0] })
    #expect(places.count < values.count)
    for features in [ItemFeatures.dense(dense), .dense(dense.converted(to: .float64)), .sparse(sparse)] {
      let model = try FEASE(
        training: data, features: features, prior: hasPrior ? prior : nil, configuration: configuration(3))
      #expect(distance(model.weights, expected) < 1e-6)
      let weights = model.weights.floats
      #expect((0..<count).allSatisfy { weights[$0 * count + $0] == 0 })
    }
  }

  @Test func withoutWeightAndPriorItIsEASE() throws {
    try withSteadyInstructionSet {
      let world = try #require(Self.world)
      let data = world.interactions
      var ridge = EASE.Configuration()
      ridge.regularization = 7
      let ease = try EASE(training: data, configuration: ridge).weights.floats
      let features = ItemFeatures.genres(of: world.items)
      #expect(
        try FEASE(training: data, features: features, configuration: configuration(0)).weights.floats == ease)
      #expect(try FEASE(training: data, configuration: configuration(3)).weights.floats == ease)
      #expect(
        try FEASE(training: data, features: features, configuration: configuration(3)).weights.floats != ease)
      // A prior of 0 is none, and one far stronger than the data is what comes out.
      let zero = Tensor.zeros([data.itemCount, data.itemCount])
      #expect(try FEASE(training: data, prior: zero, configuration: configuration(0)).weights.floats == ease)
      var strong = configuration(0)
      strong.regularization = 1e9
      let drawn = try FEASE(training: data, prior: .ones(zero.shape), configuration: strong).weights.floats
      #expect(drawn.enumerated().allSatisfy { abs($1 - ($0 % (data.itemCount + 1) == 0 ? 0 : 1)) < 1e-5 })
    }
  }

  @Test func featuresRankItemsThatNobodyHas() throws {
    let data = try SyntheticWorld(seed: 6).dataset()
    let new = try NewItemSplit(data.interactions, seed: 1)
    let evaluator = RankingEvaluator(
      new.split, configuration: .init(only: [.ndcg(10)], among: .items(new.testItems)))
    let chance = try #require(
      evaluator.evaluate(
        RowScorer(itemCount: data.itemCount) { _ in
          [Float](repeating: 0, count: data.itemCount)
        }
      ).mean(.ndcg(10)))
    func reached(_ items: ItemAttributes) throws -> Double {
      let model = try FEASE(training: new.split.training, features: .genres(of: items))
      return try #require(evaluator.evaluate(model.makeScorer()).mean(.ndcg(10)))
    }
    let own = try reached(data.items)
    var shuffled: [Double] = []
    for seed in 0..<5 {
      var generator = RandomGenerator(seed: UInt64(seed))
      var items = data.items
      generator.shuffle(&items.genres)
      shuffled.append(try reached(items))
    }
    let mean = shuffled.reduce(0, +) / 5
    #expect(own > 2 * chance, "\(own), at chance \(chance)")
    #expect(abs(mean - chance) < 0.25 * chance, "shuffled \(shuffled), at chance \(chance)")
    let ease = try EASE(training: new.split.training)
    #expect(abs((try evaluator.evaluate(ease.makeScorer()).mean(.ndcg(10)) ?? 0) - chance) < 1e-9)
  }

  @Test func itIsServedAndSaved() throws {
    let data = try #require(Self.world)
    let model = try FEASE(training: data.interactions, features: .genres(of: data.items))
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    let served = try FittedRecommender(model, dataset: data, training: data.interactions)
    try served.save(to: place)
    let loaded = try FittedRecommender(contentsOf: place)
    try withSteadyInstructionSet {
      let expected = try served.recommend(for: "3", count: 4, reasons: 1)
      #expect(try loaded.recommend(for: "3", count: 4, reasons: 1) == expected)
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let data = try #require(Self.world).interactions
    func refusal(_ features: ItemFeatures? = nil, _ prior: Tensor? = nil, _ weight: Double = 1) -> String {
      do {
        _ = try FEASE(training: data, features: features, prior: prior, configuration: configuration(weight))
        return ""
      } catch { return "\(error)" }
    }
    #expect(refusal(.dense(.zeros([22, 4]))).contains("a row of features for each of 23 items, found 22"))
    #expect(refusal(.dense(.zeros([23]))).contains("features [items, features]"))
    #expect(
      refusal(.dense(Tensor([Float](repeating: .nan, count: 23), shape: [23, 1]))).contains("finite features")
    )
    #expect(refusal(nil, .zeros([23, 22])).contains("a prior [23, 23]"))
    #expect(refusal(nil, .zeros([23, 23]) + .infinity).contains("a finite prior"))
    #expect(refusal(nil, nil, -1).contains("0 or more, found -1.0"))
    #expect(refusal(.dense(.zeros([23, 0]))) == "")
  }
}
