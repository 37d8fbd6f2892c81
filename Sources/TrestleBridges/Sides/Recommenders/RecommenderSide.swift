import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Any recommender that trains by steps of its own (SASRec, GRU4Rec, NeuMF …) as the domain side of a bridge: it learns as it
/// does alone, and gives scores. A recommender with rows for users and items offers more as a ``PairwiseSide``.
public final class RecommenderSide: TrainableSide, ScoreProvider {
  /// The domain side.
  public let role = SideRole.domain
  /// The recommender.
  public let model: any TrainableRecommender
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How it is trained; early stopping is the phases' business.
  public let configuration: TrainingConfiguration
  private let steps: any TrainingSteps
  private let dropouts: [Dropout]
  private let evaluator: RankingEvaluator

  /// Makes a side of `model`.
  ///
  /// - Parameters:
  ///   - model: the recommender.
  ///   - split: the model trains on its training part and is validated on its validation part.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: how it is trained; `nil` for what the model recommends for the data.
  /// - Throws: `DataError` if the data lacks what the model needs.
  public init(
    _ model: any TrainableRecommender, split: DataSplit, vocabulary: EntityVocabulary,
    configuration: TrainingConfiguration? = nil
  ) throws(DataError) {
    let configuration = configuration ?? model.recommendedTraining(for: DataProfile(split.training))
    self.model = model
    self.vocabulary = vocabulary
    self.configuration = configuration
    dropouts = model.namedModules.compactMap { $0.module as? Dropout }
    steps = try model.makeSteps(training: split.training, configuration: configuration)
    let evaluation = RankingEvaluator.Configuration(
      only: [configuration.metric], userLimit: configuration.validationUsers)
    evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
  }

  /// The model's name.
  public var name: String { model.name }

  private struct Batch: SideBatch {
    let step: TrainingStep
    let generator: RandomGenerator
    var count: Int { step.exampleCount }
  }

  /// One group, `parameters`: all that train.
  public var parameterGroups: [BridgeParameterGroup] {
    [
      BridgeParameterGroup(
        name: "parameters", parameters: model.namedParameters.map { ($0.name, $0.parameter) },
        learningRate: configuration.learningRate)
    ]
  }

  /// The number of steps of an epoch.
  public var batchCount: Int { steps.count }

  /// The steps of an epoch.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    let source = RandomGenerator(seed: configuration.seed).split(0x6472_6f70).split(UInt64(epoch))
    return AnySequence(
      steps.epoch(epoch).lazy.enumerated().map { place, step in
        Batch(step: step, generator: source.split(UInt64(place)))
      })
  }

  /// The recommender's own loss, with Adam's decay as a term ½λ‖θ‖².
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("RecommenderSide.step: the batch is of another side")
    }
    // What a step drops hangs on the step alone: a run that is resumed drops the same.
    for (place, layer) in dropouts.enumerated() { layer.generator = batch.generator.split(UInt64(place)) }
    return SideStep(loss: model.decaying(try batch.step.loss(), by: configuration.weightDecay))
  }

  /// The configuration's metric on the validation data.
  public func validate() throws -> Double {
    try evaluator.evaluate(model.makeScorer()).mean(configuration.metric) ?? 0
  }

  /// The recommender's scorer.
  public func makeScorer() throws -> any CatalogueScorer { model.makeScorer() }

  /// The scores of all items, `[users, items]`.
  public func scores(users: [Int32]) throws -> Tensor {
    try model.makeScorer().allScores(of: users)
  }
}

extension TrainableRecommender {
  /// A loss with Adam's weight decay as a term, ½λ‖θ‖²: what a bridge's optimizer has is decoupled, and not what the model has
  /// alone.
  func decaying(_ loss: Tensor, by rate: Double) -> Tensor {
    guard rate > 0 else { return loss }
    return trainableParameters.reduce(loss) { $0 + $1.value.squared().sum() * (rate / 2) }
  }
}
