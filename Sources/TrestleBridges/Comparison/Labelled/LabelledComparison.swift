import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

/// Mechanisms that answer whether a user likes an item, beside matrix factorisation alone, on a split whose rows have labels.
///
/// Matrix factorisation learns all training rows; its settings are those with the best AUC on the validation rows, and
/// mechanisms get the same one. Nothing is chosen on the test rows, which are asked once.
public struct LabelledComparison {
  /// The name of matrix factorisation alone in tables.
  public static let baseline = "MF"

  /// The name of what its biases of users and items say without its vectors.
  public static let biases = "MF, biases alone"

  /// The mechanisms that it knows to train: those whose prompts have a recommender's rows.
  public static let mechanisms = ["CoLLM", "LLaRA", "iLoRA"].compactMap { BridgeMechanism.named($0) }

  /// The rows.
  public let split: LabelledSplit
  /// The language model.
  public let model: any LanguageModel
  /// Its name in tables.
  public let modelName: String
  /// How long things train, and on how much.
  public let budget: LabelledBudget
  /// The model's tokens of a text.
  public let encode: (String) -> [Int32]
  /// Where unfinished runs are kept, to go on from; `nil` keeps nothing.
  public var folder: URL?
  /// Called with a line for the run's log.
  public var log: (String) -> Void = { _ in }
  /// Called with what a mechanism has done of its work and how much that is in all, counted in rows read.
  public var progress: (_ mechanism: String, _ done: Int, _ total: Int) -> Void = { _, _, _ in }
  /// Whether the comparison should end after the present step; the present mechanism can then be gone on with.
  public var shouldStop: () -> Bool = { false }

  /// A comparison on a split with labels.
  public init(
    split: LabelledSplit, model: any LanguageModel, modelName: String, budget: LabelledBudget,
    encode: @escaping (String) -> [Int32]
  ) {
    self.split = split
    self.model = model
    self.modelName = modelName
    self.budget = budget
    self.encode = encode
  }

  /// The users and items.
  public var vocabulary: EntityVocabulary {
    EntityVocabulary(
      userCount: split.userIDs.count, itemCount: split.itemIDs.count, hash: split.hash)
  }

  /// What the records say of how the data was parted and how long things trained.
  public var protocolName: String { "labelled-\(budget.name)" }

  /// What a budget leaves out, in a line.
  public var scope: String {
    func part(_ count: Int?, _ all: Int) -> String {
      count.map { $0 < all ? "\($0) of \(all)" : "all \(all)" } ?? "all \(all)"
    }
    return
      "budget \(budget.name): \(Self.baseline) learns all \(split.training.count) training rows; \(modelName) has "
      + "\(part(budget.trainingRows, split.training.count)) of them an epoch (epochs: \(budget.textEpochs) of text, "
      + "\(budget.slotEpochs) of what connects both) with histories of \(budget.historyItems) titles, and is validated on "
      + "\(part(budget.validationRows, split.validation.count)) rows; measured on "
      + "\(part(budget.testRows, split.test.count)) test rows"
  }

  /// Trains mechanisms and measures each once, after matrix factorisation alone.
  ///
  /// - Parameters:
  ///   - mechanisms: some of ``mechanisms``, in order.
  ///   - seed: determines everything random.
  ///   - done: names that are skipped, because their figures are there.
  ///   - report: takes a model's figures as soon as they are there.
  /// - Throws: ``BridgeError``, and what `report` throws.
  /// - Precondition: each mechanism is one of ``mechanisms``.
  public func run(
    _ mechanisms: [BridgeMechanism], seed: UInt64, without done: Set<String> = [],
    report: ([StudyRecord]) throws -> Void
  ) throws {
    let known = Self.mechanisms.map(\.name)
    precondition(
      mechanisms.allSatisfy { known.contains($0.name) },
      "LabelledComparison: mechanisms \(mechanisms.map(\.name)), expected some of \(known)")
    let left = mechanisms.filter { !done.contains($0.name) }
    guard !left.isEmpty || !done.contains(Self.baseline) else { return }
    var examples = PromptExamples(split, historyItems: budget.historyItems)
    examples.test = examples.test.sampledContexts(budget.testRows ?? .max, seed: seed)
    guard let chosen = try chooseFactorization(examples, seed: seed) else { return }
    let baseline = chosen.side.answers(to: examples.test)
    if !done.contains(Self.baseline) {
      try report(
        areas(baseline, examples.test, Self.baseline, seed) + [
          record(Self.baseline, seed, "validation", "AUC", chosen.validation),
          record(Self.baseline, seed, "all", StudyRecord.seconds, chosen.seconds),
        ])
      if let biases = chosen.side.biasAnswers(to: examples.test) {
        try report(
          areas(biases, examples.test, Self.biases, seed)
            + difference(biases, baseline, examples.test, Self.biases, seed))
      }
    }
    for mechanism in left {
      if shouldStop() { return }
      guard
        let records = try measure(mechanism, examples, chosen.side.configuration, baseline, seed: seed)
      else { return }
      try report(records)
    }
  }

