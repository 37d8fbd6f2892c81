import Foundation
import Testing
import TrestleTestSupport
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Training of every model: it learns, repeats itself, and goes on where it was stopped.
@Suite(.serialized) struct TrainingTests {
  enum Kind: String, CaseIterable, Sendable {
    case factorization, lightGCN, xSimGCL, simGCL, sgl, directAU, neuMF, multVAE, recVAE, sasRec, bert4Rec,
      gru4Rec, hstu

    /// Examples a batch: users, for autoencoders.
    var batchSize: Int { self == .multVAE || self == .recVAE ? 64 : self == .bert4Rec ? 256 : 512 }

    func make(_ training: Interactions) -> any TrainableRecommender {
      var generator = RandomGenerator(seed: 11)
      switch self {
      case .factorization:
        return MatrixFactorization(
          userCount: training.userCount, itemCount: training.itemCount, using: &generator)
      case .lightGCN: return LightGCN(training: training, using: &generator)
      case .xSimGCL: return XSimGCL(training: training, using: &generator)
      case .simGCL: return SimGCL(training: training, using: &generator)
      case .sgl:
        var configuration = SGL.Configuration()
        configuration.layers = 2
        return SGL(training: training, configuration: configuration, using: &generator)
      case .directAU:
        var configuration = DirectAU.Configuration()
        configuration.uniformityWeight = 0.2
        return DirectAU(training: training, configuration: configuration, using: &generator)
      case .multVAE:
        var configuration = MultVAE.Configuration()
        (configuration.hidden, configuration.latent) = ([64], 24)
        return MultVAE(training: training, configuration: configuration, using: &generator)
      case .recVAE:
        var configuration = RecVAE.Configuration()
        (configuration.hidden, configuration.latent) = (48, 24)
        return RecVAE(training: training, configuration: configuration, using: &generator)
      case .neuMF:
        return NeuMF(userCount: training.userCount, itemCount: training.itemCount, using: &generator)
      case .sasRec:
        var configuration = SASRec.Configuration()
        (configuration.dimension, configuration.hidden, configuration.windowLength) = (32, 64, 20)
        (configuration.dropout, configuration.attentionDropout) = (0.2, 0.3)
        return SASRec(training: training, configuration: configuration, using: &generator)
      case .bert4Rec:
        var configuration = BERT4Rec.Configuration()
        (configuration.dimension, configuration.hidden, configuration.windowLength) = (32, 64, 20)
        return BERT4Rec(training: training, configuration: configuration, using: &generator)
      case .hstu:
        var configuration = HSTU.Configuration()
        (configuration.dimension, configuration.windowLength) = (32, 20)
        return HSTU(training: training, configuration: configuration, using: &generator)
      case .gru4Rec:
        var configuration = GRU4Rec.Configuration()
        (configuration.dimension, configuration.hidden, configuration.windowLength) = (32, 48, 20)
        return GRU4Rec(training: training, configuration: configuration, using: &generator)
      }
    }
  }

  static let split: DataSplit? = try? SyntheticWorld(seed: 4).dataset().interactions.split(
    .leaveOneOut, seed: 1)

