import Foundation
import TrestleLanguageModels
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleText

/// Makes a hybrid to serve of a recommender and a language model that reads the items' texts.
///
/// 1. ``tune(_:name:path:checkpoint:)`` holds a share of the items out of training as if they were new, fits the recommender on the
///    rest, and lets the language model learn to read in its terms (``ReadingStrategy``). Layer, map, scale and epochs are
///    chosen on the new items of the validation data; those of the test data are ranked once, for ``TunedReading/figures``.
/// 2. ``hybrid(_:measured:final:training:)`` takes a recommender that was fitted on everything, fits the map to its rows, and gives
///    items that nobody has touched the rows that are read off their texts.
///
/// ```swift
/// let fit = HybridFit(dataset: books, texts: ItemTexts(dataset: books, noun: "Book"), kind: .lightGCN)
/// let tuned = try fit.tune(LoadedModel(contentsOf: smolLM2), name: "SmolLM2", path: smolLM2)
/// let split = try books.interactions.split(.ratio(), seed: 0)
/// let measured = try books.fit(.lightGCN, split: split)
/// let hybrid = try fit.hybrid(tuned, measured: (measured, split), final: books.fit(.lightGCN))
/// ```
public struct HybridFit {
  /// How the language model learns to read.
  public struct Configuration: Codable, Sendable {
    /// How new items are drawn.
    public var split = NewItemSplit.Configuration()
    /// Epochs, maps and scales.
    public var bridge = ReadingStrategy.Configuration()
    /// The language side.
    public var side = ReadingSide.Configuration()
    /// The adapters.
    public var adapters = LoRA(
      targets: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"])
    /// The layers that are compared, as shares of the depth.
    public var layerShares = [1.0 / 3, 0.5, 2.0 / 3]
    /// Whether the language model reads each text twice in a row, without what all begin with (``HybridStudy/Configuration/readsTwice``).
    public var readsTwice = true
    /// How many blocks below the chosen layer are tuned.
    public var tunedBlocks = 6
    /// Determines the split and everything random.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// The data.
  public let dataset: Dataset
  /// The items' texts.
  public let texts: ItemTexts
  /// The recommender: one with rows of users and items.
  public let kind: ModelKind
  /// How the language model learns to read.
  public let configuration: Configuration
  /// How the recommender is fitted in whose terms the language model learns: settings other than the recommended ones, epochs and
  /// patience, as for the recommender that serves. Seed, checkpoint and ranks are those of the fit.
  public var options = FitOptions()
  /// The ranks that fit together, each with the same data and configuration: recommender and language model train in the
  /// bits of one process with the same ``accumulation``.
  public var communicator: any Communicator = SingleProcess()
  /// How many batches' gradients make one step; `nil` for one of each rank.
  public var accumulation: Int?
  /// Called with a line for the run's log.
  public var log: (String) -> Void = { _ in }
  /// Called after each epoch of the recommender and each batch of the language model, with what is done and how much of it;
  /// true ends the work. Of several ranks all must give the same answer.
  public var onProgress: (_ what: String, _ done: Int, _ total: Int) -> Bool = { _, _, _ in false }

  /// A fit of a data set with texts.
  ///
  /// - Precondition: there is a text, maybe empty, for each item, and `kind` is one of ``kinds``.
  public init(
    dataset: Dataset, texts: ItemTexts, kind: ModelKind = .lightGCN,
    configuration: Configuration = Configuration()
  ) {
    precondition(
      texts.count == dataset.itemCount && Self.kinds.contains(kind),
      "HybridFit: \(texts.count) texts for \(dataset.itemCount) items, \(kind.name)")
    (self.dataset, self.texts, self.kind, self.configuration) = (dataset, texts, kind, configuration)
  }

  /// The recommenders that have rows of users and items, in whose terms a language model can read.
  public static let kinds: [ModelKind] = [.lightGCN, .factorization, .xSimGCL, .implicitALS]

  /// What of ``options`` tells a run from another's: nothing with the recommended settings.
  var fingerprint: String {
    let bounds = [options.epochs, options.patience].map { $0.map(String.init) ?? "" }
    let name = options.shardsTables ? kind.name + " in shards" : kind.name
    return options.searchedInWords != nil || options.epochs != nil || options.patience != nil
      ? "\(name) \(options.searchedInWords ?? "") \(bounds)" : name
  }

  var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: dataset.userCount, itemCount: dataset.itemCount, hash: dataset.vocabularyHash)
  }

  // MARK: Serving

  /// Puts the hybrid together.
  ///
  /// The language side's rows are, for known items, what maps that have not seen an item's own row read off its text; the
  /// weights of the fusion are chosen on the validation part of `measured`'s split, and are 0 where the language side would
  /// do harm.
  ///
  /// - Parameters:
  ///   - tuned: what ``tune(_:name:path:checkpoint:)`` made.
  ///   - measured: the recommender fitted on the training part of a split.
  ///   - final: the recommender that serves, fitted on all data or, to measure the hybrid, the same as `measured`.
  ///   - training: what `final` was fitted on; `nil` for everything.
  /// - Throws: `ServingError` for recommenders without rows or of other data.
  public func hybrid(
    _ tuned: TunedReading, measured: (model: FittedRecommender, split: DataSplit), final: FittedRecommender,
    training: Interactions? = nil
  ) throws -> HybridRecommender {
    let known = try language(tuned, measured.model, counts: measured.split.training.itemCounts())
    let fusion = try Self.fusion(of: known.domain, known.language, on: measured.split)
    let training = training ?? dataset.interactions
    let sides = try language(tuned, final, counts: training.itemCounts())
    let reading = ItemReading(
      reader: tuned.reader, states: tuned.states, map: sides.map, scale: tuned.scale,
      adapterFiles: tuned.adapterFiles)
    return try HybridRecommender(
      catalogue: Catalogue(dataset), splitHash: measured.split.hash, domain: sides.domain,
      language: sides.language, fusion: fusion, histories: UserHistories(dataset.interactions),
      trainingCounts: training.userCounts(), popularity: training.itemCounts().map(Float.init),
      reading: reading, folding: final.folding, card: card(tuned, final))
  }

