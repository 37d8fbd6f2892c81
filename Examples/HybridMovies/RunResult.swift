import Foundation
import Trestle

/// One training of one variant: what identifies it.
struct RunKey: Codable, Hashable {
  var variant: Variant
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
}

/// What a finished run leaves behind.
struct RunResult: Codable {
  var key: RunKey
  var dataset: String
  var languageModel: String
  var isQuick: Bool
  var splitHash: String
  var seconds: Double
  var settings: String
  var records: [BridgeEpochRecord]
  var models: [ModelOutcome]

  static func read(_ url: URL) -> RunResult? {
    guard let data = try? Data(contentsOf: url) else { return nil }
    return try? JSONDecoder().decode(RunResult.self, from: data)
  }

  func write(to url: URL) throws {
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    try AtomicFile.write(Array(try encoder.encode(self)), to: url)
  }
}

/// The names of the models in tables.
enum ModelName {
  static let popularity = "Popularity"
  static let domain = "LightGCN"
  static let random = "LM, random tokens"
  static let text = "LM, text rows"
  static let bridgedDomain = "LightGCN + bridge"
  static let bridgedLanguage = "LM + bridge"
  static let fusion = "Fusion"

  /// What each is compared with. The text-only model is compared with the bridged one that is to beat it.
  static let baselines = [
    bridgedDomain: domain, bridgedLanguage: random, fusion: bridgedDomain, text: bridgedLanguage,
  ]

  /// The name of a model of the bridge with something taken away.
  static func ablated(_ model: String, _ variant: Variant) -> String { "\(model) (\(variant.rawValue))" }

  /// The model of the full bridge that an ablated one is compared with; `nil` for a name that is no ablated one's.
  static func full(_ model: String) -> String? {
    [bridgedDomain, bridgedLanguage, fusion].first { model.hasPrefix($0 + " (") }
  }
}
