import Synchronization
import TrestleTensor

/// Ranks the catalogue (or fixed candidates) for every user with test items and measures the lists.
///
/// The whole catalogue is ranked without what the user has seen, by scoring tiles of items for batches of users and
/// keeping the best `k` per user: memory is `threads · batchSize · (tileSize + k)` scores, whatever the catalogue.
/// Batches are a fixed partition of the users, so any number of threads gives the same bits.
///
/// Items of equal score have no order: a measure's value is its mean over all orders that the scores allow (see
/// ``RankingMetric/expectedValue(of:relevantCount:)``), so that a constant scorer gets what a random order gets. The lists
/// themselves, and what is measured of all lists together, have the lower item first.
///
/// A user without a relevant item is left out of every mean. An item that is both masked and in the test data (a
/// repeated interaction) is neither ranked nor relevant.
public struct RankingEvaluator: Sendable {
  /// What is measured, and how the work is cut.
  public struct Configuration: Sendable, Codable {
    /// The measures per user.
    public var metrics: [RankingMetric] = RankingMetric.standard
    /// The measures of all lists together.
    public var listMetrics: [ListMetric] = ListMetric.standard
    /// The slices beside `all`: only the test items of the slice are relevant, candidates stay the same.
    public var slices: [ItemSlice] = [.warm, .longTail, .cold, .unseen]
    /// What is ranked.
    public var candidates = CandidateSet.catalogue
    /// The most users that are evaluated: of more, so many are drawn, the same each time; `nil` for all.
    public var userLimit: Int?
    /// Users scored together.
    public var batchSize = 128
    /// Items scored together.
    public var tileSize = 2048
    /// Whether ``EvaluationResult/lists`` is kept, as long as the largest cutoff.
    public var keepsLists = false

    /// Creates the default configuration.
    public init() {}

    /// A few measures per user and nothing else: no measures of lists, no slices.
    ///
    /// - Parameters:
    ///   - metrics: the measures.
    ///   - candidates: what is ranked.
    ///   - userLimit: the most users that are evaluated; `nil` for all.
    public init(
      only metrics: [RankingMetric], among candidates: CandidateSet = .catalogue, userLimit: Int? = nil
    ) {
      self.metrics = metrics
      self.candidates = candidates
      self.userLimit = userLimit
      listMetrics = []
      slices = []
    }
  }

  /// The part of a split that is evaluated.
  public enum Part: Sendable {
    /// Validation items are relevant, training items masked.
    case validation
    /// Test items are relevant, training and validation items masked, as RecBole does.
    case test
  }

  /// The configuration.
  public let configuration: Configuration
  /// Measures that are defined elsewhere, beside those of the configuration.
  ///
  /// - Precondition: each has a cutoff of at least 1.
  public var customMetrics: [any CustomRankingMetric] = [] {
    didSet {
      precondition(customMetrics.allSatisfy { $0.cutoff > 0 }, "RankingEvaluator: a cutoff below 1")
    }
  }
  let relevant: UserItemMatrix
  let masked: UserItemMatrix
  let slices: ItemSlices
  let popularity: [Int32]
  let candidates: CandidateLists?
  /// The items that are ranked, ascending; `nil` for the catalogue.
  let candidateItems: [Int32]?
  let users: [Int32]
  private let splitHash: String
  private let activeUsers: Int