  /// Of what the hybrid is made.
  private func card(_ tuned: TunedReading, _ final: FittedRecommender) -> HybridCard {
    func text(_ value: Double) -> String { String(format: "%.4f", value) }
    var settings = [
      "seed": "\(configuration.seed)",
      "mechanism": final.card.settings["mechanism"]
        ?? "reading: the language model learns to tell the recommender's rows from the items' texts",
      "NDCG@10 of new items": text(tuned.figures.tuned),
      "NDCG@10 of new items, untuned": text(tuned.figures.untuned),
      "NDCG@10 of new items, in random order": text(tuned.figures.random),
    ]
    settings["reading configuration"] = RecommenderCard.text(of: configuration)
    return HybridCard(dataset: dataset.name, domain: final.card, settings: settings)
  }

  /// The language side's weights under which the validation data is ranked best: those that make its items most likely, or
  /// one for all users, 0 among them, so that a language side that knows less does no harm.
  package static func fusion(
    of domain: Representations, _ language: Representations, on split: DataSplit
  ) throws -> FusionWeights {
    let (first, second) = (InnerProductScorer(domain), InnerProductScorer(language))
    guard !split.validation.isEmpty else { return FusionWeights(alpha: 0) }
    let evaluation = RankingEvaluator.Configuration(only: [.ndcg(10)])
    let evaluator = RankingEvaluator(split, on: .validation, configuration: evaluation)
    var best = (value: -Double.infinity, weights: FusionWeights(alpha: 0))
    let candidates =
      [0, 0.02, 0.05, 0.1, 0.2, 0.3].map { FusionWeights(alpha: $0) }
      + [try FusionWeights(fitting: first, second, split: split)]
    for weights in candidates {
      let fused = FusedScorer(
        domain: first, language: second, weights: weights.weights(training: split.training))
      let value = try evaluator.evaluate(fused).mean(.ndcg(10)) ?? 0
      if value > best.value { best = (value, weights) }
    }
    return best.weights
  }

  private struct Sides {
    let domain: Representations
    let language: Representations
    let map: KernelRidge
  }

  /// The recommender's rows, with those read off the texts for items without interactions, and the language side's rows.
  private func language(_ tuned: TunedReading, _ model: FittedRecommender, counts: [Int32]) throws -> Sides {
    guard let rows = model.embeddings, let users = rows.users, rows.items.shape[0] == dataset.itemCount,
      users.shape[0] == dataset.userCount
    else {
      throw ServingError.otherData(
        expected: "a recommender with rows of \(dataset.userCount) users and \(dataset.itemCount) items",
        found: model.card.model)
    }
    let most = configuration.bridge.countedInteractions
    let isRead = texts.texts.map { !$0.isEmpty }
    let weights = counts.indices.map { isRead[$0] ? Float(min(Int(counts[$0]), most)) : 0 }
    let scaling = InputScaling(fitting: tuned.states)
    let map = KernelRidge(
      inputs: tuned.states, outputs: rows.items, weights: weights, scaling: scaling, configuration: tuned.map)
    let fair = KernelRidge.crossFitted(
      inputs: tuned.states, outputs: rows.items, weights: weights, scaling: scaling,
      configuration: tuned.map, seed: configuration.seed)
    func column(_ value: (Int) -> Float) -> Tensor {
      Tensor(counts.indices.map(value), shape: [counts.count, 1])
    }
    // An item that nobody touched and that says nothing is not for either side.
    let written =
      map(tuned.states).detached * column { counts[$0] == 0 && isRead[$0] ? Float(tuned.scale) : 0 }
    return Sides(
      domain: Representations(users: users, items: rows.items * column { counts[$0] > 0 ? 1 : 0 } + written),
      language: Representations(users: users, items: fair.detached * column { isRead[$0] ? 1 : 0 }),
      map: map)
  }
}

/// A language model that has learnt to read in a recommender's terms.
public struct TunedReading: Sendable {
  /// Which language model reads, and where.
  public let reader: ItemReading.Reader
  /// The mean states of all items' texts, `[items, hidden]`.
  public let states: Tensor
  /// The map that ranks new items best.
  public let map: KernelRidge.Configuration
  /// What mapped rows are multiplied by beside the recommender's own.
  public let scale: Double
  /// The adapters, in the files of PEFT.
  public let adapterFiles: [String: [UInt8]]
  /// NDCG@10 on the test data, among the items that are new there: by the tuned language model, by the same untuned, and in
  /// random order (all items alike).
  public let figures: (tuned: Double, untuned: Double, random: Double)
}
