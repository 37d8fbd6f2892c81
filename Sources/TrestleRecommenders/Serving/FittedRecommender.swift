import Foundation
import TrestleTensor

/// What a fitted recommender says of itself.
public struct RecommenderCard: Codable, Sendable, Equatable {
  /// The model, as tables call it.
  public let model: String
  /// The data set's name.
  public let dataset: String
  /// The hash of the users' and items' ids.
  public let vocabularyHash: String
  /// The hash of the interactions that it was fitted on.
  public let trainingHash: String
  /// The number of interactions that it was fitted on.
  public let trainingCount: Int
  /// What was chosen and found: settings, epochs, the measure on the validation data, and, as JSON, the configurations of
  /// model and training.
  public let settings: [String: String]

  /// A configuration in one line of JSON, its keys in order.
  package static func text(of configuration: any Encodable) -> String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return (try? encoder.encode(configuration)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// The same card, saying more.
  package func saying(_ further: [String: String]) -> RecommenderCard {
    RecommenderCard(
      model: model, dataset: dataset, vocabularyHash: vocabularyHash, trainingHash: trainingHash,
      trainingCount: trainingCount, settings: settings.merging(further) { $1 })
  }
}

/// A recommender that has been fitted and answers requests: immutable, with the ids, the titles and all that each user
/// has had inside. It needs neither the data set nor the model's class.
///
/// ```swift
/// let model = try data.fit(.lightGCN)
/// for item in try model.recommend(for: "42", count: 10) { print(item.title) }
/// try model.save(to: URL(filePath: "recommender"))
/// ```
public struct FittedRecommender: Sendable {
  /// What it was when it was fitted or loaded.
  private(set) var fittedCard: RecommenderCard
  /// The users that there were then, and the interactions that were added since; `nil` if none ever were.
  private let since: (users: Int, added: Int)?
  /// The ids and titles.
  public let catalogue: Catalogue
  /// What each user has had, in the order of time, with what was held out while fitting.
  public let histories: UserHistories
  let served: ServedModel
  let popularity: SharedArray<Float>
  let scorer: any CatalogueScorer

  /// Wraps a fitted model.
  ///
  /// - Parameters:
  ///   - model: one of the package's models, or any with embeddings.
  ///   - dataset: whose ids, titles and interactions are kept; all its interactions count as had.
  ///   - training: what the model was fitted on.
  ///   - settings: what the card is to say.
  /// - Throws: ``ServingError/invalidRequest(expected:found:)`` for a model that cannot be served.
  public init(
    _ model: any Recommender, dataset: Dataset, training: Interactions, settings: [String: String] = [:]
  ) throws {
    guard model.userCount == dataset.userCount, model.itemCount == dataset.itemCount else {
      throw ServingError.otherData(
        expected: "a model of \(dataset.userCount) users and \(dataset.itemCount) items",
        found: "\(model.userCount) and \(model.itemCount)")
    }
    let card = RecommenderCard(
      model: model.name, dataset: dataset.name, vocabularyHash: dataset.vocabularyHash,
      trainingHash: training.hash, trainingCount: training.count, settings: settings)
    try self.init(
      card: card, catalogue: Catalogue(dataset), histories: UserHistories(dataset.interactions),
      popularity: training.itemCounts().map(Float.init), served: try ServedModel(model))
  }

  init(
    card: RecommenderCard, catalogue: Catalogue, histories: UserHistories, popularity: [Float],
    served: ServedModel
  ) throws {
    (fittedCard, self.catalogue, self.histories) = (card, catalogue, histories)
    (self.popularity, self.served, since) = (SharedArray(popularity), served, nil)
    scorer = try served.scorer(histories, popularity: self.popularity)
  }

  /// A recommender after an update.
  init(
    _ model: FittedRecommender, after update: HistoryUpdate, popularity: SharedArray<Float>,
    _ scorer: any CatalogueScorer
  ) {
    (fittedCard, served) = (model.fittedCard, model.served)
    (catalogue, histories, self.popularity) = (update.catalogue, update.histories, popularity)
    self.scorer = scorer
    let before = model.since?.added ?? model.fittedCard.settings[Self.addedName].flatMap { Int($0) } ?? 0
    since = (
      users: model.since?.users ?? model.userCount,
      added: before + update.added.values.reduce(0) { $0 + $1.count }
    )
  }

