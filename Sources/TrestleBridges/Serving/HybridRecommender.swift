import Foundation
import TrestleRecommenders
import TrestleTensor

/// A trained hybrid, ready to serve: the domain side, the language side and their fusion, with the ids, the titles and
/// all that each user has had.
///
/// Everything is answered from saved rows, without the language model's weights, so that the value is immutable and
/// `Sendable`; each side loads alone. Who is asked and cannot answer is stood in for, and the answer says by whom: fused →
/// domain → language → popularity. For someone new both sides use the mean of the liked items' rows, unless the language
/// model's own state is given (``LanguageSide/state(liking:)``).
public struct HybridRecommender: Sendable {
  /// Which of the three recommends.
  public enum Part: String, Codable, Sendable, CaseIterable {
    /// The recommender alone.
    case domain
    /// The language model alone.
    case language
    /// Both together.
    case fused
  }

  /// The ids and titles.
  public let catalogue: Catalogue
  /// The split that the hybrid was trained on.
  public let splitHash: String
  /// The domain side's rows; `nil` if only the other was loaded.
  public var domain: Representations? { domainRows?.representations }
  /// The language side's scoring rows; `nil` if only the other was loaded.
  public var language: Representations? { languageRows?.representations }
  /// The weights of the fusion.
  public let fusion: FusionWeights
  /// What each user has had, in the order of time, with what was held out in training.
  public let histories: UserHistories
  /// What the language model read of the items' texts; `nil` if it did not read. It gives reasons, and rows to new items.
  public let reading: ItemReading?
  /// Of what the hybrid was made, and how; `nil` for one that does not say, as those saved before 0.2 do not.
  public var card: HybridCard?
  /// How the domain side makes a row of someone new.
  let folding: RowFolding
  /// Both sides' rows; after an update they share those that stay with the hybrid before it.
  let domainRows: InnerProductScorer?
  let languageRows: InnerProductScorer?
  /// The number of each user's training interactions, which the fusion's weights go by.
  let trainingCounts: SharedArray<Int32>
  /// The number of each item's training interactions.
  let popularity: SharedArray<Float>

  /// A hybrid of the given parts.
  ///
  /// - Parameters:
  ///   - dataset: whose ids, titles and interactions are kept; all its interactions count as had.
  ///   - split: what the sides were trained on.
  ///   - domain: the domain side's rows.
  ///   - language: the language side's scoring rows.
  ///   - fusion: the weights of the fusion.
  ///   - reading: what the language model read of the items' texts; the language side's rows are then in the terms of
  ///     the domain side's users.
  /// - Throws: `ServingError/otherData(expected:found:)` for a split or rows of other users and items.
  public init(
    dataset: Dataset, split: DataSplit, domain: Representations?, language: Representations?,
    fusion: FusionWeights, reading: ItemReading? = nil
  ) throws {
    try self.init(
      catalogue: Catalogue(dataset), splitHash: split.hash, domain: domain, language: language,
      fusion: fusion,
      histories: UserHistories(dataset.interactions), trainingCounts: split.training.userCounts(),
      popularity: split.training.itemCounts().map(Float.init), reading: reading)
  }

  init(
    catalogue: Catalogue, splitHash: String, domain: Representations?, language: Representations?,
    fusion: FusionWeights, histories: UserHistories, trainingCounts: [Int32], popularity: [Float],
    reading: ItemReading? = nil, folding: RowFolding = .mean, card: HybridCard? = nil
  ) throws {
    let counts = [catalogue.userIDs.count, catalogue.itemIDs.count]
    for rows in [domain, language].compactMap({ $0 }) {
      guard rows.users.rank == 2, rows.items.rank == 2, [rows.users.shape[0], rows.items.shape[0]] == counts,
        rows.users.shape[1] == rows.items.shape[1], rows.users.dtype == .float32, rows.items.dtype == .float32
      else {
        throw ServingError.otherData(
          expected: "float32 rows of \(counts[0]) users and \(counts[1]) items, of one width",
          found: "\(rows.users.dtype) \(rows.users.shape) and \(rows.items.dtype) \(rows.items.shape)")
      }
    }
    guard [trainingCounts.count, popularity.count] == counts,
      [histories.userCount, histories.itemCount] == counts
    else {
      throw ServingError.otherData(
        expected: "data of \(counts[0]) users and \(counts[1]) items",
        found: "\(trainingCounts.count) and \(popularity.count)")
    }
    if let reading, reading.rows.shape[0] != counts[1] {
      throw ServingError.otherData(
        expected: "a reading of \(counts[1]) items", found: "one of \(reading.rows.shape[0])")
    }
    (self.catalogue, self.splitHash, self.fusion) = (catalogue, splitHash, fusion)
    (self.reading, self.folding, self.card) = (reading, folding, card)
    domainRows = domain.map { InnerProductScorer($0) }
    languageRows = language.map { InnerProductScorer($0) }
    self.histories = histories
    (self.trainingCounts, self.popularity) = (SharedArray(trainingCounts), SharedArray(popularity))
  }

