/// What answers requests, whatever it is made of: ``FittedRecommender``, a hybrid, or a type of your own.
public protocol ServableRecommender: Sendable {
  /// The ids and titles.
  var catalogue: Catalogue { get }
  /// What each user has had, in the order of time.
  var histories: UserHistories { get }
  /// The best items for a user it knows.
  ///
  /// - Throws: ``ServingError`` for an id that nobody has, or a count below 0.
  func recommend(for user: String, count: Int, filter: ItemFilter, reasons: Int) throws -> RecommendationList
  /// The best items for someone new who likes some items.
  ///
  /// - Throws: ``ServingError`` for an id that no item has, or no items.
  func recommend(
    liking items: [String], count: Int, filter: ItemFilter, reasons: Int
  ) throws -> RecommendationList
  /// The recommender after further interactions; this one stays as it is.
  ///
  /// - Throws: ``ServingError`` for an id that no item has.
  func adding(_ interactions: [UserItemPair]) throws -> Self
}

/// That a user had an item, by their ids.
public struct UserItemPair: Sendable, Hashable, Codable {
  /// The user's id; one that nobody has makes a new user.
  public let user: String
  /// The item's id.
  public let item: String

  /// That `user` had `item`.
  public init(user: String, item: String) { (self.user, self.item) = (user, item) }
}

extension FittedRecommender: ServableRecommender {}

extension ServableRecommender {
  /// A split that measures the recommender on other interactions: what the users have had is training data, and of
  /// `later` the interactions of known users with known items that they have not had are test data.
  public func split(testing later: Dataset) -> DataSplit {
    let (userCount, itemCount) = (catalogue.userIDs.count, catalogue.itemIDs.count)
    let had = (0..<userCount).map { Set(histories.items(of: $0)) }
    var users: [Int32] = []
    var items: [Int32] = []
    for row in 0..<later.interactions.count {
      guard let user = catalogue.userIDs.index(of: later.userIDs[Int(later.interactions.users[row])]),
        let item = catalogue.itemIDs.index(of: later.itemIDs[Int(later.interactions.items[row])]),
        !had[user].contains(Int32(item))
      else { continue }
      users.append(Int32(user))
      items.append(Int32(item))
    }
    let owners = (0..<userCount).flatMap { user in
      Array(repeating: Int32(user), count: histories.items(of: user).count)
    }
    return DataSplit(
      training: Interactions(
        users: owners, items: histories.items, userCount: userCount, itemCount: itemCount),
      validation: .empty(userCount: userCount, itemCount: itemCount),
      test: Interactions(users: users, items: items, userCount: userCount, itemCount: itemCount),
      strategy: "later")
  }
}
