import Foundation
import Trestle

/// Training epochs and evaluation of recommenders on MovieLens-100K, with the names and shapes of the peer's script.
enum RecommenderCases {
  static var all: [ModelBenchmark] {
    [
      epoch("LightGCN") { training in
        var generator = RandomGenerator(seed: 0)
        var configuration = LightGCN.Configuration()
        // RecBole's defaults.
        (configuration.layers, configuration.regularization) = (2, 1e-5)
        return LightGCN(training: training, configuration: configuration, using: &generator)
      },
      epoch("BPR") { training in
        var generator = RandomGenerator(seed: 0)
        var configuration = MatrixFactorization.Configuration()
        configuration.regularization = 0
        return MatrixFactorization(
          userCount: training.userCount, itemCount: training.itemCount, configuration: configuration,
          using: &generator)
      },
      epoch("NeuMF") { training in
        var generator = RandomGenerator(seed: 0)
        return NeuMF(userCount: training.userCount, itemCount: training.itemCount, using: &generator)
      },
      epoch("XSimGCL") { training in
        var generator = RandomGenerator(seed: 0)
        return XSimGCL(training: training, using: &generator)
      },
      epoch("SASRec", .leaveOneOut) { training in
        var generator = RandomGenerator(seed: 0)
        return SASRec(training: training, using: &generator)
      },
      epoch("GRU4Rec", .leaveOneOut) { training in
        var generator = RandomGenerator(seed: 0)
        return GRU4Rec(training: training, using: &generator)
      },
      fit("EASE") { _ = try EASE(training: $0) },
      fit("ItemKNN") { _ = ItemKNN(training: $0) },
      ModelBenchmark(
        name: "evaluate_full_ranking", shape: "ML-100K 943 users x 1682 items d64", measure: .duration
      ) { setting in
        guard let split = try split(setting.assets, .ratio()) else { return nil }
        var generator = RandomGenerator(seed: 0)
        let model = MatrixFactorization(
          userCount: split.userCount, itemCount: split.itemCount, using: &generator)
        let evaluator = RankingEvaluator(split)
        return { _ = try evaluator.evaluate(model.makeScorer()) }
      },
    ]
  }

  private static func split(_ assets: URL, _ strategy: SplitStrategy) throws -> DataSplit? {
    let folder = assets.appending(path: "recbole/recbole/dataset_example/ml-100k")
    guard FileManager.default.fileExists(atPath: folder.path) else { return nil }
    return try Dataset.recBole(at: folder).interactions.split(strategy, seed: 0)
  }

  /// One epoch of training, evaluation not counted.
  private static func epoch(
    _ name: String, _ strategy: SplitStrategy = .ratio(),
    make: @escaping (Interactions) -> any TrainableRecommender
  ) -> ModelBenchmark {
    let part = strategy == .leaveOneOut ? "leave-one-out" : "80%"
    return ModelBenchmark(
      name: "epoch_" + name, shape: "ML-100K \(part) d64 batch 2048", measure: .duration
    ) { setting in
      guard let split = try split(setting.assets, strategy) else { return nil }
      let trainer = try RecommenderTrainer(make(split.training), training: split.training)
      return { try trainer.trainEpoch() }
    }
  }

  private static func fit(_ name: String, _ body: @escaping (Interactions) throws -> Void) -> ModelBenchmark {
    ModelBenchmark(name: "fit_" + name, shape: "ML-100K 80%", measure: .duration) { setting in
      guard let split = try split(setting.assets, .ratio()) else { return nil }
      return { try body(split.training) }
    }
  }
}
