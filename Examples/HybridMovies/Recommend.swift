import Foundation
import Trestle
import TrestleCommand

/// Answers `hybrid-movies recommend` from a saved hybrid.
struct Recommend {
  private let options: Options
  private let saved: SavedHybrid

  init(_ options: Options) throws {
    self.options = options
    saved = try SavedHybrid(contentsOf: options.output)
  }

  func run(user: String?, titles: [String]) throws {
    if let user {
      try recommend(user: user)
    } else {
      try recommend(liking: titles)
    }
  }

  private func recommend(user: String) throws {
    print(try saved.hybrid.heading(for: user))
    try show { try saved.hybrid.recommend(for: user, count: options.count, by: $0, reasons: 2) }
  }

  private func recommend(liking titles: [String]) throws {
    let catalogue = saved.hybrid.catalogue
    let items = try titles.map { try catalogue.item(titled: $0) }
    print(saved.hybrid.heading(liking: items))
    let state = try languageState(items)
    let ids = items.map { catalogue.itemIDs[$0] }
    try show {
      try saved.hybrid.recommend(
        liking: ids, languageState: state, count: options.count, by: $0, reasons: 2)
    }
  }

  private func show(_ list: (HybridRecommender.Part) throws -> RecommendationList) throws {
    let names: [(HybridRecommender.Part, String)] = [
      (.fused, "Both together"), (.domain, "LightGCN"), (.language, saved.languageModelName),
    ]
    for (part, name) in names {
      let recommendations = try list(part)
      print("\n\(name):")
      for line in recommendations.lines() { print(line) }
    }
  }

  /// Reads the liked films with the language model; without its file the films' saved rows stand in.
  private func languageState(_ items: [Int]) throws -> Tensor? {
    var own = options
    own.isSynthetic = saved.isSynthetic
    if !own.isSynthetic {
      guard let path = options.model?.path ?? saved.languageModelPath,
        FileManager.default.fileExists(atPath: path)
      else {
        say("The language model's file is not there: its side uses the films' saved rows.")
        return nil
      }
      own.model = URL(filePath: path)
    }
    return try saved.languageState(liking: items, World.prepare(own, isEncoded: false))
  }
}
