import TrestleNN
import TrestleTensor

/// Two towers, as ``TwoTowers``, over a vector of each user's and item's own, with these vectors cut over ranks.
///
/// The layers, and the vectors of columns, are whole on every rank, which trains them as all others do; of users and items a
/// rank holds a range. The other items of a rank's batch are each pair's negatives.
///
/// ```swift
/// let model = try ShardedTwoTowers(
///   training: split.training, itemFeatures: items, communicator: ranks, using: RandomGenerator(seed: 1))
/// try ShardedTrainer(model, training: split.training, configuration: configuration).fit(split)
/// ```
///
/// N ranks of N batches a step train in the bits of ``whole(users:items:)`` with as many batches a step.
public final class ShardedTwoTowers: ShardedRecommender {
  /// TwoTowers.
  public let name = "TwoTowers"
  /// How the model was built.
  public let configuration: TwoTowers.Configuration
  /// The users' vectors, `[users, dimension]`.
  public let users: EmbeddingTable
  /// The items' vectors.
  public let items: EmbeddingTable
  /// The users' columns; without any if there are none.
  public let userFeatures: FeatureTable
  /// The items' columns.
  public let itemFeatures: FeatureTable
  private let userRows: Parameter
  private let itemRows: Parameter
  private let towers: Towers
  private let probabilities: ItemProbabilities

  /// The towers, which every rank holds whole.
  private final class Towers: Module {
    let user: Tower
    let item: Tower

    init(user: Tower, item: Tower) { (self.user, self.item) = (user, item) }
  }

  /// A model with vectors drawn by their numbers, and random weights.
  ///
  /// - Parameters:
  ///   - training: its users and items, and how often each item is drawn.
  ///   - userFeatures: a row for each user with every column of its schema, on every rank; `nil` for none.
  ///   - itemFeatures: the same for the items.
  ///   - configuration: how the model is built.
  ///   - communicator: the ranks.
  ///   - generator: draws vectors and weights; the same on all ranks.
  /// - Throws: ``DataError`` if a table has another number of rows or lacks a column, or if a setting lies outside its domain.
  public init(
    training: Interactions, userFeatures: FeatureTable? = nil, itemFeatures: FeatureTable? = nil,
    configuration: TwoTowers.Configuration = .init(), communicator: any Communicator,
    using generator: RandomGenerator
  ) throws(DataError) {
    try configuration.check()
    self.configuration = configuration
    self.userFeatures = userFeatures ?? FeatureTable(rowCount: training.userCount)
    self.itemFeatures = itemFeatures ?? FeatureTable(rowCount: training.itemCount)
    for (table, count) in [
      (self.userFeatures, training.userCount), (self.itemFeatures, training.itemCount),
    ] {
      guard table.rowCount == count else {
        throw .invalidParameter(
          operation: "TwoTowers", expected: "\(count) rows of features", found: "\(table.rowCount)")
      }
      _ = try table.batch(rows: 0..<min(1, count))
    }
    (users, items) = EmbeddingTable.pair(
      for: training, configuration.dimension, deviation: Tower.deviation, communicator, generator)
    (userRows, itemRows) = (users.shard, items.shard)
    var weights = generator.split(2)
    let user = Tower(self.userFeatures.schema, configuration, hasIDs: true, using: &weights)
    towers = Towers(
      user: user, item: Tower(self.itemFeatures.schema, configuration, hasIDs: true, using: &weights))
    probabilities = ItemProbabilities(training)
    towers.setTraining(false)
  }

  /// The towers.
  public var network: (any Module)? { towers }

  /// This rank's rows of those whose inner products are scores: what the towers make of its vectors and columns.
  ///
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  public func representations() throws(CommunicatorError) -> Representations {
    Representations(
      users: rows(towers.user, users, userFeatures), items: rows(towers.item, items, itemFeatures))
  }

  private func rows(_ tower: Tower, _ table: EmbeddingTable, _ features: FeatureTable) -> Tensor {
    let own = table.ownRange
    var parts: [Tensor] = []
    for first in stride(from: own.lowerBound, to: own.upperBound, by: 4096) {
      let range = first..<min(first + 4096, own.upperBound)
      let ids = table.shard.detached.sliced(
        range.lowerBound - own.lowerBound..<range.upperBound - own.lowerBound, along: 0)
      parts.append(withoutGradients { tower(batch(features, range), ids: ids).detached })
    }
    return parts.isEmpty ? .zeros([0, configuration.outputs]) : .concatenated(parts, along: 0)
  }

  private func batch(_ features: FeatureTable, _ rows: some Sequence<Int>) -> FeatureBatch {
    do { return try features.batch(rows: rows) } catch {
      preconditionFailure("TwoTowers: \(error), which was looked at before")
    }
  }

  /// Every interaction once an epoch.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for batches without a pair.
  public func makeBatches(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any ShardedBatches {
    guard training.userCount == userCount, training.itemCount == itemCount, configuration.batchSize >= 1
    else {
      throw .invalidParameter(
        operation: name,
        expected: "\(userCount) users and \(itemCount) items, and a batch of one pair at least",
        found: "\(training.userCount), \(training.itemCount), \(configuration.batchSize)")
    }
    return Batches(
      pairs: PairBatches(
        training: training, batchSize: configuration.batchSize, seed: configuration.seed,
        probabilities: probabilities))
  }

  private struct Batches: ShardedBatches {
    let pairs: PairBatches

    var count: Int { pairs.count }

    func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<ShardedBatch> {
      AnySequence(
        pairs.epoch(epoch, where: isWanted).lazy.map {
          ShardedBatch(users: $0.users, items: $0.items, exampleCount: $0.users.count)
        })
    }
  }

  /// The in-batch loss; see ``TwoTowers/inBatchLoss(users:items:logProbabilities:temperature:)``.
  public func loss(of pairs: ShardedBatch, users: ShardedRows, items: ShardedRows) -> Tensor {
    towers.setTraining(true)
    defer { towers.setTraining(false) }
    return TwoTowers.inBatchLoss(
      users: towers.user(batch(userFeatures, pairs.users.lazy.map { Int($0) }), ids: users.gathered),
      items: towers.item(batch(itemFeatures, pairs.items.lazy.map { Int($0) }), ids: items.gathered),
      logProbabilities: configuration.correctsSampling ? probabilities.logProbabilities(pairs.items) : nil,
      temperature: configuration.temperature)
  }

  /// The model in one piece, on every rank, where one machine holds it. Its last columns are those of ids, `user` and `item`.
  ///
  /// - Parameters:
  ///   - userIDs: the users' ids, in the order of their numbers.
  ///   - itemIDs: the items' ids.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` unless each row has an id of its own and no column is
  ///   called so; `CommunicatorError` if a rank is lost or the engine fails.
  public func whole(users userIDs: [String], items itemIDs: [String]) throws -> TwoTowers {
    let user = try userFeatures.addingIDs("user", userIDs)
    let item = try itemFeatures.addingIDs("item", itemIDs)
    return TwoTowers(
      users: user, items: item, configuration: configuration,
      (
        Tower(towers.user, configuration, schema: user.schema, id: "user", rows: try users.whole()),
        Tower(towers.item, configuration, schema: item.schema, id: "item", rows: try items.whole())
      ))
  }
}
