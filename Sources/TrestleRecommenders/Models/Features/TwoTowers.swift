import Foundation
import TrestleNN
import TrestleTensor

/// A network that makes a row of a user's columns and one that makes a row of an item's; their inner product is the score.
///
/// Each tower takes its columns' vectors side by side through a network. The other items of a batch are each pair's negatives,
/// so that often-drawn items are negatives often; the logarithm of the probability with which an item is drawn is taken off its
/// logit, which makes up for that. Items that came after training have rows, too: what their columns say.
///
/// ```swift
/// var items = FeatureTable(rowCount: 3)
/// try items.addCategories("item", ["Emma", "Ran", "Ikiru"])
/// try items.addLists("genres", [["romance"], ["drama", "war"], ["drama"]])
/// let model = try TwoTowers(users: users, items: items, using: &generator)
/// try RecommenderTrainer(model, training: split.training).fit(split)
/// let later = try model.itemRows(FeatureTable([["item": "Rashomon", "genres": ["drama"]]], schema: items.schema))
/// ```
///
/// A column of ids tells an item from others with the same features. For items that training does not have, a table learns its
/// ids from the other items only (``FeatureTable/init(rowCount:schema:)`` reads the rest by them): a row that no step has
/// touched is noise, while that of unknown ids stays at zero.
///
/// Source: Yi et al., *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations* (RecSys 2019). Here an
/// item's probability is its share of the interactions, where the publication estimates it from a stream.
public final class TwoTowers: TrainableRecommender, EmbeddingRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the columns' vectors.
    public var dimension = 16
    /// The widths of the hidden layers of each tower.
    public var hidden = [64]
    /// The width of the rows of users and items.
    public var outputs = 32
    /// The rate of dropout in the towers.
    public var dropout = 0.0
    /// Whether rows are scaled to unit length, so that scores are cosines.
    public var normalizes = true
    /// τ, by which scores are divided in training.
    public var temperature = 0.1
    /// Whether logits are corrected by the items' probabilities.
    public var correctsSampling = true

    /// The defaults.
    public init() {}

    func check() throws(DataError) {
      guard temperature > 0, temperature.isFinite, ([dimension, outputs] + hidden).allSatisfy({ $0 > 0 }),
        (0..<1).contains(dropout)
      else {
        throw .invalidParameter(
          operation: "TwoTowers",
          expected: "widths from 1, a temperature above 0 and a rate of dropout in 0..<1",
          found: "\(dimension), \(hidden), \(outputs), \(temperature), \(dropout)")
      }
    }
  }

  /// TwoTowers.
  public let name = "TwoTowers"
  /// How the model was built.
  public let configuration: Configuration
  /// The users' columns, a row for each user.
  public let users: FeatureTable
  /// The items' columns, a row for each item.
  public let items: FeatureTable
  private let userTower: Tower
  private let itemTower: Tower

  /// A model with random vectors and weights.
  ///
  /// - Parameters:
  ///   - users: a row for each user, in the order of their indices, with every column of its schema and one at least.
  ///   - items: the same for the items.
  ///   - configuration: how the model is built.
  ///   - generator: where random draws come from.
  /// - Throws: ``DataError`` if a table lacks a column or has none, or if a setting lies outside its domain.
  public init(
    users: FeatureTable, items: FeatureTable, configuration: Configuration = Configuration(),
    using generator: inout RandomGenerator
  ) throws(DataError) {
    for table in [users, items] {
      guard !table.schema.fields.isEmpty else {
        throw .missingField(operation: "TwoTowers", expected: "a column of the users and one of the items")
      }
      _ = try table.batch(rows: 0..<min(1, table.rowCount))
    }
    try configuration.check()
    self.configuration = configuration
    (self.users, self.items) = (users, items)
    userTower = Tower(users.schema, configuration, using: &generator)
    itemTower = Tower(items.schema, configuration, using: &generator)
    setTraining(false)
  }

  /// A model of towers that are there.
  init(
    users: FeatureTable, items: FeatureTable, configuration: Configuration,
    _ towers: (user: Tower, item: Tower)
  ) {
    (self.users, self.items, self.configuration) = (users, items, configuration)
    (userTower, itemTower) = towers
    setTraining(false)
  }

  /// The number of users.
  public var userCount: Int { users.rowCount }
  /// The number of items.
  public var itemCount: Int { items.rowCount }

  // MARK: Rows

  /// The rows of users, tracked while gradients are taken.
  ///
  /// - Parameter batch: of a table with the schema of ``users``.
  /// - Returns: `[rows, outputs]`.
  public func userRows(_ batch: FeatureBatch) -> Tensor { userTower(batch) }

  /// The rows of items, tracked while gradients are taken.
  ///
  /// - Parameter batch: of a table with the schema of ``items``.
  /// - Returns: `[rows, outputs]`.
  public func itemRows(_ batch: FeatureBatch) -> Tensor { itemTower(batch) }

  /// The rows of users, who may have come after training; not tracked.
  ///
  /// - Parameter table: with the schema of ``users``.
  /// - Returns: `[rows, outputs]`.
  /// - Throws: ``DataError`` if the schema is another or a column is missing.
  public func userRows(_ table: FeatureTable) throws(DataError) -> Tensor {
    try rows(of: table, users.schema, userTower)
  }

  /// The rows of items, which may have come after training; not tracked.
  ///
  /// - Parameter table: with the schema of ``items``.
  /// - Returns: `[rows, outputs]`.
  /// - Throws: ``DataError`` if the schema is another or a column is missing.
  public func itemRows(_ table: FeatureTable) throws(DataError) -> Tensor {
    try rows(of: table, items.schema, itemTower)
  }

  private func rows(
    of table: FeatureTable, _ schema: FeatureSchema, _ tower: Tower
  ) throws(DataError) -> Tensor {
    guard table.schema == schema else {
      throw .invalidParameter(
        operation: name, expected: "a table with the schema that the tower was built for",
        found: "another schema, of \(table.schema.fields.map(\.name).prefix(100).joined(separator: ", "))")
    }
    setTraining(false)
    var parts: [Tensor] = []
    for first in stride(from: 0, to: table.rowCount, by: 4096) {
      let batch = try table.batch(rows: first..<min(first + 4096, table.rowCount))
      parts.append(withoutGradients { tower(batch).detached })
    }
    return parts.isEmpty ? .zeros([0, configuration.outputs]) : .concatenated(parts, along: 0)
  }

  /// The rows of all users and items, not tracked.
  public func embeddings() -> Representations {
    do {
      return Representations(users: try userRows(users), items: try itemRows(items))
    } catch { preconditionFailure("TwoTowers: \(error), which was looked at before") }
  }

  /// A snapshot of the rows that scores by inner products.
  public func makeScorer() -> any CatalogueScorer { InnerProductScorer(embeddings()) }

  // MARK: Training

  /// The loss of a batch of pairs; see ``inBatchLoss(users:items:logProbabilities:temperature:)``.
  ///
  /// - Parameters:
  ///   - users: the pairs' users.
  ///   - items: the pairs' items.
  ///   - logProbabilities: the logarithms of the probabilities with which the pairs' items are drawn, `[pairs]`.
  public func loss(users: FeatureBatch, items: FeatureBatch, logProbabilities: Tensor) -> Tensor {
    Self.inBatchLoss(
      users: userTower(users), items: itemTower(items),
      logProbabilities: configuration.correctsSampling ? logProbabilities : nil,
      temperature: configuration.temperature)
  }

  /// The mean cross-entropy of each user's own item among the batch's items, with logits ⟨u, v⟩ / τ − log q of the item's
  /// probability q.
  ///
  /// - Parameters:
  ///   - users: `[batch, width]`.
  ///   - items: `[batch, width]`; row i belongs to user i.
  ///   - logProbabilities: log q of each item, `[batch]`, up to a number that all share; `nil` for no correction.
  ///   - temperature: τ.
  /// - Returns: a scalar.
  public static func inBatchLoss(
    users: Tensor, items: Tensor, logProbabilities: Tensor?, temperature: Double
  ) -> Tensor {
    precondition(
      users.rank == 2 && users.shape == items.shape
        && logProbabilities.map { $0.shape == [users.shape[0]] } ?? true,
      "TwoTowers.inBatchLoss: users \(users.shape), items \(items.shape), logProbabilities \(logProbabilities.map { "\($0.shape)" } ?? "nil")"
    )
    var logits = users.matmul(items, transposingOther: true) * (1 / temperature)
    if let logProbabilities { logits = logits - logProbabilities.expanded(at: 0) }
    return logits.crossEntropy(labels: Tensor((0..<users.shape[0]).map(Int32.init))).mean()
  }

  /// Steps over the interactions in random order.
  ///
  /// - Throws: ``DataError`` if the data has other users or items than the tables.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    guard training.userCount == userCount, training.itemCount == itemCount, configuration.batchSize >= 1
    else {
      throw .invalidParameter(
        operation: name,
        expected: "\(userCount) users and \(itemCount) items, and a batch of one pair at least",
        found: "\(training.userCount), \(training.itemCount), \(configuration.batchSize)")
    }
    return Steps(
      model: self,
      pairs: PairBatches(
        training: training, batchSize: configuration.batchSize, seed: configuration.seed,
        probabilities: ItemProbabilities(training)))
  }

  private struct Steps: TrainingSteps {
    unowned let model: TwoTowers
    let pairs: PairBatches

    var count: Int { pairs.count }

    func epoch(_ epoch: Int) -> AnySequence<TrainingStep> { self.epoch(epoch) { _ in true } }

    func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> AnySequence<TrainingStep> {
      AnySequence(
        pairs.epoch(epoch, where: isWanted).lazy.map { batch in
          TrainingStep(exampleCount: batch.users.count) { try loss(of: batch) }
        })
    }

    private func loss(of pairs: PairBatches.Batch) throws(DataError) -> Tensor {
      let users = try model.users.batch(rows: pairs.users.lazy.map { Int($0) })
      let items = try model.items.batch(rows: pairs.items.lazy.map { Int($0) })
      model.setTraining(true)
      defer { model.setTraining(false) }
      return model.loss(users: users, items: items, logProbabilities: pairs.logProbabilities)
    }
  }
}
