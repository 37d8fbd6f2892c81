import TrestleNN
import TrestleTensor

/// A recommender whose rows of users and items are cut over ranks, so that together they may be larger than one machine's memory.
///
/// Each rank owns a range of the users' rows and one of the items', with what the optimizer remembers of them. Every rank
/// calls the same methods in the same order.
///
/// A model says which rows a batch needs and what its loss is, given these; ``ShardedTrainer`` fetches the rows, and brings the
/// gradients back to their owners. Most models rank pairs of items: see ``ShardedPairwiseRecommender``.
public protocol ShardedRecommender: Module {
  /// The name that tables show.
  var name: String { get }
  /// The users' own rows, in ranges.
  var users: EmbeddingTable { get }
  /// The items' own rows, in ranges.
  var items: EmbeddingTable { get }
  /// What every rank holds whole and all train alike, such as layers over the rows; `nil` for nothing. Without buffers.
  var network: (any Module)? { get }
  /// Whether a step moves the rows of its batches only; the others' moments then rest.
  var updatesOnlyTouchedRows: Bool { get }
  /// Whether losses are made of the tables' own rows, too, where there are propagated ones.
  var lossReadsOwnRows: Bool { get }

  /// This rank's rows of those that batches' losses are made of; `nil` if they are the tables' own rows.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func propagated() throws(CommunicatorError) -> Representations?

  /// The gradients of this rank's own rows from those of ``propagated()``'s.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func gradients(_ propagated: Representations) throws(CommunicatorError) -> Representations

  /// This rank's rows of those whose inner products are scores, on all ranks at once.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func representations() throws(CommunicatorError) -> Representations

  /// The batches of a training.
  ///
  /// - Parameters:
  ///   - training: what to train on, the same on all ranks.
  ///   - configuration: the batch size, the seed and the negatives are the batches' business.
  /// - Throws: ``DataError`` for a setting that the model cannot follow.
  func makeBatches(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any ShardedBatches

  /// The mean loss of a batch, a tensor of one element.
  ///
  /// - Parameters:
  ///   - batch: this rank's.
  ///   - users: the rows of its users.
  ///   - items: the rows of its items.
  /// - Throws: what keeps the model from computing it.
  func loss(of batch: ShardedBatch, users: ShardedRows, items: ShardedRows) throws -> Tensor
}

extension ShardedRecommender {
  /// Nothing.
  public var network: (any Module)? { nil }
  /// Only they are moved.
  public var updatesOnlyTouchedRows: Bool { true }
  /// They are not.
  public var lossReadsOwnRows: Bool { false }
  /// Losses are made of the tables' own rows.
  public func propagated() throws(CommunicatorError) -> Representations? { nil }
  /// The tables' gradients are those of the rows.
  public func gradients(_ propagated: Representations) throws(CommunicatorError) -> Representations {
    propagated
  }

  /// The rows that losses are made of.
  public func representations() throws(CommunicatorError) -> Representations {
    try propagated() ?? Representations(users: users.shard.detached, items: items.shard.detached)
  }

  /// The ranks.
  public var communicator: any Communicator { users.communicator }
  /// The number of users.
  public var userCount: Int { users.rowCount }
  /// The number of items.
  public var itemCount: Int { items.rowCount }

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

/// What one rank computes of a step at a time.
public struct ShardedBatch: Sendable {
  /// The users whose rows the loss needs.
  public let users: [Int32]
  /// The items whose rows the loss needs.
  public let items: [Int32]
  /// The number of examples that the loss is the mean over.
  public let exampleCount: Int

  /// A batch.
  public init(users: [Int32], items: [Int32], exampleCount: Int) {
    (self.users, self.items, self.exampleCount) = (users, items, exampleCount)
  }
}

/// The batches of a training, epoch by epoch.
public protocol ShardedBatches {
  /// The number of batches of an epoch.
  var count: Int { get }

  /// Some of the batches of an epoch, chosen by their number: those of one rank. They depend on the seed and the epoch's number
  /// only: a resumed training sees the same ones.
  func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<ShardedBatch>
}

/// The rows of a batch's users or items, which their owners have sent.
public struct ShardedRows {
  /// The distinct rows that the loss is made of, `[distinct, width]`, tracked while gradients are taken.
  public let rows: Tensor
  /// The distinct rows of the table; the same ones, unless the model propagates.
  public let own: Tensor
  /// Which of the rows each index of the batch stands for.
  public let places: [Int32]

  /// A row for each index of the batch, `[indices, width]`.
  public var gathered: Tensor { rows.gatheredRows(Tensor(places)) }
}

extension EmbeddingTable {
  /// All rows, on every rank.
  func whole() throws(CommunicatorError) -> Tensor {
    try communicator.allGatherRows(shard.detached, counts: ranges.map(\.count))
  }
}

extension EmbeddingTable {
  /// Tables of users and items in ranges, drawn by Xavier's normal rule unless a deviation is given.
  static func pair(
    for training: Interactions, _ width: Int, deviation: Double? = nil, _ communicator: any Communicator,
    _ generator: RandomGenerator
  ) -> (users: EmbeddingTable, items: EmbeddingTable) {
    func table(_ count: Int, _ stream: UInt64) -> EmbeddingTable {
      EmbeddingTable(
        rowCount: count, width: width, partition: .range, communicator: communicator,
        deviation: deviation ?? (2 / Double(max(count + width, 1))).squareRoot(),
        using: generator.split(stream))
    }
    return (table(training.userCount, 0), table(training.itemCount, 1))
  }
}
