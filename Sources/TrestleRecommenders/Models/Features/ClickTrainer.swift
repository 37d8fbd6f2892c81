import TrestleNN
import TrestleTensor

/// How a click model is trained.
public struct ClickTrainingConfiguration: Codable, Sendable, Equatable {
  /// The most epochs.
  public var epochs = 50
  /// Examples a batch.
  public var batchSize = 1024
  /// Adam's learning rate.
  public var learningRate = 1e-3
  /// Adam's decay of the weights.
  public var weightDecay = 0.0
  /// How many epochs without a better validation AUC end the training.
  public var patience = 3
  /// Determines the order of the examples.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

/// Trains a ``ClickModel`` on the binary cross-entropy of its logits with Adam, until the AUC on validation data stops rising.
public final class ClickTrainer {
  /// The model in training.
  public let model: any ClickModel
  /// How it is trained.
  public let configuration: ClickTrainingConfiguration
  /// The optimizer, with its moments.
  public let optimizer: Adam
  /// The number of epochs done.
  public private(set) var epoch = 0
  private let training: FeatureTable
  private let parameters: [Parameter]

  /// A trainer of all trainable parameters of `model`.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - training: examples with labels, of the model's schema.
  ///   - configuration: how it is trained.
  /// - Throws: ``DataError`` if there are no examples or labels, if the schema is another, or if a batch has no examples.
  public init(
    _ model: any ClickModel, training: FeatureTable,
    configuration: ClickTrainingConfiguration = ClickTrainingConfiguration()
  ) throws(DataError) {
    try model.requireSchema(of: training)
    guard training.rowCount > 0, training.labels.count == training.rowCount else {
      throw .missingField(operation: "the training of \(model.name)", expected: "examples with labels")
    }
    guard configuration.batchSize >= 1 else {
      throw .invalidParameter(
        operation: "the training of \(model.name)", expected: "batches of at least one example",
        found: "\(configuration.batchSize)")
    }
    self.model = model
    self.configuration = configuration
    self.training = training
    parameters = model.trainableParameters
    optimizer = Adam(
      parameters, learningRate: configuration.learningRate, weightDecay: configuration.weightDecay)
  }

  /// Trains one epoch, in an order that the seed and the epoch's number give, and returns the mean loss.
  ///
  /// - Throws: `TensorError` if a loss is not finite; the parameters then stay at the last good step. ``DataError`` if a
  ///   column is missing.
  @discardableResult
  public func trainEpoch() throws -> Double {
    model.setTraining(true)
    defer { model.setTraining(false) }
    var generator = RandomGenerator(seed: configuration.seed).split(UInt64(epoch))
    let order = generator.permutation(of: training.rowCount)
    var total = 0.0
    for first in stride(from: 0, to: order.count, by: configuration.batchSize) {
      let rows = order[first..<min(first + configuration.batchSize, order.count)]
      let batch = try training.batch(rows: rows.lazy.map(Int.init))
      let labels = batch.labels ?? .zeros([batch.rowCount])
      let (loss, gradients) = valueAndGradients(of: parameters) {
        Losses.binaryCrossEntropyWithLogits(model.logits(batch), targets: labels)
      }
      guard loss.item.isFinite else {
        throw TensorError.nonFinite(
          operation: "the loss of \(model.name)", phase: .forward, shape: [], index: 0)
      }
      optimizer.update(with: gradients)
      total += loss.item * Double(batch.rowCount)
    }
    epoch += 1
    return total / Double(order.count)
  }

  /// Trains until the AUC on validation data has stopped rising, and leaves the model at its best; without validation data, or
  /// with data in which all examples are of one kind, trains all epochs.
  ///
  /// - Parameters:
  ///   - validation: examples with labels, of the model's schema; `nil` for none.
  ///   - progress: called after each epoch; what it throws ends the training.
  /// - Returns: the reports of all epochs.
  /// - Throws: `TensorError` if a loss is not finite, ``DataError`` if a table does not suit the model.
  @discardableResult
  public func fit(
    validation: FeatureTable? = nil, progress: (EpochReport) throws -> Void = { _ in }
  ) throws -> [EpochReport] {
    if let validation { try model.requireSchema(of: validation) }
    var stopping = EarlyStopping(patience: configuration.patience)
    var best: [Tensor] = []
    var reports: [EpochReport] = []
    while epoch < configuration.epochs && !stopping.shouldStop {
      let start = ContinuousClock.now
      let loss = try trainEpoch()
      let seconds = start.duration(to: .now).seconds
      let area = try validation.flatMap { try model.evaluate(on: $0).auc }
      if let area, stopping.note(area) { best = parameters.map { $0.detached.copied() } }
      let report = EpochReport(epoch: epoch - 1, loss: loss, validation: area, seconds: seconds)
      reports.append(report)
      try progress(report)
    }
    for (parameter, value) in zip(parameters, best) { parameter.update(to: value) }
    return reports
  }
}
