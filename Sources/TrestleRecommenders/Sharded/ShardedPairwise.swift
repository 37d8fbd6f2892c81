import TrestleNN
import TrestleTensor

/// A sharded recommender that learns to rank a user's items above others, as ``PairwiseRecommender`` does in one piece.
public protocol ShardedPairwiseRecommender: ShardedRecommender {
  /// The weight of the penalty on a batch's own rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
  var regularization: Double { get }

  /// The same model in one piece, to be filled with the whole tables.
  ///
  /// - Parameter training: what the model was trained on.
  func unsharded(training: Interactions) -> any PairwiseRecommender
}

extension ShardedPairwiseRecommender {
  /// Small tables move as a whole, as those of a model in one piece do.
  public var updatesOnlyTouchedRows: Bool { !RankingTables.areSmall(userCount + itemCount) }

  /// The penalty is on the tables' own rows.
  public var lossReadsOwnRows: Bool { regularization > 0 }

  /// The model in one piece, on every rank: what is saved and served where one machine holds it.
  ///
  /// - Parameter training: what the model was trained on.
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  public func whole(training: Interactions) throws(CommunicatorError) -> any PairwiseRecommender {
    let model = unsharded(training: training)
    for (table, parameter) in [(users, model.tables.users), (items, model.tables.items)] {
      parameter.update(to: try table.whole())
    }
    return model
  }

  /// Every interaction once an epoch, with a negative: a batch's items are the positives, then the negatives.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for negatives that the model would have to choose.
  public func makeBatches(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any ShardedBatches {
    let negatives: (any NegativeSampler)?
    switch configuration.negatives {
    case .uniform: negatives = nil
    case .dynamic:
      throw .invalidParameter(
        operation: "training", expected: "negatives that can be drawn without the whole tables",
        found: "dynamic ones")
    case .popularity, .inBatch:
      negatives = configuration.negatives.sampler(avoiding: training) { { _, _ in [] } }
    }
    return ShardedPairwiseBatches(
      batches: PairwiseBatches(
        training: training, batchSize: configuration.batchSize, seed: configuration.seed,
        negatives: negatives))
  }

  /// The ranking loss with the penalty on the tables' rows.
  public func loss(of batch: ShardedBatch, users: ShardedRows, items: ShardedRows) -> Tensor {
    let (places, count) = (Tensor(items.places), batch.exampleCount)
    return Tensor.pairwiseRankingLoss(
      RankingTables(users: users.rows, items: items.rows),
      RankingTriples(
        users: Tensor(users.places), positives: places.sliced(0..<count, along: 0),
        negatives: places.sliced(count..<2 * count, along: 0)),
      penalty: regularization > 0
        ? RankingPenalty(users: users.own, items: items.own, weight: regularization) : nil,
      hasDenseGradients: true)
  }
}

private struct ShardedPairwiseBatches: ShardedBatches {
  let batches: PairwiseBatches

  var count: Int { batches.count }

  func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<ShardedBatch> {
    AnySequence(
      batches.epoch(epoch, where: isWanted).lazy.map { _, batch in
        ShardedBatch(
          users: batch.users.scalars(), items: batch.positives.scalars() + batch.negatives.scalars(),
          exampleCount: batch.count)
      })
  }
}

/// Matrix factorisation by Bayesian personalised ranking, as ``MatrixFactorization``, with its rows cut over ranks.
///
/// N ranks of N batches a step train in the bits of one process with as many batches a step, sharded or not.
public final class ShardedFactorization: ShardedPairwiseRecommender {
  /// MF-BPR.
  public let name = "MF-BPR"
  /// How the model was built.
  public let configuration: MatrixFactorization.Configuration
  /// The users' rows.
  public let users: EmbeddingTable
  /// The items' rows.
  public let items: EmbeddingTable
  private let userRows: Parameter
  private let itemRows: Parameter

  /// A model with rows drawn by Xavier's normal rule, each by its number.
  ///
  /// - Parameters:
  ///   - training: its users and items.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - communicator: the ranks.
  ///   - generator: draws the rows; the same on all ranks.
  public init(
    training: Interactions, configuration: MatrixFactorization.Configuration? = nil,
    communicator: any Communicator, using generator: RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    self.configuration = configuration
    (users, items) = EmbeddingTable.pair(for: training, configuration.dimension, communicator, generator)
    (userRows, itemRows) = (users.shard, items.shard)
  }

  /// The weight of the penalty on a batch's rows.
  public var regularization: Double { configuration.regularization }

  /// A model of the same settings.
  public func unsharded(training: Interactions) -> any PairwiseRecommender {
    var generator = RandomGenerator(seed: 0)
    return MatrixFactorization(
      userCount: userCount, itemCount: itemCount, configuration: configuration, using: &generator)
  }
}

/// Light graph convolution, as ``LightGCN``, with rows and graph cut over ranks.
///
/// Each rank propagates the rows of its users, and hands on what they add to the items' rows. The items'
/// propagated rows are whole on every rank while a step lasts, so the catalogue must fit where the users need not.
///
/// Any number of ranks trains in the same bits, given the number of batches a step. With one batch a step these are
/// ``LightGCN``'s; with several, that one propagates each batch's gradient by itself, and this one their mean at once.
public final class ShardedLightGCN: ShardedPairwiseRecommender {
  /// LightGCN.
  public let name = "LightGCN"
  /// How the model was built.
  public let configuration: LightGCN.Configuration
  /// The users' own rows, E⁽⁰⁾.
  public let users: EmbeddingTable
  /// The items' own rows.
  public let items: EmbeddingTable
  private let userRows: Parameter
  private let itemRows: Parameter
  private let graph: ShardedGraph

  /// A model over the graph of `training`, with rows drawn by Xavier's normal rule, each by its number.
  ///
  /// - Parameters:
  ///   - training: the graph.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - communicator: the ranks.
  ///   - generator: draws the rows; the same on all ranks.
  /// - Precondition: the penalty is that of ``LightGCN/Penalty/squares``.
  public init(
    training: Interactions, configuration: LightGCN.Configuration? = nil,
    communicator: any Communicator, using generator: RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      configuration.penalty == .squares,
      "ShardedLightGCN: the penalty \(configuration.penalty), expected squares")
    self.configuration = configuration
    (users, items) = EmbeddingTable.pair(for: training, configuration.dimension, communicator, generator)
    (userRows, itemRows) = (users.shard, items.shard)
    graph = ShardedGraph(training, users: users, items: items)
  }

  /// The weight of the penalty on a batch's own rows.
  public var regularization: Double { configuration.regularization }

  /// The propagated rows, E.
  public func propagated() throws(CommunicatorError) -> Representations? {
    try graph.propagatedMean(
      Representations(users: userRows.detached, items: itemRows.detached), layers: configuration.layers)
  }

  /// The matrix of the graph is symmetric: gradients are propagated as rows are.
  public func gradients(_ propagated: Representations) throws(CommunicatorError) -> Representations {
    try graph.propagatedMean(propagated, layers: configuration.layers)
  }

  /// A model of the same settings and graph.
  public func unsharded(training: Interactions) -> any PairwiseRecommender {
    var generator = RandomGenerator(seed: 0)
    return LightGCN(training: training, configuration: configuration, using: &generator)
  }
}
