import TrestleBridges
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Two small sides on the built-in world, for tests and examples of bridges: LightGCN and a language model of two blocks
/// with random weights. Trains in a second.
public struct SmallComposition {
  /// The data set.
  public let dataset: Dataset
  /// Both sides and the split.
  public let context: BridgeContext
  /// The domain side.
  public let domain: PairwiseSide
  /// The language side.
  public let language: LanguageSide

  /// A composition whose every number depends on `seed` alone.
  ///
  /// - Throws: what making the data or the model throws; it does not for any seed.
  public init(seed: UInt64 = 0, users: Int = 60, items: Int = 40) throws {
    var world = SyntheticWorld.Configuration()
    world.users = users
    world.items = items
    world.interactions = users * 12
    dataset = try SyntheticWorld(world, seed: seed).dataset()
    let split = try dataset.interactions.split(.ratio(), seed: seed)
    let vocabulary = EntityVocabulary(
      userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
    var generator = RandomGenerator(seed: seed)
    var graph = LightGCN.Configuration()
    graph.dimension = 16
    var training = TrainingConfiguration()
    training.batchSize = 128
    training.learningRate = 1e-2
    training.seed = seed
    domain = PairwiseSide(
      LightGCN(training: split.training, configuration: graph, using: &generator), split: split,
      vocabulary: vocabulary, configuration: training)
    let model = try Llama(
      LlamaConfiguration(
        vocabularySize: 32, hiddenSize: 24, intermediateSize: 48, layerCount: 2, headCount: 2,
        keyValueHeadCount: 1),
      using: generator.split(1))
    model.freeze()
    let adapters = try LoRA(rank: 2).load(into: model, using: generator.split(2))
    let recommender = ItemSequenceModel(
      model: model,
      entities: EntityTokens(
        userCount: dataset.userCount, itemCount: dataset.itemCount, for: model, using: &generator),
      head: ItemHead(itemCount: dataset.itemCount))
    var reading = LanguageSide.Configuration()
    reading.trainingItems = 12
    reading.batchItems = 96
    reading.seed = seed
    var texts = generator.split(3)
    language = LanguageSide(
      name: "small LM", recommender: recommender, adapters: adapters, split: split, vocabulary: vocabulary,
      itemTexts: (0..<dataset.itemCount).map { _ in (0..<5).map { _ in Int32(texts.index(below: 32)) } },
      encodedItemTexts: Tensor.normal([dataset.itemCount, 6], using: &texts),
      configuration: reading)
    context = try BridgeContext(domain: domain, language: language, split: split)
  }
}
