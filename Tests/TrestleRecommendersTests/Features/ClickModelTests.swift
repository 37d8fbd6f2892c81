import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Click models on generated worlds whose clicks have a known cause.
@Suite struct ClickModelTests {
  /// Training, validation and test data of one schema.
  private struct World {
    let training: FeatureTable
    let validation: FeatureTable
    let test: FeatureTable

    init(_ table: FeatureTable, training: Int, validation: Int) {
      self.training = table.selecting(rows: Array(0..<training))
      self.validation = table.selecting(rows: Array(training..<training + validation))
      test = table.selecting(rows: Array(training + validation..<table.rowCount))
    }
  }

  /// A click depends on the product of two categories' hidden vectors alone: over all partners, no category is clicked more
  /// than another. A number and a third category have nothing to do with it.
  private static func interactionWorld(seed: UInt64) throws -> World {
    var generator = RandomGenerator(seed: seed)
    let (count, size, dimension) = (8000, 24, 3)
    /// Vectors whose mean is zero in each dimension.
    func vectors() -> [[Double]] {
      let drawn = (0..<size).map { _ in (0..<dimension).map { _ in generator.normal() } }
      let means = (0..<dimension).map { d in drawn.reduce(0) { $0 + $1[d] } / Double(size) }
      return drawn.map { zip($0, means).map { $0 - $1 } }
    }
    let (users, items) = (vectors(), vectors())
    var table = FeatureTable(rowCount: count)
    let user = (0..<count).map { _ in generator.index(below: size) }
    let item = (0..<count).map { _ in generator.index(below: size) }
    try table.addCategories("user", user.map { "u\($0)" })
    try table.addNumbers("hour", (0..<count).map { _ in Float(generator.index(below: 24)) })
    try table.addCategories("item", item.map { "i\($0)" })
    try table.addCategories("device", (0..<count).map { _ in "d\(generator.index(below: 3))" })
    try table.setUsers(user.map { "u\($0)" })
    try table.setLabels(
      zip(user, item).map { user, item in
        let product = zip(users[user], items[item]).reduce(0) { $0 + $1.0 * $1.1 }
        return generator.uniform() < 1 / (1 + exp(-3 * product))
      })
    return World(table, training: 5000, validation: 1000)
  }

  /// A click depends on whether the target's category occurs in the history, which it does in half the examples.
  private static func historyWorld(seed: UInt64) throws -> World {
    var generator = RandomGenerator(seed: seed)
    let (count, size) = (7000, 40)
    var targets: [Int] = []
    var histories: [[Int]] = []
    var labels: [Bool] = []
    for _ in 0..<count {
      let target = generator.index(below: size)
      let isIn = generator.uniform() < 0.5
      var history = (0..<3 + generator.index(below: 6)).map { _ in
        (target + 1 + generator.index(below: size - 1)) % size
      }
      if isIn { history[generator.index(below: history.count)] = target }
      targets.append(target)
      histories.append(history)
      labels.append(generator.uniform() < (isIn ? 0.9 : 0.1))
    }
    var table = FeatureTable(rowCount: count)
    try table.addCategories("category", targets.map { "c\($0)" })
    try table.addLists("history", histories.map { $0.map { "c\($0)" } }, vocabulary: "category")
    try table.setLabels(labels)
    return World(table, training: 5000, validation: 1000)
  }

  private func testAUC(
    _ model: some ClickModel, _ world: World, learningRate: Double = 1e-2
  ) throws -> Double {
    var configuration = ClickTrainingConfiguration()
    configuration.epochs = 30
    configuration.batchSize = 256
    configuration.learningRate = learningRate
    configuration.seed = 3
    try ClickTrainer(model, training: world.training, configuration: configuration)
      .fit(validation: world.validation)
    return try #require(try model.evaluate(on: world.test).auc)
  }

  /// Measured on seed 1 and five further ones: .51 to .55 for logistic regression and .91 to .96 for the others, which are
  /// ahead by .37 at least.
  @Test func modelsOfInteractionsFindWhatLogisticRegressionCannot() throws {
    let world = try Self.interactionWorld(seed: 1)
    let schema = world.training.schema
    var generator = RandomGenerator(seed: 7)
    let plain = try testAUC(LogisticRegression(schema), world)
    #expect(plain < 0.6)
    let least = plain + 0.25
    #expect(try testAUC(FactorizationMachine(schema, dimension: 8, using: &generator), world) > least)
    #expect(try testAUC(DeepFM(schema, using: &generator), world) > least)
    #expect(try testAUC(DLRM(schema, using: &generator), world) > least)
    for structure in DCN.Structure.allCases {
      var configuration = DCN.Configuration()
      configuration.structure = structure
      #expect(try testAUC(DCN(schema, configuration: configuration, using: &generator), world) > least)
    }
  }

