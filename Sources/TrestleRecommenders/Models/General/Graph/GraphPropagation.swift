import TrestleNN
import TrestleTensor

extension SparseMatrix {
  /// D^−½ A D^−½ of the bipartite graph of interactions, over users, then items; repeated interactions count once.
  package static func normalizedBipartite(_ interactions: Interactions, dtype: DType = .float32)
    -> SparseMatrix
  {
    let matrix = UserItemMatrix(interactions)
    return normalizedBipartite(
      users: matrix.owners(), items: matrix.items, userCount: matrix.userCount, itemCount: matrix.itemCount,
      dtype: dtype)
  }

  /// D^−½ A D^−½ of a bipartite graph of distinct edges, over users, then items; a node without edges has zeros.
  static func normalizedBipartite(
    users: [Int32], items: [Int32], userCount: Int, itemCount: Int, dtype: DType
  ) -> SparseMatrix {
    let userDegrees = Interactions.counts(of: users, below: userCount)
    let itemDegrees = Interactions.counts(of: items, below: itemCount)
    var rows: [Int32] = []
    var columns: [Int32] = []
    var values: [Float] = []
    rows.reserveCapacity(2 * users.count)
    columns.reserveCapacity(2 * users.count)
    values.reserveCapacity(2 * users.count)
    for (user, item) in zip(users, items) {
      let degrees = Double(userDegrees[Int(user)]) * Double(itemDegrees[Int(item)])
      let value = Float(1 / degrees.squareRoot())
      rows.append(user)
      columns.append(Int32(userCount) + item)
      values.append(value)
      rows.append(Int32(userCount) + item)
      columns.append(user)
      values.append(value)
    }
    return SparseMatrix(
      rowCount: userCount + itemCount, columnCount: userCount + itemCount, rows: rows, columns: columns,
      values: values, isSymmetric: true, dtype: dtype)
  }

  /// The states after each propagation: E⁽ᵏ⁺¹⁾ = Â E⁽ᵏ⁾, to which sign(Â E⁽ᵏ⁾) ⊙ `length` · n/‖n‖ is added under noise n.
  ///
  /// - Parameters:
  ///   - table: E⁽⁰⁾, `[nodes, width]`, which is not among the results.
  ///   - layers: the number of propagations.
  ///   - noise: numbers from 0 to 1 for each layer, of the table's shape; `nil` for no noise.
  ///   - length: of the noise on a row.
  func states(of table: Tensor, layers: Int, noise: [Tensor]?, length: Double) -> [Tensor] {
    var state = table
    return (0..<layers).map { layer in
      state = matmul(state)
      if let noise {
        let zero = Tensor.zeros(state.shape, dtype: state.dtype)
        let plain = state.detached
        let sign = plain.isGreater(than: zero) - plain.isLess(than: zero)
        state = state + sign * noise[layer].unitNormalized() * length
      }
      return state
    }
  }
}

extension Tensor {
  /// The mean of tensors of one shape.
  static func mean(of tensors: [Tensor]) -> Tensor {
    tensors.dropFirst().reduce(tensors[0]) { $0 + $1 } * (1 / Double(tensors.count))
  }

  /// Uniform numbers for each layer.
  static func noise(
    layers: Int, _ shape: Shape, dtype: DType, using generator: inout RandomGenerator
  ) -> [Tensor] {
    (0..<layers).map { _ in Tensor.uniform(shape, dtype: dtype, using: &generator) }
  }
}

extension PairwiseBatch {
  /// InfoNCE between two views of the batch's distinct users, plus that of its distinct positives.
  ///
  /// - Parameters:
  ///   - first: the anchors' rows, `[users + items, width]`.
  ///   - second: the rows of which each anchor is to find its own.
  ///   - userCount: the number of users.
  ///   - temperature: of the contrast.
  ///   - comparesAll: whether an anchor's row competes with those of all users (items), instead of those of the batch.
  func contrast(
    _ first: Tensor, _ second: Tensor, userCount: Int, temperature: Double, comparesAll: Bool = false
  ) -> Tensor {
    let users = Set(users.scalars(as: Int32.self)).sorted()
    let items = Set(positives.scalars(as: Int32.self)).sorted().map { $0 + Int32(userCount) }
    func contrast(_ rows: [Int32], among all: Range<Int>) -> Tensor {
      let names = Tensor(rows)
      let anchors = first.gatheredRows(names)
      guard comparesAll else {
        return Losses.infoNCE(
          anchors: anchors, positives: second.gatheredRows(names), temperature: temperature)
      }
      let candidates = second.sliced(all, along: 0).unitNormalized()
      let logits = anchors.unitNormalized().matmul(candidates, transposingOther: true) * (1 / temperature)
      return logits.crossEntropy(labels: Tensor(rows.map { $0 - Int32(all.lowerBound) })).mean()
    }
    return contrast(users, among: 0..<userCount) + contrast(items, among: userCount..<first.shape[0])
  }
}
