import TrestleFormats

/// How every program of the package prints an answer.
extension RecommendationList {
  /// The answer's lines: who answered, if somebody else than was asked, and each item with its reasons; `empty` for none.
  package func lines(orNone empty: String = "nothing is left") -> [String] {
    var lines: [String] = []
    if isEmpty { lines.append("  " + empty) }
    if let note { lines.append("(\(note))") }
    for (place, item) in enumerated() {
      let id = item.title == item.id ? "" : "  [\(item.id)]"
      let because = item.reasons.isEmpty ? "" : "  because of " + item.reasons.joined(separator: "; ")
      lines.append("  \(place + 1). \(item.title)\(id)\(because)")
    }
    return lines.map { PrintableText.message($0) }
  }
}

extension ServableRecommender {
  /// Says for whom an answer is: a user, with what they have had last.
  package func heading(for user: String) throws -> String {
    let had = histories.items(of: try catalogue.user(user))
    let last = had.suffix(5).map { catalogue.titles[Int($0)] }.joined(separator: "; ")
    return PrintableText.message(
      "For user \(user), who has had \(had.count) items\(last.isEmpty ? "" : ", such as \(last)"):")
  }

  /// Says for whom an answer is: someone new who likes some items.
  package func heading(liking items: [Int]) -> String {
    let titles = items.map { catalogue.titles[$0] }.joined(separator: "; ")
    return PrintableText.message("For someone who likes \(titles):")
  }
}
