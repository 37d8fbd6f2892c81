import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// How well items that nobody has touched are ranked: a recommender alone, with a bridge to a language model that reads the
/// items' texts, and with controls in the language model's place.
///
/// Each seed has a `NewItemSplit` of its own. The recommender is trained once a seed; everything that reads texts writes rows
/// for the new items in its terms, through the same maps, chosen on the same validation data. Test data is ranked once, at the
/// end of each variant.
public struct NewItemStudy {
  /// What stands where the language model reads.
  public enum Variant: String, CaseIterable, Codable, Sendable {
    /// The recommender as it is, with the rows that new items began with.
    case alone
    /// BDLM: the language model reads, is tuned on what users do, and writes.
    case bridge
    /// The bridge without training the language model.
    case noLanguageTraining = "no-language-training"
    /// The untrained language model reads another item's text.
    case shuffledTexts = "shuffled-texts"
    /// A transformer of the same shape with random weights reads.
    case randomLanguageModel = "random-language-model"
    /// A sentence encoder reads.
    case sentenceEncoder = "sentence-encoder"
    /// Genres and years as numbers, no text.
    case features
    /// Every new item has the mean row.
    case meanRow = "mean-row"
  }

  /// How long things train.
  public struct Configuration: Codable, Sendable {
    /// The variants, in order.
    public var variants = Variant.allCases
    /// How new items are drawn.
    public var split = NewItemSplit.Configuration()
    /// The recommender.
    public var recommender = LightGCN.Configuration()
    /// How it is trained.
    public var training = TrainingConfiguration()
    /// The bridge.
    public var bridge = ReadingStrategy.Configuration()
    /// The language side.
    public var side = ReadingSide.Configuration()
    /// The adapters.
    public var adapters = LoRA(
      targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    /// The layers that are compared on the validation data, as shares of the depth.
    public var layerShares = [1.0 / 3, 0.5, 2.0 / 3]
    /// How many blocks below the chosen layer are tuned.
    public var tunedBlocks = 6
    /// The metrics.
    public var metrics: [RankingMetric] = [.ndcg(10), .recall(10), .hit(10)]

    /// The defaults.
    public init() {
      recommender.layers = 3
      training.learningRate = 5e-3
    }
  }

  /// The data, with its name.
  public let dataset: Dataset
  /// The items' texts.
  public let texts: ItemTexts
  /// The language model.
  public let model: any LanguageModel
  /// Its name in tables.
  public let modelName: String
  /// The tokens of each text.
  public let tokens: [[Int32]]
  /// What a sentence encoder makes of the texts, `[items, width]`; `nil` leaves that variant out.
  public let encodedTexts: Tensor?
  /// How long things train.
  public let configuration: Configuration
  /// Called with a line for the run's log.
  public var log: (String) -> Void = { _ in }
  /// Whether a run should end after the present variant.
  public var shouldStop: () -> Bool = { false }

  /// A study of a data set with texts.
  public init(
    dataset: Dataset, texts: ItemTexts, model: any LanguageModel, modelName: String, tokens: [[Int32]],
    encodedTexts: Tensor?, configuration: Configuration = Configuration()
  ) {
    precondition(
      texts.count == dataset.itemCount && tokens.count == dataset.itemCount,
      "NewItemStudy: \(texts.count) texts, \(tokens.count) lists of tokens for \(dataset.itemCount) items")
    self.dataset = dataset
    self.texts = texts
    self.model = model
    self.modelName = modelName
    self.tokens = tokens
    self.encodedTexts = encodedTexts
    self.configuration = configuration
  }

  /// What one seed gives, variant by variant.
  ///
  /// - Parameters:
  ///   - seed: determines the split and everything random.
  ///   - done: variants that are not run again.
  ///   - report: takes each variant's figures and users' values as soon as they are there.
  /// - Throws: `DataError` if the data has too few items for the protocol, `BridgeError`, and what `report` throws.
  public func run(
    seed: UInt64, without done: Set<Variant> = [],
    report: (Variant, [StudyRecord], [StudyValues]) throws -> Void
  ) throws {
    let wanted = configuration.variants.filter { !done.contains($0) && isPossible($0) }
    if wanted.isEmpty { return }
    let run = try NewItemRun(self, seed: seed)
    for variant in wanted {
      if shouldStop() { return }
      let start = ContinuousClock.now
      let rows = try run.rows(of: variant)
      let (records, values) = try run.measure(rows, variant)
      let figure = records.first { $0.slice == "new" && $0.metric == RankingMetric.ndcg(10).name }
      let seconds = (ContinuousClock.now - start).components.seconds
      log("seed \(seed), \(variant.rawValue): NDCG@10 among new items \(figure?.value ?? 0), \(seconds) s")
      try report(variant, records, values)
    }
  }

  /// Whether the data and models have what a variant needs.
  public func isPossible(_ variant: Variant) -> Bool {
    switch variant {
    case .sentenceEncoder: encodedTexts != nil
    case .features: Self.features(of: dataset.items) != nil
    case .randomLanguageModel: model is Llama
    default: true
    }
  }

  /// Genres as ones and the year as three smooth numbers, `[items, numbers]`; `nil` if neither is known.
  static func features(of items: ItemAttributes) -> Tensor? {
    let genres = Set(items.genres.joined()).sorted()
    let years = items.years.compactMap { $0 }
    if genres.isEmpty && years.isEmpty { return nil }
    let places = Dictionary(uniqueKeysWithValues: genres.enumerated().map { ($1, $0) })
    let middle = years.isEmpty ? 0 : Double(years.reduce(0, +)) / Double(years.count)
    let width = genres.count + 4
    var values = [Float](repeating: 0, count: items.count * width)
    for item in 0..<items.count {
      for genre in items.genres[item] {
        if let place = places[genre] { values[item * width + place] = 1 }
      }
      if let year = items.years[item] {
        let age = (Double(year) - middle) / 10
        for (place, value) in [1, age, age * age, age > 0 ? 1 : 0].enumerated() {
          values[item * width + genres.count + place] = Float(value)
        }
      }
    }
    return Tensor(values, shape: [items.count, width])
  }
}
