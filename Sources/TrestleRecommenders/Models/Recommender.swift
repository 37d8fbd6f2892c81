import TrestleNN
import TrestleTensor

/// A model that ranks the catalogue for users.
public protocol Recommender: AnyObject {
  /// The name that tables show.
  var name: String { get }
  /// The number of users.
  var userCount: Int { get }
  /// The number of items in the catalogue.
  var itemCount: Int { get }
  /// An immutable, `Sendable` snapshot of the model that scores the catalogue: what serves and what is evaluated.
  func makeScorer() -> any CatalogueScorer
}

/// A recommender whose users and items have rows in one space.
public protocol EmbeddingRecommender: Recommender {
  /// The rows that scores are computed from, not tracked.
  func embeddings() -> Representations
}

/// The rows of users and items in one space, whose inner products are scores.
public struct Representations: Sendable {
  /// `[users, width]`.
  public var users: Tensor
  /// `[items, width]`.
  public var items: Tensor
  /// Both in one table, users first, if the model made them so: gradients then need not be put together again.
  var joint: Tensor?

  /// Cuts a table of users, then items.
  init(joint: Tensor, userCount: Int) {
    users = joint.sliced(0..<userCount, along: 0)
    items = joint.sliced(userCount..<joint.shape[0], along: 0)
    self.joint = joint
  }

  /// Pairs up rows of users and items.
  public init(users: Tensor, items: Tensor) {
    self.users = users
    self.items = items
  }
}

/// Users, an item that each interacted with, and one that each did not: one batch of pairwise training.
public struct PairwiseBatch: Sendable {
  /// `[batch]`, `int32`.
  public let users: Tensor
  /// `[batch]`, `int32`.
  public let positives: Tensor
  /// `[batch]`, `int32`.
  public let negatives: Tensor

  /// A batch of triples.
  public init(users: [Int32], positives: [Int32], negatives: [Int32]) {
    precondition(
      users.count == positives.count && users.count == negatives.count,
      "PairwiseBatch: \(users.count) users, \(positives.count) positives, \(negatives.count) negatives")
    self.users = Tensor(users)
    self.positives = Tensor(positives)
    self.negatives = Tensor(negatives)
  }

  init(users: Tensor, positives: Tensor, negatives: Tensor) {
    (self.users, self.positives, self.negatives) = (users, positives, negatives)
  }

  /// The number of triples.
  public var count: Int { users.elementCount }
}

/// A recommender with a row for every user and item, trained on pairs of a wanted and another item.
///
/// A new model of this kind writes ``representations()`` and, if it regularises, ``regularization(_:_:)``;
/// training, early stopping and evaluation then come from ``RecommenderTrainer``.
public protocol PairwiseRecommender: TrainableRecommender, EmbeddingRecommender {
  /// The trained tables: users' and items' own rows, before any propagation.
  var tables: (users: Parameter, items: Parameter) { get }

  /// The rows whose inner products are scores; tracked while gradients are taken.
  func representations() -> Representations

  /// What is added to the mean loss of a batch: the penalty on its rows, and the like.
  ///
  /// - Returns: a scalar, or `nil` for none.
  func regularization(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor?

  /// What a batch's step lowers: by default the mean BPR loss with ``regularization(_:_:)``.
  ///
  /// - Returns: a scalar.
  func loss(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor

  /// What a step of training lowers, chance included: by default ``loss(_:_:)``. A model that trains under noise or dropout
  /// draws them here.
  ///
  /// - Returns: a scalar.
  func trainingLoss(
    _ batch: PairwiseBatch, _ representations: @autoclosure () -> Representations,
    using generator: inout RandomGenerator
  ) -> Tensor
}

extension PairwiseRecommender {
  /// The loss of a batch, without chance.
  public func trainingLoss(
    _ batch: PairwiseBatch, _ representations: @autoclosure () -> Representations,
    using generator: inout RandomGenerator
  ) -> Tensor { loss(batch, representations()) }

  /// The mean BPR loss of a batch with its regularisation.
  public func loss(_ batch: PairwiseBatch, _ representations: Representations) -> Tensor {
    let loss = rankingLoss(batch, representations, penalty: nil, hasDenseGradients: updatesWholeTables)
    guard let penalty = regularization(batch, representations) else { return loss }
    return loss + penalty
  }

  /// The mean BPR loss of a batch, and the penalty on the batch's own rows, in one operation.
  func rankingLoss(
    _ batch: PairwiseBatch, _ representations: Representations, penalty weight: Double?,
    hasDenseGradients: Bool
  ) -> Tensor {
    let tables =
      representations.joint.map { RankingTables(joint: $0, userCount: userCount) }
      ?? RankingTables(users: representations.users, items: representations.items)
    let triples = RankingTriples(users: batch.users, positives: batch.positives, negatives: batch.negatives)
    let penalty = (weight ?? 0) > 0 ? weight : nil
    return Tensor.pairwiseRankingLoss(
      tables, triples,
      penalty: penalty.map {
        RankingPenalty(users: self.tables.users.value, items: self.tables.items.value, weight: $0)
      }, hasDenseGradients: hasDenseGradients)
  }

  /// Whether the tables are so small that gradients of whole tables cost less than rows: whatever the batch, so that an
  /// epoch's last, smaller one is no exception.
  var updatesWholeTables: Bool { RankingTables.areSmall(userCount + itemCount) }

  /// Half the squared length of the batch's own rows, divided by the batch's size, times `weight`.
  public func rowPenalty(_ batch: PairwiseBatch, weight: Double) -> Tensor? {
    guard weight > 0 else { return nil }
    let (users, items) = (tables.users.value, tables.items.value)
    let lengths =
      users.gatheredRows(batch.users).squared().sum() + items.gatheredRows(batch.positives).squared().sum()
      + items.gatheredRows(batch.negatives).squared().sum()
    return lengths * (weight / 2 / Double(batch.count))
  }

  /// The number of users.
  public var userCount: Int { tables.users.shape[0] }
  /// The number of items.
  public var itemCount: Int { tables.items.shape[0] }

  /// The representations, not tracked.
  public func embeddings() -> Representations {
    let rows = withoutGradients { representations() }
    return Representations(users: rows.users.detached, items: rows.items.detached)
  }

  /// Steps over ``PairwiseBatches``.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    PairwiseSteps(self, training, configuration) { [unowned self] batch, generator in
      trainingLoss(batch, representations(), using: &generator)
    }
  }

  /// A snapshot of the representations that scores by inner products.
  public func makeScorer() -> any CatalogueScorer {
    InnerProductScorer(embeddings())
  }
}
