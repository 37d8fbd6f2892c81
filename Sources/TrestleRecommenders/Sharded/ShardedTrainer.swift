import Foundation
import TrestleNN
import TrestleTensor

/// Trains a recommender whose rows are cut over ranks, as ``RecommenderTrainer`` trains one that every rank holds.
///
/// ```swift
/// let ranks = try MPICommunicator.launched()
/// let model = ShardedFactorization(
///   training: split.training, communicator: ranks, using: RandomGenerator(seed: 1))
/// let trainer = try ShardedTrainer(model, training: split.training, configuration: configuration)
/// try trainer.fit(split, checkpoint: folder)
/// let lists = try model.recommend(to: [0, 1, 2], count: 10, excluding: UserItemMatrix(split.training))
/// ```
///
/// Every rank reads the interactions; rows, moments and the graph are cut. All ranks call the same methods.
public final class ShardedTrainer: EpochTrainer {
  /// The model in training.
  public let model: any ShardedRecommender
  /// How it is trained.
  public let configuration: TrainingConfiguration
  /// The optimizer of this rank's rows, with their moments.
  public let optimizer: Adam
  /// The number of epochs done.
  public internal(set) var epoch = 0
  /// How many batches' gradients make one step.
  public internal(set) var accumulation: Int
  private let batches: any ShardedBatches
  private let network: ShardedNetwork?
  /// What is trained of the model, in an order that its class does not decide.
  let trained: TrainedParts
  /// The files of all ranks' rows at their best so far; none before the first evaluation.
  var bestFiles: [HashedFile] = []

  /// A trainer of a model's rows on `training`.
  ///
  /// - Parameters:
  ///   - model: the model, on all ranks.
  ///   - training: what it is trained on, the same on all ranks.
  ///   - configuration: how it is trained.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for fewer batches a step than ranks, and for what
  ///   the model cannot follow, such as negatives that it would have to choose; `CommunicatorError` for a network with running
  ///   statistics.
  public init(
    _ model: any ShardedRecommender, training: Interactions, configuration: TrainingConfiguration
  ) throws {
    self.model = model
    self.configuration = configuration
    let size = model.communicator.size
    accumulation = configuration.accumulation ?? size
    guard (size...max(size, 1 << 20)).contains(accumulation) else {
      throw DataError.invalidParameter(
        operation: "training", expected: "at least one batch a step for each rank",
        found: "\(accumulation) of \(size) ranks: start fewer ranks, or accumulate more")
    }
    network = try ShardedNetwork(model)
    trained = TrainedParts(users: model.users.shard, items: model.items.shard, network: model.network)
    optimizer = Adam(
      trained.trainableParameters, learningRate: configuration.learningRate,
      weightDecay: configuration.weightDecay)
    batches = try model.makeBatches(training: training, configuration: configuration)
  }

  /// The number of steps of an epoch.
  public var stepCount: Int { (batches.count + accumulation - 1) / accumulation }

  /// Trains one epoch and returns the mean loss.
  ///
  /// - Throws: `TensorError` if a loss is not finite; the rows then stay at the last good step. `CommunicatorError` if a rank
  ///   is lost.
  @discardableResult
  public func trainEpoch() throws -> Double {
    let (rank, size, parts) = (model.communicator.rank, model.communicator.size, accumulation)
    let own = batches.epoch(epoch) { $0 % parts % size == rank }.makeIterator()
    var total = 0.0
    var examples = 0
    for first in stride(from: 0, to: batches.count, by: parts) {
      var step = try ShardedStep(model, network, number: optimizer.stepCount, partCount: parts)
      for round in stride(from: first, to: min(first + parts, batches.count), by: size) {
        let number = round + rank
        let isOwn = number < min(first + parts, batches.count)
        try step.add(isOwn ? own.next() : nil, part: number - first)
      }
      guard step.loss.isFinite else {
        throw TensorError.nonFinite(
          operation: "the loss of \(model.name)", phase: .forward, shape: [], index: 0)
      }
      optimizer.update(with: try step.gradients())
      total += step.loss * Double(step.exampleCount)
      examples += step.exampleCount
    }
    epoch += 1
    return total / Double(max(examples, 1))
  }

  /// Trains until the validation metric has stopped rising, and leaves the model at its best; where no user has a
  /// validation item, trains all epochs.
  ///
  /// - Parameters:
  ///   - split: trained on its training part, validated on its validation part.
  ///   - checkpoint: a folder that all ranks reach, in which each saves its rows after every epoch; if it holds the state of an
  ///     earlier call with the same model, configuration and split, by any number of ranks, the training goes on from there
  ///     and ends in the same bits.
  ///   - progress: called after each epoch, when its checkpoint is saved; what it throws ends the training.
  /// - Returns: the reports of all epochs, those before a resumption included.
  /// - Throws: as ``RecommenderTrainer/fit(_:checkpoint:progress:)``.
  @discardableResult
  public func fit(
    _ split: DataSplit, checkpoint: URL? = nil, progress: (EpochReport) throws -> Void = { _ in }
  ) throws -> [EpochReport] {
    try fit(
      trained, configuration, split,
      resume: {
        let saved = try checkpoint.flatMap { try resume(from: $0, split) }
        try model.communicator.requireAgreement(on: configuration, accumulation: accumulation, split)
        return saved
      }, measure: measured,
      save: { run, isBest in
        if let checkpoint { try save(&run, isBest: isBest, split, to: checkpoint) }
      }, progress: progress)
  }

  /// The metric, on all ranks at once.
  private func measured(_ evaluator: RankingEvaluator) throws -> Double {
    try evaluator.evaluate(model).mean(configuration.metric) ?? 0
  }
}

/// The parts of a sharded recommender that are trained and saved.
struct TrainedParts: Module {
  let users: Parameter
  let items: Parameter
  let network: (any Module)?
}
