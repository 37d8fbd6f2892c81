import Foundation
import TrestleFormats
import TrestleRecommenders

/// The table of a job or a protocol: means with intervals, and paired tests.
struct JobComparison {
  static let metrics = ["NDCG@10", "Recall@10", "Hit@10"]

  /// Rows for the models found in `results`; each user's values are averaged over the seeds first.
  ///
  /// A test pairs users over the seeds that both models have. The p-values (the larger of the paired t-test's and
  /// Wilcoxon's) are corrected by Holm's method in families: the primary figure, NDCG@10 over all items, of the bridge and
  /// of what it is compared with; NDCG@10 among new items; and all others, those of the ablations too.
  static func rows(_ results: [JobResult], baselines: [String: String] = ModelName.baselines) -> [HybridReport
    .Row]
  {
    var models = unique(results.flatMap(\.models).map(\.model))
    models.sort {
      (ModelName.ordered.firstIndex(of: $0) ?? 99) < (ModelName.ordered.firstIndex(of: $1) ?? 99)
    }
    var rows: [HybridReport.Row] = []
    for model in models {
      for slice in JobSlice.ordered {
        for metric in metrics {
          if let row = row(model, slice, metric, results, baselines) { rows.append(row) }
        }
      }
    }
    correct(&rows)
    return rows
  }

  private static func row(
    _ model: String, _ slice: String, _ metric: String, _ results: [JobResult], _ baselines: [String: String]
  ) -> HybridReport.Row? {
    guard let (users, values) = average(model, slice, metric, results), !values.isEmpty else { return nil }
    let interval = MeanInterval.student(values)
    var row = HybridReport.Row(
      model: model, slice: slice, metric: metric, mean: interval.mean, low: interval.lower,
      high: interval.upper, pValue: nil, baseline: nil, users: users.count)
    guard let baseline = baseline(of: model, baselines, slice, metric, results) else { return row }
    let common = seeds(model, results).intersection(seeds(baseline, results))
    let paired = results.filter { common.contains($0.key.seed) }
    if let (ours, values) = average(model, slice, metric, paired),
      let (others, theirs) = average(baseline, slice, metric, paired), ours == others
    {
      row.baseline = baseline
      row.pValue = Swift.max(
        PairedTests.studentT(values, theirs).pValue, PairedTests.wilcoxon(values, theirs).pValue)
    }
    return row
  }

  private static func correct(_ rows: inout [HybridReport.Row]) {
    let tested = Dictionary(grouping: rows.indices.filter { rows[$0].pValue != nil }) { place -> Int in
      guard rows[place].metric == metrics[0] else { return 0 }
      if rows[place].slice == JobSlice.new { return 2 }
      return rows[place].slice == JobSlice.all && ModelName.full(rows[place].model) == nil ? 1 : 0
    }
    for family in tested.values {
      for (index, corrected) in zip(family, PairedTests.holm(family.map { rows[$0].pValue ?? 1 })) {
        rows[index].pValue = corrected
      }
    }
  }

  /// What a model is compared with; a fusion, with the better of the two sides that it fuses.
  private static func baseline(
    of model: String, _ baselines: [String: String], _ slice: String, _ metric: String,
    _ results: [JobResult]
  ) -> String? {
    if model == ModelName.fusion {
      let sides = [ModelName.bridgedDomain, ModelName.bridgedLanguage].compactMap { side in
        average(side, slice, metric, results).map { (name: side, sum: $0.values.reduce(0, +)) }
      }
      return sides.max { $0.sum < $1.sum }?.name
    }
    return baselines[model] ?? ModelName.full(model)
  }

  private static func seeds(_ model: String, _ results: [JobResult]) -> Set<UInt64> {
    Set(results.filter { $0.models.contains { $0.model == model } }.map(\.key.seed))
  }

  /// Each user's mean over the runs that hold the model. Users may differ from run to run, where each seed has a split of its own.
  private static func average(
    _ model: String, _ slice: String, _ metric: String, _ results: [JobResult]
  ) -> (users: [Int32], values: [Double])? {
    let tables = results.flatMap(\.models).filter { $0.model == model }.compactMap { $0.slices[slice] }
    var sums: [Int32: (sum: Double, count: Double)] = [:]
    for table in tables {
      for (user, value) in zip(table.users, table.values[metric] ?? []) {
        let old = sums[user] ?? (0, 0)
        sums[user] = (old.sum + value, old.count + 1)
      }
    }
    if sums.isEmpty { return nil }
    let users = sums.keys.sorted()
    return (users, users.map { (sums[$0]?.sum ?? 0) / (sums[$0]?.count ?? 1) })
  }

  static func pValue(_ row: HybridReport.Row?) -> String {
    guard let row, let p = row.pValue, let baseline = row.baseline else { return "" }
    return (p < 0.001 ? "< 0.001" : String(format: "%.3f", p)) + " (\(baseline))"
  }

  static func shortP(_ p: Double) -> String { p < 0.001 ? "< .001" : short(p, 3) }

  static func short(_ value: Double, _ digits: Int = 4) -> String {
    let text = String(format: "%.\(digits)f", value)
    return text.hasPrefix("0") ? String(text.dropFirst()) : text
  }

  static func unique(_ names: [String]) -> [String] {
    names.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}

/// What a job found.
public struct HybridJobOutcome {
  let rows: [HybridReport.Row]
  /// How long the job took, in seconds; `nil` if its figures were read from a file.
  public let seconds: Double?

  init(rows: [HybridReport.Row], seconds: Double?) { (self.rows, self.seconds) = (rows, seconds) }

  /// The figures of an earlier job.
  ///
  /// - Parameter file: its `results.json`.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a file that holds none, `FormatError` for one that
  ///   cannot be read.
  public init(contentsOf file: URL) throws {
    let bytes = Data(try [UInt8](contentsOf: file, limit: JSONLimits().byteCount))
    guard let rows = try? JSONDecoder().decode([HybridReport.Row].self, from: bytes), !rows.isEmpty else {
      throw BridgeError.invalidState(
        path: file.path, place: "rows", expected: "the figures of a job", found: "something else")
    }
    self.init(rows: rows, seconds: nil)
  }

  /// NDCG@10 of all models, known items and new ones in one table, as Markdown; p against the model in brackets.
  public var table: String {
    let slices = [JobSlice.all, JobSlice.new, JobSlice.newAmongAll]
    let heads = ["model", "known items", "p (against)", "new, among new", "p (LM's, tuned)", "among all"]
    var cells = [heads]
    for model in JobComparison.unique(rows.map(\.model)) {
      let own = slices.map { slice in
        rows.first { $0.model == model && $0.slice == slice && $0.metric == "NDCG@10" }
      }
      let figures = own.map { $0.map { JobComparison.short($0.mean) } ?? "" }
      let new = own[1]?.pValue.map { JobComparison.shortP($0) } ?? ""
      let known = own[0].flatMap { row in
        row.pValue.map { JobComparison.shortP($0) + " (\(row.baseline ?? ""))" }
      }
      cells.append([model, figures[0], known ?? "", figures[1], new, figures[2]])
    }
    let widths = heads.indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
      return "| " + padded.joined(separator: " | ") + " |"
    }
    let rule =
      "| "
      + heads.indices.map { place in
        let isNumber = [1, 3, 5].contains(place)
        return String(repeating: "-", count: widths[place] - (isNumber ? 1 : 0)) + (isNumber ? ":" : "")
      }.joined(separator: " | ") + " |"
    return ([line(cells[0]), rule] + cells.dropFirst().map(line)).joined(separator: "\n")
  }
}
