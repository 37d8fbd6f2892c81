import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A frozen language model that says the texts of items after the tokens of a user and of the item, as the language side of a
/// bridge: the content tower of CLLM4Rec.
///
/// A training sequence is a user's token, the token of an item that the user has in training, and the item's text; the loss is the
/// cross-entropy of the text's tokens. The model's own weights stay; the rows of the tokens learn what is said of whom. An
/// item without interactions is said after its own token alone.
public final class ContentSide: TrainableSide {
  /// How the side trains.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The items of a batch.
    public var batchItems = 32
    /// The most tokens of a text.
    public var textTokens = 32
    /// The learning rate of the tokens' rows.
    public var learningRate = 1e-3
    /// How many items' texts are said for validation.
    public var validationItems = 128
    /// Determines the order of items and their users.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// The language side.
  public let role = SideRole.language
  /// The name for messages and tables.
  public let name: String
  /// The users and items.
  public let vocabulary: EntityVocabulary
  /// How the side trains.
  public let configuration: Configuration
  /// The language model.
  public let model: any LanguageModel
  /// The tokens of users and items.
  public let entities: EntityTokens
  private let texts: [[Int32]]
  private let usersOfItem: [[Int32]]
  private let items: [Int32]
  private let validationPairs: [(user: Int32, item: Int32)]

  /// Makes a side of a language model, which it freezes.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - model: the language model.
  ///   - entities: the tokens of users and items.
  ///   - texts: the text tokens of each item.
  ///   - split: users and items are paired by its training part; validated on its validation part.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: how the side trains.
  public init(
    name: String, model: any LanguageModel, entities: EntityTokens, texts: [[Int32]], split: DataSplit,
    vocabulary: EntityVocabulary, configuration: Configuration = Configuration()
  ) {
    precondition(
      texts.count == vocabulary.itemCount && entities.itemCount == vocabulary.itemCount
        && entities.userCount == vocabulary.userCount,
      "ContentSide: \(texts.count) texts, tokens of \(entities.userCount) users and \(entities.itemCount) items, a vocabulary of \(vocabulary)"
    )
    self.name = name
    self.model = model
    self.entities = entities
    self.vocabulary = vocabulary
    self.configuration = configuration
    self.texts = texts.map { Array($0.prefix(configuration.textTokens)) }
    model.freeze()
    usersOfItem = Self.users(split.training)
    items = texts.indices.filter { !texts[$0].isEmpty }.map { Int32($0) }
    var pairs = zip(split.validation.users, split.validation.items).filter { !texts[Int($0.1)].isEmpty }
    var generator = RandomGenerator(seed: configuration.seed).split(3)
    generator.shuffle(&pairs)
    validationPairs = pairs.prefix(configuration.validationItems).map { (user: $0.0, item: $0.1) }
  }

  private static func users(_ training: Interactions) -> [[Int32]] {
    var result = [[Int32]](repeating: [], count: training.itemCount)
    for (user, item) in zip(training.users, training.items) { result[Int(item)].append(user) }
    return result
  }

  // MARK: Training

  struct Batch: SideBatch {
    /// Negative for nobody.
    let users: [Int32]
    let items: [Int32]
    var count: Int { items.count }
  }

  /// One group, `entities`: the tokens' rows.
  public var parameterGroups: [BridgeParameterGroup] {
    [
      BridgeParameterGroup(
        name: "entities", parameters: [("items", entities.items), ("users", entities.users)],
        learningRate: configuration.learningRate)
    ]
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { (items.count + configuration.batchItems - 1) / configuration.batchItems }

  /// Every item with a text once, each after one of its users.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    var generator = RandomGenerator(seed: configuration.seed).split(1).split(UInt64(epoch))
    var order = items
    generator.shuffle(&order)
    let users = order.map { item -> Int32 in
      let own = usersOfItem[Int(item)]
      return own.isEmpty ? -1 : own[generator.index(below: own.count)]
    }
    let size = configuration.batchItems
    return AnySequence(
      zip(users.chunks(ofCount: size), order.chunks(ofCount: size)).lazy.map {
        users, items -> any SideBatch in
        Batch(users: Array(users), items: Array(items))
      })
  }

  /// The mean cross-entropy of the texts' tokens; the batch's users and items with the rows of their tokens.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("ContentSide.step: the batch is of another side")
    }
    var step = SideStep(loss: textLoss(batch.users, batch.items))
    let known = Tensor(Set(batch.users.filter { $0 >= 0 }).sorted())
    if known.elementCount > 0 {
      step.users = BatchEntities(ids: known, representations: entities.users.value.gatheredRows(known))
    }
    let items = Tensor(Set(batch.items).sorted())
    step.items = BatchEntities(ids: items, representations: entities.items.value.gatheredRows(items))
    step.represent = { [entities] kind, ids, source in
      source == .row ? entities[kind].value.gatheredRows(ids) : nil
    }
    return step
  }

  private func textLoss(_ users: [Int32], _ items: [Int32]) -> Tensor {
    var tokens: [[Int32]] = []
    var asked: [Int] = []
    var labels: [Int32] = []
    var start = 0
    for (user, item) in zip(users, items) {
      let prefix = (user < 0 ? [] : [entities.token(user: Int(user))]) + [entities.token(item: Int(item))]
      let text = texts[Int(item)]
      // The last token is predicted and not read.
      let sequence = prefix + text.dropLast()
      asked += (0..<text.count).map { start + prefix.count - 1 + $0 }
      labels += text
      tokens.append(sequence)
      start += sequence.count
    }
    let states = model.hiddenStates(
      entities.embed(Array(tokens.joined()), with: model),
      sequences: PackedSequences(lengths: tokens.map(\.count)))
    return model.logits(states.rows(asked)).crossEntropy(labels: Tensor(labels)).mean()
  }

  /// Minus the mean cross-entropy of the texts of items that users have in the validation data; 0 without any.
  public func validate() throws -> Double {
    guard !validationPairs.isEmpty else { return 0 }
    var total = 0.0
    for pairs in validationPairs.chunks(ofCount: configuration.batchItems) {
      let loss = withoutGradients { textLoss(pairs.map(\.user), pairs.map(\.item)) }
      total += loss.item * Double(pairs.count)
    }
    return -total / Double(validationPairs.count)
  }
}

extension ContentSide: EntityTables, ContextualRepresentations {
  /// The language model's width.
  public func entityWidth(_ kind: EntityKind) -> Int? { model.hiddenSize }
  /// The rows of the tokens.
  public func entityRows(_ kind: EntityKind) -> Tensor? {
    entities[kind].detached
  }
  /// Replaces the rows of the tokens.
  public func setEntityRows(_ kind: EntityKind, to rows: Tensor) {
    entities[kind].update(to: rows)
  }
  /// Rows only.
  public func representationSources(_ kind: EntityKind) -> Set<RepresentationSource> { [.row] }
  /// The language model's width.
  public func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int {
    model.hiddenSize
  }
  /// The rows of the tokens.
  public func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor {
    entities[kind].detached.gatheredRows(Tensor(ids))
  }
}
