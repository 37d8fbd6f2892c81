import Foundation
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

extension LabelledComparison {
  /// A mechanism within the budget. `batches` is how many an epoch of the language model has.
  func strategy(_ mechanism: BridgeMechanism, batches: Int, seed: UInt64) -> BridgeStrategy {
    let b = budget
    let epochs = b.textEpochs + b.slotEpochs
    switch mechanism.name {
    case "LLaRA":
      return LLaRA(
        domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: epochs,
        steps: batches * epochs / 2)
    case "iLoRA":
      return ILoRA(
        domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: epochs,
        steps: batches * epochs / 2)
    default:
      return CoLLM(
        domainEpochs: b.domainEpochs, patience: b.patience, textEpochs: b.textEpochs,
        slotEpochs: b.slotEpochs, rowScale: .common, seed: seed)
    }
  }

  private func side(_ examples: PromptExamples, _ adapters: LoRAAdapters, seed: UInt64) -> PromptSide {
    var configuration = PromptSide.Configuration()
    configuration.trainingExamples = budget.trainingRows
    configuration.validationExamples = .max
    configuration.sharesHistories = true
    configuration.batchSize = budget.batchSize
    configuration.seed = seed
    var examples = examples
    examples.validation = examples.validation.sampledContexts(budget.validationRows ?? .max, seed: seed)
    return PromptSide(
      name: modelName, model: model, adapters: adapters, titles: split.titles, examples: examples,
      vocabulary: vocabulary, configuration: configuration, encode: encode)
  }

  /// Trains a mechanism and asks it the test rows; `nil` if that was stopped.
  func measure(
    _ mechanism: BridgeMechanism, _ examples: PromptExamples,
    _ factorization: FactorizationSide.Configuration,
    _ baseline: [Float], seed: UInt64
  ) throws -> [StudyRecord]? {
    let start = ContinuousClock.now
    model.freeze()
    let adapters = try LoRA().load(into: model, using: RandomGenerator(seed: seed).split(2))
    defer { adapters.unload() }
    let domain = FactorizationSide(examples, vocabulary: vocabulary, configuration: factorization)
    let language = side(examples, adapters, seed: seed)
    let strategy = strategy(mechanism, batches: language.batchCount, seed: seed)
    let context = try BridgeContext(domain: domain, language: language, split: split.liked, log: log)
    let trainer = try BridgeTrainer(
      strategy, context, folder: folder?.appending(path: "\(mechanism.name)-\(seed)"),
      fingerprint: "\(budget) \(factorization) \(modelName) \(model.arithmetic) \(split.hash)")
    let work = Work(strategy.phases, language, examples.test.count)
    follow(trainer, mechanism, work)
    do { try trainer.run() } catch BridgeError.interrupted { return nil }
    guard let answers = answers(language, examples.test, mechanism, work) else { return nil }
    let seconds = start.duration(to: .now).seconds.rounded()
    var records = areas(answers, examples.test, mechanism.name, seed)
    records += [
      record(mechanism.name, seed, "validation", "AUC", try language.validate()),
      record(mechanism.name, seed, "all", "prompts", Double(work.trainedRows)),
      record(mechanism.name, seed, "all", StudyRecord.seconds, seconds),
    ]
    return records + difference(answers, baseline, examples.test, mechanism.name, seed)
  }

  /// How far some answers are above matrix factorisation's, with intervals and p; nothing where that is not defined.
  func difference(
    _ answers: [Float], _ baseline: [Float], _ test: [PromptExample], _ name: String, _ seed: UInt64
  ) -> [StudyRecord] {
    guard let found = AreaComparison(answers, over: baseline, test, seed: seed) else { return [] }
    return [
      ("AUC", found.auc.mean), ("AUC-lower", found.auc.lower), ("AUC-upper", found.auc.upper),
      ("AUC-p", found.aucPValue), ("UAUC", found.uauc.mean), ("UAUC-lower", found.uauc.lower),
      ("UAUC-upper", found.uauc.upper), ("UAUC-p", found.uaucPValue),
      ("UAUC-users", Double(found.uauc.count)),
    ].map { record(name, seed, "against \(Self.baseline)", $0.0, $0.1) }
  }

