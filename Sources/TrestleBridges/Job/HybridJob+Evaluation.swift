import Foundation
import Synchronization
import TrestleRecommenders

extension HybridJob {
  /// What a variant's recommenders rank on the test data.
  func evaluate(
    _ variant: HybridVariant, _ recommenders: BridgeRecommenders, _ parted: DataSplit
  ) throws -> [ModelOutcome] {
    var evaluation = RankingEvaluator.Configuration(only: [.ndcg(10), .recall(10), .hit(10)])
    evaluation.slices = [.warm, .longTail, .cold]
    let evaluator = RankingEvaluator(parted, on: .test, configuration: evaluation)
    func outcome(_ name: String, _ scorer: (any CatalogueScorer)?) throws -> ModelOutcome? {
      guard let scorer else { return nil }
      return ModelOutcome(name, try evaluator.evaluate(scorer))
    }
    func name(_ model: String) -> String {
      variant == .bridge ? model : ModelName.ablated(model, variant)
    }
    switch variant {
    case .domainAlone:
      return try [
        outcome(ModelName.popularity, Popularity(training: parted.training).makeScorer()),
        outcome(ModelName.ease, searchedEASE(parted)),
        outcome(ModelName.domain, recommenders.domain),
      ].compactMap { $0 }
    case .randomTokens: return try [outcome(ModelName.random, recommenders.language)].compactMap { $0 }
    case .textRows: return try [outcome(ModelName.text, recommenders.language)].compactMap { $0 }
    default:
      return try [
        outcome(name(ModelName.bridgedDomain), recommenders.domain),
        outcome(name(ModelName.bridgedLanguage), recommenders.language),
        outcome(name(ModelName.fusion), recommenders.fused),
      ].compactMap { $0 }
    }
  }
}

extension HybridJob {
  /// EASE with the penalty, among four, that ranks the validation data best; `nil` for catalogues that are too large for it.
  private func searchedEASE(_ parted: DataSplit) throws -> (any CatalogueScorer)? {
    if parted.itemCount > 8000 { return nil }
    let evaluator = RankingEvaluator(
      parted, on: .validation, configuration: RankingEvaluator.Configuration(only: [.ndcg(10)]))
    return try [30.0, 100, 300, 1000].best { penalty in
      var configuration = EASE.Configuration()
      configuration.regularization = penalty
      let scorer = try EASE(training: parted.training, configuration: configuration).makeScorer()
      return (try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0, scorer)
    }?.made
  }
}

/// Ends a job's training from a signal handler.
public final class HybridJobStop: Sendable {
  private enum State {
    static let idle = 0
    static let training = 1
    static let stopping = 2
  }
  private let state = Atomic<Int>(State.idle)

  /// Asks the training to end after its present batch, with everything saved; false if nothing is in training: then nothing is half
  /// done, and the process may end at once.
  public func request() -> Bool {
    let (exchanged, old) = state.compareExchange(
      expected: State.training, desired: State.stopping, ordering: .relaxed)
    return exchanged || old == State.stopping
  }

  /// Whether the present training is to end.
  var isRequested: Bool { state.load(ordering: .relaxed) == State.stopping }

  /// Runs a training that looks at ``isRequested``.
  func whileTraining<Result>(_ body: () throws -> Result) rethrows -> Result {
    state.store(State.training, ordering: .relaxed)
    defer { state.store(State.idle, ordering: .relaxed) }
    return try body()
  }
}

/// Tells of the epochs of a run as they come.
final class JobEpochReporter {
  private let tell: (HybridJob.Event) -> Void
  private var phase = ""
  private var best = 0.0
  private var epochs = 0

  init(_ trainer: BridgeTrainer, _ stopping: HybridJobStop, _ tell: @escaping (HybridJob.Event) -> Void) {
    self.tell = tell
    trainer.onProgress = { [self, unowned trainer] progress in
      if stopping.isRequested { trainer.requestStop() }
      begin(progress.phase.name)
      tell(
        .progress(
          phase, done: progress.epoch * progress.batchCount + progress.batch,
          of: progress.phase.epochs * progress.batchCount, isBound: progress.phase.patience > 0))
    }
    trainer.onEpoch = { [self] record in
      begin(record.phase)
      epochs += 1
      best = max(best, record.validation ?? 0)
    }
  }

  private func begin(_ name: String) {
    guard name != phase else { return }
    finish()
    phase = name
    best = 0
    epochs = 0
  }

  func finish() {
    guard !phase.isEmpty else { return }
    tell(
      .finished(
        phase, outcome: "\(epochs) epochs, best validation NDCG@10 \(String(format: "%.4f", best))"))
    phase = ""
  }
}
