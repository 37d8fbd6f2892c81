import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// LLM-ESR: text vectors beside the recommender's own rows, and users who learn from those like them.
///
/// Scores are computed from the recommender's rows plus MLP(text) for items and users: the semantic view beside the
/// collaborative one. Each user of a batch is also drawn to the mean row of the users whose histories read most alike, which
/// helps those with short histories.
///
/// Source: Liu et al., *LLM-ESR: Large Language Models Enhancement for Long-tailed Sequential Recommendation* (2024).
/// Differences: the two views are added, where the publication fuses them by cross-attention in a sequential model; a user
/// is described by the mean of the history's texts rather than by a prompt; the recommender need not be sequential.
public final class LLMESR: BridgeStrategy {
  private let textSource: RepresentationSource
  private let weight: Double
  private let neighbors: Int
  private let seed: UInt64
  private var texts = FrozenRows()
  /// The users who read most alike, `[users, neighbors]`.
  private var alike: Tensor?
  private var maps: [EntityKind: MLP] = [:]

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - textSource: where the items' text vectors come from.
  ///   - weight: that of the distance from the users alike.
  ///   - neighbors: how many of them teach a user.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the maps' initial weights.
  public init(
    textSource: RepresentationSource = .text, weight: Double = 0.1, neighbors: Int = 10, epochs: Int = 300,
    patience: Int = 10, seed: UInt64 = 0
  ) {
    self.textSource = textSource
    self.weight = weight
    self.neighbors = neighbors
    self.seed = seed
    super.init(
      name: "LLM-ESR",
      phases: [BridgePhase(name: "two views", side: .domain, epochs: epochs, patience: patience)])
  }

  /// Feature injection of the recommender, representations of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores, .featureInjection], .language: [.contextualRepresentations]]
  }

  /// Takes the text vectors, finds the users who read alike, and connects the maps.
  public override func prepare(_ context: BridgeContext) throws {
    texts = try context.textRows(from: textSource)
    if let users = texts[.user]?.unitNormalized() {
      let count = users.shape[0]
      // A user is no teacher of its own.
      var own = [Float](repeating: 0, count: count * count)
      for user in 0..<count { own[user * count + user] = -2 }
      let cosines = users.matmul(users, transposingOther: true) + Tensor(own, shape: [count, count])
      alike = cosines.topK(Swift.min(neighbors, count - 1)).indices
    }
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    let domain = try context.domain.features
    var generator = RandomGenerator(seed: seed)
    for kind in EntityKind.allCases {
      guard let rows = texts[kind] else { continue }
      let width = domain.featureWidth
      // The recommender's own rows are short at first: the texts must not drown them.
      maps[kind] = MLP(
        rows.shape[1], hidden: 2 * width, outputs: width, lastScale: 0.1, using: &generator)
    }
    domain.injectedFeatures = { [texts, maps] kind in texts[kind].flatMap { maps[kind]?($0) } }
  }

  /// The maps, a group for each kind.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    BridgeParameterGroup.groups("map", of: maps, learningRate: 1e-3)
  }

  /// The mean squared difference of the batch's users from the mean rows of those who read alike.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard let alike, let users = step.users, users.source == .row else { return nil }
    let teachers = alike.gatheredRows(users.ids)
    let count = alike.shape[1]
    guard let rows = try step.represent?(.user, teachers.flattened(), .row)?.detached else { return nil }
    let means = rows.reshaped(to: [users.ids.elementCount, count, rows.shape[1]]).mean(along: [1])
    return Losses.meanSquaredError(users.representations, means) * weight
  }

  /// The text vectors and the users alike; the maps are saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = texts.state(prefix: "text")
    state.tensors["alike"] = alike
    return state
  }

  /// Takes over saved text vectors.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    texts = try context.savedTextRows(state, from: textSource)
    let users = context.domain.vocabulary.userCount
    alike = try state.indices("alike", shape: [users, Swift.min(neighbors, users - 1)], below: users)
    try connect(context)
  }
}
