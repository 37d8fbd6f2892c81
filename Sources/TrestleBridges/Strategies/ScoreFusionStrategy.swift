import TrestleRecommenders
import TrestleTensor

/// Fusion of scores by user: each side trains for itself, and the lists are merged with weights that depend on how much
/// is known of a user.
///
/// Source: Luo et al., *Integrating Large Language Models into Recommendation via Mutual Augmentation and Adaptive
/// Aggregation* (Llama4Rec, 2024). Differences: the publication also writes the recommender's lists into the prompt and
/// lets the language model make training samples, and sets the weight by a rule for long-tail users; here the weights
/// of the activity classes are fitted on validation data, and nothing else is exchanged.
public final class ScoreFusionStrategy: BridgeStrategy {
  /// The fitted weights; `nil` before training has ended.
  public private(set) var weights: FusionWeights?
  private let classes: Int

  /// A fusion of two sides that train for themselves.
  ///
  /// - Parameters:
  ///   - domainEpochs: the most epochs of the recommender, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - languageEpochs: the language model's epochs.
  ///   - classes: the number of classes of users by activity that get weights of their own.
  public init(domainEpochs: Int = 300, patience: Int = 10, languageEpochs: Int = 4, classes: Int = 3) {
    self.classes = classes
    super.init(
      name: "score fusion",
      phases: [
        BridgePhase(name: "domain", side: .domain, epochs: domainEpochs, patience: patience),
        BridgePhase(name: "language", side: .language, epochs: languageEpochs),
      ])
  }

  /// Fits the weights when both sides have trained.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase == phases.last else { return }
    let domain = try context.domain.scores
    let language = try context.language.scores
    weights = try FusionWeights(
      fitting: domain.makeScorer(), language.makeScorer(), split: context.split, classes: classes)
  }

  /// Both sides alone, and fused.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    var result = try super.recommenders(context)
    if let domain = result.domain, let language = result.language, let weights {
      result.fused = FusedScorer(
        domain: domain, language: language, weights: weights.weights(training: context.split.training))
    }
    return result
  }

  /// The weights.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    guard let weights else { return state }
    state.values["bounds"] = weights.bounds.map(String.init).joined(separator: " ")
    state.values["alphas"] = weights.alphas.map { "\($0)" }.joined(separator: " ")
    return state
  }

  /// Takes over saved weights.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    guard let alphas = state.values["alphas"] else {
      weights = nil
      return
    }
    let bounds = (state.values["bounds"] ?? "").split(separator: " ").map { Int($0) ?? -1 }
    let shares = alphas.split(separator: " ").map { Double($0) ?? -1 }
    guard shares.count == bounds.count + 1, shares.allSatisfy((0...1).contains),
      bounds.allSatisfy({ $0 >= 0 }), bounds == bounds.sorted()
    else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "alphas", expected: "a share from 0 to 1 for each class of activity",
        found: String(alphas.prefix(60)))
    }
    var loaded = FusionWeights(alpha: 0)
    (loaded.bounds, loaded.alphas) = (bounds, shares)
    weights = loaded
  }
}
