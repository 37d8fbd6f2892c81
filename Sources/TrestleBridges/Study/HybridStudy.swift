import Foundation
import TrestleFormats
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// What a language model that reads the items' texts tells recommenders: recommenders alone, with the bridge, and with controls
/// in the language model's place, on dense data, on sparse data, and for items that nobody has touched.
///
/// Each seed has a split of its own. A recommender is trained once a seed; everything that reads texts goes through the same
/// maps, chosen on the same validation data. Test data is ranked once for each case, at its end.
public struct HybridStudy {
  /// What is done to a model.
  public enum Variant: String, CaseIterable, Codable, Sendable {
    /// The model as it is.
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
    /// The untrained language model by itself: neighbours by what it makes of the texts.
    case textsOnly = "texts-only"

    /// What takes the language model's place.
    static let controls: [Variant] = [
      .noLanguageTraining, .shuffledTexts, .randomLanguageModel, .sentenceEncoder, .features, .meanRow,
    ]
  }

  /// How long things train.
  public struct Configuration: Codable, Sendable {
    /// The variants, in order.
    public var variants = Variant.allCases
    /// The models, by name; `nil` for all.
    public var models: [String]?
    /// How new items are drawn.
    public var split = NewItemSplit.Configuration()
    /// The recommender that the language model learns from.
    public var recommender = LightGCN.Configuration()
    /// The regularisations of the recommender, to choose among on validation data; empty takes the one that is recommended for the
    /// data, as large catalogues do.
    public var regularizations = [1e-3, 1e-2, 3e-2, 1e-1]
    /// How it is trained.
    public var training = TrainingConfiguration()
    /// The bridge.
    public var bridge = ReadingStrategy.Configuration()
    /// The language side.
    public var side = ReadingSide.Configuration()
    /// The adapters.
    public var adapters = LoRA(
      targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    /// The layers that are read, as shares of the depth: each by itself or all side by side, as validation data says.
    public var layerShares = [1.0 / 6, 1.0 / 3, 0.5, 2.0 / 3, 5.0 / 6]
    /// Whether the language model reads each text twice in a row, and the mean is taken over the second reading's tokens without
    /// those with which all texts begin (`ReadingStyle.twice`); else once, over all tokens.
    public var readsTwice = true
    /// The share of the depth at which, or next above which, a layer is tuned where several are read.
    public var tunedShare = 1.0 / 3
    /// How many blocks below the chosen layer are tuned.
    public var tunedBlocks = 6
    /// The weights, to choose among, of the distance between the recommender's items and what is read of them, in `warm` and `sparse`.
    public var priorWeights = [0.01, 0.05, 0.2]
    /// The most users by whom maps and layers are chosen.
    public var choosingUsers = 2000
    /// The metrics.
    public var metrics: [RankingMetric] = [.ndcg(10), .recall(10), .hit(10)]

    /// The defaults.
    public init() {
      recommender.layers = 3
      training.learningRate = 5e-3
      side.epochItems = 5000
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
  /// Whether a run should end after the present case.
  public var shouldStop: () -> Bool = { false }
  /// Where the state of the language model's training is kept; `nil` keeps nothing.
  var checkpoint: URL?
  /// Called after each of its batches with how many are done, and of how many; true ends it.
  var onBatch: ((_ done: Int, _ total: Int) -> Bool)?
  /// What the language model makes of the texts, which no seed changes.
  let readings: StudyReadings

  /// A study of a data set with texts.
  ///
  /// - Parameters:
  ///   - dataset: the data.
  ///   - texts: the items' texts.
  ///   - model: the language model.
  ///   - modelName: its name in tables.
  ///   - tokens: the tokens of each text.
  ///   - encodedTexts: what a sentence encoder makes of the texts, `[items, width]`; `nil` leaves that variant out.
  ///   - separator: the tokens between a text and its repetition, such as those of a line's end.
  ///   - configuration: how long things train.
  public init(
    dataset: Dataset, texts: ItemTexts, model: any LanguageModel, modelName: String, tokens: [[Int32]],
    encodedTexts: Tensor?, separator: [Int32] = [], configuration: Configuration = Configuration()
  ) {
    precondition(
      texts.count == dataset.itemCount && tokens.count == dataset.itemCount,
      "HybridStudy: \(texts.count) texts, \(tokens.count) lists of tokens for \(dataset.itemCount) items")
    self.dataset = dataset
    self.texts = texts
    self.model = model
    self.modelName = modelName
    self.tokens = tokens
    self.encodedTexts = encodedTexts
    self.configuration = configuration
    let style = configuration.readsTwice ? ReadingStyle.twice(tokens, separator: separator) : .plain
    readings = StudyReadings(
      model: model, tokens: tokens, style: style, layerShares: configuration.layerShares)
  }

  /// The models that are fitted by themselves.
  static let recommenders: [ModelKind] = [
    .popularity, .itemKNN, .ease, .implicitALS, .factorization, .lightGCN, .xSimGCL,
  ]
  /// Those beside the bridge's own that take part in a fusion, and take the language model's reading.
  static let closedForms: [ModelKind] = [.ease, .implicitALS]
  /// A model that ranks at random: every item ties.
  static let random = "Random"
  /// Several models as one.
  static let fusion = "fusion"
  /// What the language model says by itself, item by item: the recommender's users meet the rows that it writes, and no item its
  /// own row.
  static let language = "language model"

  /// The names of all models.
  public static var modelNames: [String] { [random] + recommenders.map(\.name) + [language, fusion] }

  /// What a protocol measures, in order.
  public func cases(_ part: StudyProtocol) -> [StudyCase] {
    let wanted = configuration.variants.filter(isPossible)
    var cases: [StudyCase] = []
    let own = ModelKind.lightGCN.name
    if wanted.contains(.alone) {
      cases.append(StudyCase(Self.random, .alone))
      cases += Self.recommenders.map { StudyCase($0.name, .alone) }
    }
    cases += wanted.filter { $0 != .alone && $0 != .textsOnly }.map { StudyCase(own, $0) }
    if part != .newItems {
      let said: Set<Variant> = [.textsOnly, .noLanguageTraining, .bridge]
      cases += wanted.filter(said.contains).map { StudyCase(Self.language, $0) }
    }
    for kind in Self.closedForms {
      cases += wanted.filter { $0 == .bridge || $0 == .shuffledTexts }.map { StudyCase(kind.name, $0) }
    }
    cases += wanted.filter { ![.meanRow, .features, .textsOnly].contains($0) }
      .map { StudyCase(Self.fusion, $0) }
    return cases.filter { configuration.models?.contains($0.model) ?? true }
  }

  /// What one seed gives, case by case.
  ///
  /// - Parameters:
  ///   - seed: determines the split and everything random.
  ///   - part: how the data is parted.
  ///   - done: cases that are not run again.
  ///   - report: takes each case's figures and users' values as soon as they are there.
  /// - Throws: `DataError` if the data has too few items for the protocol, `BridgeError`, and what `report` throws.
  public func run(
    seed: UInt64, _ part: StudyProtocol, without done: Set<StudyCase> = [],
    report: (StudyCase, [StudyRecord], [StudyValues]) throws -> Void
  ) throws {
    let wanted = cases(part).filter { !done.contains($0) }
    if wanted.isEmpty { return }
    let run = try HybridRun(self, part, seed: seed)
    for item in wanted {
      if shouldStop() { return }
      let start = ContinuousClock.now
      let (records, values) = try run.measure(item)
      let seconds = (ContinuousClock.now - start).components.seconds
      let figures = part.slices.compactMap { slice in
        records.first { $0.slice == slice && $0.metric == RankingMetric.ndcg(10).name }
          .map { "\(slice) \(StudyResults.short($0.value))" }
      }
      log(
        "\(part.rawValue), seed \(seed), \(item.model), \(item.variant.rawValue): NDCG@10 "
          + figures.joined(separator: ", ") + ", \(seconds) s")
      try report(item, records, values)
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
