import TrestleNN
import TrestleTensor

/// How a recommender is trained.
public struct TrainingConfiguration: Codable, Sendable {
  /// The most epochs.
  public var epochs = 500
  /// Triples a batch.
  public var batchSize = 2048
  /// Adam's learning rate.
  public var learningRate = 1e-3
  /// How many evaluations without improvement end the training.
  public var patience = 10
  /// Epochs between evaluations.
  public var evaluationInterval = 1
  /// What is measured on the validation data.
  public var metric = RankingMetric.ndcg(10)
  /// Determines the order of the data and the negatives.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

/// What an epoch of training gave.
public struct EpochReport: Codable, Sendable {
  /// The epoch's number, from 0.
  public let epoch: Int
  /// The mean loss of its batches.
  public let loss: Double
  /// The metric on the validation data, if it was measured after the epoch.
  public let validation: Double?
  /// Seconds spent in training.
  public let seconds: Double
}

/// Trains a pairwise recommender epoch by epoch: a step of it for a bridge, or all of it by ``fit(_:progress:)``.
public final class PairwiseTrainer {
  /// The model in training.
  public let model: any PairwiseRecommender
  /// How it is trained.
  public let configuration: TrainingConfiguration
  /// The optimizer, with its moments.
  public let optimizer: Adam
  /// The number of epochs done.
  public internal(set) var epoch = 0
  private let batches: PairwiseBatches

  /// A trainer of all trainable parameters of `model` on `training`.
  public init(
    _ model: any PairwiseRecommender, training: Interactions,
    configuration: TrainingConfiguration = TrainingConfiguration()
  ) {
    self.model = model
    self.configuration = configuration
    optimizer = Adam(model.trainableParameters, learningRate: configuration.learningRate)
    batches = PairwiseBatches(
      training: training, batchSize: configuration.batchSize, seed: configuration.seed)
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { batches.count }

  /// Trains one epoch and returns the mean loss.
  ///
  /// - Parameters:
  ///   - extraParameters: parameters beside the model's that the additional loss depends on; `update` receives
  ///     the gradients of all.
  ///   - additionalLoss: a scalar to add to a batch's loss, or `nil`.
  ///   - onGradients: called with each batch's gradients before the model is updated.
  /// - Throws: ``TensorError`` if a loss is not finite; the parameters then stay at the last good step.
  @discardableResult
  public func trainEpoch(
    extraParameters: [Parameter] = [],
    additionalLoss: (PairwiseBatch, Representations) throws -> Tensor? = { _, _ in nil },
    onGradients: (Gradients) -> Void = { _ in }
  ) throws -> Double {
    var total = 0.0
    let parameters = model.trainableParameters + extraParameters
    for batch in batches.epoch(epoch) {
      let (loss, gradients) = try valueAndGradients(of: parameters) {
        let representations = model.representations()
        let loss = model.loss(batch, representations)
        guard let extra = try additionalLoss(batch, representations) else { return loss }
        return loss + extra
      }
      let value = loss.item
      guard value.isFinite else {
        throw TensorError.nonFinite(
          operation: "the loss of \(model.name)", phase: .forward, shape: [], index: 0)
      }
      onGradients(gradients)
      optimizer.update(with: gradients)
      total += value * Double(batch.count)
    }
    epoch += 1
    return total / Double(max(batches.interactionCount, 1))
  }

  /// Trains until the validation metric has stopped rising, and leaves the model at its best.
  ///
  /// - Parameter progress: called after each epoch.
  /// - Returns: the reports of all epochs.
  /// - Throws: ``TensorError`` if a loss is not finite, and what the evaluation throws.
  @discardableResult
  public func fit(
    _ split: DataSplit, progress: (EpochReport) -> Void = { _ in }
  ) throws -> [EpochReport] {
    var evaluation = RankingEvaluator.Configuration()
    evaluation.metrics = [configuration.metric]
    evaluation.listMetrics = []
    evaluation.slices = []
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    var stopping = EarlyStopping(patience: configuration.patience)
    var best: [Tensor] = []
    var reports: [EpochReport] = []
    while epoch < configuration.epochs && !stopping.shouldStop {
      let start = ContinuousClock.now
      let loss = try trainEpoch()
      let seconds = start.duration(to: .now).seconds
      var validation: Double?
      if epoch % configuration.evaluationInterval == 0 || epoch == configuration.epochs {
        let value = try evaluator.evaluate(model.makeScorer()).mean(configuration.metric) ?? 0
        validation = value
        if stopping.note(value) { best = model.parameters.map { $0.detached.copied() } }
      }
      let report = EpochReport(epoch: epoch - 1, loss: loss, validation: validation, seconds: seconds)
      reports.append(report)
      progress(report)
    }
    if !best.isEmpty { for (parameter, value) in zip(model.parameters, best) { parameter.update(to: value) } }
    return reports
  }
}

/// Notes a metric that should rise, and says when it has stopped.
public struct EarlyStopping: Codable, Sendable {
  /// How many values without improvement are borne.
  public let patience: Int
  /// The best value so far.
  public private(set) var best = -Double.infinity
  /// How many values came since the best.
  public private(set) var sinceBest = 0

  /// Nothing noted yet.
  public init(patience: Int) { self.patience = patience }

  /// Notes a value; `true` if it is the best so far.
  public mutating func note(_ value: Double) -> Bool {
    if value > best {
      best = value
      sinceBest = 0
      return true
    }
    sinceBest += 1
    return false
  }

  /// Whether the metric has not risen for `patience` values.
  public var shouldStop: Bool { sinceBest >= patience }
}

extension Duration {
  /// The duration in seconds.
  package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
