import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A pairwise recommender (MF-BPR, LightGCN, XSimGCL …) as the domain side of a bridge.
public final class PairwiseSide: TrainableSide, EntityTables, ContextualRepresentations, ScoreProvider,
  InteractionHooks
{
  /// The domain side.
  public let role = SideRole.domain
  /// The recommender.
  public let model: any PairwiseRecommender
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How it is trained; early stopping is the phases' business.
  public let configuration: TrainingConfiguration
  /// The weight of each user's loss; `nil` for 1.
  public var userWeights: [Float]?
  private var interactions: Interactions
  private var pairs: PairwiseBatches
  private let evaluator: RankingEvaluator

  /// Makes a side of `model`.
  ///
  /// - Parameters:
  ///   - model: the recommender.
  ///   - split: the model trains on its training part and is validated on its validation part.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: batch size, learning rate, negatives and what is validated.
  public init(
    _ model: any PairwiseRecommender, split: DataSplit, vocabulary: EntityVocabulary,
    configuration: TrainingConfiguration = TrainingConfiguration()
  ) {
    self.model = model
    self.vocabulary = vocabulary
    self.configuration = configuration
    interactions = split.training
    pairs = PairwiseBatches(
      training: split.training, batchSize: configuration.batchSize, seed: configuration.seed)
    var evaluation = RankingEvaluator.Configuration()
    evaluation.metrics = [configuration.metric]
    evaluation.listMetrics = []
    evaluation.slices = []
    evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
  }

  /// The model's name.
  public var name: String { model.name }

  // MARK: Training

  private struct Batch: SideBatch {
    let pairs: PairwiseBatch
    var count: Int { pairs.count }
  }

  /// One group, `embeddings`: all trainable parameters.
  public var parameterGroups: [BridgeParameterGroup] {
    [
      BridgeParameterGroup(
        name: "embeddings", parameters: model.namedParameters.map { ($0.name, $0.parameter) },
        learningRate: configuration.learningRate)
    ]
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { pairs.count }

  /// The triples of an epoch.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    AnySequence(pairs.epoch(epoch).lazy.map { Batch(pairs: $0) })
  }

  /// The recommender's loss, and the representations of the batch's users and items.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = (batch as? Batch)?.pairs else {
      preconditionFailure("PairwiseSide.step: the batch is of another side")
    }
    let rows = model.representations()
    var step = SideStep(loss: model.loss(batch, rows))
    if let userWeights {
      let weights = Tensor(batch.users.scalars(as: Int32.self).map { userWeights[Int($0)] })
      let users = rows.users.gatheredRows(batch.users)
      let losses = users.rowDot(rows.items.gatheredRows(batch.positives))
        .bprLoss(negative: users.rowDot(rows.items.gatheredRows(batch.negatives)))
      step.loss = (losses * weights).sum() * (1 / Swift.max(weights.sum().item, 1e-9))
      if let penalty = model.regularization(batch, rows) { step.loss = step.loss + penalty }
    }
    step.users = Self.entities(batch.users, of: rows.users)
    step.items = Self.entities(
      Tensor.concatenated([batch.positives, batch.negatives], along: 0), of: rows.items)
    if let users = step.users {
      step.scores = {
        BatchScores(
          users: users.ids, logits: users.representations.matmul(rows.items, transposingOther: true))
      }
    }
    return step
  }

  private static func entities(_ ids: Tensor, of table: Tensor) -> BatchEntities {
    let distinct = Tensor(Set(ids.scalars(as: Int32.self)).sorted())
    return BatchEntities(ids: distinct, representations: table.gatheredRows(distinct))
  }

  /// The configuration's metric on the validation data.
  public func validate() throws -> Double {
    try evaluator.evaluate(model.makeScorer()).mean(configuration.metric) ?? 0
  }

  // MARK: Exchange

  /// The width of the recommender's own rows.
  public func entityWidth(_ kind: EntityKind) -> Int? { table(kind).shape[1] }
  /// The recommender's own rows, before propagation.
  public func entityRows(_ kind: EntityKind) -> Tensor? { table(kind).detached }
  /// Replaces the recommender's own rows.
  public func setEntityRows(_ kind: EntityKind, to rows: Tensor) { table(kind).update(to: rows) }

  private func table(_ kind: EntityKind) -> Parameter {
    kind == .user ? model.tables.users : model.tables.items
  }

  /// Rows only.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> { [.row] }
  /// The width of the representations.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    table(kind).shape[1]
  }
  /// The rows that scores are computed from, after propagation.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    let rows = withoutGradients { model.representations() }
    return (kind == .user ? rows.users : rows.items).detached.gatheredRows(Tensor(ids))
  }

  /// The recommender's scorer.
  public func makeScorer() throws -> any CatalogueScorer { model.makeScorer() }

  /// The inner products of the users' rows with all items'.
  public func scores(users: [Int32]) throws -> Tensor {
    let rows = withoutGradients { model.representations() }
    return rows.users.detached.gatheredRows(Tensor(users)).matmul(rows.items.detached, transposingOther: true)
  }

  /// Adds training pairs. A graph-based model keeps its graph; the pairs count in its loss.
  public func addInteractions(_ added: [(user: Int32, item: Int32)]) {
    interactions = Interactions(
      users: interactions.users + added.map(\.user), items: interactions.items + added.map(\.item),
      userCount: interactions.userCount, itemCount: interactions.itemCount)
    pairs = PairwiseBatches(
      training: interactions, batchSize: configuration.batchSize, seed: configuration.seed)
  }
}
