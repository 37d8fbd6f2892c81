import TrestleBridges

extension SmallComposition {
  /// The same recommender, and the same language model asked whether a user will like an item, for bridges over prompts.
  ///
  /// Items are called t0, t1, …; a token is a byte, modulo the small vocabulary, and spaces have none.
  public func asking() throws -> BridgeContext {
    var configuration = PromptSide.Configuration()
    configuration.trainingExamples = 48
    configuration.validationExamples = 60
    let side = PromptSide(
      name: "small LM, asked", model: language.recommender.model, adapters: language.adapters,
      titles: (0..<dataset.itemCount).map { "t\($0)" },
      examples: PromptExamples(sampling: context.split, perUser: 2, historyItems: 3, seed: 0),
      vocabulary: language.vocabulary, configuration: configuration
    ) { text in text.utf8.filter { $0 != 32 }.map { Int32($0 % 32) } }
    return try BridgeContext(domain: domain, language: side, split: context.split)
  }
}