  /// A hybrid after an update.
  init(
    _ hybrid: HybridRecommender, after update: HistoryUpdate, domain: InnerProductScorer?,
    language: InnerProductScorer?, trainingCounts: SharedArray<Int32>
  ) {
    (catalogue, histories) = (update.catalogue, update.histories)
    (splitHash, fusion, reading) = (hybrid.splitHash, hybrid.fusion, hybrid.reading)
    (folding, card) = (hybrid.folding, hybrid.card)
    (domainRows, languageRows) = (domain, language)
    (self.trainingCounts, popularity) = (trainingCounts, update.counts(hybrid.popularity))
  }

  /// The users and items, as bridges name them.
  public var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: catalogue.userIDs.count, itemCount: catalogue.itemIDs.count, hash: catalogue.vocabularyHash)
  }

  /// The best items for a user whom the hybrid was trained on.
  ///
  /// - Parameters:
  ///   - user: the user's id.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - part: which of the three recommenders is asked.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the user's items are named that speak most for each: those whose texts the language model
  ///     reads as nearest, or, if it does not read, whose rows are.
  /// - Throws: `ServingError` for an id that nobody has, or a count below 0.
  public func recommend(
    for user: String, count: Int = 10, by part: Part = .fused, filter: ItemFilter = ItemFilter(),
    reasons: Int = 0
  ) throws -> RecommendationList {
    let index = try catalogue.user(user)
    let history = histories.items(of: index)
    let request = Request(
      count: count, removed: try filter.removed(from: catalogue, known: history),
      liked: Set(history).sorted(),
      reasons: reasons)
    let interactions = Int(trainingCounts[index])
    guard interactions > 0 else {
      return try popular(
        request, "user '\(user)' had no interactions in training: these are the most popular items")
    }
    func scores(_ rows: InnerProductScorer?) -> [Float]? {
      rows.map { $0.users.row(index).matmul($0.items, transposingOther: true).floats }
    }
    return try answer(
      request, part, domain: { scores(domainRows) }, language: { scores(languageRows) },
      alpha: fusion.alpha(interactions: interactions))
  }

  /// The best items for someone new who likes some items.
  ///
  /// - Parameters:
  ///   - items: the ids of the items liked, at least one.
  ///   - languageState: the language model's scoring row for them, `[1, width]`; `nil` for the mean of the items' rows.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - part: which of the three recommenders is asked.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the liked items are named that speak most for each.
  /// - Throws: `ServingError` for an id that no item has, no items, or a state of another width.
  public func recommend(
    liking items: [String], languageState: Tensor? = nil, count: Int = 10, by part: Part = .fused,
    filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let liked = try distinct(items)
    if let languageState, let language = languageRows, languageState.shape != [1, language.items.shape[1]] {
      throw ServingError.invalidRequest(
        expected: "a language state [1, \(language.items.shape[1])]", found: "\(languageState.shape)")
    }
    let request = Request(
      count: count, removed: try filter.removed(from: catalogue, known: liked), liked: liked, reasons: reasons
    )
    return try answer(
      request, part, domain: { scores(liking: liked, of: .domain) },
      language: { scores(liking: liked, of: .language, languageState) },
      alpha: fusion.alpha(interactions: liked.count))
  }

  /// The scores of someone new by one side; `nil` if it is not loaded.
  func scores(liking liked: [Int32], of part: Part, _ state: Tensor? = nil) -> [Float]? {
    guard let rows = part == .domain ? domainRows : languageRows else { return nil }
    return row(liking: liked, of: part, rows, state).matmul(rows.items, transposingOther: true).floats
  }

  /// The row of someone new on one side, `[1, width]`.
  func row(liking liked: [Int32], of part: Part, _ rows: InnerProductScorer, _ state: Tensor? = nil) -> Tensor
  {
    var row = state
    if row == nil, let domain = domainRows, part == .domain || reading != nil {
      row = folding.row(liked, domain.items)
    }
    return row ?? RowFolding.mean.row(liked, rows.items)
  }
}

