import Foundation
import TrestleFormats
import TrestleNN
import TrestleTensor

/// How a recommender is trained.
public struct TrainingConfiguration: Codable, Sendable, Equatable {
  /// The most epochs.
  public var epochs = 500
  /// Examples a batch.
  public var batchSize = 2048
  /// Adam's learning rate.
  public var learningRate = 1e-3
  /// Adam's decay of the weights.
  public var weightDecay = 0.0
  /// How many evaluations without improvement end the training.
  public var patience = 10
  /// Epochs between evaluations.
  public var evaluationInterval = 1
  /// What is measured on the validation data.
  public var metric = RankingMetric.ndcg(10)
  /// The most users that it is measured on: of more, so many are drawn, always the same; `nil` for all.
  public var validationUsers: Int? = 10_000
  /// How pairwise models choose negatives.
  public var negatives = NegativeSampling.uniform
  /// Determines the order of the data and all random draws.
  public var seed: UInt64 = 0
  /// How many batches' gradients make one step; `nil` for one of each rank.
  public var accumulation: Int?

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

/// Trains a recommender epoch by epoch, or until validation stops improving by ``fit(_:checkpoint:progress:)``.
///
/// Tables much larger than a batch are updated by row: their rows' Adam moments then rest while the row is in no batch
/// ("lazy" Adam), where a dense update would let them decay and the row drift. Small tables are updated as a whole.
///
/// Several ranks train together through a `Communicator`: each computes its share of the batches of a step, and all end in
/// the bits of one process whose ``TrainingConfiguration/accumulation`` is the same. All ranks call the same methods.
public final class RecommenderTrainer: EpochTrainer {
  /// The model in training.
  public let model: any TrainableRecommender
  /// How it is trained.
  public let configuration: TrainingConfiguration
  /// The optimizer, with its moments.
  public let optimizer: Adam
  /// The number of epochs done.
  public internal(set) var epoch = 0
  /// The ranks that train together.
  public let communicator: any Communicator
  private let steps: any TrainingSteps
  private let parameters: [Parameter]
  private var parallel: DataParallel

  /// A trainer of all trainable parameters of `model` on `training`.
  ///
  /// - Parameters:
  ///   - model: the model.
  ///   - training: what it is trained on.
  ///   - configuration: how it is trained; `nil` for the model's ``TrainableRecommender/recommendedTraining(for:)``.
  ///   - communicator: the ranks that train together, each with the same model and data.
  /// - Throws: ``DataError`` if the data lacks what the model needs, or if fewer batches make a step than there are ranks.
  public init(
    _ model: any TrainableRecommender, training: Interactions,
    configuration: TrainingConfiguration? = nil, communicator: any Communicator = SingleProcess()
  ) throws(DataError) {
    let configuration = configuration ?? model.recommendedTraining(for: DataProfile(training))
    self.model = model
    self.configuration = configuration
    parameters = model.trainableParameters
    optimizer = Adam(
      parameters, learningRate: configuration.learningRate, weightDecay: configuration.weightDecay)
    steps = try model.makeSteps(training: training, configuration: configuration)
    self.communicator = communicator
    parallel = try Self.parallel(model, parameters, communicator, configuration.accumulation)
  }

  private static func parallel(
    _ model: any TrainableRecommender, _ parameters: [Parameter], _ communicator: any Communicator,
    _ accumulation: Int?
  ) throws(DataError) -> DataParallel {
    do throws(CommunicatorError) {
      return try DataParallel(
        model, parameters: parameters, communicator: communicator, accumulation: accumulation)
    } catch {
      guard case .unsuitable(let expected, let found) = error else {
        throw .invalidParameter(
          operation: "training", expected: "ranks that train together", found: "\(error)")
      }
      throw .invalidParameter(operation: "training", expected: expected, found: found)
    }
  }

  /// How many batches' gradients make one step.
  public var accumulation: Int { parallel.accumulation }

  /// Goes on with as many batches a step as an earlier training of the same model had.
  func adopt(accumulation: Int) throws(DataError) {
    parallel = try Self.parallel(model, parameters, communicator, accumulation)
  }

  /// The number of steps of an epoch.
  public var stepCount: Int { (steps.count + accumulation - 1) / accumulation }

  /// Trains one epoch and returns the mean loss.
  ///
  /// - Throws: `TensorError` if a loss is not finite; the parameters then stay at the last good step. `CommunicatorError`
  ///   if a rank is lost.
  @discardableResult
  public func trainEpoch() throws -> Double {
    var total = 0.0
    var examples = 0
    let (rank, size, parts) = (communicator.rank, communicator.size, accumulation)
    let own = steps.epoch(epoch) { $0 % parts % size == rank }.makeIterator()
    while let mean = try parallel.step(
      optimizer.stepCount,
      { _ in own.next().map { DataParallel.Part(exampleCount: $0.exampleCount, loss: $0.loss) } })
    {
      guard mean.loss.isFinite else {
        throw TensorError.nonFinite(
          operation: "the loss of \(model.name)", phase: .forward, shape: [], index: 0)
      }
      optimizer.update(with: mean.gradients)
      total += mean.loss * Double(mean.exampleCount)
      examples += mean.exampleCount
    }
    epoch += 1
    return total / Double(max(examples, 1))
  }

  /// Trains until the validation metric has stopped rising, and leaves the model at its best; where no user has a
  /// validation item, trains all epochs and leaves the model as the last one left it.
  ///
  /// - Parameters:
  ///   - split: trained on its training part, validated on its validation part.
  ///   - checkpoint: a folder that the state is saved in after every epoch; if it holds the state of an earlier call
  ///     with the same model, configuration and split, the training goes on from there and ends in the same bits. Of
  ///     several ranks the first reads and writes it; the number of ranks may change from call to call.
  ///   - progress: called after each epoch, when its checkpoint is saved; what it throws ends the training.
  /// - Returns: the reports of all epochs, those before a resumption included.
  /// - Throws: `TensorError` if a loss is not finite, what the evaluation throws, ``DataError`` for a checkpoint of
  ///   another run, and what reading and writing checkpoints throws. A checkpoint that is refused changes nothing.
  ///   `CommunicatorError` if a rank is lost, or has another model, configuration or split.
  @discardableResult
  public func fit(
    _ split: DataSplit, checkpoint: URL? = nil, progress: (EpochReport) throws -> Void = { _ in }
  ) throws -> [EpochReport] {
    try fit(
      model, configuration, split,
      resume: {
        let saved = try checkpoint.flatMap { try resume(from: $0, split) }
        try requireAgreement(split)
        return saved
      }, measure: measured,
      save: { run, isBest in
        if let checkpoint, communicator.rank == 0 { try save(&run, isBest: isBest, split, to: checkpoint) }
      }, progress: progress)
  }

  /// The metric, measured by the first rank while the others leave it the machine.
  private func measured(_ evaluator: RankingEvaluator) throws -> Double {
    var value = 0.0
    if communicator.rank == 0 {
      value = try evaluator.evaluate(model.makeScorer()).mean(configuration.metric) ?? 0
    }
    return try communicator.broadcast(Tensor([value])).item
  }
}
