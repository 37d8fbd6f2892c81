import Foundation
import TrestleFormats

extension HybridJobOutcome {
  /// Writes every figure as a row of JSON.
  func write(_ job: HybridJob, to url: URL) throws {
    let seeds = Array(job.configuration.seed..<job.configuration.seed + UInt64(job.configuration.seeds))
    let figures = rows.map {
      ResultRow(row: $0, seeds: seeds, dataset: job.data.name, languageModel: job.data.modelName)
    }
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try AtomicFile.writeJSON(figures, isPretty: true, to: url)
  }
}

extension HybridJobOutcome {
  /// Puts the table into a page, between the lines `<!-- main job -->` and `<!-- end of main job -->`.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a page without these lines, and what reading and writing
  ///   throw.
  public func writeTable(into page: URL) throws {
    let text = String(decoding: try [UInt8](contentsOf: page, limit: 1 << 27), as: UTF8.self)
    guard let start = text.range(of: "<!-- main job -->\n"),
      let end = text.range(of: "<!-- end of main job -->", range: start.upperBound..<text.endIndex)
    else {
      throw BridgeError.invalidState(
        path: page.path, place: "table", expected: "lines that say where the main job's begins and ends",
        found: "none")
    }
    let result = text[..<start.upperBound] + table + "\n" + text[end.lowerBound...]
    try AtomicFile.write(Array(result.utf8), to: page)
  }
}

/// A row of `results.json`.
private struct ResultRow: Encodable {
  let row: HybridReport.Row
  let seeds: [UInt64]
  let dataset: String
  let languageModel: String

  enum Keys: String, CodingKey {
    case model, slice, metric, mean, low, high, baseline, users, seeds, dataset
    case pValue = "p_value"
    case languageModel = "language_model"
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Keys.self)
    try container.encode(row.model, forKey: .model)
    try container.encode(row.slice, forKey: .slice)
    try container.encode(row.metric, forKey: .metric)
    try container.encode(row.mean, forKey: .mean)
    try container.encode(row.low, forKey: .low)
    try container.encode(row.high, forKey: .high)
    // Written as null where there is none, so that every row has the same keys.
    try container.encode(row.pValue, forKey: .pValue)
    try container.encode(row.baseline, forKey: .baseline)
    try container.encode(row.users, forKey: .users)
    try container.encode(seeds, forKey: .seeds)
    try container.encode(dataset, forKey: .dataset)
    try container.encode(languageModel, forKey: .languageModel)
  }
}
