import CommandLineOptions
import Foundation
import Trestle

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
    guard let index = saved.catalogue.userIDs.firstIndex(of: user) else {
      throw UsageError(
        "user '\(user)' is not in the data set; its \(saved.catalogue.userIDs.count) users have ids like "
          + saved.catalogue.userIDs.prefix(3).joined(separator: ", "))
    }
    let history = saved.hybrid.seen.items(of: index)
    print("User \(user), who has rated \(history.count) films, such as:")
    for item in history.prefix(5) { print("  · \(saved.catalogue.itemTitles[Int(item)])") }
    show { saved.hybrid.recommend(user: index, count: options.count, by: $0) }
  }

  private func recommend(liking titles: [String]) throws {
    let items = try titles.map { try find($0) }
    print("Someone new who likes:")
    for item in items { print("  · \(saved.catalogue.itemTitles[item])") }
    let state = try languageState(items)
    show { saved.hybrid.recommend(liking: items, languageState: state, count: options.count, by: $0) }
  }

  private func show(_ list: (HybridRecommender.Part) -> [Recommendation]?) {
    let names: [(HybridRecommender.Part, String)] = [
      (.fused, "Both together"), (.domain, "LightGCN"), (.language, saved.catalogue.languageModelName),
    ]
    for (part, name) in names {
      guard let recommendations = list(part) else { continue }
      print("\n\(name):")
      for (place, recommendation) in recommendations.enumerated() {
        print("  \(place + 1). \(saved.catalogue.itemTitles[recommendation.item])")
      }
    }
  }

  /// The item whose title is, begins with, or contains the text, whatever the case.
  private func find(_ text: String) throws -> Int {
    let wanted = text.lowercased()
    let titles = saved.catalogue.itemTitles.map { $0.lowercased() }
    let match =
      titles.firstIndex { $0 == wanted } ?? titles.firstIndex { $0.hasPrefix(wanted) }
      ?? titles.firstIndex { $0.contains(wanted) }
    guard let match else {
      let words = Set(wanted.split(separator: " ").filter { $0.count > 3 })
      let near = titles.indices.filter { index in words.contains { titles[index].contains($0) } }.prefix(3)
      let hint =
        near.isEmpty
        ? ""
        : "; did you mean \(near.map { "“\(saved.catalogue.itemTitles[$0])”" }.joined(separator: " or "))?"
      throw UsageError("no film is called '\(text)'\(hint)")
    }
    return match
  }

  /// Reads the liked films with the language model; without its file the recommender answers alone.
  private func languageState(_ items: [Int]) throws -> Tensor? {
    var own = options
    own.isSynthetic = saved.catalogue.isSynthetic
    own.isQuick = saved.catalogue.isQuick
    if !own.isSynthetic {
      guard let path = options.model?.path ?? saved.catalogue.languageModel,
        FileManager.default.fileExists(atPath: path)
      else {
        say("The language model's file is not there: its side is left out.")
        return nil
      }
      own.model = URL(filePath: path)
    }
    let experiment = try Experiment(try World.prepare(own), own)
    guard experiment.world.vocabulary == saved.hybrid.vocabulary else {
      throw UsageError("the data set is not the one that the hybrid was trained on")
    }
    let side = try experiment.makeLanguageSide(
      RunKey(variant: .bridge, share: 1, seed: saved.catalogue.seed), experiment.split,
      Budget(
        share: 1, seed: saved.catalogue.seed, isQuick: own.isQuick, isSynthetic: own.isSynthetic,
        hasEncoder: false))
    try side.load(from: SavedHybrid.folder(options).appending(path: "language-side.safetensors"))
    return side.state(liking: items)
  }
}
