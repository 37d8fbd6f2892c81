import Foundation
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// How long the mechanisms of a comparison train: the same for all.
public struct ComparisonBudget: Codable, Sendable, Hashable {
  /// The most epochs of the recommender in a phase.
  public var domainEpochs = 300
  /// How many validations without improvement end it.
  public var patience = 10
  /// The language model's epochs in a phase.
  public var languageEpochs = 3
  /// The rounds of mechanisms that alternate.
  public var rounds = 2
  /// The most items of a user that the language model trains on in an epoch.
  public var trainingItems = 96
  /// The most items of a user that it reads to rank the catalogue.
  public var readingItems = 256
  /// How many users it is validated on.
  public var validationUsers = 300
  /// The most tokens of a text that the language model writes.
  public var writtenTokens = 24
  /// The titles of a user's latest items that it writes about that user after.
  public var writtenItems = 8
  /// The most prompts of an epoch.
  public var prompts: Int? = 4000
  /// The most prompts of a validation, and of the test.
  public var measuredPrompts = 2000

  /// The default budget.
  public init() {}

  /// Longer than the default for whatever is cut short there: more items of a user, and every prompt.
  public static let full: ComparisonBudget = {
    var budget = ComparisonBudget()
    (budget.languageEpochs, budget.trainingItems, budget.readingItems) = (6, 256, 512)
    (budget.validationUsers, budget.prompts, budget.measuredPrompts) = (1000, nil, 10_000)
    return budget
  }()

  /// Minutes instead of hours: enough to see that everything runs, not to rank mechanisms.
  public static let quick: ComparisonBudget = {
    var budget = ComparisonBudget()
    (budget.domainEpochs, budget.patience, budget.languageEpochs, budget.rounds) = (60, 10, 1, 1)
    (budget.trainingItems, budget.readingItems, budget.validationUsers) = (8, 8, 60)
    (budget.prompts, budget.measuredPrompts) = (96, 160)
    (budget.writtenTokens, budget.writtenItems) = (12, 4)
    return budget
  }()
}

/// Makes the sides of a comparison, anew for each mechanism, over one split and one language model.
public final class BridgeComposer {
  /// The split, with new items.
  public let new: NewItemSplit
  /// How long things train.
  public let budget: ComparisonBudget
  private let comparison: BridgeComparison
  private let seed: UInt64
  private let vocabulary: EntityVocabulary
  private var adapters: [LoRAAdapters] = []
  /// What the untrained language model makes of the items' texts half-way up, `[items, hidden]`; computed once.
  private lazy var readings = TextReader.meanStates(
    of: comparison.tokens, by: comparison.model, layers: [Swift.max(1, comparison.model.layerCount / 2)])[0]

  /// A recommender to learn with and how it is trained, made anew each time.
  typealias MakeRecommender = () throws -> (model: any PairwiseRecommender, training: TrainingConfiguration)

  private let makeRecommender: MakeRecommender?

  convenience init(_ comparison: BridgeComparison, seed: UInt64) throws {
    self.init(comparison, new: try NewItemSplit(comparison.dataset.interactions, seed: seed), seed: seed)
  }

  /// A composer over a given split.
  ///
  /// - Parameter recommender: makes the domain side's; LightGCN with settings that suit the data if `nil`.
  init(
    _ comparison: BridgeComparison, new: NewItemSplit, recommender: MakeRecommender? = nil, seed: UInt64
  ) {
    self.comparison = comparison
    self.seed = seed
    self.new = new
    makeRecommender = recommender
    budget = comparison.budget
    vocabulary = EntityVocabulary(
      userCount: comparison.dataset.userCount, itemCount: comparison.dataset.itemCount,
      hash: comparison.dataset.vocabularyHash)
  }

