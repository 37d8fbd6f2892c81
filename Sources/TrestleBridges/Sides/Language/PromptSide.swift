import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A language model that is asked whether a user will like an item, as the language side of a bridge.
///
/// A prompt has words, the titles of what the user liked and of the item that is asked about, and slots: after a title the
/// row that a bridge gives for the item, and one for the user (``InputInjection``), or the side's own entity tokens. Without either
/// there are no slots, and the prompt is text alone. The answer is the difference of the logits of "Yes" and "No" after the prompt; the loss is its
/// binary cross-entropy.
///
/// Source: Zhang et al., *CoLLM: Integrating Collaborative Embeddings into Large Language Models for Recommendation* (2023); Bao
/// et al., *TALLRec* (2023), for the prompt without slots.
public final class PromptSide: TrainableSide, InputInjection, PromptFields, AdapterGating, AnswerProvider {
  /// What stands for an item in a prompt.
  public enum ItemReading: String, Codable, Sendable, CaseIterable {
    /// Its title.
    case title
    /// The slot after the title, where there are slots; else the title.
    case token
    /// Its title, and the slot where there are slots.
    case both
  }

  /// The words of a prompt.
  public struct Wording: Codable, Sendable, Hashable {
    /// Before the history.
    public var opening = "A user liked these items: "
    /// Between two titles.
    public var separator = "; "
    /// Before the user's slot.
    public var user = ". The user's taste:"
    /// Before the item that is asked about.
    public var question = "\nWill the user like "
    /// At the end.
    public var closing = "?\nAnswer:"
    /// The positive answer, of which the first token counts.
    public var yes = " Yes"
    /// The negative answer, of which the first token counts.
    public var no = " No"
    /// Before the title of another item, when the side names items.
    public var naming = "\nAnother item that the user likes: "
    /// After such a title, of which the first token counts.
    public var ending = "\n"

    /// The defaults, in English.
    public init() {}
  }

  /// How the side trains.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The words of a prompt.
    public var wording = Wording()
    /// What stands for an item in a prompt.
    public var itemReading = ItemReading.both
    /// Whether the user has a slot, where there are slots.
    public var readsUser = true
    /// The most tokens of a title.
    public var titleTokens = 16
    /// The prompts of a batch.
    public var batchSize = 16
    /// The most training prompts of an epoch; an epoch takes others than the one before. `nil` for all.
    public var trainingExamples: Int?
    /// The most prompts of a validation.
    public var validationExamples = 1000
    /// Whether states are compared by the mean AUC of users rather than by the AUC of all examples.
    public var validatesByUser = false
    /// Whether a batch has examples with the same user and history together, which cost their history once, rather than any.
    public var sharesHistories = false
    /// The learning rate of the adapters.
    public var adapterLearningRate = 1e-3
    /// The learning rate of the entity tokens' rows.
    public var entityLearningRate = 1e-3
    /// Determines the prompts' order.
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
  /// The adapters in training; `nil` leaves the model as it is.
  public let adapters: LoRAAdapters?
  /// The rows in the slots that a bridge fills with none; `nil` for none.
  public let entities: EntityTokens?
  /// What is asked.
  public let examples: PromptExamples
  /// The rows in the slots of users and items.
  public var injectedRows: ((_ kind: EntityKind, _ ids: Tensor) -> Tensor?)?
  /// What is said beside titles.
  public var promptFields: ((_ user: Int32, _ item: Int32?) -> [Int32])?
  /// How each user's adapters are mixed.
  public var adapterGates: ((_ users: Tensor) -> Tensor?)?
  let titles: [[Int32]]
  private let encode: (String) -> [Int32]
  private let words:
    (opening: [Int32], separator: [Int32], user: [Int32], question: [Int32], closing: [Int32])
  private let answers: (yes: Int32, no: Int32)
  /// What is said before a title that the side is to name, and the token after it.
  let naming: (words: [Int32], end: Int32)

  /// Makes a side of a language model.
  ///
  /// - Parameters:
  ///   - name: for messages and tables.
  ///   - model: the language model.
  ///   - adapters: the adapters to train; `nil` if there are none.
  ///   - entities: rows of the side's own for the slots; `nil` has slots only where a bridge fills them.
  ///   - titles: what each item is called.
  ///   - examples: what is asked.
  ///   - vocabulary: the users and items, with the hash of their ids.
  ///   - configuration: how the side trains.
  ///   - encode: the model's tokens of a text; titles go through it too, and give no control tokens.
  public init(
    name: String, model: any LanguageModel, adapters: LoRAAdapters?, entities: EntityTokens? = nil,
    titles: [String], examples: PromptExamples, vocabulary: EntityVocabulary,
    configuration: Configuration = Configuration(),
    encode: @escaping (String) -> [Int32]
  ) {
    precondition(
      titles.count == vocabulary.itemCount,
      "PromptSide: \(titles.count) titles for a vocabulary of \(vocabulary.itemCount) items")
    precondition(
      entities.map { $0.itemCount == vocabulary.itemCount && $0.userCount == vocabulary.userCount } ?? true,
      "PromptSide: tokens of \(entities?.userCount ?? 0) users and \(entities?.itemCount ?? 0) items for a vocabulary of \(vocabulary.userCount) and \(vocabulary.itemCount)"
    )
    let w = configuration.wording
    self.name = name
    self.model = model
    self.adapters = adapters
    self.entities = entities
    self.examples = examples
    self.vocabulary = vocabulary
    self.configuration = configuration
    self.encode = encode
    self.titles = titles.map { Array(encode($0).prefix(configuration.titleTokens)) }
    words = (encode(w.opening), encode(w.separator), encode(w.user), encode(w.question), encode(w.closing))
    answers = (encode(w.yes).first ?? 0, encode(w.no).first ?? 0)
    naming = (encode(w.naming), encode(w.ending).first ?? 0)
    precondition(answers.yes != answers.no, "PromptSide: both answers begin with the token \(answers.yes)")
  }

