import TrestleRecommenders
import TrestleTensor

/// Which of the two partners a side is.
public enum SideRole: String, Codable, Sendable, CaseIterable {
  /// The domain-specific recommender.
  case domain
  /// The language model.
  case language

  /// The other partner.
  public var peer: SideRole { self == .domain ? .language : .domain }
}

/// What both sides have rows for.
public enum EntityKind: String, Codable, Sendable, CaseIterable {
  /// A user of the data set.
  case user
  /// An item of its catalogue.
  case item
}

/// The users and items that both sides speak of: their numbers, and a hash of their external ids.
public struct EntityVocabulary: Codable, Sendable, Hashable {
  /// The number of users.
  public let userCount: Int
  /// The number of items.
  public let itemCount: Int
  /// A stable hash of the external ids in order.
  public let hash: String

  /// A vocabulary.
  public init(userCount: Int, itemCount: Int, hash: String) {
    self.userCount = userCount
    self.itemCount = itemCount
    self.hash = hash
  }

  /// The number of entities of a kind.
  public func count(of kind: EntityKind) -> Int { kind == .user ? userCount : itemCount }
}

/// One partner of a bridge: a domain recommender or a language model.
///
/// What a side can do for a bridge is said by the capability protocols that it conforms to as well: ``EntityTables``,
/// ``ContextualRepresentations``, ``CrossFittedReading``, ``ScoreProvider``, ``AnswerProvider``, ``InputInjection``, ``PromptFields``, ``AdapterGating``, ``ItemCodes``,
/// ``FeatureInjection``, ``PriorInjection``, ``InteractionHooks``, ``ParameterGroups`` and ``TrainableSide``. A bridge names those it needs; composing it with a side that lacks one is an error.
public protocol BridgeSide: AnyObject {
  /// The name for messages and tables.
  var name: String { get }
  /// Which partner the side is.
  var role: SideRole { get }
  /// The users and items that the side knows.
  var vocabulary: EntityVocabulary { get }
}

/// What a bridge can ask of a side.
public enum Capability: String, Codable, Sendable, CaseIterable {
  /// ``EntityTables``
  case entityTables = "entity tables"
  /// ``ContextualRepresentations``
  case contextualRepresentations = "contextual representations"
  /// ``CrossFittedReading``
  case crossFittedReading = "readings by halves"
  /// ``ScoreProvider``
  case scores = "scores"
  /// ``AnswerProvider``
  case answers = "answers"
  /// ``InputInjection``
  case inputInjection = "input injection"
  /// ``PromptFields``
  case promptFields = "words in prompts"
  /// ``AdapterGating``
  case adapterGating = "gates of adapters"
  /// ``ItemCodes``
  case itemCodes = "codes of items"
  /// ``FeatureInjection``
  case featureInjection = "feature injection"
  /// ``PriorInjection``
  case priorInjection = "priors"
  /// ``InteractionHooks``
  case interactionHooks = "interaction hooks"
  /// ``ParameterGroups``
  case parameterGroups = "parameter groups"
  /// ``TrainableSide``
  case training = "training"

  /// Whether `side` has the capability.
  public func isOffered(by side: any BridgeSide) -> Bool {
    switch self {
    case .entityTables: side is any EntityTables
    case .contextualRepresentations: side is any ContextualRepresentations
    case .crossFittedReading: side is any CrossFittedReading
    case .scores: side is any ScoreProvider
    case .answers: side is any AnswerProvider
    case .inputInjection: side is any InputInjection
    case .promptFields: side is any PromptFields
    case .adapterGating: side is any AdapterGating
    case .itemCodes: side is any ItemCodes
    case .featureInjection: side is any FeatureInjection
    case .priorInjection: side is any PriorInjection
    case .interactionHooks: side is any InteractionHooks
    case .parameterGroups: side is any ParameterGroups
    case .training: side is any TrainableSide
    }
  }
}

/// Reads and writes a side's own rows of users and items: embeddings, or the rows of entity tokens.
public protocol EntityTables: BridgeSide {
  /// The width of the rows, or `nil` if the side has none for this kind.
  func entityWidth(_ kind: EntityKind) -> Int?
  /// All rows, `[count, width]`, not tracked; `nil` if the side has none for this kind.
  func entityRows(_ kind: EntityKind) -> Tensor?
  /// Replaces all rows.
  ///
  /// - Parameters:
  ///   - kind: whose rows: users or items.
  ///   - rows: `[count, width]`.
  func setEntityRows(_ kind: EntityKind, to rows: Tensor)
  /// The mean and the standard deviation of an element of the side's pretrained rows, which new rows should match;
  /// `nil` if the side has no pretrained rows.
  var pretrainedRowStatistics: (mean: Tensor, deviation: Double)? { get }
}

