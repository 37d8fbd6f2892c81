import Foundation
import TrestleFormats
import TrestleRecommenders

/// One run of one variant: what identifies it.
struct JobKey: Codable, Hashable {
  var variant: HybridVariant
  /// The share of each user's training interactions that was kept.
  var share: Double
  var seed: UInt64

  /// A name for files.
  var name: String { "\(variant.rawValue)-\(share)-\(seed)" }
}

/// A model's values for each user, by slice and metric.
struct ModelOutcome: Codable {
  struct Table: Codable {
    var users: [Int32]
    var values: [String: [Double]]
  }

  var model: String
  var slices: [String: Table]

  /// Takes the values from an evaluation, rounded to what is worth keeping.
  init(_ model: String, _ result: EvaluationResult) {
    self.model = model
    slices = [:]
    for slice in result.slices {
      slices[slice.slice.rawValue] = Table(
        users: slice.users, values: slice.perUser.mapValues { $0.map { (Double($0) * 1e4).rounded() / 1e4 } })
    }
  }

  /// Takes a case of a study's new items: the slices are ``JobSlice/new`` and ``JobSlice/newAmongAll``.
  init(_ model: String, _ values: [StudyValues]) {
    self.model = model
    slices = [:]
    for line in values {
      slices[line.slice == "new" ? JobSlice.new : JobSlice.newAmongAll] = Table(
        users: line.users, values: [line.metric: line.values.map { (Double($0) * 1e4).rounded() / 1e4 }])
    }
  }
}

/// The names of what is ranked.
enum JobSlice {
  static let all = "all"
  /// New items, ranked among themselves.
  static let new = "new"
  /// All test interactions of the split with new items, ranked among all items.
  static let newAmongAll = "new-among-all"
  /// In the order of tables.
  static let ordered = [all, "cold", "long-tail", "warm", new, newAmongAll]

  static func title(_ slice: String) -> String {
    switch slice {
    case all: "all items"
    case new: "new items, among themselves"
    case newAmongAll: "new and old items, some new"
    default: "\(slice) items"
    }
  }
}

/// What a finished run leaves behind.
struct JobResult: Codable {
  var key: JobKey
  var dataset: String
  var languageModel: String
  var isQuick: Bool
  var splitHash: String
  var seconds: Double
  var settings: String
  var records: [BridgeEpochRecord]
  var models: [ModelOutcome]

  /// The finished run in a file; `nil` if there is none.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a file that holds no run.
  static func read(_ url: URL) throws -> JobResult? {
    guard FileManager.default.fileExists(atPath: url.path) else { return nil }
    let lines = JSONLines(try [UInt8](contentsOf: url, limit: 4 << 30))
    func invalid(_ place: String, _ found: String) -> BridgeError {
      .invalidState(
        path: url.path, place: place, expected: "a finished run (without the file it is run again)",
        found: found)
    }
    guard lines.count == 1 else { throw invalid("", "\(lines.count) lines") }
    return try lines.value(at: 0) { invalid("line \($0)", $1) }
  }

  func write(to url: URL) throws {
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFile.writeJSON(self, to: url)
  }

  /// The finished runs of a file, one JSON object on each line; none if there is no such file.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a line that holds no run.
  static func all(in file: URL) throws -> [JobResult] {
    guard FileManager.default.fileExists(atPath: file.path) else { return [] }
    return try JSONLines(try [UInt8](contentsOf: file, limit: 4 << 30)).values { line, found in
      BridgeError.invalidState(
        path: file.path, place: "line \(line)", expected: "a finished run", found: found)
    }
  }

  /// Writes finished runs as such a file, in the place of what was there.
  static func write(_ results: [JobResult], to file: URL) throws {
    try FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFile.writeJSONLines(results, to: file)
  }
}

/// The names of the models in tables.
enum ModelName {
  static let chance = "Random"
  static let popularity = "Popularity"
  static let ease = "EASE"
  static let domain = "LightGCN"
  static let random = "LM, random tokens"
  static let text = "LM, text rows"
  static let bridgedDomain = "LightGCN + bridge"
  static let bridgedLanguage = "LM + bridge"
  static let fusion = "Fusion"

  /// The order of tables.
  static let ordered =
    [chance, popularity, ease, domain, random, bridgedDomain, bridgedLanguage, fusion, text]
    + [domain, ease].flatMap { model in readings.map { reading(model, $0) } }

  /// What reads new items' texts, in the order of tables.
  static let readings: [HybridStudy.Variant] = [
    .shuffledTexts, .sentenceEncoder, .noLanguageTraining, .bridge,
  ]

  /// The name of a recommender with a reading of new items' texts.
  static func reading(_ model: String, _ variant: HybridStudy.Variant) -> String {
    switch variant {
    case .bridge: "\(model) + LM's reading, tuned"
    case .noLanguageTraining: "\(model) + LM's reading, untuned"
    case .sentenceEncoder: "\(model) + MiniLM's reading"
    case .shuffledTexts: "\(model) + shuffled texts"
    default: variant == .alone ? model : "\(model) + \(variant.rawValue)"
    }
  }

  /// What each is compared with. The text-only model is compared with the bridged one that is to beat it, what else reads new
  /// items' texts with the tuned language model.
  static let baselines: [String: String] = {
    var names = [
      bridgedDomain: domain, bridgedLanguage: random, fusion: bridgedDomain, text: bridgedLanguage,
    ]
    for model in [domain, ease] {
      for variant in readings where variant != .bridge {
        names[reading(model, variant)] = reading(model, .bridge)
      }
    }
    return names
  }()

  /// The name of a model of the bridge with something taken away.
  static func ablated(_ model: String, _ variant: HybridVariant) -> String {
    "\(model) (\(variant.rawValue))"
  }

  /// The model of the full bridge that an ablated one is compared with; `nil` for a name that is no ablated one's.
  static func full(_ model: String) -> String? {
    [bridgedDomain, bridgedLanguage, fusion].first { model.hasPrefix($0 + " (") }
  }
}
