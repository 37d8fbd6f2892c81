import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

extension SmallComposition {
  /// The same recommender, and the same language model with items as lists of codes, for bridges over codes.
  ///
  /// - Parameter beams: how wide the search is by which items are ranked.
  public func coding(beams: Int = 20) throws -> BridgeContext {
    var configuration = CodeSide.Configuration()
    (configuration.levels, configuration.codesPerLevel, configuration.windowItems) = (3, 8, 4)
    (configuration.validationUsers, configuration.beams) = (10, beams)
    configuration.seed = language.configuration.seed
    let side = CodeSide(
      name: "coding", model: language.recommender.model, adapters: language.adapters, split: context.split,
      vocabulary: language.vocabulary, encodedItemTexts: language.encodedItemTexts,
      configuration: configuration)
    return try BridgeContext(domain: domain, language: side, split: context.split)
  }

  /// EASE or iALS, and the same language model.
  public func closedForm(_ model: ClosedFormSide.Model) throws -> BridgeContext {
    let side = ClosedFormSide(
      model, split: context.split, vocabulary: language.vocabulary, seed: language.configuration.seed)
    return try BridgeContext(domain: side, language: language, split: context.split)
  }

  /// Rows of eight numbers by alternating least squares in four sweeps.
  public static let smallALS: ImplicitALS.Configuration = {
    var configuration = ImplicitALS.Configuration()
    (configuration.dimension, configuration.sweeps) = (8, 4)
    return configuration
  }()

  /// The same recommender, and the same language model as a reader of the items' texts.
  ///
  /// - Parameters:
  ///   - validationItems: by which readings are compared.
  ///   - byHalves: whether two readers learn from half of the items each.
  public func reading(validationItems: [Int32], byHalves: Bool = false) throws -> BridgeContext {
    let reader = TextReader(
      model: language.recommender.model, texts: language.itemTexts ?? [], layer: 2, base: 1)
    var configuration = ReadingSide.Configuration()
    configuration.width = 16
    configuration.crossFitsAdapters = byHalves
    let side = ReadingSide(
      name: "reading", reader: reader, adapters: language.adapters, split: context.split,
      validationItems: validationItems, vocabulary: language.vocabulary, configuration: configuration)
    return try BridgeContext(domain: domain, language: side, split: context.split)
  }
}
