import Foundation
import TrestleFormats

/// The figures that a leaderboard left in a file, as ``Leaderboard/jsonLines()`` writes them: for pages whose tables are made of them.
///
/// Figures of other programs can be kept the same way, with a further member `program`, and stand beside ours.
public struct LeaderboardFigures: Sendable {
  /// A mean over the users of a run.
  struct Figure: Decodable {
    let model: String
    let seed: UInt64
    let window: Int?
    let slice: String
    let metric: String
    let value: Double
    let dataset: String
    let program: String?
  }

  let figures: [Figure]

  /// Reads a file.
  ///
  /// - Throws: ``DataError/malformed(path:line:column:expected:found:)`` for a line that is no figure, ``DataError/unreadable(path:reason:)``
  ///   for a file that cannot be read.
  public init(contentsOf file: URL) throws(DataError) {
    let bytes: [UInt8]
    do {
      bytes = try [UInt8](contentsOf: file, limit: 1 << 28)
    } catch {
      throw .unreadable(path: file.path, reason: "\(error)")
    }
    figures = try JSONLines(bytes).values { line, found in
      DataError.malformed(
        path: file.path, line: line, column: 1, expected: "a figure of a leaderboard", found: found)
    }
  }

  /// One measure of a data set as a Markdown table: each model's values by seed and their mean, the best first, and beside them those of
  /// another program on its own splits, with the ratio of the means. A model without any is left out.
  ///
  /// - Parameters:
  ///   - metric: the measure's name.
  ///   - slice: of which test items.
  ///   - dataset: the data set's name.
  ///   - other: the other program's figures, of which there may be none.
  public func table(
    _ metric: String = "NDCG@10", slice: ItemSlice = .all, dataset: String, beside other: Self?
  ) -> String {
    let own = values(metric, slice, dataset)
    let others = other?.values(metric, slice, dataset) ?? [:]
    let program = other?.figures.lazy.compactMap(\.program).first ?? "the other"
    var rows = [["model", "\(metric) by seed", "mean"], ["---", "---", "---:"]]
    if other != nil {
      rows[0] += ["\(program) by seed", "mean", "ratio"]
      rows[1] += ["---", "---:", "---:"]
    }
    let order = own.map { (model: $0.key, values: $0.value, mean: Self.mean($0.value)) }
      .sorted { ($1.mean, $0.model) < ($0.mean, $1.model) }
    for (model, values, mean) in order {
      var cells = [model, Self.text(values), Self.short(mean)]
      if other != nil {
        let found = others[model] ?? []
        cells +=
          found.isEmpty
          ? ["", "", ""]
          : [Self.text(found), Self.short(Self.mean(found)), String(format: "%.2f", mean / Self.mean(found))]
      }
      rows.append(cells)
    }
    return rows.map { "| " + $0.joined(separator: " | ") + " |" }.joined(separator: "\n")
  }

  /// Each model's values, in the order of the seeds, and of the windows of time of each.
  private func values(_ metric: String, _ slice: ItemSlice, _ dataset: String) -> [String: [Double]] {
    let chosen = figures.filter {
      $0.metric == metric && $0.slice == slice.rawValue && $0.dataset == dataset
    }
    return Dictionary(grouping: chosen, by: \.model).mapValues { figures in
      figures.sorted { ($0.seed, $0.window ?? 0) < ($1.seed, $1.window ?? 0) }.map(\.value)
    }
  }

  private static func mean(_ values: [Double]) -> Double {
    values.reduce(0, +) / Double(Swift.max(values.count, 1))
  }
  private static func text(_ values: [Double]) -> String { values.map(short).joined(separator: " ") }

  /// Four decimals, without the zero before them, and with a minus sign rather than a hyphen.
  package static func short(_ value: Double) -> String {
    let text = String(format: "%.4f", value)
    let digits = text.drop { $0 == "-" }
    return (text.hasPrefix("-") ? "−" : "") + digits.dropFirst(digits.hasPrefix("0") ? 1 : 0)
  }
}