  /// What the untrained language model makes half-way up of what it writes about items and users, `[count, hidden]`; written
  /// once.
  private lazy var writtenReadings: Result<[EntityKind: Tensor], any Error> = Result {
    guard let writer = comparison.writer else {
      throw BridgeError.missingCapability(
        bridge: "texts that the language model writes", side: comparison.modelName, capability: .promptFields)
    }
    let histories = TimedHistories(new.split.training)
    let titles = comparison.dataset.items.titles
    let subjects: [(EntityKind, WritingRequest, [String])] = [
      (.item, .item, comparison.texts.texts),
      (
        .user, .user,
        histories.items.map { own in
          own.suffix(budget.writtenItems).map { titles[Int($0)] }.filter { !$0.isEmpty }
            .joined(separator: "; ")
        }
      ),
    ]
    var result: [EntityKind: Tensor] = [:]
    for (kind, request, about) in subjects {
      let file = comparison.writings?.appending(
        path: "\(new.split.hash)-\(kind.rawValue)s-\(budget.writtenTokens).jsonl")
      var request = request
      request.tokens = budget.writtenTokens
      comparison.log("\(comparison.modelName) writes about \(about.count) \(kind.rawValue)s")
      let texts = try WrittenTexts(
        about: about, request, by: writer, splitHash: new.split.hash, file: file,
        shouldStop: comparison.shouldStop)
      result[kind] =
        TextReader.meanStates(
          of: texts.texts.map(comparison.encode), by: comparison.model,
          layers: [Swift.max(1, comparison.model.layerCount / 2)])[0]
    }
    return result
  }

  private func generator(_ stream: UInt64) -> RandomGenerator { RandomGenerator(seed: seed).split(stream) }

  /// Takes the adapters of the last mechanism off: the next one begins with the language model as it was.
  func takeAdaptersOff() {
    for adapters in adapters { adapters.unload() }
    adapters = []
  }

  /// The recommender as the domain side: LightGCN with settings that suit the data, unless another was asked for.
  ///
  /// - Throws: `DataError` for settings that the recommender does not have.
  public func domain() throws -> PairwiseSide {
    if let made = try makeRecommender?() {
      return PairwiseSide(
        made.model, split: new.split, vocabulary: vocabulary, configuration: made.training)
    }
    var draw = generator(1)
    let model = LightGCN(training: new.split.training, using: &draw)
    var training = model.recommendedTraining(for: DataProfile(new.split.training))
    training.seed = seed
    return PairwiseSide(model, split: new.split, vocabulary: vocabulary, configuration: training)
  }

  private func adapt() throws -> LoRAAdapters {
    comparison.model.freeze()
    let made = try LoRA().load(into: comparison.model, using: generator(2))
    adapters.append(made)
    return made
  }

  private func entities(_ stream: UInt64) -> EntityTokens {
    var draw = generator(stream)
    return EntityTokens(
      userCount: vocabulary.userCount, itemCount: vocabulary.itemCount, for: comparison.model, using: &draw)
  }

  private func language(
    role: SideRole, adapters: LoRAAdapters?, readings: [EntityKind: Tensor]? = nil,
    _ configure: (inout LanguageSide.Configuration) -> Void = { _ in }
  )
    -> LanguageSide
  {
    let popularity = new.split.training.itemCounts().map { Float(0.5 * log(Double($0) + 1)) }
    let recommender = ItemSequenceModel(
      model: comparison.model, entities: entities(3),
      head: ItemHead(itemCount: vocabulary.itemCount, bias: Tensor(popularity)))
    var configuration = LanguageSide.Configuration()
    configuration.trainingItems = budget.trainingItems
    configuration.readingItems = budget.readingItems
    configuration.windowItems = Swift.min(configuration.windowItems, budget.trainingItems)
    configuration.validationUsers = budget.validationUsers
    configuration.seed = seed
    configure(&configuration)
    return LanguageSide(
      name: comparison.modelName, recommender: recommender, adapters: adapters, split: new.split,
      vocabulary: vocabulary, itemTexts: comparison.tokens,
      encodedItemTexts: readings?[.item] ?? self.readings, encodedUserTexts: readings?[.user], role: role,
      configuration: configuration)
  }

