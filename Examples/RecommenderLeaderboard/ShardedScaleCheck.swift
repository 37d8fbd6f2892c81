import Foundation
import Trestle

/// One epoch of MF-BPR, two towers and LightGCN and an evaluation on a large synthetic world, with rows cut over the ranks that `mpirun`
/// started; as one process, the same beside models in one piece.
struct ShardedScaleCheck {
  let interactions: Int
  let dimension: Int
  let threads: Int?
  private let communicator: any Communicator

  init(interactions: Int, dimension: Int, threads: Int?) throws {
    (self.interactions, self.dimension, self.threads) = (interactions, dimension, threads)
    communicator = try MPICommunicator.launched()
  }

  func run() throws {
    let cores = threads ?? max(1, ThreadPool.shared.threadCount / communicator.localSize)
    ThreadPool.shared.setThreadCount(cores)
    let data = try timed("making the world") { try world() }
    say(
      "\(data.userCount) users, \(data.itemCount) items, \(data.count) interactions, width \(dimension); "
        + "\(communicator.size) ranks of \(cores) threads")
    try transfers()
    var configuration = TrainingConfiguration()
    // Two batches a step, whatever the ranks: the same steps.
    configuration.accumulation = max(2, communicator.size)
    configuration.batchSize = 16_384
    var factorization = MatrixFactorization.Configuration()
    factorization.dimension = dimension
    var generator = RandomGenerator(seed: 0)
    if communicator.size == 1 {
      let model = MatrixFactorization(
        userCount: data.userCount, itemCount: data.itemCount, configuration: factorization, using: &generator)
      try plainEpoch(model, data, configuration)
    }
    try shardedEpoch(
      ShardedFactorization(
        training: data, configuration: factorization, communicator: communicator,
        using: RandomGenerator(seed: 0)), data,
      configuration)
    try twoTowerEpochs(data, configuration)
    // The whole graph is propagated each step: a batch in proportion to it keeps an epoch linear.
    configuration.batchSize = max(2048, Int(Double(interactions) / 20_000_000 * Double(1 << 17)))
    var graph = LightGCN.Configuration()
    (graph.layers, graph.dimension) = (2, dimension)
    if communicator.size == 1 {
      try plainEpoch(LightGCN(training: data, configuration: graph, using: &generator), data, configuration)
    }
    let model = try timed("building the graph") {
      ShardedLightGCN(
        training: data, configuration: graph, communicator: communicator, using: RandomGenerator(seed: 0))
    }
    try shardedEpoch(model, data, configuration)
    try evaluate(model, data)
    try (communicator as? MPICommunicator)?.end()
  }

  /// Ten interactions a user and a hundred an item, without times.
  private func world() throws -> Interactions {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items) = (max(100, interactions / 10), max(100, interactions / 100))
    (world.interactions, world.hasTexts) = (interactions, false)
    let all = try SyntheticWorld(world, seed: 0).dataset().interactions
    return Interactions(
      users: all.users, items: all.items, userCount: all.userCount, itemCount: all.itemCount)
  }

  /// How long exchanges between the ranks take: small ones tell of latency, large ones of bandwidth.
  private func transfers() throws {
    guard communicator.size > 1 else { return }
    func seconds(rows: Int, times: Int) throws -> Double {
      let parts = (0..<communicator.size).map { _ in Tensor.zeros([rows, 64]) }
      _ = try communicator.allToAllRows(parts)
      let start = ContinuousClock.now
      for _ in 0..<times { _ = try communicator.allToAllRows(parts) }
      return start.duration(to: .now) / .seconds(1) / Double(times)
    }
    let small = try seconds(rows: 1, times: 1000)
    let large = try seconds(rows: 1 << 16, times: 20)
    let sent = Double((communicator.size - 1) * (1 << 16) * 256)
    say(
      String(
        format:
          "an exchange of a row of 256 bytes with each: %.1f µs; of 16 MiB with each: %.2f GB/s sent by a rank",
        small * 1e6, sent / large / 1e9))
  }

  private func plainEpoch(
    _ model: any TrainableRecommender, _ data: Interactions, _ configuration: TrainingConfiguration
  ) throws {
    let trainer = try RecommenderTrainer(model, training: data, configuration: configuration)
    let loss = try timed("an epoch of \(model.name) in one piece, \(trainer.stepCount) steps") {
      try trainer.trainEpoch()
    }
    say("  loss \(loss)")
  }

  /// Vectors of users and items through a hidden layer each; each pair's negatives are the others of its batch.
  private func twoTowerEpochs(_ data: Interactions, _ configuration: TrainingConfiguration) throws {
    var configuration = configuration
    // Each pair is scored against its whole batch.
    configuration.batchSize = 1024
    var towers = TwoTowers.Configuration()
    (towers.dimension, towers.hidden, towers.outputs) = (dimension, [dimension], dimension)
    let model = try ShardedTwoTowers(
      training: data, configuration: towers, communicator: communicator, using: RandomGenerator(seed: 0))
    if communicator.size == 1 {
      let whole = try model.whole(
        users: (0..<data.userCount).map { "u\($0)" }, items: (0..<data.itemCount).map { "i\($0)" })
      try plainEpoch(whole, data, configuration)
    }
    try shardedEpoch(model, data, configuration)
  }

  private func shardedEpoch(
    _ model: any ShardedRecommender, _ data: Interactions, _ configuration: TrainingConfiguration
  ) throws {
    let trainer = try timed("preparing \(model.name)") {
      try ShardedTrainer(model, training: data, configuration: configuration)
    }
    let loss = try timed("an epoch of \(model.name) in shards, \(trainer.stepCount) steps") {
      try trainer.trainEpoch()
    }
    say("  loss \(loss)")
  }

  /// Ranks the catalogue for 10,000 users, whose last interaction is what is looked for.
  private func evaluate(_ model: ShardedLightGCN, _ data: Interactions) throws {
    var last: [Int32: Int32] = [:]
    for (user, item) in zip(data.users, data.items) where user < 10_000 { last[user] = item }
    let found = last.sorted { $0.key < $1.key }
    let nothing = Interactions.empty(userCount: data.userCount, itemCount: data.itemCount)
    let test = Interactions(
      users: found.map(\.key), items: found.map(\.value), userCount: data.userCount, itemCount: data.itemCount
    )
    let split = DataSplit(training: nothing, validation: nothing, test: test, strategy: "last seen")
    let evaluator = RankingEvaluator(split, configuration: .init(only: [.ndcg(10)]))
    let result = try timed("evaluating \(found.count) users") { try evaluator.evaluate(model) }
    say("  NDCG@10 \(result.mean(.ndcg(10)) ?? 0), of what was trained on")
  }

  private func timed<Output>(_ what: String, _ body: () throws -> Output) throws -> Output {
    try communicator.barrier()
    let start = ContinuousClock.now
    let output = try body()
    try communicator.barrier()
    let seconds = start.duration(to: .now) / .seconds(1)
    let peaks = try communicator.allGather([Int64(ScaleCheck.peakMemory)]).map { Int($0[0]) }
    say("\(what): " + String(format: "%.2f s", seconds) + ", peak \(peaks) MiB")
    return output
  }

  private func say(_ text: String) {
    guard communicator.rank == 0 else { return }
    print(text)
    // A pipe would show the times only at the end.
    fflush(nil)
  }
}
