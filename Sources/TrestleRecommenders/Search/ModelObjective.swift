import TrestleTensor

/// Fits a model with the settings of a trial, and measures it on validation data.
final class ModelObjective: SearchObjective {
  /// A training that can go on.
  private final class Run {
    let trainer: RecommenderTrainer
    var stopping: EarlyStopping
    var bestEpoch: Int?

    init(_ trainer: RecommenderTrainer) {
      self.trainer = trainer
      stopping = EarlyStopping(patience: trainer.configuration.patience)
    }
  }

  private let kind: ModelKind
  private let training: Interactions
  private let evaluator: RankingEvaluator
  private let configuration: HyperparameterSearch.Configuration
  private let patience: Int
  let maximumEpochs: Int?
  /// The trainings that may go on: of more than so many the worst are trained anew if they ever do.
  private var runs: [Int: Run] = [:]
  private static let mostRuns = 16

  /// - Throws: ``DataError`` if no user has a validation item.
  init(
    _ kind: ModelKind, _ training: Interactions, _ validation: Interactions,
    _ configuration: HyperparameterSearch.Configuration
  ) throws(DataError) {
    (self.kind, self.training, self.configuration) = (kind, training, configuration)
    // The evaluator masks and looks at training and validation data; there is no other.
    let nothing = Interactions.empty(userCount: training.userCount, itemCount: training.itemCount)
    evaluator = RankingEvaluator(
      DataSplit(training: training, validation: validation, test: nothing), on: .validation,
      configuration: .init(only: [configuration.metric], userLimit: configuration.validationUsers))
    guard !evaluator.users.isEmpty else {
      throw .invalidParameter(
        operation: "HyperparameterSearch", expected: "validation items of a user", found: "none")
    }
    let recommended = kind.training(training, seed: configuration.seed)
    maximumEpochs = kind.isTrainedByEpochs ? configuration.maximumEpochs ?? recommended.epochs : nil
    patience = configuration.patience ?? recommended.patience
  }

  /// What decides the values beside the settings.
  var stamp: String { "patience \(patience)" }

  func measure(
    _ settings: SearchSettings, trial: Int, epochs: Int?, afterEpoch: () throws -> Void
  ) throws -> SearchMeasurement {
    guard let epochs else {
      let model = try kind.make(training, seed: configuration.seed, settings: settings)
      return SearchMeasurement(value: try value(of: model))
    }
    let run = try runs.removeValue(forKey: trial) ?? begin(settings)
    while run.trainer.epoch < epochs && !run.stopping.shouldStop {
      try run.trainer.trainEpoch()
      // After every epoch, so that rungs decide nothing about what a trial reaches.
      if run.stopping.note(try value(of: run.trainer.model)) { run.bestEpoch = run.trainer.epoch }
      try afterEpoch()
    }
    let isFinished = run.stopping.shouldStop || run.trainer.epoch >= maximumEpochs ?? epochs
    if !isFinished { keep(run, trial) }
    return SearchMeasurement(
      value: run.stopping.best, epochs: run.trainer.epoch, bestEpoch: run.bestEpoch, isFinished: isFinished)
  }

  private func value(of model: any Recommender) throws -> Double {
    try evaluator.evaluate(model.makeScorer()).mean(configuration.metric) ?? 0
  }

  private func begin(_ settings: SearchSettings) throws -> Run {
    let model = try kind.make(training, seed: configuration.seed, settings: settings)
    guard let trainable = model as? any TrainableRecommender else {
      preconditionFailure("ModelObjective: \(kind.name) is not trained by epochs")
    }
    var own = try kind.training(training, seed: configuration.seed, settings: settings)
    own.patience = patience
    return Run(try RecommenderTrainer(trainable, training: training, configuration: own))
  }

  private func keep(_ run: Run, _ trial: Int) {
    runs[trial] = run
    guard runs.count > Self.mostRuns else { return }
    let worst = runs.min {
      ($0.value.stopping.best, -$0.key) < ($1.value.stopping.best, -$1.key)
    }
    if let worst { runs[worst.key] = nil }
  }
}