  /// How many rows a mechanism reads: in training a row counts three times, forth, back, and once more for what a block computes
  /// again.
  struct Work {
    private let before: [Int]
    private let epoch: Int
    private let trained: Int
    private let batches: Int
    private let phases: [BridgePhase]
    private let test: Int

    init(_ phases: [BridgePhase], _ side: PromptSide, _ test: Int) {
      trained = Swift.min(side.configuration.trainingExamples ?? .max, side.examples.training.count)
      let epoch = 3 * trained + side.examples.validation.count
      self.epoch = epoch
      batches = side.batchCount
      before = phases.reduce(into: [0]) {
        $0.append(($0.last ?? 0) + ($1.side == .language ? $1.epochs * epoch : 0))
      }
      self.phases = phases
      self.test = test
    }

    /// The rows that the language model has trained on by the end, those of every epoch counted.
    var trainedRows: Int { phases.filter { $0.side == .language }.reduce(0) { $0 + $1.epochs * trained } }
    var total: Int { (before.last ?? 0) + test }

    func done(_ progress: BridgeProgress) -> Int {
      guard progress.phase.side == .language else { return before[progress.phaseIndex] }
      let part = 3 * trained * progress.batch / Swift.max(progress.batchCount, 1)
      return before[progress.phaseIndex] + progress.epoch * epoch + part
    }

    func done(tested: Int) -> Int { (before.last ?? 0) + tested }
  }

  private func follow(_ trainer: BridgeTrainer, _ mechanism: BridgeMechanism, _ work: Work) {
    trainer.onEpoch = { [log] record in
      guard record.side == .language else { return }
      log(
        "\(mechanism.name), \(record.phase), epoch \(record.epoch + 1): loss \(record.loss), AUC \(record.validation ?? .nan) on the validation rows"
      )
    }
    trainer.onProgress = { [shouldStop, progress, unowned trainer] found in
      progress(mechanism.name, work.done(found), work.total)
      if shouldStop() { trainer.requestStop() }
    }
  }

  /// The answers to the test rows, in passes of whole histories; `nil` if that was stopped.
  private func answers(
    _ side: PromptSide, _ test: [PromptExample], _ mechanism: BridgeMechanism, _ work: Work
  ) -> [Float]? {
    var answers: [Float] = []
    for group in test.inContexts {
      if shouldStop() { return nil }
      answers += side.answers(to: group)
      progress(mechanism.name, work.done(tested: answers.count), work.total)
    }
    return answers
  }

  /// A table of figures, a row for each model, budget and seed; differences are from matrix factorisation, of the same seed.
  public static func table(_ records: [StudyRecord]) -> String {
    var lines = [
      "| model | budget | seed | test rows | AUC | UAUC | AUC less MF's | p | UAUC less MF's | p | seconds |",
      "| --- | --- |" + String(repeating: " ---: |", count: 9),
    ]
    func isOfOneRun(_ a: StudyRecord, _ b: StudyRecord) -> Bool {
      a.model == b.model && a.seed == b.seed && a.protocolName == b.protocolName
    }
    var firsts: [StudyRecord] = []
    for record in records where !firsts.contains(where: { isOfOneRun($0, record) }) { firsts.append(record) }
    for first in firsts {
      let own = records.filter { isOfOneRun($0, first) }
      func value(_ slice: String, _ metric: String) -> Double? {
        own.first { $0.slice == slice && $0.metric == metric }?.value
      }
      func whole(_ metric: String) -> String { value("all", metric).map { String(format: "%.0f", $0) } ?? "" }
      func difference(_ metric: String) -> [String] {
        let against = "against \(baseline)"
        guard let mean = value(against, metric), let low = value(against, metric + "-lower"),
          let high = value(against, metric + "-upper"), let p = value(against, metric + "-p")
        else { return ["", ""] }
        return [
          String(format: "%+.4f (%+.4f to %+.4f)", mean, low, high),
          p < 0.001 ? "< .001" : StudyResults.short(p),
        ]
      }
      let cells =
        [first.model, first.protocolName.replacing("labelled-", with: ""), "\(first.seed)", whole("rows")]
        + ["AUC", "UAUC"].map { value("all", $0).map(StudyResults.short) ?? "" }
        + difference("AUC") + difference("UAUC") + [whole(StudyRecord.seconds)]
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }
}