  /// The language model's width.
  public var inputWidth: Int { model.hiddenSize }
  /// The rank of the adapters; 0 without any.
  public var adapterRank: Int { adapters?.settings.rank ?? 0 }
  /// The tokens of a text.
  public func tokens(of text: String) -> [Int32] { encode(text) }
  /// The tokens of an item's title, cut to the configuration's length.
  public func titleTokens(of item: Int32) -> [Int32] { titles[Int(item)] }

  // MARK: Prompts

  enum Piece {
    case words([Int32])
    case slot(EntityKind, Int32)
  }

  private var hasSlots: Bool { injectedRows != nil || entities != nil }

  /// What stands for an item.
  private func pieces(of item: Int32, after words: [Int32]) -> [Piece] {
    let (hasTitle, hasSlot) = (
      configuration.itemReading != .token || !hasSlots, configuration.itemReading != .title && hasSlots
    )
    let said = Piece.words(words + (hasTitle ? titles[Int(item)] : []))
    return hasSlot ? [said, .slot(.item, item)] : [said]
  }

  /// The part of a prompt that questions about a user with one history share.
  func opening(of example: PromptExample) -> [Piece] {
    var pieces = [Piece.words(words.opening)]
    for (place, item) in example.history.enumerated() {
      pieces += self.pieces(of: item, after: place == 0 ? [] : words.separator)
    }
    let hasUser = hasSlots && configuration.readsUser
    if hasUser || promptFields != nil {
      pieces.append(.words(words.user + (promptFields?(example.user, nil) ?? [])))
      if hasUser { pieces.append(.slot(.user, example.user)) }
    }
    return pieces
  }

  private func question(of example: PromptExample) -> [Piece] {
    var pieces = pieces(of: example.item, after: words.question)
    if let promptFields { pieces.insert(.words(promptFields(example.user, example.item)), at: 1) }
    return pieces + [.words(words.closing)]
  }

  /// The prompts of a pass: the rows that go in, and the sequences that they are.
  struct Prompts {
    var tokens: [Int32] = []
    var slots: [EntityKind: [Int32]] = [.item: [], .user: []]
    /// Where each row comes from: words, items' slots, users' slots; and its place there.
    var places: [(source: Int, index: Int)] = []
    var lengths: [Int] = []
    /// The sequence that each one goes on from.
    var continuing: [Int?] = []
    /// The example whose user each sequence is about.
    var owners: [Int] = []

    /// Adds what others go on from, and returns its place; `nil` if it says nothing.
    mutating func begin(_ opening: [Piece], of example: Int) -> Int? {
      let isEmpty = opening.allSatisfy { if case .words(let words) = $0 { words.isEmpty } else { false } }
      if !isEmpty { add(opening, of: example, after: nil) }
      return isEmpty ? nil : lengths.count - 1
    }

    mutating func add(_ pieces: [Piece], of example: Int, after earlier: Int?) {
      let before = places.count
      for piece in pieces {
        switch piece {
        case .words(let words):
          places += words.indices.map { (0, tokens.count + $0) }
          tokens += words
        case .slot(let kind, let id):
          places.append((kind == .item ? 1 : 2, slots[kind, default: []].count))
          slots[kind, default: []].append(id)
        }
      }
      lengths.append(places.count - before)
      continuing.append(earlier)
      owners.append(example)
    }
  }

  /// The prompts of some examples. Neighbours with one user and one history share what comes before their questions.
  private func prompts(_ examples: [PromptExample]) -> (prompts: Prompts, lastRows: [Int]) {
    var result = Prompts()
    var lastRows: [Int] = []
    var shared: Int?
    for (place, example) in examples.enumerated() {
      if place == 0 || !example.hasContext(of: examples[place - 1]) {
        shared = result.begin(opening(of: example), of: place)
      }
      result.add(question(of: example), of: place, after: shared)
      lastRows.append(result.places.count - 1)
    }
    return (result, lastRows)
  }

  /// The logits of the answers, "Yes" less "No", `[examples]`; tracked while gradients are taken.
  ///
  /// Examples beside each other with the same user and the same history cost their history once.
  public func logits(_ examples: [PromptExample]) -> Tensor {
    let (prompts, lastRows) = prompts(examples)
    return model.yesNoLogits(states(of: prompts, examples).rows(lastRows), yes: answers.yes, no: answers.no)
  }

