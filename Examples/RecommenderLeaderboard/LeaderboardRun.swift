import Foundation
import Trestle

/// Trains and evaluates the models, and prints what came out.
struct LeaderboardRun {
  private let options: Options
  private let log = ProgressLog()

  init(_ options: Options) { self.options = options }

  func run() throws {
    let data = try DataSource.read(options, log)
    var leaderboard = Leaderboard(dataset: data.name)
    print(
      "\(data.name): \(data.interactions.count) interactions of \(data.userCount) users with \(data.itemCount) items; "
        + "split \(options.split.name)" + (options.share < 1 ? ", \(options.share) of the training rows" : "")
    )
    if options.answers {
      let kind = options.models.first { $0 != .popularity } ?? .factorization
      let split = try data.interactions.split(options.split, seed: 0)
      let (model, seconds) = try fit(kind, split, 0)
      log.line(String(format: "%@: fitted in %.1f s", kind.rawValue, seconds))
      try AnswerCheck(recommender: FittedRecommender(model, dataset: data, training: split.training)).run()
      return
    }
    if let json = options.json {
      // Fails before the long work rather than after it.
      try Data().write(to: json)
    }
    for seed in 0..<UInt64(options.seeds) {
      let split = DataSource.thinned(
        try data.interactions.split(options.split, seed: seed), to: options.share, seed: seed)
      let evaluator = RankingEvaluator(split)
      for kind in options.models {
        let (model, seconds) = try fit(kind, split, seed)
        let result = try evaluator.evaluate(scorer(model, kind, split)) { [log] done in
          log.status("\(kind.rawValue), seed \(seed): \(done) users evaluated")
        }
        leaderboard.add(model: kind.rawValue, seed: seed, result: result, trainingSeconds: seconds)
        let value = result.mean(.ndcg(10)).map { String(format: "%.4f", $0) } ?? "–"
        log.line(
          "\(kind.rawValue), seed \(seed): NDCG@10 \(value), "
            + String(format: "trained in %.1f s, evaluated in %.2f s", seconds, result.seconds))
        if let json = options.json {
          try Data(leaderboard.jsonLines().utf8).write(to: json, options: .atomic)
        }
      }
    }
    print()
    print(leaderboard.table())
  }

  private func fit(_ kind: ModelKind, _ split: DataSplit, _ seed: UInt64) throws -> (
    any Recommender, Double
  ) {
    let start = ContinuousClock.now
    log.status("\(kind.rawValue), seed \(seed): fitting")
    let model = try kind.make(split.training, seed: seed)
    guard let trainable = model as? any TrainableRecommender else {
      return (model, seconds(since: start))
    }
    var configuration = kind.training(split.training, seed: seed)
    configuration.epochs = options.epochs
    configuration.patience = options.patience ?? configuration.patience
    let trainer = try RecommenderTrainer(trainable, training: split.training, configuration: configuration)
    let folder = options.checkpoints?.appending(path: "\(kind.rawValue)-\(seed)-\(split.hash.prefix(12))")
    let reports = try trainer.fit(split, checkpoint: folder) { report in
      let validation = report.validation.map { String(format: ", NDCG@10 %.4f on validation", $0) } ?? ""
      let text =
        "\(kind.rawValue), seed \(seed): epoch \(report.epoch + 1), "
        + String(format: "loss %.4f", report.loss) + validation
      log.status(text)
    }
    let best = reports.max { ($0.validation ?? 0) < ($1.validation ?? 0) }
    log.line(
      "\(kind.rawValue), seed \(seed): \(reports.count) epochs, best after \((best?.epoch ?? 0) + 1)"
        + String(format: " (NDCG@10 %.4f on validation)", best?.validation ?? 0))
    return (model, seconds(since: start))
  }

  /// What ranks; a sequential model goes on from all that came before the test items.
  private func scorer(_ model: any Recommender, _ kind: ModelKind, _ split: DataSplit) -> any CatalogueScorer
  {
    guard kind.isSequential, let sequential = model as? any HistoryRecommender else {
      return model.makeScorer()
    }
    return sequential.makeScorer(histories: UserHistories(split.training, split.validation))
  }

  private func seconds(since start: ContinuousClock.Instant) -> Double {
    return start.duration(to: .now) / .seconds(1)
  }
}
