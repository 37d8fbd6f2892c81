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
