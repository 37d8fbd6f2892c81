import Testing
import TrestleBridges
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

@Suite struct DivergenceGateTests {
  /// A teacher counts where it ranks users better, group by group, and not at all where it does not.
  @Test func theGateFollowsWhoRanksBetter() throws {
    let composition = try SmallComposition(seed: 5)
    let split = composition.context.split
    let wanted = UserItemMatrix(split.validation)
    let count = composition.dataset.itemCount
    let counts = split.training.userCounts()
    let middle = counts.sorted()[counts.count / 2]
    func scorer(_ knows: @escaping @Sendable (Int) -> Bool) -> RowScorer {
      RowScorer(itemCount: count) { user in
        var scores = [Float](repeating: 0, count: count)
        if knows(Int(user)) { for item in wanted.items(of: Int(user)) { scores[Int(item)] = 1 } }
        return scores
      }
    }
    let (all, none) = (scorer { _ in true }, scorer { _ in false })
    func weights(_ teacher: RowScorer, _ student: RowScorer) throws -> [Float] {
      try DivergenceGate.weights(teacher: teacher, student: student, split: split, groups: 2).floats
    }
    #expect(try weights(all, none).allSatisfy { $0 > 0.8 && $0 <= 1 })
    #expect(try weights(none, all).allSatisfy { $0 == 0 })
    #expect(try weights(all, all).allSatisfy { $0 == 0 })
    let heavy = try weights(scorer { counts[$0] > middle }, none)
    let (light, own) = (
      counts.indices.filter { counts[$0] < middle }, counts.indices.filter { counts[$0] > middle }
    )
    #expect(light.allSatisfy { heavy[$0] < 0.5 } && own.allSatisfy { heavy[$0] > 0.5 })
  }

  /// With the gate a phase's divergence is weighed, the state holds the weights, and a teacher that knows nothing teaches nothing.
  @Test func aGatedDivergenceKeepsTheContractAndIsSaved() throws {
    var configuration = shortConfiguration()
    configuration.languageScoreWeight = 1
    configuration.domainScoreWeight = 0.1
    configuration.gatesDivergence = true
    let failures = try checkSharingBridge { BDLMStrategy(configuration, schedule: shortSchedule(rounds: 1)) }
    #expect(failures.isEmpty, "\(failures)")
    let composition = try SmallComposition(seed: 6)
    let bridge = BDLMStrategy(configuration, schedule: shortSchedule(rounds: 1))
    try bridge.prepare(composition.context)
    let warmUp = try #require(bridge.phases.first)
    try bridge.exit(warmUp, composition.context)
    let tuning = try #require(bridge.phases.first { $0.name == "tuning" })
    try bridge.enter(tuning, composition.context)
    let gate = try #require(bridge.gate)
    let other = BDLMStrategy(configuration, schedule: shortSchedule(rounds: 1))
    try other.prepare(composition.context)
    try other.loadState(bridge.saveState(), composition.context)
    #expect(other.gate?.floats == gate.floats)
    // The loss of a batch is the weighted one.
    let users: [Int32] = [3, 7]
    let count = composition.dataset.itemCount
    var step = SideStep(loss: Tensor(0))
    step.scores = { BatchScores(users: Tensor(users), logits: .zeros([users.count, count])) }
    bridge.gate = .zeros([composition.dataset.userCount])
    #expect(try #require(try bridge.additionalLoss(step, in: tuning, composition.context)).item == 0)
    bridge.gate = .ones([composition.dataset.userCount])
    let whole = try #require(try bridge.additionalLoss(step, in: tuning, composition.context)).item
    bridge.gate = nil
    let plain = try #require(try bridge.additionalLoss(step, in: tuning, composition.context)).item
    #expect(abs(whole - plain) < 1e-4 * plain && plain > 0)
  }
}
