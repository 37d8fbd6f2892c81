import Foundation
import Trestle
import TrestleCommand

/// Answers `hybrid-movies recommend` from a saved hybrid.
struct Recommend {
  private let options: Options
  private let saved: SavedHybrid

  init(_ options: Options) throws {
    self.options = options
    saved = try SavedHybrid.load(options)
  }

  func run(user: String?, titles: [String]) throws {
    if let user {
      try recommend(user: user)
    } else {
      try recommend(liking: titles)
    }
  }

  private func recommend(user: String) throws {
    let catalogue = saved.hybrid.catalogue
    let history = saved.hybrid.histories.items(of: try catalogue.user(user))
    print("User \(user), who has rated \(history.count) films, such as:")
    for item in history.prefix(5) { print("  · \(catalogue.titles[Int(item)])") }
    try show { try saved.hybrid.recommend(for: user, count: options.count, by: $0) }
  }

  private func recommend(liking titles: [String]) throws {
    let catalogue = saved.hybrid.catalogue
    let items = try titles.map { try catalogue.item(titled: $0) }
    print("Someone new who likes:")
    for item in items { print("  · \(catalogue.titles[item])") }
    let state = try languageState(items)
    let ids = items.map { catalogue.itemIDs[$0] }
    try show { try saved.hybrid.recommend(liking: ids, languageState: state, count: options.count, by: $0) }
  }

  private func show(_ list: (HybridRecommender.Part) throws -> RecommendationList) throws {
    let names: [(HybridRecommender.Part, String)] = [
      (.fused, "Both together"), (.domain, "LightGCN"), (.language, saved.run.languageModelName),
    ]
    for (part, name) in names {
      let recommendations = try list(part)
      print("\n\(name):")
      if let note = recommendations.note { print("  (\(note))") }
      for (place, item) in recommendations.enumerated() { print("  \(place + 1). \(item.title)") }
    }
  }

  /// Reads the liked films with the language model; without its file the films' saved rows stand in.
  private func languageState(_ items: [Int]) throws -> Tensor? {
    var own = options
    own.isSynthetic = saved.run.isSynthetic
    own.isQuick = saved.run.isQuick
    if !own.isSynthetic {
      guard let path = options.model?.path ?? saved.run.languageModel,
        FileManager.default.fileExists(atPath: path)
      else {
        say("The language model's file is not there: its side uses the films' saved rows.")
        return nil
      }
      own.model = URL(filePath: path)
    }
    let experiment = try Experiment(try World.prepare(own), own)
    guard experiment.world.vocabulary == saved.hybrid.vocabulary else {
      throw UsageError("the data set is not the one that the hybrid was trained on")
    }
    let side = try experiment.makeLanguageSide(
      RunKey(variant: .bridge, share: 1, seed: saved.run.seed), experiment.split,
      Budget(
        share: 1, seed: saved.run.seed, isQuick: own.isQuick, isSynthetic: own.isSynthetic,
        hasEncoder: false))
    try side.load(from: SavedHybrid.folder(options).appending(path: "language-side.safetensors"))
    return side.state(liking: items)
  }
}
