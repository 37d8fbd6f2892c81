import Foundation
import TrestleTensor

/// How well a model takes what comes after its training, measured on the parts of one data set.
///
/// ```swift
/// let outcome = try ServingProtocol.foldIn.measure(.sasRec, on: books)
/// print(outcome.value, "against", outcome.reference)
/// ```
public enum ServingProtocol: String, CaseIterable, Sendable, Codable {
  /// People who are new: a fifth of the users is out of training, and the model makes their lists of four fifths of what each
  /// has had; the last fifth by time, or a random one if there are no times, is to be found. Beside it: popularity.
  case foldIn = "fold-in"
  /// Interactions that are new: 40 % of each user's train, 40 % are added without training, 20 % are to be found. Beside it: the
  /// model without what was added.
  case update
  /// All of it anew: by time, 60 % of the interactions train, 20 % choose settings and epochs, and the last 20 % are to be
  /// found, by the model that is then fitted on the first 80 % with what was chosen. Beside it: the model that chose, which
  /// knows the same of the users.
  case refit

  /// What a protocol gives.
  public struct Outcome: Sendable, Codable, Equatable {
    /// NDCG@10 with what came later.
    public let value: Double
    /// NDCG@10 of what the protocol puts beside it.
    public let reference: Double
    /// The users who were measured.
    public let users: Int
    /// The settings that were found, other than the recommended ones.
    public let settings: SearchSettings
  }

  /// What the reference is, in a few words.
  public var referenceName: String {
    switch self {
    case .foldIn: "popularity"
    case .update: "without what was added"
    case .refit: "before the refit"
    }
  }

  /// Measures a model.
  ///
  /// - Parameters:
  ///   - kind: the model.
  ///   - dataset: what is parted; ``refit`` needs times.
  ///   - options: seed, epochs, patience and settings of the fits; its checkpoint is not used.
  ///   - trials: how many settings ``refit`` tries on its validation data, the recommended ones among them; 1 tries no others.
  ///   - progress: called after each epoch; what it throws ends the work.
  /// - Throws: `DataError` for data that the protocol or the model is not for, ``ServingError/invalidRequest(expected:found:)`` of
  ///   ``foldIn`` for a model that knows nobody new, and what fitting throws.
  public func measure(
    _ kind: ModelKind, on dataset: Dataset, options: FitOptions = FitOptions(), trials: Int = 1,
    progress: @escaping (FitProgress) throws -> Void = { _ in }
  ) throws -> Outcome {
    var options = options
    options.checkpoint = nil
    let run = ProtocolRun(
      kind: kind, dataset: dataset, options: options, trials: trials, progress: progress)
    switch self {
    case .foldIn: return try run.foldIn()
    case .update: return try run.update()
    case .refit: return try run.refit()
    }
  }
}

/// One model under a protocol.
private struct ProtocolRun {
  let kind: ModelKind
  let dataset: Dataset
  let options: FitOptions
  let trials: Int
  let progress: (FitProgress) throws -> Void

  private var rows: Interactions { dataset.interactions }
  private var nothing: Interactions {
    .empty(userCount: rows.userCount, itemCount: rows.itemCount)
  }

  func foldIn() throws -> ServingProtocol.Outcome {
    let isNew = newUsers()
    let known = rows.selecting(
      rows: rows.users.indices.filter { !isNew[Int(rows.users[$0])] }.map { Int32($0) })
    let (liked, wanted) = parts(ofUsers: isNew)
    let split = DataSplit(training: liked, validation: nothing, test: wanted, strategy: "fold-in")
    let model = try dataset.with(known).fit(kind, options: options, progress: progress)
    guard kind == .popularity || model.knowsNewUsers else {
      throw ServingError.invalidRequest(
        expected: "a model that takes someone new by what they like", found: kind.name)
    }
    let popularity = Popularity(training: known).makeScorer()
    return try outcome(
      split, model.makeNewUserScorer(liking: UserHistories(liked)), beside: popularity)
  }