  /// Prepares the evaluation of a part of a split; the evaluator can be used any number of times.
  ///
  /// - Parameters:
  ///   - split: the data.
  ///   - part: what counts as relevant and what is masked.
  ///   - candidates: fixed candidates; only their users are evaluated, nothing is masked, and relevant items outside a
  ///     user's list are never found. `nil` ranks the whole catalogue.
  ///   - configuration: what is measured.
  public init(
    _ split: DataSplit, on part: Part = .test, candidates: CandidateLists? = nil,
    configuration: Configuration = Configuration()
  ) {
    precondition(
      configuration.batchSize > 0 && configuration.tileSize > 0,
      "RankingEvaluator: batches of \(configuration.batchSize), tiles of \(configuration.tileSize)")
    precondition(
      configuration.metrics.allSatisfy { ($0.cutoff ?? 1) > 0 }
        && configuration.listMetrics.allSatisfy { $0.cutoff > 0 }, "RankingEvaluator: a cutoff below 1")
    let (userCount, itemCount) = (split.userCount, split.itemCount)
    let seen =
      part == .test
      ? UserItemMatrix(split.training, split.validation, userCount: userCount, itemCount: itemCount)
      : UserItemMatrix(split.training)
    let truth = UserItemMatrix(part == .test ? split.test : split.validation)
    self.configuration = configuration
    masked = seen
    slices = ItemSlices(training: split.training)
    candidateItems = configuration.candidates.items(slices)
    precondition(
      candidates == nil || candidateItems == nil,
      "RankingEvaluator: both lists of candidates and a set of items are given")
    let unseen = truth.subtracting(seen)
    relevant = candidateItems.map { unseen.restricted(to: $0) } ?? unseen
    popularity = split.training.itemCounts()
    activeUsers = split.training.userCounts().count { $0 > 0 }
    self.candidates = candidates
    splitHash = split.hash
    var active = relevant.activeUsers()
    if let candidates {
      let listed = Set(candidates.users)
      active = active.filter { listed.contains($0) }
    }
    users = Self.drawn(active, limit: configuration.userLimit)
  }

  /// At most `limit` of the users, ascending.
  private static func drawn(_ users: [Int32], limit: Int?) -> [Int32] {
    guard let limit, users.count > limit else { return users }
    precondition(limit > 0, "RankingEvaluator: at most \(limit) users")
    var generator = RandomGenerator(seed: 0).split(0x7573_6572)
    return generator.permutation(of: users.count).prefix(limit).sorted().map { users[Int($0)] }
  }

  /// Ranks and measures.
  ///
  /// - Parameters:
  ///   - scorer: the recommender; its `itemCount` is that of the split.
  ///   - progress: called with the number of users done, from any thread, after each batch.
  /// - Throws: what the scorer throws, and ``DataError/notANumber(operation:user:item:)`` for a NaN score.
  public func evaluate(
    _ scorer: some CatalogueScorer, progress: (@Sendable (Int) -> Void)? = nil
  ) throws -> EvaluationResult {
    precondition(
      scorer.itemCount == relevant.itemCount,
      "RankingEvaluator: a scorer of \(scorer.itemCount) items for a split of \(relevant.itemCount)")
    let start = ContinuousClock.now
    let done = Atomic(0)
    let batches = try forEachBatch { range in
      let batch = try rank(Array(users[range]), scorer)
      progress?(done.add(range.count, ordering: .relaxed).newValue)
      return batch
    }
    var curves: [AreaUnderCurve] = []
    if configuration.metrics.contains(where: { $0.cutoff == nil }) {
      curves = try areasUnderCurves(scorer, batches)
    }
    return result(batches, curves, since: start)
  }

  /// What is measured of all batches' lists.
  func result(_ batches: [Batch], _ curves: [AreaUnderCurve], since start: ContinuousClock.Instant)
    -> EvaluationResult
  {
    let lists = batches.flatMap(\.lists)
    let listValues = ListMeasures(
      lists: lists, itemCount: relevant.itemCount, popularity: popularity, activeUsers: activeUsers
    ).values(configuration.listMetrics)
    let sliceResults = ([.all] + configuration.slices.filter { $0 != .all }).map {
      summary(of: $0, batches, curves.isEmpty ? nil : curves)
    }
    return EvaluationResult(
      slices: sliceResults, listValues: listValues, lists: configuration.keepsLists ? lists : nil,
      candidates: candidates, candidateItems: candidateItems, splitHash: splitHash,
      seconds: start.duration(to: .now).seconds)
  }

  /// The places of an item's relevance in one user's list, and how many relevant items there are, per slice.
  struct RankedUser {
    let user: Int32
    /// The slice of the relevant item at each place of the list, `nil` where the item is not relevant.
    let relevance: [ItemSlice?]
    /// How the list's items, and those left out that tie with its last, fall into groups of equal score, best first;
    /// empty if no two scores are equal.
    let groupSizes: [Int]
    /// The slices of the relevant items that were left out and tie with the list's last.
    let leftOut: [ItemSlice]
    /// The number of relevant items by slice, in the order of ``ItemSlice/allCases``.
    let relevantCounts: [Int]

