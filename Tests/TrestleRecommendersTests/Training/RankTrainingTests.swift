import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Recommenders trained by several ranks end in the bits of one process that accumulates.
@Suite(.serialized) struct RankTrainingTests {
  private static let small = try? SyntheticWorld(seed: 4).dataset().interactions.split(.leaveOneOut, seed: 1)

  /// Tables so large that their gradients are row-sparse.
  private static let large: DataSplit? = {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions, world.hasTexts) = (8_000, 500, 30_000, false)
    return try? SyntheticWorld(world, seed: 2).dataset().interactions.split(.leaveOneOut, seed: 1)
  }()

  private static func trained(
    _ kind: ModelKind, _ split: DataSplit, _ communicator: any Communicator = SingleProcess(),
    accumulation: Int?, epochs: Int = 2, checkpoint: URL? = nil
  ) throws -> [[UInt32]] {
    let model = try #require(try kind.make(split.training, seed: 5) as? any TrainableRecommender)
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (epochs, 300, 5e-3)
    (configuration.patience, configuration.seed, configuration.accumulation) = (100, 9, accumulation)
    let trainer = try RecommenderTrainer(
      model, training: split.training, configuration: configuration, communicator: communicator)
    let reports = try trainer.fit(split, checkpoint: checkpoint)
    let figures = reports.flatMap { [$0.loss, $0.validation ?? -1] }.map { Float($0).bitPattern }
    return model.parameters.map { $0.detached.floats.map(\.bitPattern) } + [figures]
  }

  @Test(arguments: [ModelKind.factorization, .lightGCN, .xSimGCL, .neuMF, .sasRec], [2, 3])
  func ranksTrainInTheBitsOfOneProcess(kind: ModelKind, size: Int) throws {
    let split = try #require(Self.small)
    try withSteadyInstructionSet {
      let alone = try Self.trained(kind, split, accumulation: size)
      for result in ThreadCommunicator.run(
        ranks: size, { try Self.trained(kind, split, $0, accumulation: nil) })
      {
        #expect(try result.get() == alone)
      }
    }
  }

  @Test func rowSparseTablesDo() throws {
    let split = try #require(Self.large)
    try withSteadyInstructionSet {
      let alone = try Self.trained(.factorization, split, accumulation: 4)
      for size in [2, 4] {
        for result in ThreadCommunicator.run(
          ranks: size, { try Self.trained(.factorization, split, $0, accumulation: 4) })
        {
          #expect(try result.get() == alone)
        }
      }
    }
  }

  @Test func accumulatingIsAnotherTraining() throws {
    let split = try #require(Self.small)
    let (one, four) = (
      try Self.trained(.factorization, split, accumulation: 1),
      try Self.trained(.factorization, split, accumulation: 4)
    )
    #expect(one != four)
    #expect(try Self.trained(.factorization, split, accumulation: nil) == one)
  }

  @Test func anotherNumberOfRanksResumes() throws {
    let split = try #require(Self.small)
    try withSteadyInstructionSet {
      let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-ranks-\(UUID())")
      defer { try? FileManager.default.removeItem(at: folder) }
      let whole = try Self.trained(.neuMF, split, accumulation: 4, epochs: 6)
      for (size, epochs, accumulation) in [(4, 2, nil), (2, 3, nil), (1, 5, 4), (3, 6, nil)]
        as [(Int, Int, Int?)]
      {
        let results = ThreadCommunicator.run(ranks: size) {
          try Self.trained(.neuMF, split, $0, accumulation: accumulation, epochs: epochs, checkpoint: folder)
        }
        for result in results where epochs == 6 { #expect(try result.get() == whole) }
        for result in results { _ = try result.get() }
      }
      // Another number of batches a step would be another training.
      #expect(throws: DataError.self) {
        try Self.trained(.neuMF, split, accumulation: 2, epochs: 7, checkpoint: folder)
      }
    }
  }

  @Test func ranksWithOtherDataAreNamed() throws {
    let (split, other) = (try #require(Self.small), try #require(Self.large))
    let results = ThreadCommunicator.run(ranks: 2) { ranks in
      try Self.trained(.factorization, ranks.rank == 1 ? other : split, ranks, accumulation: nil)
    }
    for result in results {
      #expect(throws: CommunicatorError.disagreement(about: "split", rank: 1, size: 2)) { try result.get() }
    }
  }
}
