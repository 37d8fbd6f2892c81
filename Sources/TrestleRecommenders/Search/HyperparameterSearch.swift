import Foundation
import TrestleTensor

/// Looks for the settings of a model that do best on validation data: seeded random search, with successive halving for models that are
/// trained by epochs.
///
/// Trial 0 has the recommended settings and is trained to the end; the others are drawn. A model that is trained by epochs is measured on
/// rungs, after ``Configuration/minimumEpochs``, η times as many, η² times as many and so on: of a rung's trials the best 1/η are
/// trained on to the next, as asynchronous successive halving (ASHA) does it with one worker. Others are fitted at once.
///
/// ```swift
/// let search = try HyperparameterSearch(.lightGCN, training: split.training, validation: split.validation)
/// let found = try search.run(file: URL(filePath: "trials.jsonl"))
/// let model = try ModelKind.lightGCN.make(split.training, seed: 0, settings: found.best.settings)
/// ```
///
/// A search knows training and validation data only. What is found was chosen for the validation data: its value there is too good, and
/// says nothing that the test data should say. The seed, the data and the space decide the trials; with a budget of trials the
/// result is the same whether the search was interrupted or not, on one machine and instruction set.
///
/// Source: Bergstra and Bengio, *Random Search for Hyper-Parameter Optimization* (2012); Li et al., *A System for Massively Parallel
/// Hyperparameter Tuning* (2020).
public struct HyperparameterSearch {
  /// How a search goes.
  public struct Configuration: Sendable, Codable, Equatable {
    /// Decides the settings that are drawn, and the training of every trial.
    public var seed: UInt64 = 0
    /// How much it may spend.
    public var budget = SearchBudget.trials(20)
    /// What is measured on the validation data.
    public var metric = RankingMetric.ndcg(10)
    /// The most users that it is measured on; `nil` for all.
    public var validationUsers: Int? = 10_000
    /// Whether trials that do badly are given up early.
    public var usesHalving = true
    /// The epochs after which trials are compared first.
    public var minimumEpochs = 8
    /// The most epochs of a trial; `nil` for the model's recommended number.
    public var maximumEpochs: Int?
    /// The evaluations without improvement that end a training; `nil` for the model's recommended number.
    public var patience: Int?
    /// η: of the trials on a rung, one in so many goes on.
    public var reduction = 3

    /// The defaults.
    public init() {}
  }

  /// The model's name.
  public let name: String
  /// The settings that may change.
  public let space: SearchSpace
  /// How the search goes.
  public let configuration: Configuration
  /// The numbers of epochs after which trials are compared; `nil` alone for what is fitted at once.
  public let rungs: [Int?]
  /// Names the search in the file of trials: the same for the same model, space, data, seed and rungs, whatever the budget.
  public let identity: String
  private let objective: any SearchObjective

  /// A search for a model's settings.
  ///
  /// - Parameters:
  ///   - kind: the model; see ``ModelKind/searchSpace(for:)``.
  ///   - training: what each trial is fitted on.
  ///   - validation: what each trial is measured on.
  ///   - configuration: how the search goes.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for a model without a space, validation data without a user to
  ///   measure on, or numbers of the configuration that make no sense.
  public init(
    _ kind: ModelKind, training: Interactions, validation: Interactions,
    configuration: Configuration = Configuration()
  ) throws(DataError) {
    guard let space = kind.searchSpace(for: training) else {
      throw .invalidParameter(
        operation: "HyperparameterSearch", expected: "a model with settings to search for", found: kind.name)
    }
    try Self.check(configuration)
    let objective = try ModelObjective(kind, training, validation, configuration)
    let data = [training.hash, validation.hash, "\(configuration.validationUsers ?? -1)", objective.stamp]
    try self.init(
      kind.name, space: space, objective: objective, data: data.joined(separator: " "),
      configuration: configuration)
  }

  /// A search for anything that can be measured.
  ///
  /// - Parameters:
  ///   - name: what is searched for, as results name it.
  ///   - space: the settings that may change.
  ///   - objective: measures them.
  ///   - data: names what they are measured on: trials of a file are taken over if it is the same.
  ///   - configuration: how the search goes; its metric is a name only.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for numbers of the configuration that make no sense.
  public init(
    _ name: String, space: SearchSpace, objective: any SearchObjective, data: String,
    configuration: Configuration = Configuration()
  ) throws(DataError) {
    try Self.check(configuration)
    (self.name, self.space, self.objective, self.configuration) = (name, space, objective, configuration)
    rungs = Self.rungs(objective.maximumEpochs, configuration)
    var hash = StableHash()
    for text in [name, data, configuration.metric.name, "\(space.settings)", "\(rungs)"] {
      hash.combine(text)
    }
    hash.combine(configuration.seed)
    identity = hash.hexadecimal
  }

