import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// AlphaRec: the language model's item vectors in place of the recommender's own rows.
///
/// A user is the mean of the history's item vectors. An MLP maps both, the result is propagated over the graph of interactions,
/// and scores are cosines. The loss is the contrast of each positive with sampled items, in place of the side's own; the MLP
/// alone trains, so that items without interactions have rows too.
///
/// Source: Sheng et al., *Language Representations Can be What Recommenders Need* (AlphaRec, 2024). Differences: item
/// vectors are what the language side makes of the text (centred, of length 1), where the publication asks a large
/// embedding model; of a batch's sampled items a part serves all its rows.
public final class AlphaRec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// Where the item vectors come from.
    public var textSource = RepresentationSource.text
    /// The width of the mapped rows.
    public var width = 64
    /// The number of propagations.
    public var layers = 2
    /// τ, by which cosines are divided.
    public var temperature = 0.15
    /// How many sampled items each positive competes with.
    public var negatives = 256
    /// The learning rate of the MLP.
    public var learningRate = 1e-3
    /// The most epochs.
    public var epochs = 300
    /// How many validations without improvement end the training.
    public var patience = 10
    /// Determines the MLP's initial weights.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  private var texts = FrozenRows()
  private var map: MLP?
  private var graph: SparseMatrix?

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    super.init(
      name: "AlphaRec",
      phases: [
        BridgePhase(
          name: "mapping", side: .domain, groups: [], epochs: configuration.epochs,
          patience: configuration.patience)
      ])
  }

  /// Batches of the recommender, representations of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training], .language: [.contextualRepresentations]]
  }

  /// Takes the item vectors, and makes the MLP and the graph.
  public override func prepare(_ context: BridgeContext) throws {
    texts = try context.textRows(from: configuration.textSource)
    make(context)
  }

  private func make(_ context: BridgeContext) {
    guard let items = texts[.item] else { return }
    var generator = RandomGenerator(seed: configuration.seed)
    let wide = items.shape[1]
    map = MLP(
      widths: [wide, wide / 2, configuration.width], activation: .gelu, using: &generator)
    graph = .normalizedBipartite(context.split.training)
  }

  /// The MLP.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    map.map { [BridgeParameterGroup(name: "map", module: $0, learningRate: configuration.learningRate)] }
      ?? []
  }

  /// The contrast stands in place of the side's own loss.
  public override func ownLossWeight(in phase: BridgePhase) -> Double { 0 }

  /// The rows that scores are computed from, of length 1; tracked while gradients are taken. `nil` before a run has begun.
  private func rows() -> Representations? {
    guard let map, let graph, let users = texts[.user], let items = texts[.item] else { return nil }
    var state = map(Tensor.concatenated([users, items], along: 0))
    var total = state
    for _ in 0..<configuration.layers {
      state = graph.matmul(state)
      total = total + state
    }
    let count = users.shape[0]
    let unit = total.unitNormalized()
    return Representations(
      users: unit.sliced(0..<count, along: 0), items: unit.sliced(count..<unit.shape[0], along: 0))
  }

  /// −cos(u, i⁺)/τ + log(exp(cos(u, i⁺)/τ) + Σⱼ exp(cos(u, j)/τ)), the mean over the batch.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard let rows = rows() else { return nil }
    let pairs = try step.pairs(for: name, of: context.domain)
    let sampled = pairs.negatives.scalars(as: Int32.self).prefix(configuration.negatives)
    return Losses.infoNCE(
      anchors: rows.users.gatheredRows(pairs.users), positives: rows.items.gatheredRows(pairs.positives),
      temperature: configuration.temperature, negatives: rows.items.gatheredRows(Tensor(Array(sampled))))
  }

  /// NDCG@10 of the mapped rows on the validation data.
  public override func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? {
    guard let scorer = scorer() else { return nil }
    return try context.validationNDCG(of: scorer)
  }

  private func scorer() -> InnerProductScorer? {
    withoutGradients { rows() }.map {
      InnerProductScorer(Representations(users: $0.users.detached, items: $0.items.detached))
    }
  }

  /// The mapped rows as the recommender.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    BridgeRecommenders(domain: scorer())
  }

  /// The item vectors; the MLP is saved with the side's parameters.
  public override func saveState() -> BridgeState { texts.state(prefix: "text") }

  /// Takes over saved item vectors.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    texts = try context.savedTextRows(state, from: configuration.textSource)
    make(context)
  }
}

extension BridgeContext {
  /// NDCG@10 of a scorer on the validation data.
  public func validationNDCG(of scorer: any CatalogueScorer) throws -> Double {
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)])
    return try RankingEvaluator(split, on: .validation, configuration: evaluation).evaluate(scorer)
      .mean(.ndcg(10)) ?? 0
  }
}