  /// Measured on six seeds: .89 to .92 for attention, .78 to .82 for the mean. On five of them the mean had the best of three
  /// learning rates by the test data, which favours it, and up to 100 epochs: attention was ahead by .085 to .106. On seed 2,
  /// where both had one rate, it was ahead by .075.
  @Test(arguments: [2, 11] as [UInt64]) func attentionFindsTheTargetInTheHistory(seed: UInt64) throws {
    let world = try Self.historyWorld(seed: seed)
    func measured(_ pooling: DIN.Pooling, learningRate: Double) throws -> Double {
      var generator = RandomGenerator(seed: 7)
      var configuration = DIN.Configuration()
      configuration.pooling = pooling
      let model = try DIN(
        world.training.schema, target: "category", history: "history", configuration: configuration,
        using: &generator)
      return try testAUC(model, world, learningRate: learningRate)
    }
    let mean = max(try measured(.mean, learningRate: 1e-2), try measured(.mean, learningRate: 3e-3))
    #expect(try measured(.attention, learningRate: 1e-2) > mean + 0.03)
  }

  @Test func aTrainingIsItsSeeds() throws {
    let world = try Self.interactionWorld(seed: 4)
    try withSteadyInstructionSet {
      func trained(seed: UInt64) throws -> [Float] {
        var generator = RandomGenerator(seed: 7)
        let model = FactorizationMachine(world.training.schema, dimension: 4, using: &generator)
        var configuration = ClickTrainingConfiguration()
        configuration.epochs = 2
        configuration.seed = seed
        try ClickTrainer(model, training: world.training, configuration: configuration).fit()
        return try model.logits(of: world.test)
      }
      let first = try trained(seed: 1)
      #expect(try trained(seed: 1) == first)
      #expect(try trained(seed: 2) != first)
    }
  }

  @Test func theBestEpochIsKept() throws {
    let world = try Self.interactionWorld(seed: 5)
    var generator = RandomGenerator(seed: 7)
    let model = DeepFM(world.training.schema, using: &generator)
    var configuration = ClickTrainingConfiguration()
    configuration.learningRate = 3e-2
    configuration.patience = 2
    try withSteadyInstructionSet {
      let reports = try ClickTrainer(model, training: world.training, configuration: configuration)
        .fit(validation: world.validation)
      #expect(reports.count < configuration.epochs)
      let best = reports.compactMap(\.validation).max()
      #expect(try model.evaluate(on: world.validation).auc == best)
      #expect(reports.last?.validation != best)
    }
  }

  @Test func unknownCategoriesChangeNothingUntilTrained() throws {
    let world = try Self.interactionWorld(seed: 6)
    var generator = RandomGenerator(seed: 7)
    let model = FactorizationMachine(world.training.schema, dimension: 4, using: &generator)
    var table = FeatureTable(rowCount: 1, schema: world.training.schema)
    for name in ["user", "item", "device"] { try table.addCategories(name, ["never seen"]) }
    guard case .number(let mean, _)? = table.schema.field("hour")?.kind else {
      Issue.record("no hour")
      return
    }
    try table.addNumbers("hour", [Float(mean)])
    #expect(abs(try model.logits(of: table)[0]) < 1e-6)
    #expect(abs(try model.probabilities(of: table)[0] - 0.5) < 1e-6)
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let world = try Self.interactionWorld(seed: 8)
    let schema = world.training.schema
    var generator = RandomGenerator(seed: 7)
    let model = FactorizationMachine(schema, dimension: 4, using: &generator)
    #expect(throws: DataError.self) {
      try ClickTrainer(model, training: FeatureTable(rowCount: 2, schema: schema))
    }
    #expect(throws: DataError.self) { try model.logits(of: FeatureTable(rowCount: 2, schema: schema)) }
    #expect(throws: DataError.self) { try model.logits(of: FeatureTable(rowCount: 2)) }
    #expect(throws: DataError.self) {
      try DIN(schema, target: "user", history: "item", using: &generator)
    }
  }
}
