import TrestleTensor

/// The rows of users, of which some have been changed or added since they were made: the rest is shared with the version before.
package struct UserRows: Sendable {
  private let base: Tensor
  private var changes = SharedMap<Tensor>()
  /// The number of users.
  package private(set) var count: Int

  /// Rows without changes, `[users, width]`.
  package init(_ base: Tensor) { (self.base, count) = (base, base.shape[0]) }

  /// The width of a row.
  package var width: Int { base.shape[1] }

  /// The row of a user, `[1, width]`.
  package func row(_ user: Int) -> Tensor {
    precondition(user >= 0 && user < count, "UserRows: user \(user) of \(count)")
    return changes[user] ?? base.sliced(user..<user + 1, along: 0)
  }

  /// The rows of some users, `[users, width]`.
  package func rows(_ users: [Int32]) -> Tensor {
    if changes.isEmpty || users.allSatisfy({ changes[Int($0)] == nil }) {
      return base.gatheredRows(Tensor(users))
    }
    return .concatenated(users.map { row(Int($0)) }, along: 0)
  }

  /// All rows, `[users, width]`; put together if some have changed.
  package var whole: Tensor {
    guard !changes.isEmpty else { return base }
    var values = base.floats
    values.reserveCapacity(count * width)
    changes.forEach { user, row in
      if user * width < values.count {
        values.replaceSubrange(user * width..<(user + 1) * width, with: row.floats)
      } else {
        values += row.floats
      }
    }
    return Tensor(values, shape: [count, width])
  }

  /// Sets a user's row, or adds that of the next one.
  package mutating func set(_ row: Tensor, of user: Int) {
    precondition(
      user >= 0 && user <= count && row.shape == [1, width],
      "UserRows: the row \(row.shape) of user \(user) among \(count) of width \(width)")
    changes.set(row, at: user)
    count = max(count, user + 1)
  }
}