extension EntityTables {
  /// No pretrained rows.
  public var pretrainedRowStatistics: (mean: Tensor, deviation: Double)? { nil }
}

/// Where a contextual representation comes from.
public enum RepresentationSource: String, Codable, Sendable, CaseIterable {
  /// The row that stands for the entity: its embedding after propagation, or its token's row.
  case row
  /// The top-layer state after the entity's behaviour: a user's history read as a sequence.
  case behaviour
  /// The pooled top-layer states of the entity's text.
  case text
  /// The vectors that a sentence encoder beside the model gives the entity's text; for a user, their mean over the items
  /// of the history.
  case encodedText
  /// The top-layer state of a short prompt with the entity's token and its text.
  case prompt

  /// Whether it is a state of the language model, whose dimensions differ much in size.
  var isState: Bool { self == .behaviour || self == .text || self == .prompt }
}

/// Computes representations of users and items in their context.
public protocol ContextualRepresentations: BridgeSide {
  /// The sources that the side has for a kind.
  func representationSources(_ kind: EntityKind) -> Set<RepresentationSource>
  /// The width of a representation from `source`.
  func representationWidth(_ kind: EntityKind, source: RepresentationSource) -> Int
  /// The representations of `ids`, `[ids, width]`, not tracked. An entity without context gets zeros.
  func representations(
    of kind: EntityKind, ids: [Int32], source: RepresentationSource
  ) throws -> Tensor
}

/// Computes representations that gradients flow through: what a side needs to be trained in the other side's steps.
public protocol TrackedRepresentations: ContextualRepresentations {
  /// The representations of `ids`, `[ids, width]`, tracked while gradients are taken; `nil` for a source that the side has not,
  /// or not so.
  ///
  /// - Parameters:
  ///   - kind: users or items.
  ///   - ids: which, `[n]`, `int32`.
  ///   - source: where the representations come from.
  func trackedRepresentations(
    of kind: EntityKind, ids: Tensor, source: RepresentationSource
  ) throws -> Tensor?
}

extension ContextualRepresentations {
  /// Stops a request for a source that the side does not have.
  ///
  /// - Parameter request: what the error says was asked for; the source's name by default.
  func requireSource(
    _ source: RepresentationSource, of kind: EntityKind, for request: String? = nil
  ) throws(BridgeError) {
    guard representationSources(kind).contains(source) else {
      throw .missingCapability(
        bridge: request ?? source.rawValue, side: name, capability: .contextualRepresentations)
    }
  }
}

/// Reads the items' texts by two readers, each of which learns from one half of the items: what the other one reads of an item is no
/// echo of what was learnt from it.
public protocol CrossFittedReading: ContextualRepresentations {
  /// The reader, 0 or 1, that learns from each item; −1 for an item that none learns from. `nil` if there is one reader for all.
  var readingHalves: [Int8]? { get }
  /// What a reader makes of items' texts, `[ids, width]`, not tracked.
  func representations(ofItems ids: [Int32], readBy half: Int) throws -> Tensor
}

/// Scores items for users.
public protocol ScoreProvider: BridgeSide {
  /// An immutable scorer of the catalogue with the side's present parameters.
  func makeScorer() throws -> any CatalogueScorer
  /// The scores of all items for `users`, `[users, items]`, not tracked.
  func scores(users: [Int32]) throws -> Tensor
}

/// Answers whether a user will like an item.
public protocol AnswerProvider: BridgeSide {
  /// The questions that answers are compared by: of what is held out for validation.
  var validationQuestions: [PromptExample] { get }
  /// The logits of "yes", one for each question, not tracked.
  func answers(to examples: [PromptExample]) -> [Float]
}

/// Lets a bridge put rows of its own where the side's input speaks of an entity: slots in a prompt.
public protocol InputInjection: BridgeSide {
  /// The width of an input row.
  var inputWidth: Int { get }
  /// Gives the rows for entities of a kind, `[ids, inputWidth]`, tracked or not; `nil` leaves the side's own.
  var injectedRows: ((_ kind: EntityKind, _ ids: Tensor) -> Tensor?)? { get set }
}