  private static func check(_ configuration: Configuration) throws(DataError) {
    func require(_ holds: Bool, _ expected: String, _ found: Any) throws(DataError) {
      guard holds else {
        throw .invalidParameter(operation: "HyperparameterSearch", expected: expected, found: "\(found)")
      }
    }
    try require(configuration.minimumEpochs > 0, "at least one epoch", configuration.minimumEpochs)
    try require(configuration.reduction > 1, "one in two trials or fewer to go on", configuration.reduction)
    try require(
      configuration.maximumEpochs ?? 1 > 0, "at most one epoch or more", configuration.maximumEpochs ?? 0)
    try require(configuration.validationUsers ?? 1 > 0, "a user or more", configuration.validationUsers ?? 0)
    switch configuration.budget {
    case .trials(let count): try require(count > 0, "at least one trial", count)
    case .seconds(let seconds): try require(seconds >= 0 && seconds.isFinite, "a time in seconds", seconds)
    }
  }

  private static func rungs(_ maximumEpochs: Int?, _ configuration: Configuration) -> [Int?] {
    guard let maximumEpochs else { return [nil] }
    guard configuration.usesHalving else { return [maximumEpochs] }
    var rungs: [Int?] = []
    var epochs = configuration.minimumEpochs
    while epochs < maximumEpochs {
      rungs.append(epochs)
      epochs =
        epochs.multipliedReportingOverflow(by: configuration.reduction).overflow
        ? maximumEpochs : epochs * configuration.reduction
    }
    return rungs + [maximumEpochs]
  }

  /// Searches until the budget is spent.
  ///
  /// - Parameters:
  ///   - file: a file of JSON Lines to which each result is added as it is there; what it holds of this search is not done again.
  ///     Lines of other searches stay.
  ///   - progress: called after each result, old ones included; what it throws ends the search, and the file stays.
  ///   - afterEpoch: called after each epoch of training; what it throws ends the search, and the file stays.
  /// - Throws: ``DataError`` for a file that is none of a search's, what measuring throws but for losses that are not finite, which
  ///   are a trial's failure, and what writing the file throws.
  public func run(
    file: URL? = nil, progress: (SearchRecord) throws -> Void = { _ in }, afterEpoch: () throws -> Void = {}
  ) throws -> SearchResult {
    var log = try SearchLog(file)
    var known: [SearchSchedule.Job: SearchRecord] = [:]
    for record in log.records where record.search == identity {
      known[.init(trial: record.trial, rung: record.rung)] = record
    }
    var schedule = SearchSchedule(rungCount: rungs.count, reduction: configuration.reduction)
    var trials: [SearchTrial] = []
    var spent = 0.0
    while let job = next(schedule, spent) {
      let settings = space.settings(ofTrial: job.trial, seed: configuration.seed)
      let record: SearchRecord
      if let old = known[job], old.settings == settings {
        record = old
      } else {
        record = try measured(job, settings, afterEpoch)
        try log.add(record)
      }
      spent += record.seconds
      schedule.note(job, record.measured?.value, isFinished: record.measured?.isFinished ?? true)
      if job.trial == trials.count {
        trials.append(SearchTrial(number: job.trial, settings: settings, seconds: 0))
      }
      (trials[job.trial].measured, trials[job.trial].failure) = (record.measured, record.failure)
      trials[job.trial].seconds += record.seconds
      try progress(record)
    }
    return SearchResult(model: name, metric: configuration.metric.name, trials: trials)
  }

  private func next(_ schedule: SearchSchedule, _ spent: Double) -> SearchSchedule.Job? {
    switch configuration.budget {
    case .trials(let count): return schedule.next(canStart: schedule.trialCount < count)
    case .seconds(let seconds):
      let job = schedule.next(canStart: true)
      return spent < seconds || job?.trial == 0 ? job : nil
    }
  }

  private func measured(
    _ job: SearchSchedule.Job, _ settings: SearchSettings, _ afterEpoch: () throws -> Void
  ) throws -> SearchRecord {
    let start = ContinuousClock.now
    var measured: SearchMeasurement?
    var failure: String?
    do {
      let value = try objective.measure(
        settings, trial: job.trial, epochs: rungs[job.rung], afterEpoch: afterEpoch)
      if value.value.isFinite { measured = value } else { failure = "the value is \(value.value)" }
    } catch let error as TensorError {
      failure = "\(error)"
    }
    return SearchRecord(
      search: identity, model: name, trial: job.trial, rung: job.rung, settings: settings, measured: measured,
      failure: failure, seconds: start.duration(to: .now).seconds)
  }
}