  private static let addedName = "interactions added since"

  /// What it is.
  public var card: RecommenderCard {
    guard let since else { return fittedCard }
    return RecommenderCard(
      model: fittedCard.model, dataset: fittedCard.dataset,
      vocabularyHash: since.users == userCount ? fittedCard.vocabularyHash : catalogue.vocabularyHash,
      trainingHash: fittedCard.trainingHash, trainingCount: fittedCard.trainingCount,
      settings: fittedCard.settings.merging([Self.addedName: "\(since.added)"]) { $1 })
  }

  /// The same recommender, whose card says more: what it measured, say.
  package func saying(_ further: [String: String]) -> FittedRecommender {
    var model = self
    model.fittedCard = fittedCard.saying(further)
    return model
  }

  /// The number of users.
  public var userCount: Int { catalogue.userIDs.count }
  /// The number of items.
  public var itemCount: Int { catalogue.itemIDs.count }

  /// The rows that scores are computed from: of the users, unless the model has none, and of the items.
  public var embeddings: (users: Tensor?, items: Tensor)? {
    served.tensors["items"].map { (tensors["users"], $0) }
  }

  /// What is saved of the model.
  var tensors: [String: Tensor] {
    guard served.form == .rows, let rows = scorer as? InnerProductScorer else { return served.tensors }
    return served.tensors.merging(["users": rows.users.whole]) { $1 }
  }

  /// Whether someone new gets lists by what they like, rather than what is popular.
  public var knowsNewUsers: Bool { served.form != .popularity && served.form != .network }

  /// How a row of someone new comes of the rows of the items liked.
  package var folding: RowFolding { served.folding }

  // MARK: Answers

  /// The best items for a user of the data set.
  ///
  /// A user without interactions gets the most popular items, and the answer says so.
  ///
  /// - Parameters:
  ///   - user: the user's id.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the user's items are named that speak most for each.
  /// - Throws: ``ServingError`` for an id that nobody has, or a count below 0.
  public func recommend(
    for user: String, count: Int = 10, filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let index = try catalogue.user(user)
    let history = histories.items(of: index)
    let removed = try filter.removed(from: catalogue, known: history)
    guard !history.isEmpty || served.form == .network else {
      return try popular(
        count, removed, "user '\(user)' has no interactions: these are the most popular items")
    }
    return try answer(scorer, user: index, count, removed, history, reasons: reasons)
  }

  /// The best items for someone new who likes some items.
  ///
  /// - Parameters:
  ///   - items: the ids of the items liked, at least one; sequence models read them in this order.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the liked items are named that speak most for each.
  /// - Throws: ``ServingError`` for an id that no item has, or no items.
  public func recommend(
    liking items: [String], count: Int = 10, filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let liked = try distinct(items)
    let removed = try filter.removed(from: catalogue, known: liked)
    guard let scores = served.scores(liking: liked) else {
      let note =
        served.form == .popularity
        ? nil : "\(fittedCard.model) knows nobody new: these are the most popular items"
      return try popular(count, removed, note)
    }
    let scorer = RowScorer(itemCount: itemCount) { _ in scores }
    return try answer(scorer, user: 0, count, removed, liked[...], reasons: reasons)
  }

  /// The items liked, each once, in their order.
  func distinct(_ ids: [String]) throws(ServingError) -> [Int32] {
    var liked: [Int32] = []
    for id in ids {
      let item = Int32(try catalogue.item(id))
      if !liked.contains(item) { liked.append(item) }
    }
    guard !liked.isEmpty else { throw .invalidRequest(expected: "at least one liked item", found: "none") }
    return liked
  }

  private func popular(_ count: Int, _ removed: Set<Int32>, _ note: String?) throws -> RecommendationList {
    let scores = popularity.array
    let list = try ranked(RowScorer(itemCount: itemCount) { _ in scores }, 0, count, removed)
    return RecommendationList(items: list.map { described($0, []) }, source: .popularity, note: note)
  }

