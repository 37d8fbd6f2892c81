import TrestleTensor

/// Scores users by the inner products of their rows with the items' rows.
public struct InnerProductScorer: CandidateScorer {
  /// The rows.
  public let representations: Representations

  /// A scorer over fixed rows.
  ///
  /// - Precondition: both tables are `float32` and have the same width.
  public init(_ representations: Representations) {
    precondition(
      representations.users.shape[1] == representations.items.shape[1],
      "InnerProductScorer: users \(representations.users.shape), items \(representations.items.shape)")
    self.representations = representations
  }

  /// The number of items.
  public var itemCount: Int { representations.items.shape[0] }

  /// Looks up the users' rows.
  public func prepare(users: [Int32]) -> any UserBatchScores {
    Batch(users: representations.users.gatheredRows(Tensor(users)), items: representations.items)
  }

  /// The scores of some items.
  public func scores(user: Int32, items: [Int32]) -> [Float] {
    let row = representations.users.gatheredRows(Tensor([user]))
    return row.matmul(representations.items.gatheredRows(Tensor(items)), transposingOther: true).floats
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
