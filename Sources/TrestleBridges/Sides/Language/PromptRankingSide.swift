import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model that ranks the catalogue after a prompt, as the language side of a bridge: what the user liked, as titles, entity
/// tokens or both, and then an item, by an item head or by its title.
///
/// Prompts, slots, words and adapters are a ``PromptSide``'s; this side learns from its liked examples.
///
/// Source: Bao et al., *A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems* (BIGRec, 2023), for titles as
/// answers, here held to the catalogue's by a trie; Li et al., *E4SRec* (2023), for an item head.
public final class PromptRankingSide: TrainableSide, ScoreProvider, InputInjection, PromptFields,
  AdapterGating
{
  /// How an item is named.
  public enum Output {
    /// By a head over the entity tokens' rows: one pass ranks the catalogue, and the loss is the cross-entropy over it, items of
    /// the history left out.
    case items(ItemHead)
    /// By its title: a beam search ranks, and the loss is the title's.
    case titles(beams: Int, count: Int)
  }

  /// The language side.
  public let role = SideRole.language
  /// The prompts, the language model, and what it learns from.
  public let prompts: PromptSide
  /// How an item is named.
  public let output: Output
  /// The most items of a history that are read when the catalogue is ranked.
  public let historyItems: Int
  private let histories: TimedHistories
  private let validationIDs: [Int32]
  private let evaluator: RankingEvaluator
  private let liked: [PromptExample]

  /// Makes a side that ranks.
  ///
  /// - Parameters:
  ///   - prompts: the prompts; with entity tokens if items are named by a head.
  ///   - output: how an item is named.
  ///   - split: histories are its training part; validation is on its validation part.
  ///   - historyItems: the most items of a history that are read when the catalogue is ranked.
  ///   - validationUsers: the most users that are validated; `nil` for all.
  public init(
    _ prompts: PromptSide, output: Output, split: DataSplit, historyItems: Int = 10,
    validationUsers: Int? = 300
  ) {
    if case .items = output {
      precondition(prompts.entities != nil, "PromptRankingSide: an item head without entity tokens")
    }
    self.prompts = prompts
    self.output = output
    self.historyItems = historyItems
    histories = TimedHistories(split.training)
    liked = prompts.examples.training.filter { $0.label > 0.5 && prompts.isNamed($0.item, by: output) }
    var active = UserItemMatrix(split.validation).activeUsers()
    var generator = RandomGenerator(seed: prompts.configuration.seed).split(7)
    generator.shuffle(&active)
    validationIDs = active.prefix(validationUsers ?? active.count).sorted()
    evaluator = RankingEvaluator(
      split.validating(validationIDs), on: .validation,
      configuration: RankingEvaluator.Configuration(only: [.ndcg(10)]))
  }

  /// The prompts' name.
  public var name: String { prompts.name }
  /// The users and items.
  public var vocabulary: EntityVocabulary { prompts.vocabulary }

  // MARK: Training

  private struct Batch: SideBatch {
    let examples: [PromptExample]
    var count: Int { examples.count }
  }

  /// Those of the prompts, and `head` if there is one.
  public var parameterGroups: [BridgeParameterGroup] {
    guard case .items(let head) = output else { return prompts.parameterGroups }
    return prompts.parameterGroups + [BridgeParameterGroup(name: "head", module: head, learningRate: 5e-3)]
  }

  private var epochCount: Int { Swift.min(prompts.configuration.trainingExamples ?? .max, liked.count) }

  /// The number of batches of an epoch.
  public var batchCount: Int {
    (epochCount + prompts.configuration.batchSize - 1) / prompts.configuration.batchSize
  }

  /// The liked examples in random order.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    var generator = RandomGenerator(seed: prompts.configuration.seed).split(UInt64(epoch))
    var order = liked
    generator.shuffle(&order)
    order = Array(order.prefix(epochCount))
    return AnySequence(
      order.chunks(ofCount: prompts.configuration.batchSize).lazy.map { part -> any SideBatch in
        Batch(examples: Array(part))
      })
  }

  /// The mean cross-entropy of the liked items over the catalogue, or of their titles over tokens.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let examples = (batch as? Batch)?.examples else {
      preconditionFailure("PromptRankingSide.step: the batch is of another side")
    }
    guard case .items(let head) = output else { return SideStep(loss: prompts.titleLoss(examples)) }
    let table = itemRows()
    let seen = examples.map { example in example.history.filter { $0 != example.item } }
    let logits =
      head.logits(prompts.namingStates(examples), items: table)
      + .marking(seen, width: vocabulary.itemCount, with: -1e9)
    let losses = logits.crossEntropy(labels: Tensor(examples.map(\.item)))
    let distinct = Tensor(Set(examples.map(\.item)).sorted())
    var step = SideStep(
      loss: losses.mean(), items: BatchEntities(ids: distinct, representations: table.gatheredRows(distinct)))
    step.examples = { examples.withLosses(losses) }
    step.represent = { kind, ids, source in
      kind == .item && source == .row ? table.gatheredRows(ids) : nil
    }
    return step
  }

  /// The rows that the head compares states with: injected ones if there are any.
  private func itemRows() -> Tensor {
    injectedRows?(.item, Tensor((0..<Int32(vocabulary.itemCount)).map { $0 }))
      ?? prompts.entities?.items.value ?? .zeros([vocabulary.itemCount, inputWidth])
  }

  /// NDCG@10 on the validation users.
  public func validate() throws -> Double {
    try evaluator.evaluate(scorer(of: validationIDs)).mean(.ndcg(10)) ?? 0
  }

  // MARK: Exchange

  /// The rows in the slots of users and items, and those that a head compares states with.
  public var injectedRows: ((_ kind: EntityKind, _ ids: Tensor) -> Tensor?)? {
    get { prompts.injectedRows }
    set { prompts.injectedRows = newValue }
  }
  /// The language model's width.
  public var inputWidth: Int { prompts.inputWidth }
  /// What is said beside titles.
  public var promptFields: ((_ user: Int32, _ item: Int32?) -> [Int32])? {
    get { prompts.promptFields }
    set { prompts.promptFields = newValue }
  }
  /// The tokens of a text.
  public func tokens(of text: String) -> [Int32] { prompts.tokens(of: text) }
  /// The tokens of an item's title.
  public func titleTokens(of item: Int32) -> [Int32] { prompts.titleTokens(of: item) }
  /// The rank of the adapters; 0 without any.
  public var adapterRank: Int { prompts.adapterRank }
  /// How each user's adapters are mixed.
  public var adapterGates: ((_ users: Tensor) -> Tensor?)? {
    get { prompts.adapterGates }
    set { prompts.adapterGates = newValue }
  }

  /// The head's logits; of titles the log-probabilities of those that the beams reach, and −1000 for the others. `[users, items]`
  public func scores(users: [Int32]) throws -> Tensor {
    let asked = users.map { user in
      PromptExample(
        user: user, item: 0, label: 1, history: Array(histories.items[Int(user)].suffix(historyItems)))
    }
    guard !asked.isEmpty else { return .zeros([0, vocabulary.itemCount]) }
    switch output {
    case .items(let head):
      return withoutGradients {
        let table = itemRows()
        return Tensor.concatenated(
          asked.chunks(ofCount: prompts.configuration.batchSize).map { part in
            head.logits(prompts.namingStates(Array(part)), items: table).detached
          }, along: 0)
      }
    case .titles(let beams, let count):
      var values = [Float](repeating: -1000, count: users.count * vocabulary.itemCount)
      for (place, example) in asked.enumerated() {
        for named in prompts.namedItems(
          for: example.user, after: example.history, count: count, beams: beams,
          excluding: Set(histories.items[Int(example.user)]))
        { values[place * vocabulary.itemCount + Int(named.item)] = Float(named.logProbability) }
      }
      return Tensor(values, shape: [users.count, vocabulary.itemCount])
    }
  }

  /// A scorer of all users.
  public func makeScorer() throws -> any CatalogueScorer {
    try scorer(of: Array(0..<Int32(vocabulary.userCount)))
  }

  private func scorer(of users: [Int32]) throws -> any CatalogueScorer {
    RowScorer(try scores(users: users), of: users)
  }
}

extension PromptSide {
  /// Whether an item can be named: any by a head, those with titles by these.
  fileprivate func isNamed(_ item: Int32, by output: PromptRankingSide.Output) -> Bool {
    if case .items = output { return true }
    return !titles[Int(item)].isEmpty
  }
}
