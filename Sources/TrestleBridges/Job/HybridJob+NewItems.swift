import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

extension HybridJob {
  /// What is measured of new items, in order.
  static func newItemCases(_ study: HybridStudy) -> [StudyCase] {
    let models = [ModelName.popularity, ModelName.ease, ModelName.domain]
    let alone = ([HybridStudy.random] + models).map { StudyCase($0, .alone) }
    let readings = [ModelName.domain, ModelName.ease].flatMap { model in
      ModelName.readings.filter(study.isPossible).map { StudyCase(model, $0) }
    }
    return alone + readings
  }

  /// Measures what recommenders rank among items without training interactions, case by case; a finished one is not measured
  /// again.
  func runNewItems(
    _ key: JobKey, _ plan: HybridJobPlan, in folder: URL
  ) throws -> (JobResult, NewItemFindings) {
    let start = ContinuousClock.now
    let budget = budget(share: key.share, seed: key.seed, level: plan.level)
    var study = try makeStudy(budget, plan.arithmetic)
    study.checkpoint = folder.appending(path: "reading")
    let label = "\(data.modelName) learns to read"
    study.onBatch = { [onEvent, stopping] done, total in
      onEvent(.progress(label, done: done, of: total, isBound: true))
      return stopping.isRequested
    }
    let file = folder.appending(path: "result.json")
    let settings = "\(plan.arithmetic.rawValue) \(budget.studyFingerprint)"
    var result = JobResult(
      key: key, dataset: data.name, languageModel: data.modelName, isQuick: configuration.isQuick,
      splitHash: "", seconds: 0, settings: settings, records: [], models: [])
    if configuration.resumes, let earlier = try JobResult.read(file), earlier.settings == settings {
      result = earlier
    }
    let before = result.seconds
    onEvent(.message("  LightGCN learns without the new items"))
    let run = try HybridRun(study, .newItems, seed: key.seed)
    result.splitHash = run.data.split.hash
    if let store = bridge?.strategy, let items = store.firstItems, let users = store.sharing?.users.rows {
      // The rows of the recommender to which no item is new are there already.
      run.unheld = (
        Representations(users: users, items: items), HybridRun.weights(split.training, study.configuration)
      )
    }
    for item in Self.newItemCases(study) {
      let name = ModelName.reading(item.model, item.variant)
      if result.models.contains(where: { $0.model == name }) { continue }
      var isStopped = false
      let values =
        item.variant != .bridge
        ? try run.measure(item).values
        : try stopping.whileTraining {
          defer { isStopped = stopping.isRequested }
          return try run.measure(item).values
        }
      let outcome = ModelOutcome(name, values.filter { $0.metric == RankingMetric.ndcg(10).name })
      result.models.append(outcome)
      result.seconds = before + (ContinuousClock.now - start).seconds
      try result.write(to: file)
      if isStopped { throw BridgeError.interrupted(checkpoint: folder.path) }
      let figures = [JobSlice.new, JobSlice.newAmongAll].map { slice -> String in
        let values = outcome.slices[slice]?.values["NDCG@10"] ?? []
        return String(format: "%.4f", values.reduce(0, +) / Double(max(values.count, 1)))
      }
      onEvent(
        .message("  \(name): NDCG@10 \(figures[0]) among new items, \(figures[1]) among all"))
    }
    return (result, try NewItemFindings(run, store: bridge?.strategy, training: split.training))
  }

  private func makeStudy(_ budget: JobBudget, _ arithmetic: Arithmetic) throws -> HybridStudy {
    let (model, tokens, separator) = try languageModel(arithmetic)
    model.freeze()
    var study = HybridStudy(
      dataset: data.dataset, texts: data.texts, model: model, modelName: data.modelName, tokens: tokens,
      encodedTexts: try encodedItems()?.texts, separator: separator, configuration: budget.study)
    study.log = note
    return study
  }
}