/// Lets a bridge add words to a prompt: a user's or an item's code, what a recommender predicts.
public protocol PromptFields: BridgeSide {
  /// The tokens of a text, as the side's prompts have them.
  func tokens(of text: String) -> [Int32]
  /// The tokens of an item's title, as the side's prompts have them.
  func titleTokens(of item: Int32) -> [Int32]
  /// What is said after the user's history (with a user alone) and after the item that is asked about; `nil` says nothing.
  var promptFields: ((_ user: Int32, _ item: Int32?) -> [Int32])? { get set }
}

/// Lets a bridge mix a language model's adapters for each user: their ranks, parted into equal groups, are experts.
public protocol AdapterGating: BridgeSide {
  /// The rank of the adapters; how many experts there are divides it.
  var adapterRank: Int { get }
  /// Gives the weights of each user's experts, `[users, experts]`, tracked or not; `nil` is 1 for all.
  var adapterGates: ((_ users: Tensor) -> Tensor?)? { get set }
}

/// Lets a bridge say by which codes a side names the items.
public protocol ItemCodes: BridgeSide {
  /// How many codes an item may have, and how many there are of each level.
  var codeLimits: (levels: Int, codes: Int) { get }
  /// Gives every item its codes, first level first.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for codes beyond ``codeLimits``.
  func setCodes(_ codes: [[Int32]]) throws(BridgeError)
}

/// Lets a bridge add features to the rows that a recommender's scores are computed from.
public protocol FeatureInjection: BridgeSide {
  /// The width of these rows.
  var featureWidth: Int { get }
  /// Gives what is added to the rows of all entities of a kind, `[count, featureWidth]`, tracked or not; `nil` adds nothing.
  var injectedFeatures: ((_ kind: EntityKind) -> Tensor?)? { get set }
}

/// What a recommender that is solved for in closed form is drawn to, where its data says little.
public enum RecommenderPrior: Sendable {
  /// Rows of users, `[users, width]`, and of items, `[items, width]`; `nil` draws those of a kind to 0.
  case rows(users: Tensor?, items: Tensor?)
  /// Weights from one item to another, `[items, items]`; the diagonal does not matter.
  case itemWeights(Tensor)
}

/// Lets a bridge say what a recommender that is solved for in closed form is drawn to.
public protocol PriorInjection: BridgeSide {
  /// The width of rows that are a prior; `nil` if the prior is weights between items.
  var priorWidth: Int? { get }
  /// What the next fit is drawn to; `nil` for nothing. It belongs to the bridge that sets it, and so to its state: a bridge that
  /// is resumed sets it again.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a prior of another kind, shape or type, or with numbers
  ///   that are none.
  func setPrior(_ prior: RecommenderPrior?) throws(BridgeError)
}

/// Lets a bridge change the data that a side trains on.
public protocol InteractionHooks: BridgeSide {
  /// Interactions beside the training data's own, from the next epoch on. They belong to the bridge that sets them, and so to
  /// its state: a bridge that is resumed sets them again.
  var addedInteractions: [(user: Int32, item: Int32)] { get set }
  /// Whether ``addedInteractions`` become edges of the graph too, if the side's recommender has one; `false` leaves it the graph of
  /// the training data. The graph is made anew whenever either changes.
  var extendsGraph: Bool { get set }
  /// The weight of each user's loss; `nil` for 1.
  var userWeights: [Float]? { get set }
}

/// A named set of parameters that are trained, or not, together.
public struct BridgeParameterGroup {
  /// The name by which phases speak of it.
  public let name: String
  /// The parameters, with names that are unique within the side.
  public let parameters: [(name: String, parameter: Parameter)]
  /// Their learning rate.
  public var learningRate: Double
  /// Their decoupled weight decay.
  public var weightDecay: Double

  /// A group.
  public init(
    name: String, parameters: [(name: String, parameter: Parameter)], learningRate: Double,
    weightDecay: Double = 0
  ) {
    self.name = name
    self.parameters = parameters
    self.learningRate = learningRate
    self.weightDecay = weightDecay
  }
}

/// Names the parameters of a side.
public protocol ParameterGroups: BridgeSide {
  /// The groups; together they hold all that training may change.
  var parameterGroups: [BridgeParameterGroup] { get }
}
