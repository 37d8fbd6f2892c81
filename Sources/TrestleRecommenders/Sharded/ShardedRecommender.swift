import TrestleNN
import TrestleTensor

/// A recommender whose rows of users and items are cut over ranks, so that together they may be larger than one machine's memory.
///
/// Each rank owns a range of the users' rows and one of the items', with what the optimizer remembers of them. Every rank
/// calls the same methods in the same order.
public protocol ShardedRecommender: Module {
  /// The name that tables show.
  var name: String { get }
  /// The users' own rows, in ranges.
  var users: EmbeddingTable { get }
  /// The items' own rows, in ranges.
  var items: EmbeddingTable { get }
  /// The weight of the penalty on a batch's own rows; see ``PairwiseRecommender/rowPenalty(_:weight:)``.
  var regularization: Double { get }

  /// This rank's rows of those whose inner products are scores; `nil` if they are the tables' own rows.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func propagated() throws(CommunicatorError) -> Representations?

  /// The gradients of this rank's own rows from those of ``propagated()``'s.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func gradients(_ propagated: Representations) throws(CommunicatorError) -> Representations

  /// The same model in one piece, to be filled with the whole tables.
  ///
  /// - Parameter training: what the model was trained on.
  func unsharded(training: Interactions) -> any PairwiseRecommender
}

extension ShardedRecommender {
  /// The ranks.
  public var communicator: any Communicator { users.communicator }
  /// The number of users.
  public var userCount: Int { users.rowCount }
  /// The number of items.
  public var itemCount: Int { items.rowCount }

  /// This rank's rows of those whose inner products are scores, on all ranks at once.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  public func representations() throws(CommunicatorError) -> Representations {
    try propagated() ?? Representations(users: users.shard.detached, items: items.shard.detached)
  }

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

  /// The best items of some users, each rank looking through its own items.
  ///
  /// - Parameters:
  ///   - users: for whom, the same on all ranks.
  ///   - count: how many items each.
  ///   - seen: what is not to be recommended to whom; `nil` for nothing.
  /// - Returns: on every rank, for each user the items from the best on; of equal scores the lower item first.
  /// - Throws: ``DataError/notANumber(operation:user:item:)`` for a NaN score; `CommunicatorError` if a rank is lost or the
  ///   engine fails.
  public func recommend(
    to users: [Int32], count: Int, excluding seen: UserItemMatrix? = nil
  ) throws -> [[Recommendation]] {
    let scorer = try ShardScorer(self, representations(), users: users)
    var tops: [TopItems] = []
    for first in stride(from: 0, to: users.count, by: 128) {
      let some = Array(users[first..<min(first + 128, users.count)])
      tops += try scorer.best(
        count, for: some, among: scorer.range,
        without: some.map { user in seen.map { Set($0.items(of: Int(user))) } ?? [] })
    }
    return try communicator.merged(tops, limit: count).map(\.recommendations)
  }
}

extension EmbeddingTable {
  /// All rows, on every rank.
  func whole() throws(CommunicatorError) -> Tensor {
    try communicator.allGatherRows(shard.detached, counts: ranges.map(\.count))
  }
}

/// Matrix factorisation by Bayesian personalised ranking, as ``MatrixFactorization``, with its rows cut over ranks.
///
/// N ranks of N batches a step train in the bits of one process with as many batches a step, sharded or not.
public final class ShardedFactorization: ShardedRecommender {
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

  /// Scores are made of the tables' own rows.
  public func propagated() -> Representations? { nil }

  /// The tables' gradients are those of the rows.
  public func gradients(_ propagated: Representations) -> Representations { propagated }

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
public final class ShardedLightGCN: ShardedRecommender {
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

extension EmbeddingTable {
  /// Tables of users and items in ranges, drawn by Xavier's normal rule.
  static func pair(
    for training: Interactions, _ width: Int, _ communicator: any Communicator, _ generator: RandomGenerator
  ) -> (users: EmbeddingTable, items: EmbeddingTable) {
    func table(_ count: Int, _ stream: UInt64) -> EmbeddingTable {
      EmbeddingTable(
        rowCount: count, width: width, partition: .range, communicator: communicator,
        deviation: (2 / Double(max(count + width, 1))).squareRoot(), using: generator.split(stream))
    }
    return (table(training.userCount, 0), table(training.itemCount, 1))
  }
}
