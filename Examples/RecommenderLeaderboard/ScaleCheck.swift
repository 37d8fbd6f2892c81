import Foundation
import Trestle

/// One epoch of some models and an evaluation on a large synthetic world, or answers to single users, with times and memory.
struct ScaleCheck {
  /// The models that it knows.
  static let models: [ModelKind] = [.factorization, .implicitALS, .lightGCN]

  let interactions: Int
  let models: [ModelKind]
  /// The numbers of a row.
  let dimension: Int
  /// Whether MF-BPR is trained for a few epochs and answers single users, in place of the rest.
  var answers = false

  func run() throws {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items) = (max(100, interactions / 20), max(100, interactions / 100))
    (world.interactions, world.hasTexts) = (interactions, false)
    print("\(world.users) users, \(world.items) items, \(interactions) interactions")
    if answers { return try answerRequests(dataset(of: world)) }
    let split = try split(of: world)
    var evaluation = RankingEvaluator.Configuration()
    evaluation.metrics = [.ndcg(10), .recall(10)]
    let evaluator = timed("preparing the evaluation of 10,000 users") {
      RankingEvaluator(split, configuration: evaluation)
    }
    for (place, kind) in models.enumerated() {
      let model = try trained(kind, split)
      guard place == models.count - 1 else { continue }
      let result = try timed("evaluating \(kind.rawValue)") { try evaluator.evaluate(model.makeScorer()) }
      print("NDCG@10 \(result.mean(.ndcg(10)) ?? 0) of \(result.users.count) users")
    }
  }

  /// A model after an epoch.
  private func trained(_ kind: ModelKind, _ split: DataSplit) throws -> any Recommender {
    var generator = RandomGenerator(seed: 0)
    var configuration = TrainingConfiguration()
    configuration.batchSize = 2048
    switch kind {
    case .implicitALS:
      var factors = ImplicitALS.Configuration()
      factors.dimension = dimension
      let model = timed("preparing iALS") {
        ImplicitALS(training: split.training, configuration: factors, using: &generator)
      }
      timed("an epoch of iALS") { model.sweep() }
      return model
    case .lightGCN:
      // The whole graph is propagated each step: a batch in proportion to it keeps an epoch linear.
      configuration.batchSize = max(2048, Int(Double(interactions) / 20_000_000 * Double(1 << 18)))
      var graph = LightGCN.Configuration()
      (graph.layers, graph.dimension) = (2, dimension)
      let model = timed("building the graph") {
        LightGCN(training: split.training, configuration: graph, using: &generator)
      }
      try epoch("LightGCN", split, configuration, model)
      return model
    default:
      var rows = MatrixFactorization.Configuration()
      rows.dimension = dimension
      let model = MatrixFactorization(
        userCount: split.userCount, itemCount: split.itemCount, configuration: rows, using: &generator)
      try epoch("MF-BPR", split, configuration, model)
      return model
    }
  }

  private func answerRequests(_ dataset: Dataset) throws {
    var generator = RandomGenerator(seed: 0)
    var configuration = TrainingConfiguration()
    configuration.batchSize = 2048
    let model = MatrixFactorization(
      userCount: dataset.userCount, itemCount: dataset.itemCount, using: &generator)
    let trainer = try RecommenderTrainer(
      model, training: dataset.interactions, configuration: configuration)
    try timed("five epochs of MF-BPR") { for _ in 0..<5 { _ = try trainer.trainEpoch() } }
    let recommender = try timed("making the recommender") {
      try FittedRecommender(model, dataset: dataset, training: dataset.interactions)
    }
    try AnswerCheck(recommender: recommender).run()
  }

  private func epoch(
    _ name: String, _ split: DataSplit, _ configuration: TrainingConfiguration,
    _ model: any TrainableRecommender
  ) throws {
    let trainer = try timed("preparing \(name)") {
      try RecommenderTrainer(model, training: split.training, configuration: configuration)
    }
    let loss = try timed("an epoch of \(name), batch \(configuration.batchSize)") { try trainer.trainEpoch() }
    print("  loss \(loss), \(trainer.stepCount) steps")
  }

  private func dataset(of world: SyntheticWorld.Configuration) throws -> Dataset {
    try timed("making the world") { try SyntheticWorld(world, seed: 0).dataset() }
  }

  /// A world's split; the world's own rows are given up.
  private func split(of world: SyntheticWorld.Configuration) throws -> DataSplit {
    let data = try dataset(of: world).interactions
    return try timed("splitting it") { try parted(data) }
  }

  /// All training rows, and of the other parts those of the first 10,000 users, who are evaluated: of the rest no copy is made.
  private func parted(_ data: Interactions) throws -> DataSplit {
    let rows = try data.splitRows(.ratio(), seed: 0)
    func ofFirstUsers(_ part: [Int32]) -> [Int32] { part.filter { data.users[Int($0)] < 10_000 } }
    return data.split(
      by: SplitRows(
        training: rows.training, validation: ofFirstUsers(rows.validation), test: ofFirstUsers(rows.test),
        strategy: rows.strategy))
  }

  private func timed<Output>(_ what: String, _ body: () throws -> Output) rethrows -> Output {
    let (start, work) = (ContinuousClock.now, clock())
    let output = try body()
    let seconds = start.duration(to: .now) / .seconds(1)
    // On a machine that others use too, the processor time tells more than the clock.
    let processor = Double(clock() - work) / Double(CLOCKS_PER_SEC)
    print(
      "\(what): " + String(format: "%.2f s, %.2f s of processor time", seconds, processor)
        + ", peak \(Self.peakMemory) MiB")
    // A pipe would show the times only at the end.
    fflush(nil)
    return output
  }

  /// The most memory that the process has held so far, in MiB.
  static var peakMemory: Int {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") } ?? ""
    return (line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
  }
}
