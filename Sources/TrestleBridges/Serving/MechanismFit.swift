import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleText

/// Trains a recommender by a published mechanism in which it learns from a language model, for serving.
///
/// What comes of it has rows of users and items, as the recommender would have alone, and takes its place in
/// ``HybridFit/hybrid(_:measured:final:training:)``: the hybrid then gives reasons and takes new items as any other.
///
/// ```swift
/// let loaded = try LoadedModel(contentsOf: smolLM2)
/// var fit = MechanismFit(.named("RLMRec-Con")!, fit: HybridFit(dataset: books, texts: texts), loaded, name: "SmolLM2")
/// let split = try books.interactions.split(.ratio(), seed: 0)
/// let measured = try fit.fit(split)
/// let final = try fit.refit(epochs: measured.epochs)
/// ```
public struct MechanismFit {
  /// A recommender that a mechanism has trained, and the epochs that each phase of its schedule took to the best state.
  public typealias Outcome = (model: FittedRecommender, epochs: [Int])

  /// The mechanism, one of ``BridgeMechanism/served``.
  public let mechanism: BridgeMechanism
  /// Data, texts, recommender, its settings and the seed.
  public let fit: HybridFit
  /// The language model; it is left as it was.
  public let loaded: LoadedModel
  /// Its name, for messages.
  public let name: String
  /// How long the language model trains, if the mechanism trains it; the recommender's epochs and patience are those of
  /// ``HybridFit/options`` or, without, the recommended ones.
  public var budget = ComparisonBudget()

  /// The recommenders that a mechanism can train.
  public static let kinds = HybridFit.kinds.filter { $0.isTrainedByEpochs }

  /// A fit by a mechanism.
  ///
  /// - Precondition: the mechanism is one of ``BridgeMechanism/served``, and the recommender one of ``kinds``.
  public init(_ mechanism: BridgeMechanism, fit: HybridFit, _ loaded: LoadedModel, name: String) {
    precondition(
      BridgeMechanism.served.contains { $0.name == mechanism.name } && Self.kinds.contains(fit.kind),
      "MechanismFit: \(mechanism.name), \(fit.kind.name)")
    (self.mechanism, self.fit, self.loaded, self.name) = (mechanism, fit, loaded, name)
  }

  /// Trains on the training part of a split; every phase ends at its best state on the validation part.
  ///
  /// - Parameters:
  ///   - split: the test part is not looked at.
  ///   - checkpoint: a folder in which the state is kept, and from which an earlier call's goes on.
  /// - Throws: `DataError` for settings that the recommender does not have, ``BridgeError/interrupted(checkpoint:)`` if
  ///   ``HybridFit/onProgress`` ended it, and what training throws.
  public func fit(_ split: DataSplit, checkpoint: URL? = nil) throws -> Outcome {
    let (strategy, records, model) = try train(split, epochs: nil, checkpoint)
    let epochs = Self.epochs(of: strategy.phases, records)
    let best = records.filter { $0.side == .domain }.compactMap(\.validation).max()
    return (try fitted(model, split.training, epochs, validation: best), epochs)
  }

  /// Trains on all interactions, each phase for the epochs that ``fit(_:checkpoint:)`` found.
  ///
  /// - Parameters:
  ///   - epochs: of each phase.
  ///   - checkpoint: a folder in which the state is kept, and from which an earlier call's goes on.
  /// - Throws: as ``fit(_:checkpoint:)``.
  public func refit(epochs: [Int], checkpoint: URL? = nil) throws -> FittedRecommender {
    let all = fit.dataset.interactions
    let nothing = Interactions.empty(userCount: all.userCount, itemCount: all.itemCount)
    let split = DataSplit(training: all, validation: nothing, test: nothing, strategy: "everything")
    return try fitted(train(split, epochs: epochs, checkpoint).model, all, epochs, validation: nil)
  }

  // MARK: Training

