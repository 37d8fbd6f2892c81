import TrestleTensor

/// Scores users by the inner products of their rows with the items' rows.
public struct InnerProductScorer: CandidateScorer {
  /// The users' rows.
  package let users: UserRows
  /// The items' rows, `[items, width]`.
  package let items: Tensor

  /// A scorer over fixed rows.
  ///
  /// - Precondition: both tables are `float32` and have the same width.
  public init(_ representations: Representations) {
    precondition(
      representations.users.shape[1] == representations.items.shape[1],
      "InnerProductScorer: users \(representations.users.shape), items \(representations.items.shape)")
    (users, items) = (UserRows(representations.users), representations.items)
  }

  /// A scorer over users' rows of which some may have changed.
  package init(users: UserRows, items: Tensor) {
    precondition(
      users.width == items.shape[1], "InnerProductScorer: users of width \(users.width), items \(items.shape)"
    )
    (self.users, self.items) = (users, items)
  }

  /// The rows.
  public var representations: Representations { Representations(users: users.whole, items: items) }

  /// The number of items.
  public var itemCount: Int { items.shape[0] }

  /// Looks up the users' rows.
  public func prepare(users: [Int32]) -> any UserBatchScores {
    Batch(users: self.users.rows(users), items: items)
  }

  /// The scores of some items.
  public func scores(user: Int32, items: [Int32]) -> [Float] {
    users.row(Int(user)).matmul(self.items.gatheredRows(Tensor(items)), transposingOther: true).floats
  }

  private struct Batch: UserBatchScores {
    let users: Tensor
    let items: Tensor

    func write(items range: Range<Int>, into scores: inout [Float]) {
      let tile = users.matmul(items.sliced(range, along: 0), transposingOther: true)
      let values = tile.floats
      scores.replaceSubrange(0..<values.count, with: values)
    }
  }
}
