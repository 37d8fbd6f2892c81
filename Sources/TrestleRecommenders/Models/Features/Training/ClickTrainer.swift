import Foundation
import TrestleNN
import TrestleTensor

/// How a click model is trained.
public struct ClickTrainingConfiguration: Codable, Sendable, Equatable {
  /// What is measured on the validation data.
  public enum Measure: String, Codable, Sendable, CaseIterable {
    /// ``ClickMetrics/auc``, which should rise, and which needs examples of both kinds.
    case auc
    /// ``ClickMetrics/logLoss``, which should fall.
    case logLoss
  }

  /// The most epochs.
  public var epochs = 50
  /// Examples a batch.
  public var batchSize = 1024
  /// Adam's learning rate.
  public var learningRate = 1e-3
  /// Adam's decay of the weights.
  public var weightDecay = 0.0
  /// What is measured on the validation data after each epoch.
  public var measure = Measure.auc
  /// How many epochs without a better measure end the training.
  public var patience = 3
  /// Determines the order of the examples.
  public var seed: UInt64 = 0

  /// The defaults.
  public init() {}
}

/// Trains a ``ClickModel`` on the binary cross-entropy of its logits with Adam, until a measure on validation data no longer
/// improves.
public final class ClickTrainer: EpochTrainer {
  /// The model in training.
  public let model: any ClickModel
  /// How it is trained.
  public let configuration: ClickTrainingConfiguration
  /// The optimizer, with its moments.
  public let optimizer: Adam
  /// The number of epochs done.
  public internal(set) var epoch = 0
  let training: FeatureTable
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

  /// Trains until ``ClickTrainingConfiguration/measure`` on validation data no longer improves, and leaves the model at its
  /// best; without validation data trains all epochs and leaves the model as the last one left it.
  ///
  /// - Parameters:
  ///   - validation: examples with labels, of the model's schema; `nil` for none.
  ///   - checkpoint: a folder that the state is saved in after every epoch; if it holds the state of an earlier call with the
  ///     same model, configuration and data, the training goes on from there and ends in the same bits. More epochs may
  ///     be asked for than before.
  ///   - progress: called after each epoch, when its checkpoint is saved; what it throws ends the training.
  /// - Returns: the reports of all epochs, those before a resumption included.
  /// - Throws: `TensorError` if a loss is not finite. ``DataError`` if a table does not suit the model, if the AUC is to be
  ///   measured on examples of one kind, if the model gives what is no number, and for a checkpoint of another run. What
  ///   reading and writing checkpoints throws. A checkpoint that is refused changes nothing.
  @discardableResult
  public func fit(
    validation: FeatureTable? = nil, checkpoint: URL? = nil,
    progress: (EpochReport) throws -> Void = { _ in }
  ) throws -> [EpochReport] {
    if let validation { try requireMeasurable(validation) }
    var run = SavedRun(
      stopping: EarlyStopping(patience: configuration.patience), configuration: configuration)
    var best: [Tensor] = []
    if let checkpoint {
      (run.model, run.dataHash) = (modelDescription, dataHash(validation))
      (run, best) = try resume(run, from: RunFolder(url: checkpoint)) ?? (run, best)
    }
    try train(
      model, &run, best: best, epochs: configuration.epochs, falls: configuration.measure == .logLoss,
      measure: { try validation.map { try measured(on: $0) } },
      save: { run, isBest in
        guard let checkpoint else { return }
        try RunFolder(url: checkpoint).save(&run, model, optimizer, epoch: epoch, isBest: isBest)
      }, progress: progress)
    return run.reports
  }

  // MARK: Validation

  /// The measure on validation data.
  private func measured(on validation: FeatureTable) throws -> Double {
    let metrics = try model.evaluate(on: validation)
    guard let value = configuration.measure == .auc ? metrics.auc : metrics.logLoss else {
      preconditionFailure("ClickTrainer: no \(configuration.measure) on \(validation.rowCount) examples")
    }
    return value
  }

  /// Stops data on which the measure says nothing, before an epoch is spent.
  private func requireMeasurable(_ validation: FeatureTable) throws(DataError) {
    try model.requireSchema(of: validation)
    let operation = "the validation of \(model.name)"
    guard validation.rowCount > 0, validation.labels.count == validation.rowCount else {
      throw .missingField(operation: operation, expected: "examples with labels")
    }
    let clicks = validation.labels.count { $0 }
    guard configuration.measure == .logLoss || (1..<validation.rowCount).contains(clicks) else {
      throw .invalidParameter(
        operation: operation,
        expected: "clicked examples and others for the AUC, or the measure logLoss, or no validation data",
        found: "\(clicks) clicked of \(validation.rowCount)")
    }
  }
}
