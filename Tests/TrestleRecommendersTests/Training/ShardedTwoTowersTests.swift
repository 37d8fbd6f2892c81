import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Two towers whose users' and items' vectors are cut over ranks, beside those that one process holds.
@Suite(.serialized) struct ShardedTwoTowersTests {
  private static let split = try? SyntheticWorld(seed: 4).dataset().interactions.split(.leaveOneOut, seed: 1)

  private static func features(_ count: Int) throws -> FeatureTable {
    var table = FeatureTable(rowCount: count)
    try table.addNumbers("length", (0..<count).map { Float($0 % 7) })
    try table.addCategories("shelf", (0..<count).map { "s\($0 % 5)" })
    try table.addLists("genres", (0..<count).map { row in (0..<row % 3).map { "g\(($0 + row) % 4)" } })
    return table
  }

  private static func model(
    _ ranks: any Communicator, hasFeatures: Bool, dropout: Double = 0
  ) throws -> ShardedTwoTowers {
    let training = try #require(split).training
    var configuration = TwoTowers.Configuration()
    (configuration.dimension, configuration.hidden, configuration.outputs) = (6, [10], 8)
    configuration.dropout = dropout
    return try ShardedTwoTowers(
      training: training, itemFeatures: hasFeatures ? features(training.itemCount) : nil,
      configuration: configuration, communicator: ranks, using: RandomGenerator(seed: 5))
  }

  private static func training(epochs: Int, accumulation: Int) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (epochs, 300, 5e-3)
    (configuration.patience, configuration.seed, configuration.accumulation) = (100, 9, accumulation)
    return configuration
  }

  private static func whole(_ model: ShardedTwoTowers) throws -> TwoTowers {
    try model.whole(
      users: (0..<model.userCount).map { "u\($0)" }, items: (0..<model.itemCount).map { "i\($0)" })
  }

  /// The bits of a model and of its training's figures.
  private struct Outcome: Equatable, Sendable {
    let parameters: [[UInt32]]
    let figures: [UInt64]

    init(_ model: TwoTowers, _ reports: [EpochReport]) {
      parameters = model.parameters.map { $0.detached.floats.map(\.bitPattern) }
      figures = reports.flatMap { [$0.loss.bitPattern, ($0.validation ?? -1).bitPattern] }
    }
  }

  private static func trained(
    _ ranks: any Communicator, hasFeatures: Bool = true, accumulation: Int, epochs: Int = 3,
    dropout: Double = 0, checkpoint: URL? = nil
  ) throws -> Outcome {
    let split = try #require(split)
    let model = try model(ranks, hasFeatures: hasFeatures, dropout: dropout)
    let trainer = try ShardedTrainer(
      model, training: split.training,
      configuration: training(epochs: epochs, accumulation: accumulation))
    let reports = try trainer.fit(split, checkpoint: checkpoint)
    return Outcome(try whole(model), reports)
  }

  private static func plain(hasFeatures: Bool, accumulation: Int) throws -> Outcome {
    let split = try #require(split)
    let model = try whole(model(SingleProcess(), hasFeatures: hasFeatures))
    let trainer = try RecommenderTrainer(
      model, training: split.training, configuration: training(epochs: 3, accumulation: accumulation))
    return Outcome(model, try trainer.fit(split))
  }

  @Test(arguments: [true, false]) func oneRankTrainsInTheBitsOfAWholeModel(hasFeatures: Bool) throws {
    try withSteadyInstructionSet {
      let whole = try Self.plain(hasFeatures: hasFeatures, accumulation: 1)
      #expect(
        try Self.trained(SingleProcess(), hasFeatures: hasFeatures, accumulation: 1) == whole)
    }
  }

  @Test(arguments: [1, 2, 3, 4]) func ranksTrainInTheBitsOfAWholeModel(size: Int) throws {
    try withSteadyInstructionSet {
      let whole = try Self.plain(hasFeatures: true, accumulation: 4)
      #expect(whole.figures[0] != whole.figures[2] && whole.figures[1] != whole.figures[3])
      for result in ThreadCommunicator.run(ranks: size, { try Self.trained($0, accumulation: 4) }) {
        #expect(try result.get() == whole)
      }
    }
  }

  @Test func masksDoNotDependOnTheRanks() throws {
    try withSteadyInstructionSet {
      let alone = try Self.trained(SingleProcess(), accumulation: 2, dropout: 0.3)
      #expect(try alone != Self.trained(SingleProcess(), accumulation: 2))
      for result in ThreadCommunicator.run(
        ranks: 2, { try Self.trained($0, accumulation: 2, dropout: 0.3) })
      {
        #expect(try result.get() == alone)
      }
    }
  }

  @Test func anotherNumberOfRanksResumes() throws {
    try withSteadyInstructionSet {
      let folder = try TemporaryFolder()
      let checkpoint = folder.url.appending(path: "run")
      let whole = try Self.trained(SingleProcess(), accumulation: 4, epochs: 6, dropout: 0.2)
      for (size, epochs) in [(4, 2), (2, 3), (1, 5), (3, 6)] {
        let results = ThreadCommunicator.run(ranks: size) {
          try Self.trained(
            $0, accumulation: 4, epochs: epochs, dropout: 0.2, checkpoint: checkpoint)
        }
        for result in results {
          let outcome = try result.get()
          if epochs == 6 { #expect(outcome == whole) }
        }
      }
    }
  }

  @Test func aStateOfOtherTowersIsRefusedAndChangesNothing() throws {
    let split = try #require(Self.split)
    let folder = try TemporaryFolder()
    _ = try Self.trained(SingleProcess(), accumulation: 1, epochs: 1, checkpoint: folder.url)
    let other = try Self.model(SingleProcess(), hasFeatures: false)
    let before = Outcome(try Self.whole(other), [])
    let trainer = try ShardedTrainer(
      other, training: split.training, configuration: Self.training(epochs: 2, accumulation: 1))
    #expect(throws: DataError.self) { try trainer.fit(split, checkpoint: folder.url) }
    #expect(try Outcome(Self.whole(other), []) == before)
  }

  @Test func shardsAreMeasuredAsOnePieceIs() throws {
    let split = try #require(Self.split)
    let evaluator = RankingEvaluator(split, configuration: .init(only: [.ndcg(10), .recall(10)]))
    try withSteadyInstructionSet {
      let plain = try Self.whole(Self.model(SingleProcess(), hasFeatures: true))
      let whole = try evaluator.evaluate(plain.makeScorer())
      for result in ThreadCommunicator.run(
        ranks: 3, { try evaluator.evaluate(Self.model($0, hasFeatures: true)) })
      {
        let result = try result.get()
        #expect(result.mean(.ndcg(10)) == whole.mean(.ndcg(10)))
        #expect(result.mean(.recall(10)) == whole.mean(.recall(10)))
      }
    }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let training = try #require(Self.split).training
    let generator = RandomGenerator(seed: 1)
    #expect(throws: DataError.self) {
      try ShardedTwoTowers(
        training: training, userFeatures: FeatureTable(rowCount: training.userCount + 1),
        communicator: SingleProcess(), using: generator)
    }
    var configuration = TwoTowers.Configuration()
    configuration.temperature = 0
    #expect(throws: DataError.self) {
      try ShardedTwoTowers(
        training: training, configuration: configuration, communicator: SingleProcess(), using: generator)
    }
    let model = try Self.model(SingleProcess(), hasFeatures: false)
    #expect(throws: DataError.self) {
      try model.whole(
        users: Array(repeating: "one", count: model.userCount),
        items: (0..<model.itemCount).map { "i\($0)" })
    }
  }
}