  private func configuration(_ kind: Kind = .factorization, epochs: Int) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    (configuration.epochs, configuration.batchSize, configuration.learningRate) = (
      epochs, kind.batchSize, 5e-3
    )
    (configuration.patience, configuration.seed) = (100, 9)
    return configuration
  }

  private func bits(_ model: any TrainableRecommender) -> [[UInt32]] {
    model.parameters.map { $0.detached.floats.map(\.bitPattern) }
  }

  private func trained(_ kind: Kind, threads: Int, epochs: Int, checkpoint: URL? = nil) throws -> [[UInt32]] {
    let split = try #require(Self.split)
    let before = ThreadPool.shared.threadCount
    ThreadPool.shared.setThreadCount(threads)
    defer { ThreadPool.shared.setThreadCount(before) }
    let model = kind.make(split.training)
    let trainer = try RecommenderTrainer(
      model, training: split.training, configuration: configuration(kind, epochs: epochs))
    try trainer.fit(split, checkpoint: checkpoint)
    return bits(model)
  }

  @Test(arguments: Kind.allCases) func theNumberOfThreadsChangesNoBit(_ kind: Kind) throws {
    try withSteadyInstructionSet {
      let one = try trained(kind, threads: 1, epochs: 2)
      #expect(try trained(kind, threads: 2, epochs: 2) == one)
      #expect(try trained(kind, threads: 4, epochs: 2) == one)
    }
  }

  @Test(arguments: Kind.allCases) func aResumedTrainingEndsInTheSameBits(_ kind: Kind) throws {
    try withSteadyInstructionSet {
      let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-training-\(UUID())")
      defer { try? FileManager.default.removeItem(at: folder) }
      let whole = try trained(kind, threads: 2, epochs: 4)
      _ = try trained(kind, threads: 2, epochs: 2, checkpoint: folder)
      #expect(try trained(kind, threads: 2, epochs: 4, checkpoint: folder) == whole)
    }
  }

  @Test func aCheckpointOfAnotherRunIsRefused() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "trestle-training-\(UUID())")
    defer { try? FileManager.default.removeItem(at: folder) }
    let split = try #require(Self.split)
    _ = try trained(.factorization, threads: 1, epochs: 1, checkpoint: folder)
    var other = configuration(epochs: 2)
    other.learningRate = 1e-4
    let trainer = try RecommenderTrainer(
      Kind.factorization.make(split.training), training: split.training, configuration: other)
    #expect(throws: DataError.self) { try trainer.fit(split, checkpoint: folder) }
  }

  @Test(arguments: Kind.allCases) func trainingBeatsPopularity(_ kind: Kind) throws {
    let split = try #require(Self.split)
    let evaluator = RankingEvaluator(split, on: .validation)
    let popular = try #require(
      evaluator.evaluate(Popularity(training: split.training).makeScorer()).mean(.ndcg(10)))
    let model = kind.make(split.training)
    // An epoch of BERT4Rec goes through the data several times.
    var settings = configuration(kind, epochs: kind == .bert4Rec ? 8 : 25)
    settings.patience = 8
    let trainer = try RecommenderTrainer(model, training: split.training, configuration: settings)
    let reports = try trainer.fit(split)
    #expect((reports.last?.loss ?? .infinity) < (reports.first?.loss ?? 0))
    let reached = try #require(evaluator.evaluate(model.makeScorer()).mean(.ndcg(10)))
    #expect(reached > popular * 1.1, "\(kind): \(reached) against \(popular)")
    // The model is left at its best, not at its last.
    #expect(abs(reached - (reports.compactMap(\.validation).max() ?? 0)) < 1e-12)
  }

  @Test func withoutValidationRowsTheLastEpochStays() throws {
    let whole = try #require(Self.split)
    let nothing = Interactions.empty(userCount: whole.userCount, itemCount: whole.itemCount)
    let split = DataSplit(training: whole.training, validation: nothing, test: whole.test)
    let models = [Kind.factorization.make(split.training), Kind.factorization.make(split.training)]
    let trainers = try models.map {
      try RecommenderTrainer($0, training: split.training, configuration: configuration(epochs: 4))
    }
    let reports = try trainers[0].fit(split)
    for _ in 0..<4 { try trainers[1].trainEpoch() }
    #expect(reports.count == 4 && reports.allSatisfy { $0.validation == nil })
    #expect(bits(models[0]) == bits(models[1]))
  }

  @Test func sampledSoftmaxLearnsToo() throws {
    let split = try #require(Self.split)
    var generator = RandomGenerator(seed: 2)
    var settings = SASRec.Configuration()
    (settings.dimension, settings.hidden, settings.dropout, settings.sampledItems) = (32, 64, 0.1, 40)
    let model = SASRec(training: split.training, configuration: settings, using: &generator)
    let trainer = try RecommenderTrainer(
      model, training: split.training, configuration: configuration(epochs: 5))
    let losses = try (0..<5).map { _ in try trainer.trainEpoch() }
    #expect(losses[4] < losses[0])
  }

  @Test func dynamicNegativesAreHarder() throws {
    let split = try #require(Self.split)
    var losses: [Double] = []
    for sampling in [NegativeSampling.uniform, .dynamic(candidates: 6)] {
      var settings = configuration(epochs: 10)
      settings.negatives = sampling
      let trainer = try RecommenderTrainer(
        Kind.factorization.make(split.training), training: split.training, configuration: settings)
      losses.append(try (0..<10).map { _ in try trainer.trainEpoch() }[9])
    }
    #expect(losses[1] > losses[0])
  }

  @Test func emptyDataTrainsNothing() throws {
    let nobody = Interactions.empty(userCount: 3, itemCount: 4)
    let split = DataSplit(training: nobody, validation: nobody, test: nobody)
    for kind in Kind.allCases {
      let model = kind.make(nobody)
      let trainer = try RecommenderTrainer(model, training: nobody, configuration: configuration(epochs: 1))
      #expect(try trainer.trainEpoch() == 0)
      #expect(try RankingEvaluator(split).evaluate(model.makeScorer()).users.isEmpty)
    }
  }
}