    /// The list as a measure from outside sees it, with the relevant items of a slice.
    func list(_ items: [Int32], in slice: ItemSlice, cutoff: Int) -> RankedList {
      RankedList(
        user: user, items: Array(items.prefix(cutoff)),
        relevance: relevance.prefix(cutoff).map { $0 != nil && (slice == .all || $0 == slice) },
        relevantCount: count(in: slice))
    }

    func count(in slice: ItemSlice) -> Int {
      slice == .all ? relevantCounts.reduce(0, +) : relevantCounts[slice.index]
    }

    /// The value of a measure with a cutoff, of the relevant items of a slice.
    func value(_ metric: RankingMetric, in slice: ItemSlice) -> Double {
      func isRelevant(_ found: ItemSlice?) -> Bool { found != nil && (slice == .all || found == slice) }
      let relevantCount = count(in: slice)
      guard !groupSizes.isEmpty else {
        return metric.value(relevance: relevance.map(isRelevant), relevantCount: relevantCount)
      }
      var start = 0
      let groups = groupSizes.map { size in
        let listed = relevance[start..<min(start + size, relevance.count)]
        start += size
        let hidden = start > relevance.count ? leftOut.count(where: isRelevant) : 0
        return TieGroup(size: size, relevant: listed.count(where: isRelevant) + hidden)
      }
      return metric.expectedValue(of: groups, relevantCount: relevantCount)
    }
  }

  /// What a batch of users gives.
  struct Batch {
    var users: [RankedUser] = []
    var lists: [[Int32]] = []
    /// The scores of each user's relevant items, in the order of the items.
    var relevantScores: [[Float]] = []
  }

  /// The length of the lists.
  var listLength: Int {
    let cutoffs =
      configuration.metrics.compactMap(\.cutoff) + configuration.listMetrics.map(\.cutoff)
      + customMetrics.map(\.cutoff)
    return min(max(1, cutoffs.max() ?? 1), max(1, relevant.itemCount))
  }

  /// Runs `body` on every batch of ``users``, on the threads of the shared pool, and returns the results in order.
  ///
  /// - Parameter places: which of the users; `nil` for all.
  func forEachBatch<Output: Sendable>(
    in places: Range<Int>? = nil, _ body: @Sendable (Range<Int>) throws -> Output
  ) throws -> [Output] {
    let size = configuration.batchSize
    let places = places ?? 0..<users.count
    let count = (places.count + size - 1) / size
    let outputs = Mutex([Result<Output, any Error>?](repeating: nil, count: count))
    let failed = Atomic(false)
    ThreadPool.shared.run(count) { index in
      // After an error the remaining batches are pointless.
      guard !failed.load(ordering: .relaxed) else { return }
      let first = places.lowerBound + index * size
      let output = Result { try body(first..<min(places.upperBound, first + size)) }
      if case .failure = output { failed.store(true, ordering: .relaxed) }
      outputs.withLock { $0[index] = output }
    }
    return try outputs.withLock { try $0.compactMap { try $0?.get() } }
  }

  private func rank(_ batchUsers: [Int32], _ scorer: some CatalogueScorer) throws -> Batch {
    batch(of: batchUsers, try scored(batchUsers, scorer))
  }

  /// The best items of a user, and the scores of the relevant ones in the order of the items.
  struct ScoredUser: Sendable {
    var top: TopItems
    var relevantScores: [Float]
  }

  /// Scores a part of the catalogue for a batch of users; relevant items elsewhere have −∞.
  func scored(
    _ batchUsers: [Int32], _ scorer: some CatalogueScorer, among range: Range<Int>? = nil
  ) throws -> [ScoredUser] {
    var scored = batchUsers.map {
      ScoredUser(
        top: TopItems(limit: listLength),
        relevantScores: [Float](repeating: -.infinity, count: relevant.count(of: Int($0))))
    }
    try forEachScoredRange(batchUsers, scorer, among: range) { row, items, scores, start in
      if let bad = scored[row].top.offer(scores, from: start, items: items) {
        throw DataError.notANumber(
          operation: "RankingEvaluator", user: Int(batchUsers[row]), item: bad)
      }
      for (place, item) in relevant.items(of: Int(batchUsers[row])).enumerated() {
        if let offset = items.offset(of: Int(item)) {
          scored[row].relevantScores[place] = scores[start + offset]
        }
      }
    }
    return scored
  }

