import Foundation
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// LLMD4Rec: the two sides' score distributions teach each other in turn.
///
/// Both train alone first. Then, in rounds, each trains on its own loss + λ · τ² · Σᵤ wᵤ KL(teacherᵤ/τ ‖ studentᵤ/τ) over the
/// items that the user has not had, with the other side, as it stands at the phase's entry, as the teacher. wᵤ says how sure
/// the teacher is of the user: one minus its normalised entropy, with mean 1 over the users.
///
/// Source: *LLMD4Rec* (arXiv 2505.18120, 2025), known from its abstract: alternating, in both directions, temperature-scaled,
/// weighted by sample, without parameters of its own. That the weights come from the teacher's entropy is ours.
public final class LLMD4Rec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// λ in the language phases of the rounds.
    public var languageWeight = 0.1
    /// λ in the recommender's phases of the rounds.
    public var domainWeight = 0.02
    /// τ.
    public var temperature = 2.0
    /// The most epochs of the recommender alone.
    public var domainEpochs = 300
    /// The language model's epochs alone.
    public var languageEpochs = 2
    /// The number of rounds.
    public var rounds = 1
    /// The language model's epochs in a round.
    public var roundLanguageEpochs = 1
    /// The recommender's most epochs in a round.
    public var roundDomainEpochs = 100
    /// How many validations without improvement end a phase of the recommender.
    public var patience = 10

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  /// The teacher's scores over all users, without what they have had, and their weights; computed when first needed in a phase.
  private var teacher: (logits: Tensor, weights: Tensor)?

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    let c = configuration
    var phases = [
      BridgePhase(
        name: "domain alone", side: .domain, kind: .warmUp, epochs: c.domainEpochs, patience: c.patience),
      BridgePhase(name: "language alone", side: .language, kind: .warmUp, epochs: c.languageEpochs),
    ]
    for round in 0..<c.rounds {
      phases.append(
        BridgePhase(name: "round \(round + 1): language", side: .language, epochs: c.roundLanguageEpochs))
      phases.append(
        BridgePhase(
          name: "round \(round + 1): domain", side: .domain, epochs: c.roundDomainEpochs, patience: c.patience
        ))
    }
    super.init(name: "LLMD4Rec", phases: phases)
  }

  /// The teacher of the phase before is forgotten.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws { teacher = nil }

  private func teacher(
    of phase: BridgePhase, _ context: BridgeContext
  ) throws -> (logits: Tensor, weights: Tensor) {
    if let teacher { return teacher }
    let peer = try context.side(phase.side == .language ? .domain : .language).scores
    let users = Array(0..<Int32(context.split.userCount))
    let logits = try peer.scores(users: users).detached + context.exclusion(users)
    let logs = (logits * (1 / configuration.temperature)).logSoftmax()
    let entropy = (logs.exp() * logs).sum(along: [1]) * -1
    let sure = (1 - entropy * (1 / log(Double(Swift.max(context.split.itemCount, 2))))).clamped(to: 0...1)
    let made = (logits, sure * (1 / Swift.max(sure.mean().item, 1e-9)))
    teacher = made
    return made
  }

  /// The weighted divergence of the batch's users' scores from the teacher's.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    let weight = phase.side == .language ? configuration.languageWeight : configuration.domainWeight
    guard phase.kind == .mutual, weight > 0, let scores = step.scores?() else { return nil }
    let teacher = try teacher(of: phase, context)
    let users = scores.users.scalars(as: Int32.self)
    return ExchangeLosses.divergence(
      teacher: teacher.logits.gatheredRows(scores.users),
      student: scores.logits + context.exclusion(users),
      weights: teacher.weights.expanded(at: 1).gatheredRows(scores.users).flattened(),
      temperature: configuration.temperature) * weight
  }

  /// Both sides alone, and fused with weights fitted on the validation data.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    try .fusing(
      domain: context.domain.scores.makeScorer(), language: context.language.scores.makeScorer(),
      split: context.split)
  }
}
