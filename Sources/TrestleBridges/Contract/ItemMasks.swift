import TrestleRecommenders
import TrestleTensor

extension Tensor {
  /// `value` in each row at the given columns, `rest` elsewhere, `[rows, width]`.
  static func marking(
    _ rows: some Collection<some Sequence<Int32>>, width: Int, with value: Float, rest: Float = 0
  ) -> Tensor {
    var elements = [Float](repeating: rest, count: rows.count * width)
    for (row, columns) in rows.enumerated() {
      for column in columns { elements[row * width + Int(column)] = value }
    }
    return Tensor(elements, shape: [rows.count, width])
  }

  /// Of each row the elements in given columns, `[rows, k]`; gradients flow through.
  ///
  /// - Parameter columns: `[rows, k]`, `int32`.
  func gatheredColumns(_ columns: Tensor) -> Tensor {
    let (count, width) = (shape[0], shape[1])
    let places = columns.scalars(as: Int32.self).enumerated().map { place, column in
      Int32(place / Swift.max(columns.shape[1], 1) * width) + column
    }
    return reshaped(to: [count * width, 1]).gatheredRows(Tensor(places)).reshaped(to: columns.shape)
  }
}

/// What each user has had in training, put together when it is first asked for.
final class TrainingHistories {
  private let split: DataSplit
  private(set) lazy var matrix = UserItemMatrix(split.training)

  init(_ split: DataSplit) { self.split = split }

  /// The items of some users, and none of one who has had all.
  func seen(_ users: [Int32]) -> [ArraySlice<Int32>] {
    users.map { user in
      let items = matrix.items(of: Int(user))
      return items.count < split.itemCount ? items : []
    }
  }
}

extension BridgeContext {
  /// A large negative number at the items that a user has had in training, else 0, `[users, items]`; a user who has had all
  /// keeps all.
  public func exclusion(_ users: [Int32]) -> Tensor {
    .marking(histories.seen(users), width: split.itemCount, with: -1e9)
  }

  /// 1 at the items that a user has not had in training, else 0, `[users, items]`; a user who has had all keeps all.
  func candidates(_ users: [Int32]) -> Tensor {
    .marking(histories.seen(users), width: split.itemCount, with: 0, rest: 1)
  }
}
