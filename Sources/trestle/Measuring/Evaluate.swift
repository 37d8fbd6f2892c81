import Foundation
import Trestle
import TrestleCommand

/// `trestle evaluate`: measures a saved recommender.
struct Evaluate: ProgramCommand {
  static let name = "evaluate"
  static let summary = "Measures a saved recommender on interactions that it has not seen."
  static var options: [CommandOption<Self>] {
    [
      .file("--recommender", "DIR", "what train has saved", \.recommender),
      .file(
        "--test", "FILE",
        "interactions that came later; instead of it, --interactions with the file of the training "
          + "measures what train --no-refit held out", \.test),
    ] + DataOptions.options.map { $0.part(\.data) } + [
      .choice("--split", "NAME", "how the training parted its data", \.split),
      .number("--seed", "N", in: 0...UInt64.max, "the seed of the training", \.seed),
      .file("--json", "FILE", "writes a line of JSON for every slice and measure", \.json),
      .list("--metrics", "A,B", TableColumns.help, \.metrics),
    ]
  }

  static let notes = """
    A hybrid is measured while it is trained, and here by --test FILE alone: what its training held out cannot be measured again.
    """

  var recommender = URL(filePath: "trestle-output")
  var test: URL?
  var data = DataOptions()
  var split = SplitChoice.ratio
  var seed: UInt64 = 0
  var json: URL?
  var metrics: [String]?

  func run() throws {
    if let json { try AtomicFile.checkDestination(json) }
    let saved = try savedRecommender(recommender)
    let (name, dataset) =
      switch saved {
      case .fitted(let model): (model.card.model, model.card.dataset)
      case .hybrid(let hybrid): ("hybrid", hybrid.card?.dataset ?? recommender.lastPathComponent)
      }
    var table = Leaderboard(dataset: dataset)
    let (result, columns) = try test.map { try later($0, saved) } ?? heldOut(saved)
    table.add(model: name, seed: seed, result: result, trainingSeconds: 0)
    say(table.table(metrics: columns))
    if let json { try AtomicFile.write(Array(table.jsonLines().utf8), to: json) }
  }

  private typealias Measured = (result: EvaluationResult, columns: [String])

  private func heldOut(_ saved: SavedRecommender) throws -> Measured {
    guard case .fitted(let model) = saved else {
      throw UsageError(
        "a hybrid is measured while it is trained, and by --test FILE on later interactions")
    }
    guard data.interactions != nil || data.isSynthetic else {
      throw UsageError(
        "either --test FILE with later interactions is needed, or --interactions FILE with those of the training"
      )
    }
    let dataset = try data.read()
    guard dataset.vocabularyHash == model.card.vocabularyHash else {
      throw UsageError(
        "the data is not what \(recommender.relativePath) was trained on: its users or items differ")
    }
    let columns = try TableColumns.names(metrics, for: dataset.items)
    let split = try dataset.interactions.split(split.strategy, seed: seed)
    do {
      let genreMetrics = dataset.items.genreMetrics(training: split.training)
      return (try model.evaluate(on: split, customMetrics: genreMetrics), columns)
    } catch ServingError.otherData(let expected, let found) {
      let reason =
        model.card.trainingCount == dataset.interactions.count
        ? "train --no-refit keeps a model that can be measured, --test FILE takes later interactions"
        : "--split and --seed must be those of the training"
      throw UsageError("expected \(expected), found \(found): \(reason)")
    }
  }

  private func later(_ file: URL, _ saved: SavedRecommender) throws -> Measured {
    let model = saved.servable
    var options = data
    options.interactions = file
    let new = try options.read(needsHistories: false)
    // The recommender keeps titles alone: genres are those that --items, or the file itself, says of its items.
    var items = ItemAttributes(count: model.catalogue.itemIDs.count)
    for (item, id) in model.catalogue.itemIDs.ids.enumerated() {
      if let place = new.itemIDs.index(of: id) { items.genres[item] = new.items.genres[place] }
    }
    let columns = try TableColumns.names(metrics, for: items)
    let split = model.split(testing: new)
    say(
      "  \(split.test.count) of \(new.interactions.count) interactions are new, of users and items that the recommender knows"
    )
    guard !split.test.isEmpty else {
      throw UsageError("\(file.relativePath): nothing new of users and items that the recommender knows")
    }
    var evaluator = RankingEvaluator(split)
    evaluator.customMetrics = items.genreMetrics(training: split.training)
    return (try evaluator.evaluate(saved.makeScorer()), columns)
  }
}
