import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Two towers against PyTorch, and in worlds with a known cause.
@Suite struct TwoTowersTests {
  /// Rows that are their own parameters.
  private final class Rows: Module {
    let users: Parameter
    let items: Parameter

    init(_ dtype: DType) {
      users = Parameter(.zeros([5, 4], dtype: dtype))
      items = Parameter(.zeros([5, 4], dtype: dtype))
    }
  }

  @Test(arguments: [DType.float64, .float32]) func theCorrectedLossIsPyTorchs(_ dtype: DType) throws {
    let fixture = try ModelFixture("in_batch_loss", dtype, in: "models/two_towers")
    let logProbabilities = try fixture.tensor("log_q")
    let rows = Rows(dtype)
    try fixture.check(
      rows, tolerance: dtype == .float64 ? 1e-10 : 2e-5,
      scores: { rows.users.value.matmul(rows.items.value, transposingOther: true) },
      loss: {
        TwoTowers.inBatchLoss(
          users: rows.users.value, items: rows.items.value, logProbabilities: logProbabilities,
          temperature: 0.5)
      })
  }

  @Test func aStepIsPyTorchs() throws {
    var users = FeatureTable(rowCount: 5)
    try users.addNumbers("age", [20, 30, 40, 50, 60])
    try users.addCategories("user", (0..<5).map { "u\($0)" })
    var items = FeatureTable(rowCount: 6)
    try items.addCategories("item", (0..<6).map { "i\($0)" })
    try items.addLists("genres", [["a", "b"], ["b"], [], ["c", "a"], ["c"], ["a", "b", "c"]])
    var configuration = TwoTowers.Configuration()
    (configuration.dimension, configuration.hidden, configuration.outputs) = (3, [5], 4)
    configuration.temperature = 0.5
    var generator = RandomGenerator(seed: 0)
    let model = try TwoTowers(users: users, items: items, configuration: configuration, using: &generator)
    let fixture = try ModelFixture("two_towers", .float32, in: "models/two_towers")
    let pairs: [Int32] = try fixture.tensor("pairs").scalars()
    let rows = pairs.indices.filter { $0 % 2 == 0 }
    let batch = (
      users: try users.batch(rows: rows.map { Int(pairs[$0]) }),
      items: try items.batch(rows: rows.map { Int(pairs[$0 + 1]) })
    )
    let logProbabilities = try fixture.tensor("log_q")
    try fixture.check(
      model, tolerance: 2e-5,
      scores: {
        let all = model.embeddings()
        return all.users.matmul(all.items, transposingOther: true)
      },
      loss: { model.loss(users: batch.users, items: batch.items, logProbabilities: logProbabilities) })
  }

  // MARK: Worlds

  /// Users like items of their genres, and popular ones: an item's genre says nearly all.
  private struct World {
    let interactions: Interactions
    let genres: [Int]
    let prices: [Float]

    /// - Parameter skew: how much more often than item i item 0 is drawn: (i + 1) to this power.
    init(users: Int = 240, items: Int = 160, each: Int = 25, skew: Double, seed: UInt64) {
      var generator = RandomGenerator(seed: seed)
      let genres = (0..<items).map { _ in generator.index(below: 8) }
      prices = (0..<items).map { _ in Float(generator.index(below: 100)) }
      let taste = (0..<users).map { _ in (generator.index(below: 8), generator.index(below: 8)) }
      var (rows, columns): ([Int32], [Int32]) = ([], [])
      for user in 0..<users {
        let weights = (0..<items).map { item in
          (genres[item] == taste[user].0 || genres[item] == taste[user].1 ? 12 : 1)
            / pow(Double(item + 1), skew)
        }
        // The largest of weight-scaled draws are a sample without replacement.
        let keys = weights.map { pow(generator.uniform(), 1 / $0) }
        for item in keys.indices.sorted(by: { keys[$0] > keys[$1] }).prefix(each) {
          rows.append(Int32(user))
          columns.append(Int32(item))
        }
      }
      interactions = Interactions(users: rows, items: columns, userCount: users, itemCount: items)
      self.genres = genres
    }

    /// The tables; ids are learnt of the items that training has.
    func tables(
      _ training: Interactions, hasGenres: Bool
    ) throws -> (users: FeatureTable, items: FeatureTable) {
      var users = FeatureTable(rowCount: interactions.userCount)
      try users.addCategories("user", (0..<interactions.userCount).map { "u\($0)" })
      let counts = training.itemCounts()
      let known = genres.indices.filter { counts[$0] > 0 }
      func filled(_ empty: FeatureTable, _ rows: [Int]) throws -> FeatureTable {
        var table = empty
        try table.addCategories("item", rows.map { "i\($0)" })
        if hasGenres {
          try table.addCategories("genre", rows.map { "g\(genres[$0])" })
          try table.addNumbers("price", rows.map { prices[$0] })
        }
        return table
      }
      let schema = try filled(FeatureTable(rowCount: known.count), known).schema
      let items = try filled(
        FeatureTable(rowCount: genres.count, schema: schema), Array(genres.indices))
      return (users, items)
    }
  }

