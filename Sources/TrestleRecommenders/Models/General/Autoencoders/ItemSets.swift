import TrestleNN
import TrestleTensor

/// The sets of items that a batch of users have: what an autoencoder reads, and what it is to say.
package struct ItemSets: Sendable {
  /// Each user's distinct items.
  package let sets: [[Int32]]
  private let itemCount: Int

  /// Sets of distinct items.
  package init(_ sets: [[Int32]], itemCount: Int) { (self.sets, self.itemCount) = (sets, itemCount) }

  /// What each user of some histories has had.
  init(_ histories: UserHistories, _ users: some Sequence<Int>) {
    self.init(users.map { Set(histories.items(of: $0)).sorted() }, itemCount: histories.itemCount)
  }

  /// The rows of the sets, 1 for an item that is there, at unit length and under dropout, `[users, items]`.
  ///
  /// - Parameters:
  ///   - rate: the probability with which an item is left out; the others are scaled by 1 / (1 − rate).
  ///   - dtype: of the values.
  ///   - generator: draws what is left out; not asked at a rate of 0.
  func inputs(dropout rate: Double, dtype: DType, using generator: inout RandomGenerator) -> SparseMatrix {
    var rows: [Int32] = []
    var columns: [Int32] = []
    var values: [Float] = []
    for (row, items) in sets.enumerated() {
      let value = Float(1 / ((1 - rate) * Double(max(items.count, 1)).squareRoot()))
      for item in items where rate == 0 || generator.uniform() >= rate {
        rows.append(Int32(row))
        columns.append(item)
        values.append(value)
      }
    }
    return SparseMatrix(
      rowCount: sets.count, columnCount: itemCount, rows: rows, columns: columns, values: values, dtype: dtype
    )
  }

  /// The rows of the sets without dropout.
  package func inputs(dtype: DType) -> SparseMatrix {
    var unused = RandomGenerator(seed: 0)
    return inputs(dropout: 0, dtype: dtype, using: &unused)
  }

  /// 1 for each item that is there, `[users, items]`.
  package func targets(dtype: DType) -> Tensor {
    var values = [Float](repeating: 0, count: sets.count * itemCount)
    for (row, items) in sets.enumerated() { for item in items { values[row * itemCount + Int(item)] = 1 } }
    return Tensor(values, shape: [sets.count, itemCount]).converted(to: dtype)
  }

  /// The number of each user's items, `[users]`.
  package func counts(dtype: DType) -> Tensor { Tensor(sets.map { Float($0.count) }).converted(to: dtype) }

  /// ε for each user's state, `[users, width]`.
  func noise(width: Int, dtype: DType, using generator: inout RandomGenerator) -> Tensor {
    .normal([sets.count, width], dtype: dtype, using: &generator)
  }
}

extension Tensor {
  /// Draws from N(μ, σ²) by given noise: μ + σ ε, through which gradients flow.
  static func gaussian(mean: Tensor, logVariance: Tensor, noise: Tensor) -> Tensor {
    mean + (logVariance * 0.5).exp() * noise
  }
}

/// Batches of users, every user who has an item once an epoch, in random order.
struct UserBatches {
  private let histories: UserHistories
  private let users: [Int]
  private let batchSize: Int
  private let source: RandomGenerator

  init(_ histories: UserHistories, batchSize: Int, seed: UInt64) {
    precondition(batchSize > 0, "UserBatches: batches of \(batchSize)")
    (self.histories, self.batchSize) = (histories, batchSize)
    users = (0..<histories.userCount).filter { !histories.items(of: $0).isEmpty }
    source = RandomGenerator(seed: seed).split(0x7573_6572)
  }

  /// The number of batches of an epoch.
  var count: Int { (users.count + batchSize - 1) / batchSize }

  /// The batches of a pass over the users, and a generator for each.
  ///
  /// - Parameter pass: its number, from 0 on.
  func pass(_ pass: Int) -> [(sets: ItemSets, generator: RandomGenerator)] {
    let source = source.split(UInt64(pass))
    var first = source
    let order = first.permutation(of: users.count)
    return (0..<count).map { batch in
      let rows = order[batch * batchSize..<min((batch + 1) * batchSize, users.count)]
      return (ItemSets(histories, rows.map { users[Int($0)] }), source.split(UInt64(batch)))
    }
  }
}

/// A linear map of sparse rows of items: x E + b, E with a row for each item.
final class ItemSetProjection: Module {
  /// E, `[items, outputs]`.
  let weight: Parameter
  /// b, `[outputs]`.
  let bias: Parameter

  init(itemCount: Int, outputs: Int, dtype: DType, using generator: inout RandomGenerator) {
    weight = .xavierTable(rows: itemCount, columns: outputs, dtype: dtype, using: &generator)
    bias = Parameter(.zeros([outputs], dtype: dtype))
  }

  func callAsFunction(_ inputs: SparseMatrix) -> Tensor { inputs.matmul(weight.value) + bias.value }
}

extension Linear {
  /// A layer drawn by Xavier's normal rule, with an offset of 0.
  static func xavier(
    _ inputs: Int, _ outputs: Int, _ dtype: DType, using generator: inout RandomGenerator
  ) -> Linear {
    let deviation = (2 / Double(max(inputs + outputs, 1))).squareRoot()
    return Linear(
      weight: .normal([outputs, inputs], deviation: deviation, dtype: dtype, using: &generator),
      bias: .zeros([outputs], dtype: dtype))
  }

  /// The weight and the offset side by side, `[outputs, inputs + 1]`: their products with states and a 1 are the outputs.
  var rowsWithOffset: Tensor {
    weight.detached.rows(withOffsets: bias?.detached ?? .zeros([outputs], dtype: weight.dtype))
  }
}
