import TrestleBridges
import TrestleLanguageModels
import TrestleTensor

extension SmallComposition {
  /// The same language model, asked whether a user will like an item.
  ///
  /// Items are called t0, t1, …; a token is a byte, modulo the small vocabulary, and spaces have none.
  ///
  /// - Parameters:
  ///   - titles: what items are called instead.
  ///   - hasEntities: whether the slots have rows of the side's own.
  ///   - configure: what is to be other than by default.
  public func prompts(
    titles: [String]? = nil, hasEntities: Bool = false,
    _ configure: (inout PromptSide.Configuration) -> Void = { _ in }
  ) -> PromptSide {
    var configuration = PromptSide.Configuration()
    configuration.trainingExamples = 48
    configuration.validationExamples = 60
    configure(&configuration)
    let model = language.recommender.model
    var generator = RandomGenerator(seed: configuration.seed).split(11)
    let entities = EntityTokens(
      userCount: dataset.userCount, itemCount: dataset.itemCount, for: model, using: &generator)
    return PromptSide(
      name: "small LM, asked", model: model, adapters: language.adapters,
      entities: hasEntities ? entities : nil,
      titles: titles ?? (0..<dataset.itemCount).map { "t\($0)" },
      examples: PromptExamples(sampling: context.split, perUser: 2, historyItems: 3, seed: 0),
      vocabulary: language.vocabulary, configuration: configuration
    ) { text in text.utf8.filter { $0 != 32 }.map { Int32($0 % 32) } }
  }

  /// The same recommender, and the same language model asked whether a user will like an item, for bridges over prompts.
  public func asking() throws -> BridgeContext {
    try BridgeContext(domain: domain, language: prompts(), split: context.split)
  }

  /// The same recommender, and the same language model that ranks after a prompt.
  ///
  /// - Parameter byTitle: whether items are named by their titles rather than by a head.
  public func ranking(byTitle: Bool) throws -> BridgeContext {
    let side = PromptRankingSide(
      prompts(hasEntities: !byTitle),
      output: byTitle
        ? .titles(beams: 4, count: 10) : .items(ItemHead(itemCount: dataset.itemCount, scale: 5)),
      split: context.split, historyItems: 3, validationUsers: 20)
    return try BridgeContext(domain: domain, language: side, split: context.split)
  }
}
