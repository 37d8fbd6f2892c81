import Foundation
import TrestleNN
import TrestleTensor

/// How ``Dataset/fit(_:split:options:progress:)`` fits a model.
public struct FitOptions: Sendable {
  /// Determines the split, the first weights and the order of the data.
  public var seed: UInt64 = 0
  /// The most epochs; `nil` for the model's recommended number.
  public var epochs: Int?
  /// The evaluations without improvement that end the training; `nil` for the model's recommended number.
  public var patience: Int?
  /// Settings other than the recommended ones, as ``HyperparameterSearch`` finds them; see ``ModelKind/searchSpace(for:)``.
  public var settings: SearchSettings = [:]
  /// Whether a model that was fitted on a part, to find its epochs, is then fitted on everything.
  public var refits = true
  /// A folder in which the state is kept after every epoch, and from which an earlier call's goes on.
  public var checkpoint: URL?
  /// The ranks that fit together, each with the same data and options.
  public var communicator: any Communicator = SingleProcess()
  /// How many batches' gradients make one step; `nil` for one of each rank.
  public var accumulation: Int?
  /// Whether rows and their optimizer's moments are cut over the ranks while a model is trained, which those of
  /// ``ModelKind/sharded`` can be. Every rank has the whole model in the end.
  public var shardsTables = false

  /// The defaults.
  public init() {}

  /// The settings other than the recommended ones; `nil` if there are none.
  package var searchedInWords: String? {
    guard !settings.isEmpty else { return nil }
    return settings.sorted { $0.key < $1.key }.map { "\($0.key) \(SearchResult.short($0.value))" }
      .joined(separator: ", ")
  }
}

/// How far a fit has come.
public struct FitProgress: Sendable {
  /// What is done at the moment.
  public enum Phase: String, Sendable {
    /// Epochs on the training part, each measured on the validation part.
    case searching
    /// The epochs that were found, on everything.
    case refitting
  }

  /// What is done at the moment.
  public let phase: Phase
  /// The epochs of the phase that are done.
  public let epoch: Int
  /// The epochs that the phase takes at least, if nothing improves any more; at most the configured number.
  public let expectedEpochs: Int
  /// The mean loss of the epoch.
  public let loss: Double
  /// The measure on the validation data.
  public let validation: Double?
  /// The best measure so far.
  public let best: Double?
}

extension Dataset {
  /// Fits a model with the settings that are recommended for data of this size and density.
  ///
  /// Without a split, a tenth of each user's interactions is held out to find the number of epochs, and the model is then
  /// fitted on all interactions. With one, the model is fitted on its training part alone, so that
  /// ``FittedRecommender/evaluate(on:part:configuration:)`` can measure it.
  ///
  /// - Parameters:
  ///   - kind: the model.
  ///   - split: a split of these interactions.
  ///   - options: seed, bounds, checkpoint.
  ///   - progress: called after each epoch; what it throws ends the fit, and a checkpoint stays.
  /// - Throws: ``DataError`` for data that the model cannot be fitted on, `TensorError` for a loss that is not finite, what
  ///   `progress` throws, and what reading and writing checkpoints throws.
  public func fit(
    _ kind: ModelKind = .lightGCN, split: DataSplit? = nil, options: FitOptions = FitOptions(),
    progress: @escaping (FitProgress) throws -> Void = { _ in }
  ) throws -> FittedRecommender {
    guard !interactions.isEmpty else {
      throw DataError.invalidParameter(operation: "fit", expected: "interactions", found: "none")
    }
    let parts = try split ?? interactions.split(.ratio(validation: 0.1, test: 0), seed: options.seed)
    let fit = ModelFit(kind: kind, options: options, progress: progress)
    var (model, settings) = try fit.search(parts)
    guard split == nil, options.refits else {
      return try FittedRecommender(model, dataset: self, training: parts.training, settings: settings)
    }
    if model is any TrainableRecommender {
      let epochs = settings["epochs"].flatMap { Int($0) } ?? 1
      model = try fit.refit(interactions, epochs: max(epochs, 1))
    } else {
      model = try kind.make(interactions, seed: options.seed, settings: options.settings)
    }
    settings["refitted"] = "on all \(interactions.count) interactions"
    return try FittedRecommender(model, dataset: self, training: interactions, settings: settings)
  }

  /// Fits a model on all interactions for a number of epochs that is known, from an earlier fit on a split.
  ///
  /// - Throws: as ``fit(_:split:options:progress:)``.
  public func refit(
    _ kind: ModelKind, epochs: Int, options: FitOptions = FitOptions(),
    progress: @escaping (FitProgress) throws -> Void = { _ in }
  ) throws -> FittedRecommender {
    let fit = ModelFit(kind: kind, options: options, progress: progress)
    let model = try fit.refit(interactions, epochs: max(epochs, 1))
    var training: TrainingConfiguration?
    if model is any TrainableRecommender {
      training = try kind.training(interactions, seed: options.seed, settings: options.settings)
      training?.epochs = max(epochs, 1)
      training?.accumulation = options.accumulation
    }
    return try FittedRecommender(
      model, dataset: self, training: interactions,
      settings: fit.described(
        model, training, epochs: training?.epochs, validation: nil, interactions))
  }
}

