import Foundation
import TrestleNN
import TrestleTensor

/// The network of one side of two towers: the columns' vectors side by side, through layers.
final class Tower: Module {
  let vectors: FieldEmbeddings
  let network: MLP
  private let normalizes: Bool

  /// - Parameter hasIDs: whether a vector of each row's own comes behind those of its columns.
  init(
    _ schema: FeatureSchema, _ configuration: TwoTowers.Configuration, hasIDs: Bool = false,
    using generator: inout RandomGenerator
  ) {
    vectors = FieldEmbeddings(
      schema, width: configuration.dimension, deviation: Self.deviation, using: &generator)
    let fields = vectors.fieldCount + (hasIDs ? 1 : 0)
    network = MLP(
      widths: [fields * configuration.dimension] + configuration.hidden + [configuration.outputs],
      dropout: configuration.dropout, using: &generator)
    normalizes = configuration.normalizes
  }

  /// A copy that reads the rows' own vectors from a table of its own, `[rows, width]`, by a last column of ids.
  init(
    _ tower: Tower, _ configuration: TwoTowers.Configuration, schema: FeatureSchema, id name: String,
    rows: Tensor
  ) {
    var generator = RandomGenerator(seed: 0)
    vectors = FieldEmbeddings(tower.vectors, schema: schema, id: name, rows: rows)
    network = MLP(
      widths: [vectors.fieldCount * configuration.dimension] + configuration.hidden + [configuration.outputs],
      dropout: configuration.dropout, using: &generator)
    normalizes = tower.normalizes
    for (own, other) in zip(network.parameters, tower.network.parameters) {
      own.update(to: other.detached.copied())
    }
  }

  /// The deviation of the vectors' first elements.
  static let deviation = 0.25

  /// - Parameters:
  ///   - batch: the rows' columns.
  ///   - ids: the rows' own vectors, `[rows, width]`, if the tower has such.
  /// - Returns: `[rows, outputs]`.
  func callAsFunction(_ batch: FeatureBatch, ids: Tensor? = nil) -> Tensor {
    var fields = vectors.fieldCount == 0 ? [] : [vectors(batch)]
    if let ids { fields.append(ids.expanded(at: 1)) }
    let x = fields.count == 1 ? fields[0] : Tensor.concatenated(fields, along: 1)
    let y = network(x.reshaped(to: [batch.rowCount, -1]))
    return normalizes ? y.unitNormalized() : y
  }
}

/// How likely each item is to be drawn, up to a factor: by its share of the interactions.
struct ItemProbabilities: Sendable {
  private let logarithms: [Float]

  init(_ training: Interactions) {
    let total = Double(max(training.count, 1))
    // An item without interactions is in no batch.
    logarithms = training.itemCounts().map { Float(log(max(Double($0), 1) / total)) }
  }

  /// log q of some items, `[items]`.
  func logProbabilities(_ items: [Int32]) -> Tensor { Tensor(items.map { logarithms[Int($0)] }) }
}

/// The interactions of a training in random order, by batches.
struct PairBatches: Sendable {
  /// Pairs of users and items.
  struct Batch {
    let users: [Int32]
    let items: [Int32]
    /// log q of each item, `[pairs]`.
    let logProbabilities: Tensor
  }

  private let training: Interactions
  private let batchSize: Int
  private let source: RandomGenerator
  private let probabilities: ItemProbabilities

  init(training: Interactions, batchSize: Int, seed: UInt64, probabilities: ItemProbabilities) {
    (self.training, self.batchSize, self.probabilities) = (training, batchSize, probabilities)
    source = RandomGenerator(seed: seed)
  }

  /// The number of batches of an epoch.
  var count: Int { (training.count + batchSize - 1) / batchSize }

  /// Some of the batches of an epoch, chosen by their number; no others are made.
  func epoch(_ epoch: Int, where isWanted: @escaping (Int) -> Bool) -> some Sequence<Batch> {
    var generator = source.split(UInt64(epoch))
    let order = generator.permutation(of: training.count)
    return (0..<count).lazy.filter(isWanted).map { number in
      let rows = order[number * batchSize..<Swift.min((number + 1) * batchSize, order.count)]
      let items = rows.map { training.items[Int($0)] }
      return Batch(
        users: rows.map { training.users[Int($0)] }, items: items,
        logProbabilities: probabilities.logProbabilities(items))
    }
  }
}
