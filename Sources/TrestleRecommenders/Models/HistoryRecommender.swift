import TrestleNN
import TrestleTensor

/// A trained recommender that computes a user's state from what the user has had: someone new needs no training.
public protocol HistoryRecommender: TrainableRecommender {
  /// The histories that ``Recommender/makeScorer()`` reads: those of the training data, once it has been given.
  var histories: UserHistories { get set }
  /// The rows whose inner products with a state are scores, `[items, width]`, not tracked.
  var itemRows: Tensor { get }

  /// The state of each user, `[users, width]`, not tracked.
  func userStates(_ histories: UserHistories) -> Tensor
}

extension HistoryRecommender {
  /// The number of users.
  public var userCount: Int { histories.userCount }
  /// The number of items.
  public var itemCount: Int { histories.itemCount }

  /// A scorer of the users with the training histories.
  public func makeScorer() -> any CatalogueScorer { makeScorer(histories: histories) }

  /// A scorer of the users with given histories.
  public func makeScorer(histories: UserHistories) -> any CatalogueScorer {
    InnerProductScorer(Representations(users: userStates(histories), items: itemRows))
  }
}

extension UserHistories {
  /// The states of all users with a 1 behind each, `[users, width + 1]`, `float32`, computed for some users at a time.
  ///
  /// The 1 meets an item's offset behind the item's row.
  func states(_ compute: (Range<Int>) -> Tensor) -> Tensor {
    withoutGradients {
      let parts = stride(from: 0, to: max(userCount, 1), by: 256).map { first in
        let states = compute(first..<min(first + 256, userCount)).detached
        let ones = Tensor.ones([states.shape[0], 1], dtype: states.dtype)
        return Tensor.concatenated([states, ones], along: 1).converted(to: .float32)
      }
      return parts.count == 1 ? parts[0] : .concatenated(parts, along: 0)
    }
  }
}

extension Tensor {
  /// Rows with an offset behind each, `[rows, width + 1]`, `float32`, not tracked.
  func rows(withOffsets offsets: Tensor) -> Tensor {
    Tensor.concatenated([detached, offsets.detached.expanded(at: 1)], along: 1).converted(to: .float32)
  }
}
