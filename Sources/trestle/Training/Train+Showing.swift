import Foundation
import Trestle
import TrestleCommand

/// What a training says at its end: figures, and some recommendations.
extension Train {
  /// Says how the model ranks the items held out, beside popularity, and returns the figures for the card.
  func measure(
    _ model: FittedRecommender, _ split: DataSplit, _ seconds: Double, _ dataset: Dataset, _ reading: Reading?
  ) throws -> [String: String] {
    try compareWithPopularity(model, split)
    guard !split.test.isEmpty else {
      say("  no interactions are left to measure on")
      return [:]
    }
    var table = Leaderboard(dataset: dataset.name)
    let evaluator = RankingEvaluator(split)
    let popularity = try evaluator.evaluate(Popularity(training: split.training).makeScorer())
    if kind != .popularity {
      table.add(
        model: shownName, seed: seed, result: try model.evaluate(on: split), trainingSeconds: seconds)
    }
    if let reading {
      let hybrid = try reading.fit.hybrid(
        reading.tuned, measured: (model, split), final: model, training: split.training)
      for part in [HybridRecommender.Part.language, .fused] {
        table.add(
          model: "\(bridge.rawValue), \(part.rawValue)", seed: seed,
          result: try evaluator.evaluate(hybrid.makeScorer(by: part)), trainingSeconds: seconds)
      }
    }
    table.add(model: ModelKind.popularity.rawValue, seed: seed, result: popularity, trainingSeconds: 0)
    say("")
    say(table.table())
    var figures = ["split": "\(split.strategy), seed \(seed)"]
    for name in table.models {
      guard let value = table.interval(RankingMetric.ndcg(10).name, of: name)?.mean else { continue }
      figures["test NDCG@10 of \(name)"] = String(format: "%.4f", value)
    }
    return figures
  }

  /// What tables call the recommender: by the mechanism, if one has trained it.
  private var shownName: String { bridge.mechanism?.name ?? kind.rawValue }

  /// Says so if the model ranks the data held out for choosing no better than popularity.
  private func compareWithPopularity(_ model: FittedRecommender, _ split: DataSplit) throws {
    guard kind != .popularity, !split.validation.isEmpty else { return }
    let configuration = RankingEvaluator.Configuration(only: [.ndcg(10)], userLimit: 10_000)
    let own = try model.evaluate(on: split, part: .validation, configuration: configuration)
    let popular = try RankingEvaluator(split, on: .validation, configuration: configuration)
      .evaluate(Popularity(training: split.training).makeScorer())
    guard let own = own.mean(.ndcg(10)), let popular = popular.mean(.ndcg(10)), own <= popular else { return }
    let others = [ModelKind.ease, .itemKNN].filter { $0 != kind }.map(\.name).joined(separator: " or ")
    say(
      String(
        format: "  \(shownName) is not above Popularity on the data held out for choosing: NDCG@10 %.4f, "
          + "Popularity %.4f; try --domain \(others), or compare, which ranks several", own, popular))
  }

  /// Stops before the training if those to whom it is to recommend in the end are not in the data.
  func checkWhom(_ dataset: Dataset) throws {
    guard user == nil || likes.isEmpty else {
      throw UsageError("--user and --likes both say for whom: give one of them")
    }
    let catalogue = Catalogue(dataset)
    if let user { _ = try naming(user) { try catalogue.user(user) } }
    for title in likes { _ = try catalogue.item(titled: title) }
  }

  /// Recommends to someone, with reasons, and says how to ask for others.
  func show(_ model: any ServableRecommender) throws {
    let command = "trestle recommend --recommender \(output.relativePath)"
    say("")
    if !likes.isEmpty {
      let liked = try likes.map { try model.catalogue.item(titled: $0) }
      say(model.heading(liking: liked))
      let ids = liked.map { model.catalogue.itemIDs[$0] }
      for line in try model.recommend(liking: ids, count: 5, filter: ItemFilter(), reasons: 2).lines() {
        say(line)
      }
    } else {
      // Someone with a few items shows more than someone with one.
      let counts = model.catalogue.userIDs.ids.indices.map { model.histories.items(of: $0).count }
      let index = counts.firstIndex { $0 >= 5 } ?? counts.indices.max { counts[$0] < counts[$1] } ?? 0
      let user = user ?? model.catalogue.userIDs[index]
      say(try model.heading(for: user))
      for line in try model.recommend(for: user, count: 5, filter: ItemFilter(), reasons: 2).lines() {
        say(line)
      }
    }
    say("")
    say("  Ask for others: \(command) --user ID | --likes TITLE … --reasons 2")
  }
}