/// The fitting of one model.
private struct ModelFit {
  let kind: ModelKind
  let options: FitOptions
  let progress: (FitProgress) throws -> Void

  /// Fits on the training part until the validation part no longer improves.
  func search(_ split: DataSplit) throws -> (any Recommender, [String: String]) {
    let untrained = try make(split.training)
    if let untrained, !(untrained is any TrainableRecommender) {
      return (untrained, described(untrained, epochs: nil, validation: nil, split.training))
    }
    var configuration = try kind.training(split.training, seed: options.seed, settings: options.settings)
    configuration.epochs = options.epochs ?? configuration.epochs
    configuration.patience = options.patience ?? configuration.patience
    configuration.accumulation = options.accumulation
    // Without validation data there is nothing to stop at.
    if split.validation.isEmpty { configuration.evaluationInterval = configuration.epochs }
    var stopping = EarlyStopping(patience: configuration.patience)
    let (model, reports) = try train(untrained, split, configuration, checkpoint: "search") { report in
      if let value = report.validation, !split.validation.isEmpty {
        _ = stopping.note(value)
      }
      let left = split.validation.isEmpty ? configuration.epochs : stopping.patience - stopping.sinceBest
      try progress(
        FitProgress(
          phase: .searching, epoch: report.epoch + 1,
          expectedEpochs: min(report.epoch + 1 + max(left, 0), configuration.epochs), loss: report.loss,
          validation: split.validation.isEmpty ? nil : report.validation, best: stopping.highest))
    }
    let measured = split.validation.isEmpty ? [] : reports.filter { $0.validation != nil }
    let top = measured.max { ($0.validation ?? 0) < ($1.validation ?? 0) }
    let epochs = top.map { $0.epoch + 1 } ?? reports.count
    return (
      model,
      described(model, configuration, epochs: epochs, validation: top?.validation, split.training)
    )
  }

  /// Fits on everything for so many epochs.
  func refit(_ interactions: Interactions, epochs: Int) throws -> any Recommender {
    let untrained = try make(interactions)
    if let untrained, !(untrained is any TrainableRecommender) { return untrained }
    let nothing = Interactions.empty(userCount: interactions.userCount, itemCount: interactions.itemCount)
    let split = DataSplit(training: interactions, validation: nothing, test: nothing, strategy: "everything")
    var configuration = try kind.training(interactions, seed: options.seed, settings: options.settings)
    (configuration.epochs, configuration.evaluationInterval) = (epochs, epochs)
    configuration.accumulation = options.accumulation
    return try train(untrained, split, configuration, checkpoint: "refit") { report in
      try progress(
        FitProgress(
          phase: .refitting, epoch: report.epoch + 1, expectedEpochs: epochs, loss: report.loss,
          validation: nil,
          best: nil))
    }.model
  }

  /// The model before its training; `nil` where no rank is to have it in one piece.
  private func make(_ training: Interactions) throws -> (any Recommender)? {
    if options.shardsTables { return nil }
    return try kind.make(training, seed: options.seed, settings: options.settings)
  }

  /// Trains the model, in one piece or with its rows cut over the ranks.
  private func train(
    _ untrained: (any Recommender)?, _ split: DataSplit, _ configuration: TrainingConfiguration,
    checkpoint name: String, _ progress: (EpochReport) throws -> Void
  ) throws -> (model: any Recommender, reports: [EpochReport]) {
    let folder = options.checkpoint?.appending(path: name)
    if let trainable = untrained as? any TrainableRecommender {
      let trainer = try RecommenderTrainer(
        trainable, training: split.training, configuration: configuration, communicator: options.communicator)
      return (trainable, try trainer.fit(split, checkpoint: folder, progress: progress))
    }
    let model = try kind.makeSharded(
      split.training, seed: options.seed, settings: options.settings, communicator: options.communicator)
    let trainer = try ShardedTrainer(model, training: split.training, configuration: configuration)
    let reports = try trainer.fit(split, checkpoint: folder, progress: progress)
    return (try model.whole(training: split.training), reports)
  }

  /// What the card says.
  func described(
    _ model: any Recommender, _ configuration: TrainingConfiguration? = nil, epochs: Int?,
    validation: Double?, _ training: Interactions
  ) -> [String: String] {
    var settings = ["seed": "\(options.seed)"]
    // Every model of the package keeps how it was built under this name, and one from elsewhere may.
    let built = Mirror(reflecting: model).children.first { $0.label == "configuration" }?.value
    if let built = built as? any Encodable {
      settings["model configuration"] = RecommenderCard.text(of: built)
    }
    if let configuration { settings["training configuration"] = RecommenderCard.text(of: configuration) }
    settings["settings"] = kind.recommendation(for: training)
    settings["searched"] = options.searchedInWords
    if let epochs { settings["epochs"] = "\(epochs)" }
    if let validation { settings["validation NDCG@10"] = String(format: "%.4f", validation) }
    return settings
  }
}
