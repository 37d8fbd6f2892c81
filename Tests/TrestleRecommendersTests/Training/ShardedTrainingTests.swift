import Foundation
import Testing
import TrestleFormats
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Recommenders whose rows are cut over ranks, beside those that one process holds.
@Suite(.serialized) struct ShardedTrainingTests {
  enum Kind: CaseIterable {
    case factorization, lightGCN
  }

  private static let small = try? SyntheticWorld(seed: 4).dataset().interactions.split(.leaveOneOut, seed: 1)

  /// Tables so large that their gradients are row-sparse.
  private static let large: DataSplit? = {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions, world.hasTexts) = (8_000, 500, 30_000, false)
    return try? SyntheticWorld(world, seed: 2).dataset().interactions.split(.leaveOneOut, seed: 1)
  }()

  private static func configuration(epochs: Int, accumulation: Int?) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (epochs, 300, 5e-3)
    (configuration.patience, configuration.seed, configuration.accumulation) = (100, 9, accumulation)
    return configuration
  }

  private static func sharded(
    _ kind: Kind, _ training: Interactions, _ ranks: any Communicator
  ) -> any ShardedPairwiseRecommender {
    let generator = RandomGenerator(seed: 5)
    return switch kind {
    case .factorization:
      ShardedFactorization(training: training, communicator: ranks, using: generator)
    case .lightGCN: ShardedLightGCN(training: training, communicator: ranks, using: generator)
    }
  }

  /// The bits of a model and of its training's figures.
  private struct Outcome: Equatable, Sendable {
    let users: [UInt32]
    let items: [UInt32]
    let figures: [UInt64]

    init(_ model: any PairwiseRecommender, _ reports: [EpochReport]) {
      users = model.tables.users.detached.floats.map(\.bitPattern)
      items = model.tables.items.detached.floats.map(\.bitPattern)
      figures = reports.flatMap { [$0.loss.bitPattern, ($0.validation ?? -1).bitPattern] }
    }
  }

  private static func trained(
    _ kind: Kind, _ split: DataSplit, _ ranks: any Communicator, accumulation: Int?, epochs: Int = 3,
    checkpoint: URL? = nil
  ) throws -> Outcome {
    let model = sharded(kind, split.training, ranks)
    let trainer = try ShardedTrainer(
      model, training: split.training,
      configuration: configuration(epochs: epochs, accumulation: accumulation))
    let reports = try trainer.fit(split, checkpoint: checkpoint)
    return Outcome(try model.whole(training: split.training), reports)
  }

  /// The same by a model in one piece, from the same rows.
  private static func plain(_ kind: Kind, _ split: DataSplit, accumulation: Int) throws -> Outcome {
    let model = try sharded(kind, split.training, SingleProcess()).whole(training: split.training)
    let trainer = try RecommenderTrainer(
      model, training: split.training, configuration: configuration(epochs: 3, accumulation: accumulation))
    return Outcome(model, try trainer.fit(split))
  }

  @Test(arguments: Kind.allCases) func oneRankTrainsInTheBitsOfAWholeModel(kind: Kind) throws {
    for split in try [#require(Self.small), #require(Self.large)] {
      try withSteadyInstructionSet {
        let whole = try Self.plain(kind, split, accumulation: 1)
        #expect(try Self.trained(kind, split, SingleProcess(), accumulation: 1) == whole)
      }
    }
  }

  @Test(arguments: [2, 3, 4]) func shardedFactorizationTrainsInTheBitsOfAWholeOne(size: Int) throws {
    for split in try [#require(Self.small), #require(Self.large)] {
      try withSteadyInstructionSet {
        let whole = try Self.plain(.factorization, split, accumulation: 4)
        for result in ThreadCommunicator.run(
          ranks: size, { try Self.trained(.factorization, split, $0, accumulation: 4) })
        {
          #expect(try result.get() == whole)
        }
      }
    }
  }

  @Test(arguments: [2, 3, 4]) func anyNumberOfRanksTrainsLightGCNInTheSameBits(size: Int) throws {
    let split = try #require(Self.small)
    try withSteadyInstructionSet {
      let alone = try Self.trained(.lightGCN, split, SingleProcess(), accumulation: 4)
      for result in ThreadCommunicator.run(
        ranks: size, { try Self.trained(.lightGCN, split, $0, accumulation: 4) })
      {
        #expect(try result.get() == alone)
      }
    }
  }

  /// A whole LightGCN propagates each batch's gradient by itself: what differs is rounding.
  @Test func aMeanGradientIsPropagatedAsItsPartsAre() throws {
    let split = try #require(Self.small)
    let (sharded, whole) = try withSteadyInstructionSet {
      (
        try Self.trained(.lightGCN, split, SingleProcess(), accumulation: 4, epochs: 1),
        try Self.plain(.lightGCN, split, accumulation: 4)
      )
    }
    let (own, other) = (sharded.figures[0], whole.figures[0])
    #expect(abs(Double(bitPattern: own) - Double(bitPattern: other)) < 1e-5)
  }

  @Test(arguments: Kind.allCases) func anotherNumberOfRanksResumes(kind: Kind) throws {
    let split = try #require(Self.small)
    try withSteadyInstructionSet {
      let folder = try TemporaryFolder()
      let checkpoint = folder.url.appending(path: "run")
      let whole = try Self.trained(kind, split, SingleProcess(), accumulation: 4, epochs: 6)
      for (size, epochs) in [(4, 2), (2, 3), (1, 5), (3, 6)] {
        let results = ThreadCommunicator.run(ranks: size) {
          try Self.trained(kind, split, $0, accumulation: 4, epochs: epochs, checkpoint: checkpoint)
        }
        for result in results {
          let outcome = try result.get()
          if epochs == 6 { #expect(outcome == whole) }
        }
      }
    }
  }

  @Test func damagedStatesAreRefusedAndChangeNothing() throws {
    let split = try #require(Self.small)
    let temporary = try TemporaryFolder()
    let folder = temporary.url
    let ranks = SingleProcess()
    _ = try Self.trained(.factorization, split, ranks, accumulation: 1, epochs: 2, checkpoint: folder)
    let manifest = folder.appending(path: "checkpoint.json")
    let intact = try String(contentsOf: manifest, encoding: .utf8)
    let rows = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasPrefix("rows-") })
    let best = try #require(
      try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasPrefix("best-") })
    func refuses(_ text: String) throws {
      try text.write(to: manifest, atomically: true, encoding: .utf8)
      let model = Self.sharded(.factorization, split.training, ranks)
      let before = try model.users.rows(0..<model.userCount).floats
      let trainer = try ShardedTrainer(
        model, training: split.training, configuration: Self.configuration(epochs: 4, accumulation: 1))
      #expect(throws: (any Error).self) { try trainer.fit(split, checkpoint: folder) }
      #expect(try model.users.rows(0..<model.userCount).floats == before)
      #expect(trainer.epoch == 0 && trainer.optimizer.stepCount == 0)
    }
    try refuses("{")
    for (old, new) in [
      ("\"version\" : 1", "\"version\" : 2"), ("\"width\" : 64", "\"width\" : 32"),
      ("\"stepCount\" : ", "\"stepCount\" : -"), (rows, "../" + rows), (rows, "rows-none.safetensors"),
      (best, "best-none.safetensors"),
      ("\"sha256\" : \"", "\"sha256\" : \"0"), ("MF-BPR", "LightGCN"),
    ] {
      #expect(intact.contains(old), "\(old)")
      try refuses(intact.replacing(old, with: new))
    }
    try intact.write(to: manifest, atomically: true, encoding: .utf8)
    let whole = try Self.trained(.factorization, split, ranks, accumulation: 1, epochs: 4)
    #expect(
      try Self.trained(.factorization, split, ranks, accumulation: 1, epochs: 4, checkpoint: folder) == whole)
  }

  /// Rows that are no numbers are refused, whoever has made the hash.
  @Test func rowsThatAreNoNumbersAreRefused() throws {
    let split = try #require(Self.small)
    let temporary = try TemporaryFolder()
    let folder = temporary.url
    _ = try Self.trained(
      .factorization, split, SingleProcess(), accumulation: 1, epochs: 2, checkpoint: folder)
    let manifest = folder.appending(path: "checkpoint.json")
    let intact = try String(contentsOf: manifest, encoding: .utf8)
    for prefix in ["rows-", "best-"] {
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: folder.path).first { $0.hasPrefix(prefix) })
      let file = folder.appending(path: name)
      let bytes = try [UInt8](Data(contentsOf: file))
      var damaged = bytes
      damaged.replaceSubrange(damaged.count - 4..<damaged.count, with: [0, 0, 0xc0, 0x7f])
      try Data(damaged).write(to: file)
      func hash(_ bytes: [UInt8]) -> String {
        var hash = SHA256()
        hash.update(bytes)
        return hash.hexadecimal()
      }
      #expect(intact.contains(hash(bytes)))
      try intact.replacing(hash(bytes), with: hash(damaged)).write(
        to: manifest, atomically: true, encoding: .utf8)
      let model = Self.sharded(.factorization, split.training, SingleProcess())
      let before = try model.users.rows(0..<model.userCount).floats
      let trainer = try ShardedTrainer(
        model, training: split.training, configuration: Self.configuration(epochs: 4, accumulation: 1))
      #expect(throws: NNError.self) { try trainer.fit(split, checkpoint: folder) }
      #expect(try model.users.rows(0..<model.userCount).floats == before && trainer.epoch == 0)
      try Data(bytes).write(to: file)
    }
  }

  @Test func shardsAreMeasuredAsOnePieceIs() throws {
    let split = try #require(Self.small)
    var configuration = RankingEvaluator.Configuration()
    configuration.metrics = configuration.metrics.filter { $0.cutoff != nil }
    (configuration.keepsLists, configuration.batchSize, configuration.tileSize) = (true, 16, 37)
    for candidates in [CandidateSet.catalogue, .slice(.warm)] {
      configuration.candidates = candidates
      let evaluator = RankingEvaluator(split, configuration: configuration)
      let plain = try Self.sharded(.lightGCN, split.training, SingleProcess()).whole(training: split.training)
      let whole = try evaluator.evaluate(plain.makeScorer())
      for result in ThreadCommunicator.run(
        ranks: 3, { try evaluator.evaluate(Self.sharded(.lightGCN, split.training, $0)) })
      {
        let result = try result.get()
        #expect(result.lists == whole.lists)
        #expect(result.listValues == whole.listValues)
        for (own, other) in zip(result.slices, whole.slices) {
          #expect(own.users == other.users && own.perUser == other.perUser && own.means == other.means)
        }
      }
    }
  }

  /// Equal scores count as ties wherever their items are: rows of zeros score all items alike.
  @Test func tiesAcrossRanksAreTies() throws {
    let split = try #require(Self.small)
    let evaluator = RankingEvaluator(split, configuration: .init(only: [.ndcg(10), .recall(10)]))
    let constant = try evaluator.evaluate(
      RowScorer(itemCount: split.itemCount) { [count = split.itemCount] _ in
        [Float](repeating: 0, count: count)
      })
    for result in ThreadCommunicator.run(
      ranks: 3,
      { ranks in
        let model = Self.sharded(.factorization, split.training, ranks)
        model.users.shard.update(to: .zeros(model.users.shard.shape))
        return try evaluator.evaluate(model)
      })
    {
      let result = try result.get()
      #expect(result.mean(.ndcg(10)) == constant.mean(.ndcg(10)))
      #expect(result.mean(.recall(10)) == constant.mean(.recall(10)))
    }
  }

  @Test func ranksRecommendWhatOneProcessDoes() throws {
    let split = try #require(Self.small)
    let seen = UserItemMatrix(split.training)
    let users: [Int32] = [3, 0, 17, 3]
    let whole = try Self.sharded(.lightGCN, split.training, SingleProcess()).recommend(
      to: users, count: 7, excluding: seen)
    #expect(whole.allSatisfy { $0.count == 7 } && whole[0].map(\.item) == whole[3].map(\.item))
    for (user, list) in zip(users, whole) {
      #expect(list.allSatisfy { !seen.contains(user: Int(user), item: Int32($0.item)) })
      #expect(zip(list, list.dropFirst()).allSatisfy { $0.score >= $1.score })
    }
    let results = ThreadCommunicator.run(ranks: 4) { ranks in
      try Self.sharded(.lightGCN, split.training, ranks).recommend(to: users, count: 7, excluding: seen)
        .map { $0.map(\.item) }
    }
    for result in results { #expect(try result.get() == whole.map { $0.map(\.item) }) }
  }

  @Test func negativesAreDrawnAsForAWholeModel() throws {
    let split = try #require(Self.small)
    let model = Self.sharded(.factorization, split.training, SingleProcess())
    var configuration = Self.configuration(epochs: 2, accumulation: 1)
    configuration.negatives = .popularity()
    try withSteadyInstructionSet {
      let plain = try model.whole(training: split.training)
      let whole = try RecommenderTrainer(plain, training: split.training, configuration: configuration)
      let sharded = try ShardedTrainer(model, training: split.training, configuration: configuration)
      #expect(try sharded.trainEpoch() == whole.trainEpoch())
      #expect(try model.users.rows(0..<model.userCount).floats == plain.tables.users.detached.floats)
    }
    configuration.negatives = .dynamic()
    #expect(throws: DataError.self) {
      try ShardedTrainer(model, training: split.training, configuration: configuration)
    }
  }

  @Test func settingsReachAShardedModel() throws {
    let split = try #require(Self.small)
    let model = try ModelKind.lightGCN.makeSharded(
      split.training, seed: 1, settings: ["dimension": 32, "layers": 1], communicator: SingleProcess())
    let configuration = try #require(model as? ShardedLightGCN).configuration
    #expect(configuration.dimension == 32 && configuration.layers == 1 && model.users.width == 32)
    #expect(throws: DataError.self) {
      try ModelKind.ease.makeSharded(split.training, seed: 1, communicator: SingleProcess())
    }
  }

  @Test func tooFewBatchesForTheRanksAreRefused() throws {
    let split = try #require(Self.small)
    let results = ThreadCommunicator.run(ranks: 2) {
      try Self.trained(.factorization, split, $0, accumulation: 1)
    }
    for result in results { #expect(throws: DataError.self) { try result.get() } }
  }
}
