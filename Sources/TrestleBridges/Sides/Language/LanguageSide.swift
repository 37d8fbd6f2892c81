import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model that reads users' histories as item tokens, as the language side of a bridge.
///
/// A history is read in windows: items of a user's training data that follow one another in time. A training sequence is
/// the user's token followed by the items of one window in random order; at every position the next item is predicted
/// over the whole catalogue. Items that the sequence has already named are left out of the prediction, as they are when
/// the catalogue is ranked. A user's scores are the means over the windows.
public final class LanguageSide: TrainableSide {
  /// How the side trains and reads.
  public struct Configuration: Codable, Sendable, Hashable {
    /// About how many items, consecutive in time, make a window: between two thirds and four thirds of it. At least 4.
    /// Data without timestamps is taken in its own order.
    public var windowItems = 32
    /// The most items of a user that an epoch trains on; of longer histories other windows are read in each epoch.
    public var trainingItems = 96
    /// The most items of a user that are read when the catalogue is ranked, in windows at even distances.
    public var readingItems = 768
    /// The most users of a batch.
    public var batchUsers = 16
    /// The most items of a batch.
    public var batchItems = 1536
    /// Whether sequences begin with the user's token.
    public var usesUserTokens = true
    /// Whether items that a sequence has named are left out of what is predicted after them.
    public var masksSeenItems = true
    /// The learning rate of the adapters.
    public var adapterLearningRate = 1e-3
    /// The learning rate of the entity tokens' rows.
    public var entityLearningRate = 1e-3
    /// The learning rate of the item head's scale and biases.
    public var headLearningRate = 5e-3
    /// The decay of the entity rows.
    public var entityWeightDecay = 0.0
    /// What a training step hands out for its users: their tokens' rows, or the states after their sequences.
    public var userRepresentation = RepresentationSource.behaviour
    /// The layer whose states stand for an item's text, counted as in `LanguageModel.states(_:sequences:from:layers:)`; `nil` for
    /// the top one. Of new items' texts the upper half says more than the top, and validation data says which layer most.
    public var textLayer: Int?
    /// Users that are ranked for validation while training; all for `nil`.
    public var validationUsers: Int? = 300
    /// Tokens that are read in one pass when nothing is trained.
    public var readingTokens = 4096
    /// What is measured on the validation data.
    public var metric = RankingMetric.ndcg(10)
    /// Determines the sequences' order, their items' order and the validation users.
    public var seed: UInt64 = 0

    private enum CodingKeys: String, CodingKey {
      case windowItems, trainingItems, readingItems, batchUsers, usesUserTokens, masksSeenItems
      case adapterLearningRate, entityLearningRate, headLearningRate, entityWeightDecay, userRepresentation
      case validationUsers, readingTokens, metric, seed
      // Saved configurations have the former name.
      case batchItems = "batchTokens"
    }

    /// The defaults.
    public init() {}

    /// The former name of ``batchItems``.
    @available(*, deprecated, renamed: "batchItems")
    public var batchTokens: Int {
      get { batchItems }
      set { batchItems = newValue }
    }
  }

  /// The language side; a tower of token rows that stands for the recommender is the domain side.
  public let role: SideRole
  /// The name for messages and tables.
  public let name: String
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How the side trains and reads.
  public let configuration: Configuration
  /// Language model, entity tokens and item head.
  public let recommender: ItemSequenceModel
  /// The adapters in training; `nil` if the language model's own weights are frozen or trained whole.
  public let adapters: LoRAAdapters?
  /// The text tokens of each item, `nil` if there is no text.
  public let itemTexts: [[Int32]]?
  /// What a sentence encoder makes of the items' texts, `[items, width]`, `nil` if there is none.
  public let encodedItemTexts: Tensor?
  /// The vectors of texts about users, `[users, width]`; `nil` for the means of their items' vectors.
  public let encodedUserTexts: Tensor?
  /// Rows that stand for entities in the input instead of the side's own.
  public var injectedRows: ((_ kind: EntityKind, _ ids: Tensor) -> Tensor?)?
  let histories: TimedHistories
  private let evaluator: RankingEvaluator
  private let validationIDs: [Int32]

