import Trestle

/// What is asked of `/recommend`.
struct Question {
  var user: String?
  /// Ids of items.
  var likes: [String] = []
  /// Titles of items, or their beginnings.
  var titles: [String] = []
  var count = 10
  var reasons = 0
  var part = HybridRecommender.Part.fused
  var filter = ItemFilter()

  /// `?user=42&count=5`, or `?likes=b1,b2`.
  init(query: [String: String]) throws(ServingError) {
    user = query["user"]
    likes = query["likes"].map { $0.split(separator: ",").map(String.init) } ?? []
    count = try Self.number(query["count"], "count", 0...1000) ?? 10
    reasons = try Self.number(query["reasons"], "reasons", 0...10) ?? 0
    try choose(query["by"])
    try check()
  }

  /// `{"likes": ["b1"], "titles": ["Emma"], "count": 5, "reasons": 2, "without": [], "only": [], "again": false, "by": "fused"}`.
  init(json: JSONValue) throws {
    func strings(_ key: String) throws -> [String] {
      try json.optionalMember(key)?.array().map { try $0.string() } ?? []
    }
    user = try json.optionalMember("user")?.string()
    likes = try strings("likes")
    titles = try strings("titles")
    count = try json.optionalMember("count")?.int(in: 0...1000) ?? 10
    reasons = try json.optionalMember("reasons")?.int(in: 0...10) ?? 0
    try choose(json.optionalMember("by")?.string())
    let only = try strings("only")
    filter = ItemFilter(
      allowed: only.isEmpty ? nil : Set(only), excluded: Set(try strings("without")),
      includesKnown: try json.optionalMember("again")?.bool() ?? false)
    try check()
  }

  private mutating func choose(_ name: String?) throws(ServingError) {
    guard let name else { return }
    guard let part = HybridRecommender.Part(rawValue: name) else {
      throw .invalidRequest(expected: "by: fused, domain or language", found: "'\(name)'")
    }
    self.part = part
  }

  private func check() throws(ServingError) {
    guard (user == nil) != (likes.isEmpty && titles.isEmpty) else {
      throw .invalidRequest(expected: "a user, or likes or titles", found: user == nil ? "neither" : "both")
    }
  }

  private static func number(_ text: String?, _ name: String, _ range: ClosedRange<Int>) throws(ServingError)
    -> Int?
  {
    guard let text else { return nil }
    guard let number = Int(text), range.contains(number) else {
      throw .invalidRequest(
        expected: "\(name): a number from \(range.lowerBound) to \(range.upperBound)", found: "'\(text)'")
    }
    return number
  }

  /// Asks a recommender for a user it knows.
  ///
  /// - Parameters:
  ///   - recommender: who answers.
  ///   - index: by which it looks at a part of the items alone; `nil` for all.
  ///   - probes: how many of the index' cells it looks into.
  ///   - user: the user's id.
  func answer(
    _ recommender: SavedRecommender, by index: ServedIndex?, probes: Int, user: String
  ) throws -> RecommendationList {
    switch (recommender, index) {
    case (.fitted(let model), .items(let index)?):
      try model.recommend(
        for: user, count: count, by: index, probes: probes, filter: filter, reasons: reasons)
    case (.hybrid(let hybrid), .hybrid(let index)?):
      try hybrid.recommend(
        for: user, count: count, by: index, probes: probes, part: part, filter: filter, reasons: reasons)
    case (.fitted(let model), _):
      try model.recommend(for: user, count: count, filter: filter, reasons: reasons)
    case (.hybrid(let hybrid), _):
      try hybrid.recommend(for: user, count: count, by: part, filter: filter, reasons: reasons)
    }
  }

  /// The same for someone new who likes some items.
  func answer(
    _ recommender: SavedRecommender, by index: ServedIndex?, probes: Int, likes: [String]
  ) throws -> RecommendationList {
    switch (recommender, index) {
    case (.fitted(let model), .items(let index)?):
      try model.recommend(
        liking: likes, count: count, by: index, probes: probes, filter: filter, reasons: reasons)
    case (.hybrid(let hybrid), .hybrid(let index)?):
      try hybrid.recommend(
        liking: likes, count: count, by: index, probes: probes, part: part, filter: filter, reasons: reasons)
    case (.fitted(let model), _):
      try model.recommend(liking: likes, count: count, filter: filter, reasons: reasons)
    case (.hybrid(let hybrid), _):
      try hybrid.recommend(liking: likes, count: count, by: part, filter: filter, reasons: reasons)
    }
  }
}
