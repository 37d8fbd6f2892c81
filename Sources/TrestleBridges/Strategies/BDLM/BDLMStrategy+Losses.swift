import TrestleNN
import TrestleTensor

extension BDLMStrategy {
  /// The weight of the divergence of scores in a phase. Before the rounds the language model has nothing to teach, while the
  /// recommender has been trained.
  private func divergenceWeight(in phase: BridgePhase) -> Double {
    if phase.side == .language { return configuration.languageScoreWeight }
    return phase.kind == .mutual ? configuration.domainScoreWeight : 0
  }

  /// Weighs, for a phase, what each user is drawn to the other side's scores.
  func makeGate(_ phase: BridgePhase, _ context: BridgeContext) throws {
    gate = nil
    guard configuration.gatesDivergence, divergenceWeight(in: phase) > 0 else { return }
    let other = phase.side.peer
    let weights = try DivergenceGate.weights(
      teacher: context.side(other).scores.makeScorer(), student: context.side(phase.side).scores.makeScorer(),
      split: context.split)
    gate = weights
    context.log("\(phase.name): the other side's scores count by \(weights.mean().item) on average")
  }

  /// How far the batch's users' scores are from those of the other side, weighted; `nil` if that does not count.
  func scoreDivergence(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    let weight = divergenceWeight(in: phase)
    guard weight > 0, let scores = step.scores?() else { return nil }
    let peer = try context.side(phase.side.peer).scores
    let users = scores.users.scalars(as: Int32.self)
    let candidates = context.candidates(users)
    var teacher = try peer.scores(users: users).detached
    if let deviation = configuration.teacherDeviation {
      let count = candidates.sum(along: [1], keepingDimensions: true)
      let mean = (teacher * candidates).sum(along: [1], keepingDimensions: true) / count
      let centred = (teacher - mean) * candidates
      let variance = centred.squared().sum(along: [1], keepingDimensions: true) / count
      teacher = centred * (variance + 1e-12).sqrt().reciprocal() * deviation
    }
    let exclusion = (candidates - 1) * 1e9
    if let gate {
      return ExchangeLosses.divergence(
        teacher: teacher + exclusion, student: scores.logits + exclusion,
        weights: gate.expanded(at: 1).gatheredRows(scores.users).flattened(),
        temperature: configuration.scoreTemperature) * weight
    }
    return Losses.kullbackLeibler(
      teacherLogits: teacher + exclusion, studentLogits: scores.logits + exclusion,
      temperature: configuration.scoreTemperature) * weight
  }

  /// The mean distance of rows from those of the store.
  ///
  /// - Parameter weights: how much each row counts in the mean, `[rows]`; `nil` for 1. A contrast has none.
  static func distance(_ own: Tensor, _ store: Tensor, _ kind: Distance, weights: Tensor? = nil) -> Tensor {
    func mean(_ rows: Tensor) -> Tensor { (weights.map { rows * $0 } ?? rows).mean() }
    switch kind {
    case .squaredDistanceOfUnitRows:
      return mean((own.unitNormalized() - store.detached.unitNormalized()).squared().sum(along: [1]))
    case .squaredDistance:
      return mean((own - store.detached).squared().sum(along: [1]))
    case .infoNCE(let temperature):
      return Losses.infoNCE(anchors: own, positives: store.detached, temperature: temperature)
    }
  }
}
