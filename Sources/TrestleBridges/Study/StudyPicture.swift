import Foundation
import TrestleRecommenders

/// What a reading tells a recommender of new items, as a picture: a bar for each kind of reading, a dot for each split.
///
/// The bars are of LightGCN's NDCG@10 among the new items of the test data; several language models stand below one another,
/// each untuned and tuned, below the controls that they share.
public struct StudyPicture: Sendable {
  struct Row {
    let label: String
    /// One value for each seed.
    let values: [Double]
    /// Whether a language model's tuned reading made it.
    let isTuned: Bool
    var mean: Double { values.reduce(0, +) / Double(max(values.count, 1)) }
  }

  private var panels: [(name: String, rows: [Row])] = []

  /// A picture without panels.
  public init() {}

  /// A picture of some panels.
  ///
  /// - Parameters:
  ///   - panels: `DATASET:MODEL=FILE` each: a data set, a language model, its figures; a data set that was named before gets a further
  ///     language model.
  ///   - folder: where the files are looked for.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a panel of another form and a file that does not exist, and
  ///   what ``StudyResults/init(contentsOf:)`` throws.
  public init(panels: [String], from folder: URL) throws {
    var names: [String] = []
    var models: [String: [(name: String, results: StudyResults)]] = [:]
    for panel in panels {
      guard let colon = panel.firstIndex(of: ":"), let equals = panel.firstIndex(of: "="), colon < equals
      else {
        throw BridgeError.invalidState(
          path: folder.path, place: "panels", expected: "DATASET:MODEL=FILE", found: panel)
      }
      let file = URL(fileURLWithPath: String(panel[panel.index(after: equals)...]), relativeTo: folder)
      guard FileManager.default.fileExists(atPath: file.path) else {
        throw BridgeError.invalidState(
          path: file.path, place: "panels", expected: "figures of a study", found: "no such file")
      }
      let dataset = String(panel[..<colon])
      if models[dataset] == nil { names.append(dataset) }
      let name = String(panel[panel.index(after: colon)..<equals])
      models[dataset, default: []].append((name, try StudyResults(contentsOf: file)))
    }
    for name in names { add(name, models[name] ?? []) }
  }

  /// Adds a data set: the controls of the first file, and each file's language model.
  ///
  /// - Parameters:
  ///   - dataset: its name in the files.
  ///   - models: the language models' names, each with its figures.
  public mutating func add(_ dataset: String, _ models: [(name: String, results: StudyResults)]) {
    guard let first = models.first else { return }
    func row(_ label: String, _ results: StudyResults, _ item: StudyCase, tuned: Bool = false) -> Row? {
      let values = results.records.filter {
        $0.dataset == dataset && $0.protocolName == StudyProtocol.newItems.rawValue && $0.slice == "new"
          && $0.metric == RankingMetric.ndcg(10).name && $0.model == item.model
          && $0.variant == item.variant.rawValue
      }.map(\.value)
      return values.isEmpty ? nil : Row(label: label, values: values, isTuned: tuned)
    }
    let own = ModelKind.lightGCN.name
    var rows = [
      row("random order", first.results, StudyCase(HybridStudy.random, .alone)),
      row("texts shuffled", first.results, StudyCase(own, .shuffledTexts)),
      row("genres, years", first.results, StudyCase(own, .features)),
      row("transformer, random weights", first.results, StudyCase(own, .randomLanguageModel)),
      row("MiniLM-L6", first.results, StudyCase(own, .sentenceEncoder)),
    ]
    for (name, results) in models {
      rows.append(row(name + ", untuned", results, StudyCase(own, .noLanguageTraining)))
      rows.append(row(name + ", tuned", results, StudyCase(own, .bridge), tuned: true))
    }
    panels.append((dataset, rows.compactMap { $0 }))
  }

  /// The picture, which follows the reader's choice of light or dark.
  public var svg: String {
    let (width, left, right, step) = (760.0, 230.0, 70.0, 22.0)
    var body: [String] = []
    var top = 16.0
    for panel in panels {
      body.append(text(panel.name, x: 16, y: top + 14, "title"))
      top += 26
      let most = panel.rows.flatMap { $0.values + [$0.mean] }.max() ?? 1
      let scale = (width - left - right) / max(most, 1e-9)
      for row in panel.rows {
        let middle = top + step / 2
        body.append(text(row.label, x: left - 10, y: middle + 4, "label"))
        let bar = "width=\"\(short(row.mean * scale))\" height=\"14\""
        body.append(
          "<rect class=\"\(row.isTuned ? "tuned" : "other")\" x=\"\(short(left))\" y=\"\(short(middle - 7))\" \(bar)/>"
        )
        for value in row.values {
          body.append(
            "<circle class=\"split\" cx=\"\(short(left + value * scale))\" cy=\"\(short(middle))\" r=\"2.5\"/>"
          )
        }
        let end = left + (([row.mean] + row.values).max() ?? 0) * scale
        body.append(text(StudyResults.short(row.mean), x: end + 8, y: middle + 4, "figure"))
        top += step
      }
      top += 16
    }
    let head = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(short(width)) \(short(top))" role="img" \
      aria-label="NDCG@10 among new items by what reads their texts">
      <style>
      text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 }
      .label { text-anchor: end } .other { fill: #8c959f } .tuned { fill: #1a7f64 }
      .split { fill: #24292f; fill-opacity: .55 }
      @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .other { fill: #6e7681 } .tuned { fill: #3fb68b } .split { fill: #e6edf3 }
      }
      </style>
      """
    return ([head] + body + ["</svg>", ""]).joined(separator: "\n")
  }

  private func short(_ value: Double) -> String { String(format: "%.1f", value) }

  private func text(_ content: String, x: Double, y: Double, _ style: String) -> String {
    let escaped = content.replacingOccurrences(of: "&", with: "&amp;")
      .replacingOccurrences(of: "<", with: "&lt;")
    return "<text class=\"\(style)\" x=\"\(short(x))\" y=\"\(short(y))\">\(escaped)</text>"
  }
}
