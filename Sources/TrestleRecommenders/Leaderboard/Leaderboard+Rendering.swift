import Foundation

extension Leaderboard {
  /// The leaderboard as aligned text: a row per model, the largest value of the first measure first.
  ///
  /// Where several windows of time are tested, a model's row has its means over them, and a row for each window follows.
  ///
  /// - Parameters:
  ///   - metrics: the names of the measures, of users or of lists, in columns.
  ///   - slice: the test items that count.
  public func table(metrics: [String] = defaultMetrics, on slice: ItemSlice = .all) -> String {
    let rows = cells(metrics, slice)
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    let lines = rows.map { row in
      row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return column == 0 ? row[column] + padding : padding + row[column]
      }.joined(separator: "  ").trimmingSuffix()
    }
    let rule = String(repeating: "-", count: widths.reduce(0) { $0 + $1 + 2 } - 2)
    return ([lines[0], rule] + lines.dropFirst()).joined(separator: "\n") + "\n"
  }

  /// The leaderboard as a Markdown table, with the rows of ``table(metrics:on:)``.
  public func markdown(metrics: [String] = defaultMetrics, on slice: ItemSlice = .all) -> String {
    let rows = cells(metrics, slice).map { row in row.map { $0.replacing("|", with: "\\|") } }
    let rule = ["---"] + Array(repeating: "---:", count: rows[0].count - 1)
    return ([rows[0], rule] + rows.dropFirst()).map { "| " + $0.joined(separator: " | ") + " |\n" }.joined()
  }

  /// All values as CSV with a header, a line per model, seed, slice and measure; with a last column `window` where several windows of time are
  /// tested.
  public func csv() -> String {
    let hasWindows = !windows.isEmpty
    var text =
      "dataset,model,seed,slice,metric,value,users,training_seconds,evaluation_seconds,split"
      + (hasWindows ? ",window\n" : "\n")
    for record in records() {
      let fields =
        [
          record.dataset, record.model, "\(record.seed)", record.slice, record.metric, "\(record.value)",
          "\(record.users)", "\(record.trainingSeconds)", "\(record.evaluationSeconds)", record.split,
        ] + (hasWindows ? [record.window.map { "\($0)" } ?? ""] : [])
      text += fields.map(Self.csvField).joined(separator: ",") + "\n"
    }
    return text
  }

  /// All values as JSON Lines, an object per model, seed, slice and measure:
  /// `{"model":"MF-BPR","seed":0,"slice":"all","metric":"NDCG@10","value":0.29,…}`.
  ///
  /// Lines of one of several windows of time have its number as `window`, from 1, and the hash of its split.
  ///
  /// Where a search chose the settings, these stand in each line of the run as `settings`, and a line of the slice `validation`
  /// follows for each trial, with its number as `trial`, its settings, its best value and its seconds; a trial that failed
  /// has none.
  public func jsonLines() -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
    return (records() + trials()).compactMap { record in
      // Encoding fails for values that are not finite only; such a value is no result.
      (try? encoder.encode(record)).map { String(decoding: $0, as: UTF8.self) + "\n" }
    }.joined()
  }

  /// The comparisons with a baseline as a Markdown table.
  ///
  /// - Throws: ``DataError`` if the runs cannot be paired.
  public func comparisonMarkdown(with baseline: String, metric: RankingMetric, on slice: ItemSlice = .all)
    throws(DataError) -> String
  {
    var text =
      "| \(metric.name), \(slice.rawValue), over \(baseline) "
      + "| difference | 95 % interval | relative | t-test | Wilcoxon |\n"
      + "| --- | ---: | ---: | ---: | ---: | ---: |\n"
    for entry in try comparisons(with: baseline, metric: metric, on: slice) {
      let difference = entry.comparison.difference
      let relative = entry.comparison.relativeDifference.map { share in
        (share >= 0 ? "+" : "") + Self.fixed(share * 100, 1) + " %"
      }
      let cells = [
        entry.model, Self.signed(difference.mean),
        Self.signed(difference.lower) + " … " + Self.signed(difference.upper), relative ?? "–",
        "p " + Self.significant(entry.adjustedStudentT), "p " + Self.significant(entry.adjustedWilcoxon),
      ]
      text += "| " + cells.joined(separator: " | ") + " |\n"
    }
    return text
  }

  /// The measures shown unless others are asked for.
  public static let defaultMetrics = ["NDCG@10", "Recall@10", "Hit@10", "MRR@10", "Precision@10"]

  private struct Record: Encodable {
    let model: String
    let seed: UInt64
    let slice: String
    let metric: String
    let value: Double
    let users: Int
    let dataset: String
    let split: String
    let trainingSeconds: Double
    let evaluationSeconds: Double
    var settings: SearchSettings?
    var trial: Int?
    var window: Int?

    enum CodingKeys: String, CodingKey {
      case model, seed, slice, metric, value, users, dataset, split, settings, trial, window
      case trainingSeconds = "training_seconds"
      case evaluationSeconds = "evaluation_seconds"
    }
  }

  private func records() -> [Record] {
    runs.flatMap { run in
      run.result.slices.flatMap { slice in
        let lists = slice.slice == .all ? run.result.listValues : [:]
        return slice.means.merging(lists) { own, _ in own }.sorted { $0.key < $1.key }.map { metric, value in
          Record(
            model: run.model, seed: run.seed, slice: slice.slice.rawValue, metric: metric, value: value,
            users: slice.users.count - (slice.usersWithoutValue?[metric]?.count ?? 0), dataset: dataset,
            split: run.result.splitHash, trainingSeconds: run.trainingSeconds,
            evaluationSeconds: run.result.seconds,
            settings: run.search?.best.settings, window: run.window)
        }
      }
    }
  }

  /// What was tried for each run.
  private func trials() -> [Record] {
    runs.flatMap { run in
      (run.search?.trials ?? []).compactMap { trial in
        guard let value = trial.value, let metric = run.search?.metric else { return nil }
        return Record(
          model: run.model, seed: run.seed, slice: "validation", metric: metric, value: value, users: 0,
          dataset: dataset, split: run.result.splitHash, trainingSeconds: trial.seconds,
          evaluationSeconds: 0, settings: trial.settings, trial: trial.number, window: run.window)
      }
    }
  }

  /// Header and rows; models without the first measure come last.
  private func cells(_ metrics: [String], _ slice: ItemSlice) -> [[String]] {
    let order = models.map { model in
      (
        model: model,
        first: metrics.first.flatMap { interval($0, of: model, on: slice)?.mean } ?? -Double.infinity
      )
    }.enumerated().sorted {
      $0.element.first == $1.element.first ? $0.offset < $1.offset : $0.element.first > $1.element.first
    }
    let header = ["model"] + metrics + ["runs", "training s", "evaluation s"]
    let parts = windows.map { (name: "  window \($0)", board: runs(inWindow: $0)) }
    return [header]
      + order.flatMap { place in
        let model = place.element.model
        return [row(of: model, metrics, slice)]
          + parts.map { $0.board.row(of: model, named: $0.name, metrics, slice) }
      }
  }

  private func row(
    of model: String, named name: String? = nil, _ metrics: [String], _ slice: ItemSlice
  ) -> [String] {
    let own = runs.filter { $0.model == model }
    let training = MeanInterval.student(own.map(\.trainingSeconds)).mean
    let evaluation = MeanInterval.student(own.map(\.result.seconds)).mean
    let values = metrics.map { metric in
      interval(metric, of: model, on: slice).map { interval in
        interval.count > 1
          ? Self.fixed(interval.mean, 4) + " ± " + Self.fixed((interval.upper - interval.lower) / 2, 4)
          : Self.fixed(interval.mean, 4)
      } ?? "–"
    }
    return [name ?? model] + values + ["\(own.count)", Self.fixed(training, 1), Self.fixed(evaluation, 2)]
  }

  private static func fixed(_ value: Double, _ digits: Int) -> String {
    String(format: "%.\(digits)f", value)
  }

  private static func signed(_ value: Double) -> String { (value >= 0 ? "+" : "") + fixed(value, 4) }

  /// A p-value with its sign of comparison.
  private static func significant(_ value: Double) -> String {
    value < 0.0001 ? "< 0.0001" : "= " + fixed(value, 4)
  }

  private static func csvField(_ text: String) -> String {
    guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }
}

extension String {
  /// The text without spaces at its end.
  fileprivate func trimmingSuffix() -> String {
    var text = self
    while text.last == " " { text.removeLast() }
    return text
  }
}
