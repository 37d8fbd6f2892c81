import TrestleNN
import TrestleTensor

/// A recommender that is trained by gradient steps.
///
/// A new model says how an epoch is cut into steps and what each step's loss is; training, early stopping, checkpoints
/// and evaluation come from ``RecommenderTrainer``.
public protocol TrainableRecommender: Recommender, Module {
  /// Prepares the steps of training.
  ///
  /// - Parameters:
  ///   - training: what to train on.
  ///   - configuration: the batch size and the seed are the steps' business.
  /// - Throws: ``DataError`` if the data lacks what the model needs.
  func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps

  /// How the model is best trained on such data; see the extension for the default.
  func recommendedTraining(for data: DataProfile) -> TrainingConfiguration
}

/// The steps of training, epoch by epoch.
public protocol TrainingSteps {
  /// The number of steps of an epoch.
  var count: Int { get }

  /// The steps of an epoch, which depend on the seed and the epoch's number only: a resumed training does the same.
  func epoch(_ epoch: Int) -> AnySequence<TrainingStep>

  /// Some of the steps of an epoch, chosen by their number: those of one rank. By default the others are made, too, and
  /// dropped.
  func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<TrainingStep>
}

extension TrainingSteps {
  /// Those of all steps that are wanted.
  public func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<TrainingStep> {
    AnySequence(self.epoch(epoch).lazy.enumerated().filter { isWanted($0.offset) }.map(\.element))
  }
}

/// One step of training.
public struct TrainingStep {
  /// The number of examples that the loss is the mean over.
  public let exampleCount: Int
  /// Computes the loss, a tensor of one element, from the model's parameters.
  public let loss: () throws -> Tensor

  /// A step.
  public init(exampleCount: Int, loss: @escaping () throws -> Tensor) {
    self.exampleCount = exampleCount
    self.loss = loss
  }
}

/// Steps over pairwise batches.
struct PairwiseSteps: TrainingSteps {
  private let batches: PairwiseBatches
  private let source: RandomGenerator
  private let loss: (PairwiseBatch, inout RandomGenerator) -> Tensor

  /// - Parameter loss: a batch's loss; the generator is that of the step.
  init(
    _ model: any PairwiseRecommender, _ training: Interactions, _ configuration: TrainingConfiguration,
    loss: @escaping (PairwiseBatch, inout RandomGenerator) -> Tensor
  ) {
    batches = PairwiseBatches(for: model, training: training, configuration: configuration)
    source = RandomGenerator(seed: configuration.seed).split(0x6c6f_7373)
    self.loss = loss
  }

  var count: Int { batches.count }

  func epoch(_ epoch: Int) -> AnySequence<TrainingStep> { self.epoch(epoch) { _ in true } }

  func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<TrainingStep> {
    let source = source.split(UInt64(epoch))
    return AnySequence(
      batches.epoch(epoch, where: isWanted).lazy.map { step, batch in
        TrainingStep(exampleCount: batch.count) {
          var generator = source.split(UInt64(step))
          return loss(batch, &generator)
        }
      })
  }
}