  func record(_ model: String, _ seed: UInt64, _ slice: String, _ metric: String, _ value: Double)
    -> StudyRecord
  {
    StudyRecord(
      dataset: split.name, protocolName: protocolName, model: model,
      variant: BridgeMechanism.Outcome.answers.rawValue, seed: seed, slice: slice, metric: metric,
      value: value)
  }

  /// AUC and UAUC on all test rows, and on those whose user and item both have training rows.
  func areas(_ scores: [Float], _ test: [PromptExample], _ name: String, _ seed: UInt64) -> [StudyRecord] {
    let (users, items) = (Set(split.training.map(\.user)), Set(split.training.map(\.item)))
    let warm = test.indices.filter { users.contains(test[$0].user) && items.contains(test[$0].item) }
    return [("all", Array(test.indices)), ("warm", warm)].flatMap { slice, rows -> [StudyRecord] in
      let (auc, uauc) = PromptSide.areas(rows.map { scores[$0] }, rows.map { test[$0] })
      let figures = [("AUC", auc), ("UAUC", uauc), ("rows", Double(rows.count))]
      return figures.compactMap { metric, value in value.map { record(name, seed, slice, metric, $0) } }
    }
  }

  // MARK: Matrix factorisation

  /// Settings that are tried: with and without biases, of two widths, under three penalties.
  func factorizations(seed: UInt64) -> [FactorizationSide.Configuration] {
    [true, false].flatMap { hasBiases in
      [16, 64].flatMap { dimension in
        [1e-5, 1e-4, 1e-3].map { decay in
          var configuration = FactorizationSide.Configuration()
          (configuration.hasBiases, configuration.dimension) = (hasBiases, dimension)
          (configuration.decay, configuration.seed) = (decay, seed)
          return configuration
        }
      }
    }
  }

  /// The factorisation that is best on the validation rows; `nil` if that was stopped.
  func chooseFactorization(
    _ examples: PromptExamples, seed: UInt64
  ) throws -> (side: FactorizationSide, validation: Double, seconds: Double)? {
    let start = ContinuousClock.now
    var best: (side: FactorizationSide, validation: Double)?
    for configuration in factorizations(seed: seed) {
      let side = FactorizationSide(examples, vocabulary: vocabulary, configuration: configuration)
      let phase = BridgePhase(
        name: "alone", side: .domain, kind: .warmUp, epochs: budget.domainEpochs, patience: budget.patience)
      let trainer = try BridgeTrainer(
        BridgeStrategy(name: Self.baseline, phases: [phase]),
        BridgeContext(domain: side, language: side, split: split.liked))
      trainer.onProgress = { [shouldStop, unowned trainer] _ in
        if shouldStop() { trainer.requestStop() }
      }
      do { try trainer.run() } catch BridgeError.interrupted { return nil }
      let validation = try side.validate()
      log(
        "\(Self.baseline), \(configuration.hasBiases ? "biases and " : "")width \(configuration.dimension), penalty \(configuration.decay): AUC \(validation) on the validation rows after \(trainer.records.count) epochs"
      )
      if best.map({ validation > $0.validation }) ?? true { best = (side, validation) }
    }
    let seconds = start.duration(to: .now).seconds.rounded()
    return best.map { ($0.side, $0.validation, seconds) }
  }
}