  /// Makes a side of a language model with entity tokens and an item head.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - recommender: language model, entity tokens and item head.
  ///   - adapters: the adapters to train; `nil` if there are none.
  ///   - split: histories are its training part; validation is on its validation part.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - itemTexts: the text tokens of each item, for representations of text.
  ///   - encodedItemTexts: the items' texts as a sentence encoder sees them, `[items, width]`.
  ///   - encodedUserTexts: vectors of texts about users, `[users, width]`, of the width of the items'.
  ///   - role: which partner the side is.
  ///   - configuration: how the side trains and reads.
  public init(
    name: String, recommender: ItemSequenceModel, adapters: LoRAAdapters?, split: DataSplit,
    vocabulary: EntityVocabulary, itemTexts: [[Int32]]? = nil, encodedItemTexts: Tensor? = nil,
    encodedUserTexts: Tensor? = nil, role: SideRole = .language,
    configuration: Configuration = Configuration()
  ) {
    self.role = role
    precondition(
      recommender.entities.itemCount == vocabulary.itemCount
        && itemTexts?.count ?? vocabulary.itemCount == vocabulary.itemCount
        && encodedItemTexts?.shape[0] ?? vocabulary.itemCount == vocabulary.itemCount,
      "LanguageSide: tokens of \(recommender.entities.itemCount) items, texts of \(itemTexts?.count ?? 0), encoded texts of \(encodedItemTexts?.shape[0] ?? 0), a vocabulary of \(vocabulary.itemCount)"
    )
    precondition(
      encodedUserTexts.map { $0.shape == [vocabulary.userCount, encodedItemTexts?.shape[1] ?? 0] } ?? true,
      "LanguageSide: encoded texts \(encodedItemTexts?.shape ?? []) of items, \(encodedUserTexts?.shape ?? []) of users"
    )
    precondition(
      configuration.windowItems >= 4,
      "LanguageSide: windows of \(configuration.windowItems) items, at least 4")
    precondition(
      configuration.textLayer.map { (1...recommender.model.layerCount).contains($0) } ?? true,
      "LanguageSide: layer \(configuration.textLayer ?? 0) of a model of \(recommender.model.layerCount)")
    self.name = name
    self.recommender = recommender
    self.adapters = adapters
    self.vocabulary = vocabulary
    self.itemTexts = itemTexts
    self.encodedItemTexts = encodedItemTexts
    self.encodedUserTexts = encodedUserTexts
    self.configuration = configuration
    histories = TimedHistories(split.training)
    let evaluation = RankingEvaluator.Configuration(only: [configuration.metric])
    var active = UserItemMatrix(split.validation).activeUsers()
    var generator = RandomGenerator(seed: configuration.seed).split(7)
    if let count = configuration.validationUsers, count < active.count {
      generator.shuffle(&active)
      active = active.prefix(count).sorted()
    }
    validationIDs = active
    evaluator = RankingEvaluator(split.validating(active), on: .validation, configuration: evaluation)
  }

  // MARK: Training

  struct Batch: SideBatch {
    var users: [Int32]
    var sequences: [[Int32]]
    var count: Int { sequences.reduce(0) { $0 + $1.count } }
  }

  /// `adapters`, `entities` (the tokens' rows) and `head`.
  public var parameterGroups: [BridgeParameterGroup] {
    var groups: [BridgeParameterGroup] = []
    if adapters != nil {
      groups.append(.adapters(adapters, learningRate: configuration.adapterLearningRate))
    }
    var tables = [(name: "items", parameter: recommender.entities.items)]
    if configuration.usesUserTokens { tables.append(("users", recommender.entities.users)) }
    groups.append(
      BridgeParameterGroup(
        name: "entities", parameters: tables, learningRate: configuration.entityLearningRate,
        weightDecay: configuration.entityWeightDecay))
    groups.append(
      BridgeParameterGroup(
        name: "head", parameters: recommender.head.namedParameters.map { ("head.\($0.name)", $0.parameter) },
        learningRate: configuration.headLearningRate))
    return groups
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { plan(epoch: 0).count }

  /// The users of each batch: of like length, in random order.
  private func plan(epoch: Int) -> [[Int32]] {
    var generator = RandomGenerator(seed: configuration.seed).split(UInt64(epoch) &* 2)
    let minimum = configuration.usesUserTokens ? 1 : 2
    func length(_ user: Int32) -> Int { min(histories.items[Int(user)].count, configuration.trainingItems) }
    let users = (0..<Int32(histories.items.count)).filter { histories.items[Int($0)].count >= minimum }
    // The number of batches must not depend on the epoch: cut by length first, shuffle within equal lengths.
    var byLength = Dictionary(grouping: users, by: length)
    var batches: [[Int32]] = []
    var current: [Int32] = []
    var tokens = 0
    for key in byLength.keys.sorted() {
      var group = byLength.removeValue(forKey: key) ?? []
      generator.shuffle(&group)
      for user in group {
        if current.count == configuration.batchUsers || tokens + key > configuration.batchItems {
          if !current.isEmpty { batches.append(current) }
          current = []
          tokens = 0
        }
        current.append(user)
        tokens += key
      }
    }
    if !current.isEmpty { batches.append(current) }
    generator.shuffle(&batches)
    return batches
  }

  /// The sequences of an epoch, made batch by batch.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    let order = RandomGenerator(seed: configuration.seed).split(UInt64(epoch) &* 2 + 1)
    return AnySequence(
      plan(epoch: epoch).lazy.map { [self] users -> any SideBatch in
        var batch = Batch(users: [], sequences: [])
        for user in users {
          var generator = order.split(UInt64(user))
          let windows = histories.trainingWindows(
            of: user, width: min(configuration.windowItems, configuration.trainingItems),
            most: configuration.trainingItems, using: &generator)
          batch.users += windows.map { _ in user }
          batch.sequences += windows
        }
        return batch
      })
  }

