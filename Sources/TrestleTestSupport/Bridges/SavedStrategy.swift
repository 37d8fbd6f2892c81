import TrestleBridges

/// A strategy that keeps something in its state, on sides that train in seconds: for tests of what is read back.
public struct SavedStrategy: Sendable, CustomStringConvertible {
  /// The name in tests and on command lines.
  public let name: String
  private let composing: @Sendable (SmallComposition) throws -> BridgeContext
  private let making: @Sendable () -> BridgeStrategy

  /// The name.
  public var description: String { name }

  init(
    _ name: String,
    on composing: @escaping @Sendable (SmallComposition) throws -> BridgeContext = { $0.context },
    _ making: @escaping @Sendable () -> BridgeStrategy
  ) {
    (self.name, self.composing, self.making) = (name, composing, making)
  }

  /// Sides for twelve users and ten items.
  public func context() throws -> BridgeContext {
    try composing(SmallComposition(seed: 5, users: 12, items: 10))
  }

  /// The strategy, with two epochs in each phase.
  public func make() -> BridgeStrategy {
    let strategy = making()
    // What is solved for in closed form has one.
    for index in strategy.phases.indices where !(strategy is TextPrior) {
      strategy.phases[index].epochs = 2
    }
    return strategy
  }

  /// Every strategy of the package that keeps a state.
  public static let all = sharing + fromText + teaching + prompting

  private static let sharing: [SavedStrategy] = [
    .init("bdlm") {
      var configuration = BDLMStrategy.Configuration()
      configuration.sharing.width = 16
      var schedule = BDLMStrategy.Schedule()
      schedule.rounds = 1
      return BDLMStrategy(configuration, schedule: schedule)
    },
    .init("reading", on: { try $0.reading(validationItems: [1, 3, 5]) }) {
      ReadingStrategy(validationItems: [1, 3, 5])
    },
    .init("reading-halves", on: { try $0.reading(validationItems: [1, 3, 5], byHalves: true) }) {
      var configuration = ReadingStrategy.Configuration()
      configuration.writesKnownItems = true
      return ReadingStrategy(validationItems: [1, 3, 5], configuration: configuration)
    },
    .init("slots") { SlotInjectionStrategy() },
    .init("e4srec") { E4SRec() },
    .init("a-llmrec") {
      var configuration = ALLMRec.Configuration()
      configuration.width = 12
      return ALLMRec(configuration)
    },
  ]

  private static let fromText: [SavedStrategy] = [
    .init("alignment") { RepresentationAlignmentStrategy(sources: [.item: .text, .user: .behaviour]) },
    .init("rlmrec-con") { RLMRecContrastive() },
    .init("rlmrec-gen") { RLMRecGenerative() },
    .init("alpharec") {
      var configuration = AlphaRec.Configuration()
      (configuration.width, configuration.negatives) = (8, 32)
      return AlphaRec(configuration)
    },
    .init("llm-esr") { LLMESR(neighbors: 3) },
    .init("kar") { KAR() },
    .init("text-prior-ease", on: { try $0.closedForm(.ease(.init())) }) { TextPrior() },
    .init("text-prior-ials", on: { try $0.closedForm(.als(SmallComposition.smallALS)) }) { TextPrior() },
    .init("kar-users") { KAR(textSource: .encodedText, readsUsers: true) },
  ]

  private static let teaching: [SavedStrategy] = [
    .init("dllm2rec") {
      var configuration = DLLM2Rec.Configuration()
      (configuration.length, configuration.consistentLength) = (4, 8)
      return DLLM2Rec(configuration)
    },
    .init("llmrec") { LLMRec() },
    .init("llmrec-texts") {
      var configuration = LLMRec.Configuration()
      configuration.textSource = .encodedText
      return LLMRec(configuration)
    },
    .init("llmrec-edges") {
      var configuration = LLMRec.Configuration()
      configuration.addsEdges = true
      return LLMRec(configuration)
    },
    .init("fusion") { ScoreFusionStrategy() },
    .init("lc-rec", on: { try $0.coding() }) { LCRec() },
    .init("openp5", on: { try $0.coding() }) { OpenP5() },
  ]

  private static let prompting: [SavedStrategy] = [
    .init("collm", on: { try $0.asking() }) { CoLLM(expansion: 2) },
    .init("binllm", on: { try $0.asking() }) { BinLLM(bits: 8) },
    .init("recranker", on: { try $0.asking() }) { RecRanker() },
    .init("llara", on: { try $0.asking() }) { LLaRA(steps: 2) },
    .init("ilora", on: { try $0.asking() }) { ILoRA(experts: 2, steps: 2) },
  ]
}