/// Answering, whoever asks.
extension HybridRecommender {
  struct Request {
    let count: Int
    let removed: Set<Int32>
    let liked: [Int32]
    let reasons: Int
  }

  /// The items liked, each once, in the order of their places.
  func distinct(_ ids: [String]) throws(ServingError) -> [Int32] {
    var liked: Set<Int32> = []
    for id in ids { liked.insert(Int32(try catalogue.item(id))) }
    guard !liked.isEmpty else { throw .invalidRequest(expected: "at least one liked item", found: "none") }
    return liked.sorted()
  }

  /// Of what there is of both sides that which takes part: a side that is not loaded is stood in for by the other.
  func asked<Value>(
    _ part: Part, _ domain: @autoclosure () -> Value?, _ language: @autoclosure () -> Value?
  ) -> (domain: Value?, language: Value?) {
    (
      part == .language && languageRows != nil ? nil : domain(),
      part == .domain && domainRows != nil ? nil : language()
    )
  }

  /// Who answers with these sides.
  func source(_ hasDomain: Bool, _ hasLanguage: Bool) -> RecommendationList.Source {
    hasDomain && hasLanguage ? .fused : hasDomain ? .domain : hasLanguage ? .language : .popularity
  }

  private func answer(
    _ request: Request, _ part: Part, domain: () -> [Float]?, language: () -> [Float]?, alpha: Double
  ) throws -> RecommendationList {
    let own = asked(part, domain(), language())
    let source = source(own.domain != nil, own.language != nil)
    switch (own.domain, own.language) {
    case (let first?, let second?):
      return try list(Self.fused(first, second, alpha: alpha), request, source, asked: part)
    case (let scores?, nil), (nil, let scores?): return try list(scores, request, source, asked: part)
    case (nil, nil): return try popular(request, "no side is loaded: these are the most popular items")
    }
  }

  private func popular(_ request: Request, _ note: String) throws -> RecommendationList {
    described(
      try best(of: popularity.array, request), request, .popularity, note: note)
  }

  private func list(
    _ scores: [Float], _ request: Request, _ source: RecommendationList.Source, asked: Part
  ) throws -> RecommendationList {
    described(try best(of: scores, request), request, source, asked: asked)
  }

  private func best(of scores: [Float], _ request: Request) throws -> [Recommendation] {
    guard request.count >= 0 else {
      throw ServingError.invalidRequest(expected: "a count of at least 0", found: "\(request.count)")
    }
    return try RowScorer(itemCount: scores.count) { _ in scores }
      .recommend(user: 0, count: request.count, without: request.removed)
  }

  /// An answer of the items found, which says so if somebody else answers than was asked.
  func described(
    _ best: [Recommendation], _ request: Request, _ source: RecommendationList.Source, asked: Part
  ) -> RecommendationList {
    let note =
      source.rawValue == asked.rawValue
      ? nil : "asked was \(asked.rawValue); without the other side \(source.rawValue) answers alone"
    return described(best, request, source, note: note)
  }

  private func described(
    _ best: [Recommendation], _ request: Request, _ source: RecommendationList.Source, note: String?
  ) -> RecommendationList {
    let side = source == .language ? languageRows : source == .popularity ? nil : domainRows
    let rows = source == .popularity ? nil : reading?.rows ?? side?.items
    return RecommendationList(
      items: best.map { item in
        RecommendedItem(
          id: catalogue.itemIDs[item.item], title: catalogue.titles[item.item], score: item.score,
          reasons: rows.map { reasons(for: item.item, $0, request) } ?? [])
      }, source: source, note: note)
  }

  /// The titles of the liked items whose rows are most like the item's: what the language model reads in their texts, if
  /// it does.
  private func reasons(for item: Int, _ rows: Tensor, _ request: Request) -> [String] {
    let liked = request.liked.filter { Int($0) != item }
    guard request.reasons > 0, !liked.isEmpty else { return [] }
    let own = rows.sliced(item..<item + 1, along: 0).unitNormalized()
    let cosines = rows.gatheredRows(Tensor(liked)).unitNormalized().matmul(own, transposingOther: true).floats
    let order = cosines.largest(request.reasons, among: liked.indices.filter { cosines[$0] > 0 })
    return order.map { catalogue.titles[Int(liked[$0])] }
  }
}
