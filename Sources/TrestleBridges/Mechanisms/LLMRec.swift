import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// LLMRec: the language model adds edges to the graph of interactions, and the recommender learns from those it can believe.
///
/// The recommender trains alone and gives each user a list of candidates. The language model, tuned on the training data,
/// marks the best of them as liked and the worst as not. The recommender then goes on with its own loss + w · BPR over the
/// marked pairs of the batch's users, without the share of pairs that has the largest loss.
///
/// Source: Wei et al., *LLMRec: Large Language Models with Graph Augmentation for Recommendation* (2024). Differences: the
/// language model ranks the candidates by its item head, where the publication asks a chat model to pick two titles; features
/// of user profiles and item attributes that it writes are vectors of the language side's texts, through a linear layer for each
/// kind, and only with ``Configuration/textSource``; an added edge counts in the loss, not in the graph, as in the publication, unless
/// ``Configuration/addsEdges`` is set.
public final class LLMRec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// w, the weight of the added edges.
    public var weight = 0.3
    /// The share of a batch's added edges, those with the largest losses, that is left out.
    public var prunedShare = 0.2
    /// How many candidates the recommender gives for each user.
    public var candidates = 20
    /// How many of them are marked as liked, and how many as not.
    public var marks = 2
    /// Whether the pairs marked as liked are training pairs and edges of the recommender's graph too.
    public var addsEdges = false
    /// Where vectors of texts about items and users come from that become features of the recommender with the edges; `nil` for
    /// no features.
    public var textSource: RepresentationSource?
    /// The most epochs of the recommender, alone and then with the edges.
    public var domainEpochs = 300
    /// How many validations without improvement end a phase of the recommender.
    public var patience = 10
    /// The language model's epochs.
    public var languageEpochs = 3
    /// Determines the initial weights of what is made of texts.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  /// Of each user the items marked as liked and those marked as not, `[users, marks]` each.
  private var marks: (liked: Tensor, other: Tensor)?
  private var texts = FrozenRows()
  private var maps: [EntityKind: Linear] = [:]

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    func domain(_ name: String, _ kind: BridgePhase.Kind) -> BridgePhase {
      BridgePhase(
        name: name, side: .domain, kind: kind, epochs: configuration.domainEpochs,
        patience: configuration.patience)
    }
    super.init(
      name: "LLMRec",
      phases: [
        domain("candidates", .warmUp),
        BridgePhase(name: "marking", side: .language, kind: .warmUp, epochs: configuration.languageEpochs),
        domain("augmented", .mutual),
      ])
  }

  /// Scores of both; features of the recommender and texts of the language side if there are to be some.
  public override var requirements: [SideRole: Set<Capability>] {
    var result = super.requirements
    if configuration.addsEdges { result[.domain]?.insert(.interactionHooks) }
    if configuration.textSource != nil {
      result[.domain]?.insert(.featureInjection)
      result[.language]?.insert(.contextualRepresentations)
    }
    return result
  }

  /// The maps of texts to features, once there are some.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.kind == .mutual else { return [] }
    return BridgeParameterGroup.groups("features", of: maps, learningRate: 1e-3)
  }

  /// Adds what maps make of texts to the recommender's rows.
  private func connect(_ context: BridgeContext) throws {
    guard configuration.textSource != nil else { return }
    let domain = try context.domain.features
    var generator = RandomGenerator(seed: configuration.seed)
    maps = [:]
    for kind in EntityKind.allCases {
      guard let rows = texts[kind] else { continue }
      let map = Linear(inputs: rows.shape[1], outputs: domain.featureWidth, using: &generator)
      // Nothing at first: the phase begins with what the recommender can do alone.
      for parameter in map.parameters { parameter.update(to: .zeros(parameter.shape)) }
      maps[kind] = map
    }
    domain.injectedFeatures = { [texts, maps] kind in
      guard let rows = texts[kind], let map = maps[kind] else { return nil }
      return map(rows)
    }
  }

  /// Marks the candidates once both sides have trained.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.kind == .mutual else { return }
    let users = Array(0..<Int32(context.split.userCount))
    let lists = try context.rankedLists(of: .domain, length: configuration.candidates).items
    let opinions = try context.language.scores.scores(users: users).gatheredColumns(lists)
    let marked = markCount(context)
    marks = (
      lists.elements(in: opinions.topK(marked).indices),
      lists.elements(in: (opinions * -1).topK(marked).indices)
    )
    context.log("\(users.count * marked) pairs marked by \(context.language.name)")
    try addEdges(context)
    if let source = configuration.textSource {
      texts = try context.textRows(from: source, readsUsers: true)
      try connect(context)
    }
  }

  /// Puts the pairs marked as liked among the recommender's training pairs and edges.
  private func addEdges(_ context: BridgeContext) throws {
    guard configuration.addsEdges else { return }
    let side = try context.domain.interactions
    let liked = marks?.liked.scalars(as: Int32.self) ?? []
    let count = Swift.max(marks?.liked.shape[1] ?? 1, 1)
    side.addedInteractions = liked.enumerated().map { (user: Int32($0 / count), item: $1) }
    side.extendsGraph = marks != nil
  }

  /// How many items of each user are marked as liked, and how many as not.
  private func markCount(_ context: BridgeContext) -> Int {
    let count = Swift.min(configuration.candidates, context.split.itemCount)
    return Swift.max(1, Swift.min(configuration.marks, count / 2))
  }

  /// BPR on the marked pairs of the batch's users, without those that are believed least.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .mutual, let marks, let users = step.users, users.source == .row,
      let represent = step.represent
    else { return nil }
    let count = marks.liked.shape[1]
    let ids = users.ids.scalars(as: Int32.self).flatMap { [Int32](repeating: $0, count: count) }
    guard let rows = try represent(.user, Tensor(ids), .row),
      let liked = try represent(.item, marks.liked.gatheredRows(users.ids).flattened(), .row),
      let other = try represent(.item, marks.other.gatheredRows(users.ids).flattened(), .row)
    else { return nil }
    let losses = rows.rowDot(liked).bprLoss(negative: rows.rowDot(other))
    return losses.meanOfSmallest(share: 1 - configuration.prunedShare) * configuration.weight
  }

  /// The marks, and the vectors of texts; the maps are saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    state.tensors["liked"] = marks?.liked
    state.tensors["other"] = marks?.other
    texts.save(into: &state, prefix: "texts")
    return state
  }

  /// Takes over saved marks.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    texts =
      try configuration.textSource.map {
        try context.savedTextRows(state, prefix: "texts", from: $0, readsUsers: true)
      } ?? FrozenRows()
    if texts[.item] == nil { maps = [:] } else { try connect(context) }
    marks = try savedMarks(state, context)
    try addEdges(context)
  }

  private func savedMarks(
    _ state: BridgeState, _ context: BridgeContext
  ) throws(BridgeError) -> (liked: Tensor, other: Tensor)? {
    guard state.tensors["liked"] != nil else { return nil }
    let shape: Shape = [context.split.userCount, markCount(context)]
    return (
      try state.indices("liked", shape: shape, below: context.split.itemCount),
      try state.indices("other", shape: shape, below: context.split.itemCount)
    )
  }
}

extension Tensor {
  /// Of each row of whole numbers those in given columns, `[rows, k]`.
  fileprivate func elements(in columns: Tensor) -> Tensor {
    let (values, width, count) = (scalars(as: Int32.self), shape[1], columns.shape[1])
    return Tensor(
      columns.scalars(as: Int32.self).enumerated().map { values[$0 / count * width + Int($1)] },
      shape: columns.shape)
  }

  /// The mean of the smallest elements of a vector, a share of all, at least one; gradients flow to these.
  func meanOfSmallest(share: Double) -> Tensor {
    let values = detached.floats
    let kept = Swift.max(1, Int((share * Double(values.count)).rounded()))
    guard kept < values.count else { return mean() }
    let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }.prefix(kept)
    return expanded(at: 1).gatheredRows(Tensor(order.sorted().map { Int32($0) })).mean()
  }
}
