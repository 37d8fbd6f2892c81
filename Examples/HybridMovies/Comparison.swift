import Foundation
import Trestle

/// The table of a protocol: means with intervals, and paired tests against the model's own side alone.
struct Comparison {
  static let metrics = ["NDCG@10", "Recall@10", "Hit@10"]
  static let slices = ["all", "cold", "long-tail", "warm"]

  /// Rows for the models found in `results`; each user's values are averaged over the seeds first.
  ///
  /// A test pairs users over the seeds that both models have. The p-values (the larger of the paired t-test's and
  /// Wilcoxon's) are corrected by Holm's method: those of the primary figure, NDCG@10 over all items, of the bridge and
  /// of what it is compared with among themselves, and all others, those of the ablations too, among themselves.
  static func rows(_ results: [RunResult], baselines: [String: String] = ModelName.baselines) -> [ReportData
    .Row]
  {
    var models: [String] = []
    for model in results.flatMap(\.models).map(\.model) where !models.contains(model) { models.append(model) }
    let order = [
      ModelName.popularity, ModelName.domain, ModelName.random, ModelName.bridgedDomain,
      ModelName.bridgedLanguage,
      ModelName.fusion, ModelName.text,
    ]
    models.sort { (order.firstIndex(of: $0) ?? 99) < (order.firstIndex(of: $1) ?? 99) }
    var rows: [ReportData.Row] = []
    for model in models {
      for slice in slices {
        for metric in metrics {
          guard let (users, values) = average(model, slice, metric, results), !values.isEmpty else {
            continue
          }
          let interval = MeanInterval.student(values)
          var row = ReportData.Row(
            model: model, slice: slice, metric: metric, mean: interval.mean, low: interval.lower,
            high: interval.upper, pValue: nil, baseline: nil, users: users.count)
          if let baseline = baseline(of: model, baselines, slice, metric, results) {
            let common = seeds(model, results).intersection(seeds(baseline, results))
            let paired = results.filter { common.contains($0.key.seed) }
            if let (ours, values) = average(model, slice, metric, paired),
              let (others, theirs) = average(baseline, slice, metric, paired), ours == others
            {
              row.baseline = baseline
              row.pValue = Swift.max(
                PairedTests.studentT(values, theirs).pValue, PairedTests.wilcoxon(values, theirs).pValue)
            }
          }
          rows.append(row)
        }
      }
    }
    let tested = Dictionary(grouping: rows.indices.filter { rows[$0].pValue != nil }) {
      rows[$0].slice == slices[0] && rows[$0].metric == metrics[0] && ModelName.full(rows[$0].model) == nil
    }
    for family in tested.values {
      for (index, corrected) in zip(family, PairedTests.holm(family.map { rows[$0].pValue ?? 1 })) {
        rows[index].pValue = corrected
      }
    }
    return rows
  }

  /// What a model is compared with; a fusion, with the better of the two sides that it fuses.
  private static func baseline(
    of model: String, _ baselines: [String: String], _ slice: String, _ metric: String,
    _ results: [RunResult]
  ) -> String? {
    if model == ModelName.fusion {
      let sides = [ModelName.bridgedDomain, ModelName.bridgedLanguage].compactMap { side in
        average(side, slice, metric, results).map { (name: side, sum: $0.values.reduce(0, +)) }
      }
      return sides.max { $0.sum < $1.sum }?.name
    }
    return baselines[model] ?? ModelName.full(model)
  }

  private static func seeds(_ model: String, _ results: [RunResult]) -> Set<UInt64> {
    Set(results.filter { $0.models.contains { $0.model == model } }.map(\.key.seed))
  }

  /// Each user's mean over the runs that hold the model.
  private static func average(
    _ model: String, _ slice: String, _ metric: String, _ results: [RunResult]
  ) -> (users: [Int32], values: [Double])? {
    let tables = results.flatMap(\.models).filter { $0.model == model }.compactMap { $0.slices[slice] }
    guard let first = tables.first else { return nil }
    let fitting = tables.filter { $0.users == first.users && $0.values[metric] != nil }
    var sums = [Double](repeating: 0, count: first.users.count)
    for table in fitting {
      for (index, value) in (table.values[metric] ?? []).enumerated() { sums[index] += value }
    }
    return (first.users, sums.map { $0 / Double(fitting.count) })
  }

  /// The table as text for a terminal.
  static func text(_ rows: [ReportData.Row]) -> String {
    var lines: [String] = []
    for slice in slices {
      let part = rows.filter { $0.slice == slice }
      guard let users = part.first?.users else { continue }
      lines.append("")
      lines.append("  \(slice == "all" ? "all items" : "\(slice) items") (\(users) users)")
      lines.append(
        "  " + pad("model", 28) + metrics.map { pad($0, 10) }.joined() + pad("95 % of NDCG@10", 18)
          + "p (against)")
      for model in unique(part.map(\.model)) {
        let own = part.filter { $0.model == model }
        let figures = metrics.map { metric in
          pad(own.first { $0.metric == metric }.map { String(format: "%.4f", $0.mean) } ?? "–", 10)
        }
        let main = own.first { $0.metric == metrics[0] }
        let interval = main.map { String(format: "%.4f–%.4f", $0.low, $0.high) } ?? ""
        lines.append("  " + pad(model, 28) + figures.joined() + pad(interval, 18) + pValue(main))
      }
    }
    return lines.joined(separator: "\n")
  }

  static func pValue(_ row: ReportData.Row?) -> String {
    guard let row, let p = row.pValue, let baseline = row.baseline else { return "" }
    return (p < 0.001 ? "< 0.001" : String(format: "%.3f", p)) + " (\(baseline))"
  }

  static func unique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }

  private static func pad(_ text: String, _ width: Int) -> String {
    text.count >= width ? text + " " : text + String(repeating: " ", count: width - text.count)
  }
}
