import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A pairwise recommender (MF-BPR, LightGCN, XSimGCL …) as the domain side of a bridge.
///
/// It trains as the recommender does alone: on its own loss, noise and contrast included, with the configuration's negatives
/// and decay (Adam's, as a term ½λ‖θ‖² of the loss).
public final class PairwiseSide: TrainableSide, EntityTables, TrackedRepresentations, ScoreProvider,
  InteractionHooks, FeatureInjection
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
  /// Added to the rows that scores are computed from.
  public var injectedFeatures: ((_ kind: EntityKind) -> Tensor?)?
  /// Training pairs beside the data's own, which count in the loss.
  public var addedInteractions: [(user: Int32, item: Int32)] = [] {
    didSet {
      pairs = makePairs()
      if extendsGraph { putGraph() }
    }
  }
  /// Whether they are edges of the graph of a `GraphRecommender` too.
  public var extendsGraph = false { didSet { if extendsGraph != oldValue { putGraph() } } }
  private let training: Interactions
  private lazy var pairs = makePairs()
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
    training = split.training
    let evaluation = RankingEvaluator.Configuration(only: [configuration.metric])
    evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
  }

  /// The model's name.
  public var name: String { model.name }

  // MARK: Training

  private struct Batch: SideBatch {
    let pairs: PairwiseBatch
    let generator: RandomGenerator
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

  private func makePairs() -> PairwiseBatches {
    PairwiseBatches(for: model, training: allInteractions, configuration: configuration)
  }

  /// The training data with what a bridge has added.
  private var allInteractions: Interactions {
    guard !addedInteractions.isEmpty else { return training }
    return Interactions(
      users: training.users + addedInteractions.map(\.user),
      items: training.items + addedInteractions.map(\.item),
      userCount: training.userCount, itemCount: training.itemCount)
  }

  private func putGraph() {
    (model as? any GraphRecommender)?.setGraph(extendsGraph ? allInteractions : training)
  }

  /// The triples of an epoch.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    let source = RandomGenerator(seed: configuration.seed).split(0x6c6f_7373).split(UInt64(epoch))
    return AnySequence(
      pairs.epoch(epoch).lazy.enumerated().map { step, pairs in
        Batch(pairs: pairs, generator: source.split(UInt64(step)))
      })
  }

  /// The rows that scores are computed from, with the features that a bridge adds; tracked while gradients are taken.
  private func trackedRows() -> Representations {
    let own = model.representations()
    guard let injectedFeatures else { return own }
    return Representations(
      users: injectedFeatures(.user).map { own.users + $0 } ?? own.users,
      items: injectedFeatures(.item).map { own.items + $0 } ?? own.items)
  }

  /// The recommender's loss, and the representations of the batch's users and items.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let own = batch as? Batch else {
      preconditionFailure("PairwiseSide.step: the batch is of another side")
    }
    let batch = own.pairs
    let rows = trackedRows()
    var step = SideStep(loss: loss(own, rows))
    step.pairs = batch
    step.examples = {
      BatchExamples(users: batch.users, items: batch.positives, losses: Self.losses(batch, rows))
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
    step.represent = { kind, ids, source in
      source == .row ? rows[kind].gatheredRows(ids) : nil
    }
    return step
  }

  private func loss(_ own: Batch, _ rows: Representations) -> Tensor {
    var generator = own.generator
    let batch = own.pairs
    var loss = model.trainingLoss(batch, rows, using: &generator)
    if let userWeights {
      // What is added turns the mean of the ranking losses into their weighted mean, and leaves the rest of the loss alone.
      let weights = batch.users.scalars(as: Int32.self).map { userWeights[Int($0)] }
      let mean = Swift.max(weights.reduce(0, +) / Float(Swift.max(weights.count, 1)), 1e-9)
      loss = loss + (Self.losses(batch, rows) * Tensor(weights.map { $0 / mean - 1 })).mean()
    }
    return model.decaying(loss, by: configuration.weightDecay)
  }

  /// The ranking loss of each pair, −log σ(positive − negative), `[pairs]`.
  private static func losses(_ batch: PairwiseBatch, _ rows: Representations) -> Tensor {
    let users = rows.users.gatheredRows(batch.users)
    return users.rowDot(rows.items.gatheredRows(batch.positives))
      .bprLoss(negative: users.rowDot(rows.items.gatheredRows(batch.negatives)))
  }

  private static func entities(_ ids: Tensor, of table: Tensor) -> BatchEntities {
    let distinct = Tensor(Set(ids.scalars(as: Int32.self)).sorted())
    return BatchEntities(ids: distinct, representations: table.gatheredRows(distinct))
  }

  /// The configuration's metric on the validation data.
  public func validate() throws -> Double {
    try evaluator.evaluate(makeScorer()).mean(configuration.metric) ?? 0
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
    currentRows()[kind].gatheredRows(Tensor(ids))
  }
  /// The same rows, tracked while gradients are taken.
  public func trackedRepresentations(
    of kind: EntityKind, ids: Tensor, source: RepresentationSource
  ) throws -> Tensor? {
    source == .row ? trackedRows()[kind].gatheredRows(ids) : nil
  }

  /// The width of the recommender's rows.
  public var featureWidth: Int { table(.item).shape[1] }

  private func currentRows() -> Representations {
    let rows = withoutGradients { trackedRows() }
    return Representations(users: rows.users.detached, items: rows.items.detached)
  }

  /// The recommender's scorer.
  public func makeScorer() throws -> any CatalogueScorer {
    injectedFeatures == nil ? model.makeScorer() : InnerProductScorer(currentRows())
  }

  /// The inner products of the users' rows with all items'.
  public func scores(users: [Int32]) throws -> Tensor {
    let rows = currentRows()
    return rows.users.gatheredRows(Tensor(users)).matmul(rows.items, transposingOther: true)
  }
}
