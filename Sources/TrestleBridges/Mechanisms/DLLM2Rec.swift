import Foundation
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// DLLM2Rec: a recommender that learns from the language model's ranked lists, each item as far as it can be trusted.
///
/// The language model trains first. Its best K items of every user that the user has not had are noted, with its
/// confidences. The recommender then trains on its own loss + λ · Σₖ wₖ · −log σ(sₖ) + λ · −log(1 − σ(s⁻)), with
/// w = a · position + b · confidence + c · consistency, each with sum 1 over the list: position e^(−k/β), confidence the
/// teacher's probability, consistency whether the student has the item among its own best. Beside that, the items' text
/// vectors are mapped into the student's rows.
///
/// Source: Cui et al., *Distillation Matters: Empowering Sequential Recommenders to Match the Performance of Large Language
/// Model* (2024). Differences: the term of distributional robustness is left out; the negative term is log(1 − σ(s)), as the
/// paper has it, not its code's; confidence is the teacher's probability, not the distance of a generated title; the best
/// state is chosen on validation data.
public final class DLLM2Rec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// λ, the weight of the distillation.
    public var weight = 0.1
    /// K, the length of the lists.
    public var length = 10
    /// a, b and c: the shares of position, confidence and consistency.
    public var shares = [0.3, 0.5, 0.1]
    /// β, the slope of the positions.
    public var slope = 3.0
    /// How long the student's list is that an item must be in to be consistent.
    public var consistentLength = 50
    /// Where the items' text vectors come from; `nil` maps none into the student.
    public var textSource: RepresentationSource? = .text
    /// The teacher's epochs.
    public var languageEpochs = 3
    /// The student's most epochs.
    public var epochs = 300
    /// How many validations without improvement end the student's training.
    public var patience = 10
    /// Determines the map's initial weights.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  private var texts = FrozenRows()
  private var map: Linear?
  /// The teacher's best items and their probabilities.
  private var lists: RankedLists?

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    super.init(
      name: "DLLM2Rec",
      phases: [
        BridgePhase(name: "teacher", side: .language, kind: .warmUp, epochs: configuration.languageEpochs),
        BridgePhase(
          name: "student", side: .domain, epochs: configuration.epochs, patience: configuration.patience),
      ])
  }

  /// Scores of the teacher; scores and feature injection of the student.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .featureInjection],
      .language: [.training, .scores, .contextualRepresentations],
    ]
  }

  /// When the student begins, the teacher's lists and text vectors are noted.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .domain else { return }
    lists = try context.rankedLists(of: .language, length: configuration.length)
    if let source = configuration.textSource { texts[.item] = try context.textRows(from: source)[.item] }
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    guard let items = texts[.item] else { return }
    let domain = try context.domain.features
    var generator = RandomGenerator(seed: configuration.seed)
    let map = Linear(inputs: items.shape[1], outputs: domain.featureWidth, using: &generator)
    map.weight.update(to: map.weight.detached * 0.1)
    self.map = map
    domain.injectedFeatures = { kind in kind == .item ? map(items) : nil }
  }

  /// The map of text vectors, in the student's phase.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.side == .domain, let map else { return [] }
    return [BridgeParameterGroup(name: "map", module: map, learningRate: 1e-3)]
  }

  /// The student's loss on the lists of the batch's users, and on its sampled items.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.side == .domain, let lists, let scores = step.scores?() else { return nil }
    let items = lists.items.gatheredRows(scores.users)
    let own = scores.logits.gatheredColumns(items)
    let weights = weights(
      confidences: lists.confidences.gatheredRows(scores.users), own: own.detached,
      all: scores.logits.detached)
    var loss = ExchangeLosses.listDistillation(own, weights: weights)
    if let pairs = step.pairs, let users = try step.represent?(.user, pairs.users, .row),
      let negatives = try step.represent?(.item, pairs.negatives, .row)
    {
      loss = loss + users.rowDot(negatives).softplus().mean()
    }
    return loss * configuration.weight
  }

  /// w, `[users, length]`.
  private func weights(confidences: Tensor, own: Tensor, all: Tensor) -> Tensor {
    let length = own.shape[1]
    let raw = (0..<length).map { Float(exp(-Double($0) / configuration.slope)) }
    let position = Tensor(raw.map { $0 / raw.reduce(0, +) }, shape: [1, length])
    let bound = all.topK(Swift.min(configuration.consistentLength, all.shape[1])).values
      .min(along: 1, keepingDimension: true)
    let agrees = 1 - own.isLess(than: bound.broadcast(to: own.shape))
    let consistency = agrees / (agrees.sum(along: [1], keepingDimensions: true) + 1e-9)
    let (a, b, c) = (configuration.shares[0], configuration.shares[1], configuration.shares[2])
    return position * a + confidences * b + consistency * c
  }

  /// The lists and text vectors; the map is saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = texts.state(prefix: "text")
    lists?.save(into: &state, as: "lists")
    return state
  }

  /// Takes over saved lists and text vectors.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    texts = try configuration.textSource.map { try context.savedTextRows(state, from: $0) } ?? FrozenRows()
    lists = try .saved(in: state, as: "lists", context.domain.vocabulary, length: configuration.length)
    try connect(context)
  }
}
