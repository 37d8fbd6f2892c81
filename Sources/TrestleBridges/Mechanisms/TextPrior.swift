import Foundation
import TrestleRecommenders
import TrestleTensor

/// What the language model makes of texts, as the prior of a recommender that is solved for in closed form.
///
/// 1. The recommender is fitted alone.
/// 2. The language side's adapters train, if there are epochs for that.
/// 3. The recommender is fitted anew, drawn to what texts say where its data says little; an item without interactions becomes
///    what its text says. How texts are mapped and how much they say is chosen on validation data, nothing among the choices.
///
/// Of rows (iALS) the prior of an item is ridge regression's prediction of its row from its text, by a map fitted without it (in five
/// folds), times a scale. Of weights between items (EASE) it is s · softmaxᵢ(k · cos(textᵢ, textⱼ)) over the other items i that
/// somebody has.
///
/// Source: ours; the closed forms with a prior are `FEASE`'s and `ImplicitALS`'s, where their sources are cited.
public final class TextPrior: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// Where the items' text vectors come from.
    public var textSource = RepresentationSource.text
    /// The language model's epochs before it is read; 0 reads it as it is.
    public var languageEpochs = 0
    /// The penalties of the ridge regression to choose among.
    public var penalties = [0.03, 0.3, 3]
    /// k, the sharpness of the similarity of texts, to choose among.
    public var sharpnesses = [5.0, 10, 20]
    /// The scales, s, to choose among; at 0 texts say nothing.
    public var scales = [0, 0.25, 0.5, 1, 2]
    /// In the regression an item counts as its training interactions, up to this many.
    public var countedInteractions = 20
    /// Determines the folds.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// How texts become a prior: a penalty or a sharpness, and a scale.
  public struct Choice: Sendable, Equatable {
    /// The regression's penalty for rows, k for weights between items.
    public var setting: Double
    /// s.
    public var scale: Double
  }

  /// How the mechanism works.
  public let configuration: Configuration
  /// What was chosen, once the recommender is drawn to texts.
  public private(set) var choice: Choice?
  private var texts = FrozenRows()

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    var phases = [BridgePhase(name: "alone", side: .domain, kind: .warmUp, epochs: 1)]
    if configuration.languageEpochs > 0 {
      phases.append(
        BridgePhase(
          name: "language", side: .language, kind: .tuning, epochs: configuration.languageEpochs))
    }
    phases.append(BridgePhase(name: "drawn to texts", side: .domain, epochs: 1, keepsBest: false))
    super.init(name: "TextPrior", phases: phases)
  }

  /// A prior of the recommender, representations of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations, .priorInjection],
      .language: configuration.languageEpochs > 0
        ? [.training, .contextualRepresentations] : [.contextualRepresentations],
    ]
  }

  /// Texts are read and the prior is chosen when the recommender is fitted for the second time.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .domain, phase.kind == .mutual else { return }
    texts[.item] = try context.textRows(from: configuration.textSource)[.item]
    let side = try context.domain.prior
    let settings = side.priorWidth == nil ? configuration.sharpnesses : configuration.penalties
    let priors = try settings.map { try prior($0, context) }
    let validating = try context.domain.training
    let best = try zip(settings, priors).flatMap { setting, prior in
      configuration.scales.map { (choice: Choice(setting: setting, scale: $0), prior: prior) }
    }.best { candidate in
      try side.setPrior(candidate.prior.scaled(by: candidate.choice.scale))
      return (try validating.validate(), candidate)
    }
    guard let best else { return }
    try side.setPrior(best.made.prior.scaled(by: best.made.choice.scale))
    choice = best.made.choice
    context.log("\(context.domain.name) is drawn to texts at scale \(best.made.choice.scale)")
  }

  /// What texts say at scale 1, from the recommender's present fit.
  private func prior(_ setting: Double, _ context: BridgeContext) throws -> RecommenderPrior {
    guard let items = texts[.item] else { return .rows(users: nil, items: nil) }
    let counts = context.split.training.itemCounts()
    guard try context.domain.prior.priorWidth != nil else {
      return .itemWeights(Self.similarities(items, counts, sharpness: setting))
    }
    let rows = try context.domain.representations(ofAll: .item, from: .row)
    let weights = counts.map { Float(Swift.min(Int($0), configuration.countedInteractions)) }
    return .rows(
      users: nil,
      items: RidgeMap.crossFitted(
        inputs: items, outputs: rows, strength: setting, weights: weights, seed: configuration.seed))
  }

  /// softmaxᵢ(k · cos(textᵢ, textⱼ)), `[items, items]`, over the items i ≠ j with interactions and a text; a column of zeros for an
  /// item j without a text.
  private static func similarities(_ texts: Tensor, _ counts: [Int32], sharpness: Double) -> Tensor {
    let count = texts.shape[0]
    let hasText = texts.squared().sum(along: [1]).floats.map { $0 > 1e-12 }
    var logits = (texts.matmul(texts, transposingOther: true) * sharpness).floats
    for row in 0..<count {
      let isKnown = counts[row] > 0 && hasText[row]
      for column in 0..<count where !isKnown || row == column { logits[row * count + column] = -1e9 }
    }
    let speaks = Tensor(hasText.map { $0 ? Float(1) : 0 }, shape: [1, count])
    return Tensor(logits, shape: [count, count]).transposed().softmax().transposed() * speaks
  }

  /// The texts and the choice.
  public override func saveState() -> BridgeState {
    var state = texts.state(prefix: "text")
    if let choice { state.values["choice"] = "\(choice.setting) \(choice.scale)" }
    return state
  }

  /// Takes over saved texts and a choice, and draws the recommender to them.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    var found: Choice?
    if let text = state.values["choice"] {
      let numbers = text.split(separator: " ").compactMap { Double($0) }
      guard numbers.count == 2, numbers.allSatisfy({ $0.isFinite && $0 >= 0 }) else {
        throw BridgeError.invalidState(
          path: "bridge state", place: "choice", expected: "a setting and a scale, 0 or more",
          found: String(text.prefix(60)))
      }
      found = Choice(setting: numbers[0], scale: numbers[1])
    }
    texts = try context.savedTextRows(state, from: configuration.textSource)
    choice = found
    let side = try context.domain.prior
    try side.setPrior(nil)
    if let found { try side.setPrior(prior(found.setting, context).scaled(by: found.scale)) }
  }
}

extension RecommenderPrior {
  /// All of it times a factor; `nil` for a factor of 0.
  fileprivate func scaled(by factor: Double) -> RecommenderPrior? {
    switch self {
    case _ where factor == 0: nil
    case .rows(let users, let items):
      .rows(users: users.map { $0 * factor }, items: items.map { $0 * factor })
    case .itemWeights(let weights): .itemWeights(weights * factor)
    }
  }
}