  /// The lists of a batch of users.
  func batch(of batchUsers: [Int32], _ scored: [ScoredUser]) -> Batch {
    var batch = Batch()
    for (user, scored) in zip(batchUsers, scored) {
      batch.relevantScores.append(scored.relevantScores)
      batch.users.append(rankedUser(user, scored.top, scored.relevantScores))
      batch.lists.append(scored.top.sorted().map(\.item))
    }
    return batch
  }

  private func rankedUser(_ user: Int32, _ top: TopItems, _ relevantScores: [Float]) -> RankedUser {
    let list = top.sorted()
    var counts = [Int](repeating: 0, count: ItemSlice.allCases.count)
    for item in relevant.items(of: Int(user)) { counts[slices.slices[Int(item)].index] += 1 }
    let relevance = list.map {
      relevant.contains(user: Int(user), item: $0.item) ? slices.slices[Int($0.item)] : nil
    }
    var sizes: [Int] = []
    for (place, entry) in list.enumerated() {
      if place > 0, entry.score == list[place - 1].score {
        sizes[sizes.count - 1] += 1
      } else {
        sizes.append(1)
      }
    }
    var leftOut: [ItemSlice] = []
    if let last = list.last, top.leftOutTies > 0 {
      sizes[sizes.count - 1] += top.leftOutTies
      for (item, score) in zip(relevant.items(of: Int(user)), relevantScores)
      where score == last.score && !list.contains(where: { $0.item == item }) {
        leftOut.append(slices.slices[Int(item)])
      }
    }
    return RankedUser(
      user: user, relevance: relevance, groupSizes: sizes.allSatisfy { $0 == 1 } ? [] : sizes,
      leftOut: leftOut, relevantCounts: counts)
  }

  /// The values of all measures on a slice, users in ascending order.
  private func summary(of slice: ItemSlice, _ batches: [Batch], _ curves: [AreaUnderCurve]?)
    -> EvaluationResult.Slice
  {
    var sliceUsers: [Int32] = []
    var perUser: [String: [Float]] = [:]
    var sums: [String: Double] = [:]
    let measured = batches.flatMap(\.users).filter { $0.count(in: slice) > 0 }
    sliceUsers = measured.map(\.user)
    for metric in configuration.metrics where metric.cutoff != nil {
      var sum = 0.0
      perUser[metric.name] = measured.indices.map { index in
        let value = measured[index].value(metric, in: slice)
        sum += value
        return Float(value)
      }
      if !measured.isEmpty { sums[metric.name] = sum / Double(measured.count) }
    }
    var undefined: [String: [Int32]] = [:]
    for metric in customMetrics {
      let lists = batches.flatMap { zip($0.users, $0.lists) }.filter { $0.0.count(in: slice) > 0 }
      let values = lists.map { user, items in
        metric.isDefined(for: user.user)
          ? metric.value(user.list(items, in: slice, cutoff: metric.cutoff)) : nil
      }
      perUser[metric.name] = values.map { Float($0 ?? 0) }
      let defined = values.compactMap { $0 }
      if !defined.isEmpty { sums[metric.name] = defined.reduce(0, +) / Double(defined.count) }
      guard defined.count < values.count else { continue }
      undefined[metric.name] = zip(sliceUsers, values).filter { $0.1 == nil }.map(\.0)
    }
    if let curve = curves?.first(where: { $0.slice == slice }) {
      if configuration.metrics.contains(.gauc) {
        perUser[RankingMetric.gauc.name] = curve.perUser
        sums[RankingMetric.gauc.name] = curve.weightedMean
      }
      if configuration.metrics.contains(.auc) { sums[RankingMetric.auc.name] = curve.pooled }
    }
    return EvaluationResult.Slice(
      slice: slice, users: sliceUsers, perUser: perUser, means: sums,
      usersWithoutValue: undefined.isEmpty ? nil : undefined)
  }
}