  /// LightGCN, and the language model that reads the items' texts by two readers, with adapters on all projections of the last blocks
  /// that are read.
  public func reading() throws -> BridgeContext {
    comparison.model.freeze()
    let targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    let made = try LoRA(rank: 16, alpha: 32, targets: targets).load(
      into: comparison.model, using: generator(2))
    adapters.append(made)
    let layer = Swift.max(1, comparison.model.layerCount * 2 / 3)
    let reader = TextReader(
      model: comparison.model, texts: comparison.tokens, layer: layer, base: Swift.max(0, layer - 6))
    let domain = try domain()
    var configuration = ReadingSide.Configuration()
    (configuration.width, configuration.seed) = (domain.featureWidth, seed)
    configuration.crossFitsAdapters = true
    let side = ReadingSide(
      name: comparison.modelName, reader: reader, adapters: made, split: new.split,
      validationItems: new.validationItems, vocabulary: vocabulary, configuration: configuration)
    return try context(domain, side)
  }

  /// EASE or iALS, and the language model that reads the items' texts.
  public func closedForm(_ model: ClosedFormSide.Model) throws -> BridgeContext {
    let counts = new.split.training.itemCounts()
    let known = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) } + new.validationItems
    let side = ClosedFormSide(
      model, split: new.split, vocabulary: vocabulary, validationItems: known, seed: seed)
    return try context(side, language(role: .language, adapters: adapt()))
  }

  private func context(_ domain: any BridgeSide, _ language: any BridgeSide) throws -> BridgeContext {
    try BridgeContext(domain: domain, language: language, split: new.split, log: comparison.log)
  }

  /// LightGCN, and the language model that reads histories as item tokens; the items' texts, half-way up the untrained model,
  /// are its encoded texts.
  public func ordinarySides() throws -> BridgeContext {
    try context(domain(), language(role: .language, adapters: adapt()))
  }

  /// The same, but what the language model writes about items and users in place of the items' texts.
  public func writtenSides() throws -> BridgeContext {
    // Written by the model as it was: adapters are put on afterwards.
    let readings = try writtenReadings.get()
    return try context(domain(), language(role: .language, adapters: adapt(), readings: readings))
  }

  /// Two towers of the frozen language model, for CLLM4Rec.
  public func towers() throws -> BridgeContext {
    comparison.model.freeze()
    let domain = language(role: .domain, adapters: nil) { $0.userRepresentation = .row }
    var configuration = ContentSide.Configuration()
    configuration.seed = seed
    let content = ContentSide(
      name: comparison.modelName, model: comparison.model, entities: entities(4), texts: comparison.tokens,
      split: new.split, vocabulary: vocabulary, configuration: configuration)
    return try context(domain, content)
  }

  /// LightGCN, and the language model for which items are code tokens.
  public func codes() throws -> BridgeContext {
    var configuration = CodeSide.Configuration()
    configuration.trainingItems = Swift.min(configuration.trainingItems, budget.trainingItems)
    configuration.windowItems = Swift.min(configuration.windowItems, budget.trainingItems)
    configuration.validationUsers = Swift.min(configuration.validationUsers, budget.validationUsers)
    configuration.seed = seed
    let side = CodeSide(
      name: comparison.modelName, model: comparison.model, adapters: try adapt(), split: new.split,
      vocabulary: vocabulary, encodedItemTexts: readings, configuration: configuration)
    return try context(domain(), side)
  }

  /// LightGCN, and the language model that is asked about pairs.
  public func prompts() throws -> BridgeContext { try context(domain(), promptSide()) }

  /// LightGCN, and the language model that names what a user will like by the first eight tokens of its title.
  public func titles() throws -> BridgeContext {
    let side = PromptRankingSide(
      try promptSide(titleTokens: 8), output: .titles(beams: 4, count: 20), split: new.split,
      historyItems: Swift.min(10, budget.readingItems),
      validationUsers: Swift.min(60, budget.validationUsers))
    return try context(domain(), side)
  }

  private func promptSide(titleTokens: Int = 16) throws -> PromptSide {
    var configuration = PromptSide.Configuration()
    configuration.titleTokens = titleTokens
    configuration.trainingExamples = budget.prompts
    configuration.validationExamples = budget.measuredPrompts
    configuration.seed = seed
    return PromptSide(
      name: comparison.modelName, model: comparison.model, adapters: try adapt(),
      titles: comparison.dataset.items.titles,
      examples: PromptExamples(sampling: new.split, seed: seed), vocabulary: vocabulary,
      configuration: configuration, encode: comparison.encode)
  }
}