  private func train(
    _ split: DataSplit, epochs: [Int]?, _ checkpoint: URL?
  ) throws -> (strategy: BridgeStrategy, records: [BridgeEpochRecord], model: RowsRecommender) {
    let (seed, options) = (fit.configuration.seed, fit.options)
    let training = try fit.kind.training(split.training, seed: seed, settings: options.settings)
    var budget = budget
    budget.domainEpochs = options.epochs ?? training.epochs
    budget.patience = options.patience ?? training.patience
    var comparison = BridgeComparison(
      dataset: fit.dataset, texts: fit.texts, model: loaded.model, modelName: name, budget: budget,
      encode: { [tokenizer = loaded.tokenizer] in tokenizer.encode($0) })
    comparison.log = fit.log
    let composer = BridgeComposer(
      comparison, new: NewItemSplit(withoutNewItems: split),
      recommender: { [kind = fit.kind] in
        let model = try kind.make(split.training, seed: seed, settings: options.settings)
        guard let model = model as? any PairwiseRecommender else {
          throw ServingError.otherData(expected: "a recommender that trains on pairs", found: kind.name)
        }
        return (model, training)
      }, seed: seed)
    let (strategy, context) = try mechanism.compose(composer)
    defer { composer.takeAdaptersOff() }
    if let epochs {
      precondition(
        epochs.count == strategy.phases.count, "MechanismFit: epochs of \(epochs.count) phases")
      for phase in strategy.phases.indices {
        // Nothing is held out to choose a state by: the last one counts.
        (strategy.phases[phase].epochs, strategy.phases[phase].patience) = (epochs[phase], 0)
        (strategy.phases[phase].keepsBest, strategy.phases[phase].validationInterval) = (false, 0)
      }
    }
    let trainer = try BridgeTrainer(
      strategy, context, folder: checkpoint,
      fingerprint: "\(split.hash) \(fit.texts.hash) \(name) \(mechanism.name) \(fit.fingerprint) \(budget)")
    trainer.onProgress = { [mechanism, onProgress = fit.onProgress, unowned trainer] progress in
      let (done, total) = (
        progress.epoch * progress.batchCount + progress.batch, progress.phase.epochs * progress.batchCount
      )
      if onProgress("\(mechanism.name), \(progress.phase.name)", done, total) { trainer.requestStop() }
    }
    try trainer.run()
    guard let scorer = try strategy.recommenders(context).domain as? InnerProductScorer else {
      throw ServingError.otherData(
        expected: "a recommender with rows of users and items", found: "\(mechanism.name) without")
    }
    return (
      strategy, trainer.records, RowsRecommender(name: mechanism.name, scorer.representations)
    )
  }

  /// The epochs of each phase up to the state that it ended at: 0 if the state at its entry was the best.
  static func epochs(of phases: [BridgePhase], _ records: [BridgeEpochRecord]) -> [Int] {
    var reached: [SideRole: Double] = [:]
    return phases.map { phase in
      let own = records.filter { $0.phase == phase.name && $0.side == phase.side }
      var best = phase.keepsBest ? reached[phase.side] ?? -.infinity : -.infinity
      var epochs = phase.keepsBest ? 0 : own.count
      for record in own {
        guard phase.keepsBest, let value = record.validation, value > best else { continue }
        (best, epochs) = (value, record.epoch + 1)
      }
      if best.isFinite { reached[phase.side] = best }
      return epochs
    }
  }

  private func fitted(
    _ model: RowsRecommender, _ training: Interactions, _ epochs: [Int], validation: Double?
  ) throws -> FittedRecommender {
    let options = fit.options
    var settings = [
      "mechanism": "\(mechanism.name) (\(mechanism.source)): \(mechanism.exchange)",
      "trained recommender": fit.kind.name, "language model": name, "seed": "\(fit.configuration.seed)",
      "epochs of phases": epochs.map(String.init).joined(separator: ", "),
      "budget": RecommenderCard.text(of: budget) ?? "",
    ]
    settings["validation NDCG@10"] = validation.map { String(format: "%.4f", $0) }
    settings["searched"] = options.searchedInWords
    return try FittedRecommender(model, dataset: fit.dataset, training: training, settings: settings)
  }
}

/// Rows of users and items as a recommender: what a mechanism ended in.
final class RowsRecommender: EmbeddingRecommender {
  let name: String
  private let rows: Representations

  init(name: String, _ rows: Representations) {
    (self.name, self.rows) = (name, rows)
  }

  var userCount: Int { rows.users.shape[0] }
  var itemCount: Int { rows.items.shape[0] }
  func embeddings() -> Representations { rows }
  func makeScorer() -> any CatalogueScorer { InnerProductScorer(rows) }
}
