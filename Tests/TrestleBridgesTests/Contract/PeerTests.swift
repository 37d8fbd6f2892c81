import Testing
import TrestleBridges
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Both sides train in one step: the other side's representations are tracked.
private final class Together: BridgeStrategy {
  private let map: Linear
  var falls = false
  var valuesAtEpochs: [[Float]] = []

  init(peers: Set<String>? = ["adapters", "entities"], epochs: Int = 2) {
    var generator = RandomGenerator(seed: 3)
    map = Linear(inputs: 24, outputs: 16, using: &generator)
    super.init(
      name: "together",
      phases: [
        BridgePhase(name: "alone", side: .domain, kind: .warmUp, epochs: 1),
        BridgePhase(name: "both", side: .domain, peerGroups: peers, epochs: epochs),
      ])
  }

  override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores], .language: [.training, .contextualRepresentations]]
  }

  override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    phase.kind == .mutual ? [BridgeParameterGroup(name: "map", module: map, learningRate: 1e-2)] : []
  }

  override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .mutual, let items = step.items,
      let texts = try step.peerRepresent?(.item, items.ids, .text)
    else { return nil }
    return Losses.infoNCE(anchors: items.representations, positives: map(texts), temperature: 0.2)
  }

  override func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? {
    guard falls, phase.kind == .mutual else { return nil }
    let side = try context.language.training
    valuesAtEpochs.append(side.parameterGroups.flatMap(\.parameters).flatMap { $0.parameter.detached.floats })
    return -Double(valuesAtEpochs.count)
  }
}

@Suite struct PeerTests {
  private func values(_ side: any ParameterGroups, _ group: String) -> [Float] {
    side.parameterGroups.filter { $0.name == group }.flatMap(\.parameters)
      .flatMap { $0.parameter.detached.floats }
  }

  /// Runs repeat and resume in the same bits, moments of both sides included.
  @Test func aStrategyThatTrainsBothKeepsTheContract() throws {
    let failures = try checkSharingBridge { Together() }
    #expect(failures.isEmpty, "\(failures)")
  }

  @Test func theNamedGroupsOfTheOtherSideTrainAndNoOthers() throws {
    for peers in [nil, ["adapters"]] as [Set<String>?] {
      let small = try SmallComposition(seed: 1)
      let before = ["adapters", "entities", "head"].map { values(small.language, $0) }
      let own = values(small.domain, "embeddings")
      let strategy = Together(peers: peers)
      for index in strategy.phases.indices { strategy.phases[index].keepsBest = false }
      try BridgeTrainer(strategy, small.context).run()
      let after = ["adapters", "entities", "head"].map { values(small.language, $0) }
      #expect((after[0] != before[0]) == (peers != nil))
      #expect(after[1] == before[1] && after[2] == before[2])
      #expect(values(small.domain, "embeddings") != own)
    }
  }

  /// The other side's parameters go back to the best state with the rest.
  @Test func theOtherSideRollsBackToo() throws {
    let small = try SmallComposition(seed: 1)
    let strategy = Together(epochs: 3)
    strategy.falls = true
    try BridgeTrainer(strategy, small.context).run()
    let now = small.language.parameterGroups.flatMap(\.parameters).flatMap { $0.parameter.detached.floats }
    // The entry counts too, as the side has trained before.
    #expect(strategy.valuesAtEpochs.count == 4)
    #expect(now == strategy.valuesAtEpochs[0] && now != strategy.valuesAtEpochs[3])
  }

  @Test func groupsThatTheOtherSideHasNotAreRefused() throws {
    #expect(throws: BridgeError.self) {
      try BridgeTrainer(Together(peers: ["adapters", "no such group"]), SmallComposition(seed: 1).context)
    }
    #expect(throws: BridgeError.self) {
      try BridgeTrainer(Together(peers: ["codes"]), SmallComposition(seed: 1).coding())
    }
  }
}