  private func answer(
    _ scorer: any CatalogueScorer, user: Int, _ count: Int, _ removed: Set<Int32>,
    _ history: ArraySlice<Int32>,
    reasons: Int
  ) throws -> RecommendationList {
    let list = try ranked(scorer, user, count, removed)
    let own = Set(history).sorted()
    return RecommendationList(
      items: list.map { described($0, reasons > 0 ? self.reasons(for: $0.item, among: own, reasons) : []) },
      source: served.form == .popularity ? .popularity : .domain)
  }

  private func ranked(
    _ scorer: any CatalogueScorer, _ user: Int, _ count: Int, _ removed: Set<Int32>
  ) throws -> [Recommendation] {
    guard count >= 0 else {
      throw ServingError.invalidRequest(expected: "a count of at least 0", found: "\(count)")
    }
    return try scorer.recommend(user: user, count: count, without: removed)
  }

  func described(_ item: Recommendation, _ reasons: [String]) -> RecommendedItem {
    RecommendedItem(
      id: catalogue.itemIDs[item.item], title: catalogue.titles[item.item], score: item.score,
      reasons: reasons)
  }

  /// The titles of the items that the model takes to be most like `item`.
  func reasons(for item: Int, among own: [Int32], _ count: Int) -> [String] {
    guard let similarities = served.similarities(of: Int32(item), to: own) else { return [] }
    let order = own.indices.filter { similarities[$0] > 0 && Int(own[$0]) != item }
      .sorted { similarities[$0] == similarities[$1] ? $0 < $1 : similarities[$0] > similarities[$1] }
    return order.prefix(count).map { catalogue.titles[Int(own[$0])] }
  }

  // MARK: Evaluation

  /// Measures the model on a part of a split that it was fitted on the training part of.
  ///
  /// - Throws: ``ServingError/otherData(expected:found:)`` if it was fitted on anything else: on all data, say, when
  ///   the test items would be known to it.
  public func evaluate(
    on split: DataSplit, part: RankingEvaluator.Part = .test,
    configuration: RankingEvaluator.Configuration = .init()
  ) throws -> EvaluationResult {
    try evaluate(on: split, part: part, configuration: configuration, customMetrics: [])
  }

  /// Measures the model as ``evaluate(on:part:configuration:)`` does, and further measures of its lists, such as those of
  /// ``ItemAttributes/genreMetrics(training:cutoff:)``.
  ///
  /// - Throws: as ``evaluate(on:part:configuration:)``.
  /// - Precondition: the further measures have cutoffs of at least 1.
  public func evaluate(
    on split: DataSplit, part: RankingEvaluator.Part = .test,
    configuration: RankingEvaluator.Configuration = .init(), customMetrics: [any CustomRankingMetric]
  ) throws -> EvaluationResult {
    guard split.training.hash == card.trainingHash else {
      throw ServingError.otherData(
        expected: "a model fitted on the split's \(split.training.count) training interactions",
        found: "one fitted on \(card.trainingCount) others")
    }
    var evaluator = RankingEvaluator(split, on: part, configuration: configuration)
    evaluator.customMetrics = customMetrics
    return try evaluator.evaluate(evaluationScorer(split, part))
  }

  private func evaluationScorer(_ split: DataSplit, _ part: RankingEvaluator.Part) throws
    -> any CatalogueScorer
  {
    // A sequential model goes on from all that came before the items that are measured.
    let parts =
      served.form == .sequence && part == .test ? [split.training, split.validation] : [split.training]
    return try served.scorer(UserHistories(parts), popularity: popularity)
  }

  /// A scorer of the catalogue's users by all that they have had.
  public func makeScorer() -> any CatalogueScorer { scorer }

  /// A scorer of people who are new to the model, by the items that each of them likes: what evaluates fold-in.
  ///
  /// Of someone without items, and of a model that knows nobody new, the scores are the items' popularity.
  public func makeNewUserScorer(liking histories: UserHistories) -> any CatalogueScorer {
    RowScorer(itemCount: itemCount) { [served, popularity] user in
      let items = Array(histories.items(of: Int(user)))
      return (items.isEmpty ? nil : served.scores(liking: items)) ?? popularity.array
    }
  }
}