  /// What goes into the model, `[rows, hidden]`: words, and what a bridge gives for the slots.
  func inputs(of prompts: Prompts) -> Tensor {
    var parts = [model.embed(prompts.tokens)]
    var starts = [0, prompts.tokens.count, prompts.tokens.count]
    for (place, kind) in [EntityKind.item, .user].enumerated() {
      let ids = prompts.slots[kind, default: []]
      guard !ids.isEmpty else { continue }
      let rows =
        injectedRows?(kind, Tensor(ids)) ?? entities?[kind].value.gatheredRows(Tensor(ids))
        ?? .zeros([ids.count, model.hiddenSize])
      if place == 0 { starts[2] += ids.count }
      parts.append(rows)
    }
    if parts.count == 1 { return parts[0] }
    return Tensor.concatenated(parts, along: 0).rows(prompts.places.map { starts[$0.source] + $0.index })
  }

  /// The top-layer states, `[rows, hidden]`, through the adapters of each prompt's user.
  func states(of prompts: Prompts, _ examples: [PromptExample]) -> Tensor {
    let rows = inputs(of: prompts)
    let sequences = PackedSequences(lengths: prompts.lengths)
    let gates = gates(prompts.owners.map { examples[$0] }, prompts.lengths)
    func states() -> Tensor {
      model.hiddenStates(rows, sequences: sequences, continuing: prompts.continuing)
    }
    return adapters?.gated(by: gates, states) ?? states()
  }

  /// The gates of each row of the prompts, `[rows, rank]`; `nil` without any.
  func gates(_ examples: [PromptExample], _ lengths: [Int]) -> Tensor? {
    guard adapterRank > 0, let experts = adapterGates?(Tensor(examples.map(\.user))) else { return nil }
    let count = experts.shape[1]
    precondition(
      experts.shape[0] == examples.count && count > 0 && adapterRank % count == 0,
      "PromptSide: gates \(experts.shape) for \(examples.count) users and adapters of rank \(adapterRank)")
    let size = adapterRank / count
    let spread = (0..<count).flatMap { expert in
      (0..<adapterRank).map { Float($0 / size == expert ? 1 : 0) }
    }
    let places = lengths.enumerated().flatMap { place, length in [Int](repeating: place, count: length) }
    return experts.matmul(Tensor(spread, shape: [count, adapterRank])).rows(places)
  }

  /// The logits of any number of examples, in passes, not tracked.
  public func answers(to examples: [PromptExample]) -> [Float] {
    examples.chunks(ofCount: configuration.batchSize).flatMap { part in
      withoutGradients { logits(Array(part)) }.floats
    }
  }

  // MARK: Training

  private struct Batch: SideBatch {
    let examples: [PromptExample]
    var count: Int { examples.count }
  }

  /// `adapters`, empty without any, and `entities` if the side has rows of its own.
  public var parameterGroups: [BridgeParameterGroup] {
    let own = BridgeParameterGroup.adapters(adapters, learningRate: configuration.adapterLearningRate)
    guard let entities else { return [own] }
    return [
      own,
      BridgeParameterGroup(
        name: "entities", parameters: [("items", entities.items), ("users", entities.users)],
        learningRate: configuration.entityLearningRate),
    ]
  }

  private var epochExamples: Int {
    Swift.min(configuration.trainingExamples ?? .max, examples.training.count)
  }

  /// The number of batches of an epoch.
  public var batchCount: Int { (epochExamples + configuration.batchSize - 1) / configuration.batchSize }

  /// The training prompts in random order.
  public func batches(epoch: Int) -> AnySequence<any SideBatch> {
    var generator = RandomGenerator(seed: configuration.seed).split(UInt64(epoch))
    var order = examples.training
    if configuration.sharesHistories {
      var groups = order.inContexts
      generator.shuffle(&groups)
      order = groups.flatMap { $0 }
    } else {
      generator.shuffle(&order)
    }
    order = Array(order.prefix(epochExamples))
    return AnySequence(
      order.chunks(ofCount: configuration.batchSize).lazy.map { part -> any SideBatch in
        Batch(examples: Array(part))
      })
  }

  /// The mean binary cross-entropy of the answers.
  public func step(on batch: any SideBatch) throws -> SideStep {
    guard let batch = batch as? Batch else {
      preconditionFailure("PromptSide.step: the batch is of another side")
    }
    let losses = batch.examples.answerLosses(logits(batch.examples))
    var step = SideStep(loss: losses.mean())
    step.examples = { batch.examples.withLosses(losses) }
    return step
  }

  /// The validation examples that states are compared by.
  public var validationQuestions: [PromptExample] {
    Array(examples.validation.prefix(configuration.validationExamples))
  }

  /// AUC, or the mean AUC of users, on the validation examples; .5 where it is not defined.
  public func validate() throws -> Double {
    let asked = validationQuestions
    let (all, byUser) = Self.areas(answers(to: asked), asked)
    return (configuration.validatesByUser ? byUser : all) ?? 0.5
  }
}
