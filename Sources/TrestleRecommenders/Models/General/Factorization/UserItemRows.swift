import TrestleNN
import TrestleTensor

/// A row for each user and each item: the tables of a pairwise model, under RecBole's names of them.
///
/// The model gives the property that holds them an empty name in its `checkpointKeys`, so that nothing stands before theirs.
final class UserItemRows: Module {
  static let checkpointKeys = ["users": "user_embedding.weight", "items": "item_embedding.weight"]
  let users: Parameter
  let items: Parameter

  /// Rows drawn by Xavier's normal rule, those of the users first.
  init(userCount: Int, itemCount: Int, width: Int, dtype: DType, using generator: inout RandomGenerator) {
    users = .xavierTable(rows: userCount, columns: width, dtype: dtype, using: &generator)
    items = .xavierTable(rows: itemCount, columns: width, dtype: dtype, using: &generator)
  }

  /// Rows for the users and items of `training`.
  convenience init(
    for training: Interactions, width: Int, dtype: DType, using generator: inout RandomGenerator
  ) {
    self.init(
      userCount: training.userCount, itemCount: training.itemCount, width: width, dtype: dtype,
      using: &generator)
  }

  /// As ``PairwiseRecommender/tables`` has them.
  var tables: (users: Parameter, items: Parameter) { (users, items) }
  /// The type of the rows.
  var dtype: DType { users.dtype }
  /// All rows in one table, `[users + items, width]`.
  var joint: Tensor { .concatenated([users.value, items.value], along: 0) }

  /// mean(E⁽⁰⁾ … E⁽ᴷ⁾) with E⁽⁰⁾ these rows and E⁽ᵏ⁺¹⁾ = Â E⁽ᵏ⁾, `[users + items, width]`.
  func propagatedMean(over graph: SparseMatrix, layers: Int) -> Tensor {
    graph.propagatedMean(users: users.value, items: items.value, layers: layers)
  }
}

extension Parameter {
  /// An embedding table drawn from the normal distribution of deviation √(2 / (rows + columns)).
  ///
  /// Source: Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks* (2010).
  static func xavierTable(
    rows: Int, columns: Int, dtype: DType = .float32, using generator: inout RandomGenerator
  ) -> Parameter {
    let deviation = (2 / Double(max(rows + columns, 1))).squareRoot()
    return Parameter(.normal([rows, columns], deviation: deviation, dtype: dtype, using: &generator))
  }
}
