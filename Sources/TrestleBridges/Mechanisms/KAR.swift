import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// KAR: what a language model knows of items and of users' tastes, adapted by experts, as features of the recommender.
///
/// Factual knowledge of an item is what the language side makes of its text; knowledge of a user's preferences is the mean of
/// that over the history. Each goes through a hybrid-expert adaptor: the sum of small networks, some for this kind of
/// knowledge and some shared by both, weighted by a gate, softmax(W x). The result is added to the rows that scores are computed from.
///
/// Source: Xi et al., *Towards Open-World Recommendation with Knowledge Augmentation from Large Language Models* (KAR, 2023).
/// Differences: the publication asks a large model to write the knowledge out in texts, and encodes these; here a text's
/// states are taken as they are, unless the language side has texts of such a kind and `readsUsers` is set. Features are added to rows, where the publication concatenates them with the inputs of a
/// model of click-through rates. Knowledge of users comes from training interactions alone.
public final class KAR: BridgeStrategy {
  private let textSource: RepresentationSource
  private let readsUsers: Bool
  private let experts: Int
  private let seed: UInt64
  private var knowledge = FrozenRows()
  private var adaptor: Adaptor?

  /// Experts for items, for users and for both, with a gate for each.
  private final class Adaptor: Module {
    let shared: [MLP]
    let items: [MLP]
    let users: [MLP]
    let itemGate: Linear
    let userGate: Linear

    init(inputs: Int, outputs: Int, experts: Int, using generator: inout RandomGenerator) {
      func networks() -> [MLP] {
        (0..<experts).map { _ in
          MLP(inputs, hidden: 2 * outputs, outputs: outputs, lastScale: 0.1, using: &generator)
        }
      }
      (shared, items, users) = (networks(), networks(), networks())
      itemGate = Linear(inputs: inputs, outputs: 2 * experts, using: &generator)
      userGate = Linear(inputs: inputs, outputs: 2 * experts, using: &generator)
    }

    /// Σₑ softmax(W x)ₑ · networkₑ(x), `[rows, outputs]`.
    func callAsFunction(_ kind: EntityKind, _ x: Tensor) -> Tensor {
      let gates = (kind == .user ? userGate : itemGate)(x).softmax()
      let networks = shared + (kind == .user ? users : items)
      var total: Tensor?
      for (place, network) in networks.enumerated() {
        let term = network(x) * gates.sliced(place..<place + 1, along: 1)
        total = total.map { $0 + term } ?? term
      }
      return total ?? x
    }
  }

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - textSource: where the items' text vectors come from.
  ///   - readsUsers: whether users' vectors come from there too, rather than from their histories.
  ///   - experts: how many networks each kind of knowledge has, and how many both share.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the adaptor's initial weights.
  public init(
    textSource: RepresentationSource = .text, readsUsers: Bool = false, experts: Int = 2, epochs: Int = 300,
    patience: Int = 10,
    seed: UInt64 = 0
  ) {
    self.textSource = textSource
    self.readsUsers = readsUsers
    self.experts = experts
    self.seed = seed
    super.init(
      name: "KAR",
      phases: [BridgePhase(name: "augmented", side: .domain, epochs: epochs, patience: patience)])
  }

  /// Feature injection of the recommender, representations of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores, .featureInjection], .language: [.contextualRepresentations]]
  }

  /// Takes the knowledge, and connects the adaptor.
  public override func prepare(_ context: BridgeContext) throws {
    knowledge = try context.textRows(from: textSource, readsUsers: readsUsers)
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    guard let items = knowledge[.item] else { return }
    let domain = try context.domain.features
    var generator = RandomGenerator(seed: seed)
    let adaptor = Adaptor(
      inputs: items.shape[1], outputs: domain.featureWidth, experts: experts, using: &generator)
    self.adaptor = adaptor
    domain.injectedFeatures = { [knowledge] kind in knowledge[kind].map { adaptor(kind, $0) } }
  }

  /// The adaptor.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    adaptor.map { [BridgeParameterGroup(name: "adaptor", module: $0, learningRate: 1e-3)] } ?? []
  }

  /// The knowledge; the adaptor is saved with the side's parameters.
  public override func saveState() -> BridgeState { knowledge.state(prefix: "knowledge") }

  /// Takes over saved knowledge.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    knowledge = try context.savedTextRows(
      state, prefix: "knowledge", from: textSource, readsUsers: readsUsers)
    try connect(context)
  }
}
