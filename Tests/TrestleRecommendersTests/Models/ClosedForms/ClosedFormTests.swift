import Testing
import TrestleRecommenders
import TrestleTensor

/// The models without training against NumPy's closed forms, and the scorers against the models.
@Suite struct ClosedFormTests {
  private func rows(_ model: any Recommender) throws -> Tensor {
    var batch = try model.makeScorer().prepare(users: (0..<Int32(model.userCount)).map { $0 })
    var scores = [Float](repeating: .nan, count: model.userCount * model.itemCount)
    // In two tiles, as the evaluator asks.
    let cut = model.itemCount / 3
    var result = scores
    for items in [0..<cut, cut..<model.itemCount] {
      try batch.write(items: items, into: &scores)
      for user in 0..<model.userCount {
        for (offset, item) in items.enumerated() {
          result[user * model.itemCount + item] = scores[user * items.count + offset]
        }
      }
    }
    return Tensor(result, shape: [model.userCount, model.itemCount])
  }

  @Test func easeSolvesTheRidgeProblem() throws {
    let fixture = try ModelFixture("ease", .float64)
    var configuration = EASE.Configuration()
    configuration.regularization = 2
    let model = try EASE(training: fixture.interactions(), configuration: configuration)
    fixture.expectClose(model.weights, try fixture.tensor("weights"), 1e-6, "weights")
    fixture.expectClose(try rows(model), try fixture.tensor("scores"), 1e-5, "scores")
  }

  @Test func easeInvertsMatricesLargerThanABlock() throws {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions, world.hasTexts) = (150, 211, 4000, false)
    let data = try SyntheticWorld(world, seed: 5).dataset().interactions
    var configuration = EASE.Configuration()
    configuration.regularization = 10
    let weights: [Float] = try EASE(training: data, configuration: configuration).weights.scalars()
    // B is the solution if (G + λI)(I − B) is diagonal: off the diagonal the gradient of the ridge problem is 0.
    let matrix = UserItemMatrix(data)
    let count = data.itemCount
    var gram = [Double](repeating: 0, count: count * count)
    for user in 0..<data.userCount {
      for first in matrix.items(of: user) {
        for second in matrix.items(of: user) { gram[Int(first) * count + Int(second)] += 1 }
      }
    }
    for item in 0..<count { gram[item * count + item] += 10 }
    var worst = 0.0
    for row in 0..<count {
      for column in 0..<count where row != column {
        var sum = gram[row * count + column]
        for inner in 0..<count {
          sum -= gram[row * count + inner] * Double(weights[inner * count + column])
        }
        worst = max(worst, abs(sum))
      }
    }
    #expect(worst < 1e-3)
    #expect((0..<count).allSatisfy { weights[$0 * count + $0] == 0 })
  }

  @Test func easeRefusesTooManyItems() throws {
    var configuration = EASE.Configuration()
    configuration.maximumItems = 10
    #expect(throws: DataError.self) {
      try EASE(training: .empty(userCount: 2, itemCount: 11), configuration: configuration)
    }
  }

  @Test func itemNeighborsKeepTheNearest() throws {
    let fixture = try ModelFixture("itemknn", .float64)
    var configuration = ItemKNN.Configuration()
    (configuration.neighbors, configuration.shrinkage) = (4, 0.5)
    let model = ItemKNN(training: try fixture.interactions(), configuration: configuration)
    var weights = [Float](repeating: 0, count: 121)
    for item in 0..<Int32(11) {
      for neighbor in model.neighbors(of: item) {
        weights[Int(neighbor.item) * 11 + Int(item)] = neighbor.similarity
      }
    }
    fixture.expectClose(Tensor(weights, shape: [11, 11]), try fixture.tensor("weights"), 1e-6, "weights")
    fixture.expectClose(try rows(model), try fixture.tensor("scores"), 1e-5, "scores")
  }

  @Test func popularityCountsInteractions() throws {
    let fixture = try ModelFixture("popularity", .float64)
    let model = Popularity(training: try fixture.interactions())
    let scores = try rows(model)
    for user in 0..<7 {
      fixture.expectClose(scores[user], try fixture.tensor("scores"), 1e-12, "scores of \(user)")
    }
  }

  @Test func neuMFScoresTheCatalogueLikeItsPairs() throws {
    var generator = RandomGenerator(seed: 3)
    let model = NeuMF(userCount: 5, itemCount: 13, using: &generator)
    let grid = (0..<65).map { (user: Int32($0 / 13), item: Int32($0 % 13)) }
    let pairs = model.logits(users: Tensor(grid.map(\.user)), items: Tensor(grid.map(\.item)))
    try ModelFixture("neumf", .float32).expectClose(
      rows(model), pairs.reshaped(to: [5, 13] as Shape), 1e-6, "scores of the catalogue")
  }
}