  private func trained(
    _ tables: (users: FeatureTable, items: FeatureTable), _ split: DataSplit, correctsSampling: Bool = true,
    checkpoint: URL? = nil
  ) throws -> TwoTowers {
    var shape = TwoTowers.Configuration()
    shape.correctsSampling = correctsSampling
    var generator = RandomGenerator(seed: 7)
    let model = try TwoTowers(
      users: tables.users, items: tables.items, configuration: shape, using: &generator)
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (20, 128, 5e-3)
    configuration.patience = 5
    try RecommenderTrainer(model, training: split.training, configuration: configuration)
      .fit(split, checkpoint: checkpoint)
    return model
  }

  private func ndcg(_ model: TwoTowers, _ split: DataSplit, among items: [Int32]? = nil) throws -> Double {
    let configuration = RankingEvaluator.Configuration(
      only: [.ndcg(10)], among: items.map { .items($0) } ?? .catalogue)
    let result = try RankingEvaluator(split, configuration: configuration).evaluate(model.makeScorer())
    return try #require(result.mean(.ndcg(10)))
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func featuresRankItemsThatNobodyHas(seed: UInt64) throws {
    let world = World(skew: 0, seed: seed)
    let new = try NewItemSplit(world.interactions, seed: seed)
    let ids = try trained(world.tables(new.split.training, hasGenres: false), new.split)
    let features = try trained(world.tables(new.split.training, hasGenres: true), new.split)
    let chance = try ndcg(ids, new.split, among: new.testItems)
    let found = try ndcg(features, new.split, among: new.testItems)
    #expect(found > chance + 0.15, "\(found), \(chance)")
  }

  /// Without the correction popular items are negatives so often that they are ranked too low.
  @Test(arguments: [1, 2, 3] as [UInt64]) func theCorrectionRanksPopularItemsRightly(seed: UInt64) throws {
    let world = World(skew: 1, seed: seed)
    let split = try world.interactions.split(.ratio(), seed: seed)
    let tables = try world.tables(split.training, hasGenres: true)
    let corrected = try ndcg(trained(tables, split), split)
    let plain = try ndcg(trained(tables, split, correctsSampling: false), split)
    #expect(corrected > plain, "\(corrected), \(plain)")
  }

  @Test func itemsThatCameLaterHaveTheRowsOfTheirColumns() throws {
    let world = World(users: 40, items: 30, each: 8, skew: 0, seed: 4)
    let split = try world.interactions.split(.ratio(), seed: 1)
    let folder = try TemporaryFolder(inMemory: true)
    let tables = try world.tables(split.training, hasGenres: true)
    try withSteadyInstructionSet {
      let model = try trained(tables, split, checkpoint: folder.url)
      let later = try FeatureTable(
        [["item": "new", "genre": "g1", "price": 3], ["item": "newer", "genre": "g1", "price": 3]],
        schema: tables.items.schema)
      let rows = try model.itemRows(later)
      #expect(rows.shape == [2, 32] && rows[0].floats == rows[1].floats)
      #expect(try model.itemRows(tables.items).floats == model.embeddings().items.floats)
      // A second call takes the finished training over.
      #expect(
        try trained(tables, split, checkpoint: folder.url).embeddings().items.floats
          == model.embeddings().items.floats)
      #expect(throws: DataError.self) { try model.itemRows(tables.users) }
      let scorer = InnerProductScorer(
        Representations(users: model.embeddings().users, items: rows))
      #expect(scorer.itemCount == 2)
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    var generator = RandomGenerator(seed: 1)
    var users = FeatureTable(rowCount: 2)
    try users.addCategories("user", ["a", "b"])
    #expect(throws: DataError.self) {
      try TwoTowers(users: users, items: FeatureTable(rowCount: 2), using: &generator)
    }
    #expect(throws: DataError.self) {
      try TwoTowers(users: users, items: FeatureTable(rowCount: 2, schema: users.schema), using: &generator)
    }
    var configuration = TwoTowers.Configuration()
    configuration.temperature = 0
    #expect(throws: DataError.self) {
      try TwoTowers(users: users, items: users, configuration: configuration, using: &generator)
    }
    let model = try TwoTowers(users: users, items: users, using: &generator)
    let other = Interactions(users: [0], items: [2], userCount: 2, itemCount: 3)
    #expect(throws: DataError.self) { try RecommenderTrainer(model, training: other) }
  }
}
