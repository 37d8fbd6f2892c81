import Foundation
import Trestle
import TrestleCommand

// Trains LightGCN on MovieLens-100K, compares it with Popularity on test data, and recommends films to one user.

/// The program, with what its command line asks for.
struct MovieLensLightGCN: ProgramCommand {
  static let name = "movielens-lightgcn"
  static let summary = "Trains LightGCN on MovieLens-100K and recommends films to one user."
  static var options: [CommandOption<Self>] {
    [
      .text("--user", "ID", "to whom to recommend, as the data set calls them", \.user),
      .number(
        "--epochs", "N", in: 1...100_000, "the most epochs; early stopping ends the training before", \.epochs
      ),
      .number("--seed", "N", in: 0...UInt64.max, "where the split and random numbers come from", \.seed),
      .file("--output", "FILE", "where the trained model is saved", \.file),
      .file("--assets", "DIR", "where fetched data and models lie", \.assets.folder),
    ]
  }

  var user = "196"
  var epochs = 500
  var seed: UInt64 = 0
  var file = URL(filePath: "lightgcn.safetensors")
  var assets = Assets()

  func run() throws {
    // Every rating is an interaction; of each user's, a tenth is for validation and a tenth for the test.
    let data = try Dataset.recBole(at: assets.movieLens100K)
    guard let userIndex = data.userIDs.index(of: user) else {
      throw UsageError("--user: the data set has no user '\(user)'")
    }
    let split = try data.interactions.split(.ratio(), seed: seed)
    print(
      "\(data.interactions.count) interactions of \(data.userCount) users with \(data.itemCount) items; "
        + "\(split.training.count) to train on")

    // The model, trained until its ranking of the validation items no longer improves.
    var generator = RandomGenerator(seed: seed)
    let model = LightGCN(training: split.training, using: &generator)
    var training = TrainingConfiguration()
    training.epochs = epochs
    training.learningRate = 5e-3
    training.patience = 20
    training.seed = seed
    let trainer = try RecommenderTrainer(model, training: split.training, configuration: training)
    let reports = try trainer.fit(split) { report in
      guard report.epoch % 10 == 9 else { return }
      print(
        String(
          format: "epoch %d: loss %.4f, NDCG@10 %.4f on validation", report.epoch + 1, report.loss,
          report.validation ?? 0))
    }
    let best = reports.max { ($0.validation ?? 0) < ($1.validation ?? 0) }
    print("\(reports.count) epochs, the best was epoch \((best?.epoch ?? 0) + 1)")
    try model.save(to: file)

    // Both models rank the whole catalogue for every user, without what they have seen.
    let evaluator = RankingEvaluator(split)
    let scorer = model.makeScorer()
    let own = try evaluator.evaluate(scorer)
    let popular = try evaluator.evaluate(Popularity(training: split.training).makeScorer())
    print("\ntest data   NDCG@10   Recall@10  Hit@10")
    for (name, result) in [("Popularity", popular), ("LightGCN  ", own)] {
      let values = [RankingMetric.ndcg(10), .recall(10), .hit(10)].map {
        String(format: "%.4f", result.mean($0) ?? 0)
      }
      print(name + "  " + values.joined(separator: "    "))
    }
    let comparison = try PairedComparison([own], over: [popular], metric: .ndcg(10))
    print(
      String(
        format: "LightGCN above Popularity by %.4f in NDCG@10, 95 %% interval %.4f to %.4f, p %@",
        comparison.difference.mean, comparison.difference.lower, comparison.difference.upper,
        comparison.studentT.pValue < 0.001
          ? "below .001" : String(format: "%.3f", comparison.studentT.pValue)))

    // What this user has not rated, best first.
    let rated = UserItemMatrix(data.interactions).items(of: userIndex)
    print("\nuser \(user) has rated \(rated.count) films; recommended:")
    for recommendation in try scorer.recommend(user: userIndex, count: 10, without: rated) {
      print("  " + data.items.summary(of: recommendation.item))
    }
  }
}

Program.run(MovieLensLightGCN.self)