  /// The mean cross-entropy over the items at every position; the batch's items with their rows, its users with the means of
  /// the states after their windows.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("LanguageSide.step: the batch is of another side")
    }
    let (states, sequences) = read(batch.sequences, users: batch.users)
    let userTokens = configuration.usesUserTokens ? 1 : 0
    // Position t predicts item t: the last state has read everything, and predicts nothing.
    var asked: [Int] = []
    var labels: [Int32] = []
    var owners: [Int32] = []
    for (index, items) in batch.sequences.enumerated() {
      let start = sequences.queryStarts[index]
      for place in (1 - userTokens)..<items.count {
        asked.append(start + place - 1 + userTokens)
        labels.append(items[place])
        owners.append(batch.users[index])
      }
    }
    let table = itemRows()
    var logits = recommender.head.logits(states.rows(asked), items: table)
    if configuration.masksSeenItems { logits = logits + seenMask(batch.sequences, userTokens: userTokens) }
    let losses = logits.crossEntropy(labels: Tensor(labels))
    let distinct = Tensor(Set(batch.sequences.joined()).sorted())
    let last = states.rows(sequences.lastRows)
    let windows = WindowMeans(batch.users)
    let users = windows.users
    let handsOutRows = configuration.userRepresentation == .row && configuration.usesUserTokens
    var step = SideStep(
      loss: losses.mean(),
      users: BatchEntities(
        ids: users,
        representations: handsOutRows
          ? recommender.entities.users.value.gatheredRows(users) : windows.means(of: last),
        source: handsOutRows ? .row : .behaviour),
      items: BatchEntities(ids: distinct, representations: table.gatheredRows(distinct)))
    step.examples = { BatchExamples(users: Tensor(owners), items: Tensor(labels), losses: losses) }
    step.scores = { [recommender] in
      BatchScores(users: users, logits: windows.means(of: recommender.head.logits(last, items: table)))
    }
    step.represent = { [self] kind, ids, source in
      try represented(kind, ids, source, table: table)
        ?? (kind == .user && source == .behaviour && ids.scalars(as: Int32.self) == windows.users.scalars()
          ? windows.means(of: last) : nil)
    }
    return step
  }

  /// −∞-like at the items that a sequence has named before each predicted position, else 0.
  private func seenMask(_ sequences: [[Int32]], userTokens: Int) -> Tensor {
    let earlier = sequences.flatMap { items in (1 - userTokens..<items.count).map { items[..<$0] } }
    return .marking(earlier, width: vocabulary.itemCount, with: -1e9)
  }

  /// The rows of all items as the head sees them: injected ones if there are any.
  private func itemRows() -> Tensor {
    injectedRows?(.item, Tensor((0..<Int32(vocabulary.itemCount)).map { $0 }))
      ?? recommender.entities.items.value
  }

  /// Reads sequences of items, each after its user's token, and returns the top-layer states.
  ///
  /// - Parameter users: the users; a negative one is someone without a token, whose row is the mean of all.
  func read(_ items: [[Int32]], users: [Int32]) -> (states: Tensor, sequences: PackedSequences) {
    let userTokens = configuration.usesUserTokens ? 1 : 0
    let flat = Tensor(Array(items.joined()))
    let entities = recommender.entities
    var rows = injectedRows?(.item, flat) ?? entities.items.value.gatheredRows(flat)
    if userTokens == 1 {
      // Interleave: the user's row, then the items', for each sequence.
      let known = Tensor(users.map { max($0, 0) })
      var userRows = injectedRows?(.user, known) ?? entities.users.value.gatheredRows(known)
      if users.contains(where: { $0 < 0 }) {
        let all =
          injectedRows?(.user, Tensor((0..<Int32(vocabulary.userCount)).map { $0 })) ?? entities.users.value
        let mean = all.detached.mean(along: [0], keepingDimensions: true)
        userRows = Tensor.concatenated(
          users.indices.map { users[$0] < 0 ? mean : userRows.sliced($0..<$0 + 1, along: 0) }, along: 0)
      }
      var order: [Int] = []
      var next = users.count
      for (index, list) in items.enumerated() {
        order.append(index)
        order.append(contentsOf: next..<next + list.count)
        next += list.count
      }
      rows = Tensor.concatenated([userRows, rows], along: 0).rows(order)
    }
    let sequences = PackedSequences(lengths: items.map { $0.count + userTokens })
    return (recommender.model.hiddenStates(rows, sequences: sequences), sequences)
  }

  /// The configuration's metric on the validation users.
  public func validate() throws -> Double {
    try evaluator.evaluate(InnerProductScorer(scoringRows(users: validationIDs))).mean(configuration.metric)
      ?? 0
  }
}

extension DataSplit {
  /// The split with the validation rows of some users only.
  func validating(_ users: [Int32]) -> DataSplit {
    let chosen = Set(users)
    let rows = validation.users.indices.filter { chosen.contains(validation.users[$0]) }.map(Int32.init)
    return DataSplit(
      training: training, validation: validation.selecting(rows: rows), test: test, strategy: strategy)
  }
}
