import TrestleNN
import TrestleTensor

/// What trains epoch by epoch, and stops when validation no longer improves.
protocol EpochTrainer {
  /// The number of epochs done.
  var epoch: Int { get }
  /// Trains one epoch and returns the mean loss.
  func trainEpoch() throws -> Double
}

extension EpochTrainer {
  /// Trains on a split until its validation part no longer improves, and leaves the model at its best; where no user has a
  /// validation item, trains all epochs.
  ///
  /// - Parameters:
  ///   - model: the model in training.
  ///   - configuration: epochs, patience, and what is measured how often on how many users.
  ///   - split: where the evaluator comes from.
  ///   - resume: the state that the training goes on from, with the best parameters so far; `nil` for none.
  ///   - measure: the metric by the evaluator.
  ///   - save: keeps the run after an epoch, and the parameters if they are the best so far.
  ///   - progress: called after that.
  /// - Returns: the reports of all epochs, those before a resumption included.
  func fit(
    _ model: any Module, _ configuration: TrainingConfiguration, _ split: DataSplit,
    resume: () throws -> (SavedRun<TrainingConfiguration>, [Tensor])?,
    measure: (RankingEvaluator) throws -> Double,
    save: (inout SavedRun<TrainingConfiguration>, _ isBest: Bool) throws -> Void,
    progress: (EpochReport) throws -> Void
  ) throws -> [EpochReport] {
    let evaluation = RankingEvaluator.Configuration(
      only: [configuration.metric], userLimit: configuration.validationUsers)
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    let canValidate = !evaluator.users.isEmpty
    var run = SavedRun(
      stopping: EarlyStopping(patience: configuration.patience), configuration: configuration)
    var best: [Tensor] = []
    if let saved = try resume() { (run, best) = saved }
    try train(
      model, &run, best: best, epochs: configuration.epochs,
      measure: {
        let isDue = epoch % configuration.evaluationInterval == 0 || epoch == configuration.epochs
        return canValidate && isDue ? try measure(evaluator) : nil
      }, save: save, progress: progress)
    return run.reports
  }

  /// Trains until what is measured no longer improves, and leaves the model at its best; where nothing is measured, trains all
  /// epochs and leaves the model as the last one left it.
  ///
  /// - Parameters:
  ///   - model: the model in training.
  ///   - run: where the training is.
  ///   - best: the model's best parameters so far; none before the first measure.
  ///   - epochs: the most epochs.
  ///   - falls: whether less of the measure is better.
  ///   - measure: what is measured after an epoch; `nil` for nothing.
  ///   - save: keeps the run after an epoch, and the parameters if they are the best so far.
  ///   - progress: called after that.
  func train<Configuration>(
    _ model: any Module, _ run: inout SavedRun<Configuration>, best: [Tensor], epochs: Int,
    falls: Bool = false,
    measure: () throws -> Double?, save: (inout SavedRun<Configuration>, _ isBest: Bool) throws -> Void,
    progress: (EpochReport) throws -> Void
  ) throws {
    var best = best
    while epoch < epochs && !run.stopping.shouldStop {
      let start = ContinuousClock.now
      let loss = try trainEpoch()
      let seconds = start.duration(to: .now).seconds
      let value = try measure()
      let isBest = value.map { run.stopping.note(falls ? -$0 : $0) } ?? false
      if isBest { best = model.parameters.map { $0.detached.copied() } }
      let report = EpochReport(epoch: epoch - 1, loss: loss, validation: value, seconds: seconds)
      run.reports.append(report)
      try save(&run, isBest)
      try progress(report)
    }
    for (parameter, value) in zip(model.parameters, best) { parameter.update(to: value) }
  }
}