  func update() throws -> ServingProtocol.Outcome {
    let split = try rows.split(.ratio(validation: 0.4, test: 0.2), seed: options.seed)
    let model = try dataset.with(split.training).fit(kind, options: options, progress: progress)
    let later = (0..<split.validation.count).map { row in
      UserItemPair(
        user: dataset.userIDs[Int(split.validation.users[row])],
        item: dataset.itemIDs[Int(split.validation.items[row])])
    }
    return try outcome(split, model.adding(later).makeScorer(), beside: model.makeScorer())
  }

  func refit() throws -> ServingProtocol.Outcome {
    let parts = try rows.split(.globalTime(validation: 0.2, test: 0.2), seed: options.seed)
    let known = Interactions(
      users: parts.training.users + parts.validation.users,
      items: parts.training.items + parts.validation.items, userCount: rows.userCount,
      itemCount: rows.itemCount)
    var options = options
    if trials > 1, kind.searchSpace(for: parts.training) != nil {
      var search = HyperparameterSearch.Configuration()
      (search.seed, search.budget) = (options.seed, .trials(trials))
      (search.maximumEpochs, search.patience) = (options.epochs, options.patience)
      let found = try HyperparameterSearch(
        kind, training: parts.training, validation: parts.validation, configuration: search
      ).run()
      options.settings = found.best.number == 0 ? [:] : found.best.settings
    }
    // Neither has seen what is to be found, and both know the same of the users.
    let data = dataset.with(known)
    let chosen = try data.fit(
      kind, split: DataSplit(training: parts.training, validation: parts.validation, test: nothing),
      options: options, progress: progress)
    let epochs = chosen.card.settings["epochs"].flatMap { Int($0) } ?? 1
    let refitted = try data.refit(kind, epochs: epochs, options: options, progress: progress)
    let split = DataSplit(training: known, validation: nothing, test: parts.test, strategy: "by time")
    return try outcome(
      split, refitted.makeScorer(), beside: chosen.makeScorer(), settings: options.settings)
  }

  private func outcome(
    _ split: DataSplit, _ scorer: any CatalogueScorer, beside reference: any CatalogueScorer,
    settings: SearchSettings = [:]
  ) throws -> ServingProtocol.Outcome {
    let evaluator = RankingEvaluator(split, configuration: .init(only: [.ndcg(10)]))
    let (result, other) = (try evaluator.evaluate(scorer), try evaluator.evaluate(reference))
    return ServingProtocol.Outcome(
      value: result.mean(.ndcg(10)) ?? 0, reference: other.mean(.ndcg(10)) ?? 0, users: result.users.count,
      settings: settings)
  }

  /// A random fifth of the users.
  private func newUsers() -> [Bool] {
    var generator = RandomGenerator(seed: options.seed).split(0x6e65_7773)
    var order = (0..<Int32(rows.userCount)).map { $0 }
    generator.shuffle(&order)
    var isNew = [Bool](repeating: false, count: rows.userCount)
    for user in order.prefix(rows.userCount / 5) { isNew[Int(user)] = true }
    return isNew
  }

  /// What some users are known by, and what is to be found of each: the last fifth.
  private func parts(ofUsers isChosen: [Bool]) -> (liked: Interactions, wanted: Interactions) {
    let generator = RandomGenerator(seed: options.seed).split(0x6c69_6b65)
    let byTime = try? rows.rowsByUserInTimeOrder()
    let (offsets, grouped) = byTime ?? rows.rowsByUser()
    var (liked, wanted): ([Int32], [Int32]) = ([], [])
    for user in 0..<rows.userCount where isChosen[user] {
      var own = Array(grouped[offsets[user]..<offsets[user + 1]])
      if byTime == nil {
        var draw = generator.split(UInt64(user))
        draw.shuffle(&own)
      }
      let count = SplitStrategy.parts(of: own.count, validation: 0, test: 0.2).training
      liked += own[..<count]
      wanted += own[count...]
    }
    return (rows.selecting(rows: liked), rows.selecting(rows: wanted))
  }
}
