import Foundation
import TrestleRecommenders

extension StudyResults {
  /// A table of NDCG@10 by seed, on a protocol's first slice: what reads the items' texts for one recommender, a column for each
  /// seed, sorted by the mean over those that a row has.
  ///
  /// The last columns compare the bridge of the same model with the row as ``table(of:_:)`` does; without users' values there is no p
  /// of them.
  ///
  /// - Parameters:
  ///   - dataset: the name of the data set.
  ///   - part: the protocol.
  ///   - model: the recommender that is given what is read.
  public func tableBySeed(of dataset: String, _ part: StudyProtocol, model: String) -> String {
    let own = records.filter {
      $0.dataset == dataset && $0.protocolName == part.rawValue && $0.metric == RankingMetric.ndcg(10).name
    }
    let cases: [(String, StudyCase)] = [
      ("random order", StudyCase(HybridStudy.random, .alone)),
      ("nothing: \(model) alone", StudyCase(model, .alone)), ("one mean row", StudyCase(model, .meanRow)),
      ("the language model, untuned, on another item's text", StudyCase(model, .shuffledTexts)),
      ("a transformer with random weights", StudyCase(model, .randomLanguageModel)),
      ("genres and year as numbers", StudyCase(model, .features)),
      ("MiniLM-L6, a sentence encoder", StudyCase(model, .sentenceEncoder)),
      ("the language model, untuned", StudyCase(model, .noLanguageTraining)),
      ("**the language model, tuned by the bridge**", StudyCase(model, .bridge)),
    ]
    let rows = cases.compactMap {
      label, item -> (label: String, item: StudyCase, values: [UInt64: Double])? in
      let values = bySeed(own, item, part.slices[0])
      return values.isEmpty ? nil : (label, item, values)
    }
    let seeds = Set(rows.flatMap(\.values.keys)).sorted()
    func mean(_ values: [UInt64: Double]) -> Double {
      seeds.compactMap { values[$0] }.reduce(0, +) / Double(max(values.count, 1))
    }
    // Equal means stay in the order above: the sort is stable.
    let sorted = rows.map { ($0, mean($0.values)) }.sorted { $0.1 < $1.1 }
    let compared = sorted.map { comparison(own, $0.0.item, part) }
    let hasUsers = compared.contains { !$0[1].isEmpty }
    let heads =
      ["what reads"] + seeds.map(String.init) + ["mean", "bridge above"] + (hasUsers ? ["p, users"] : [])
      + ["p, seeds"]
    var lines = [
      "| " + heads.joined(separator: " | ") + " |",
      "| --- |" + String(repeating: " ---: |", count: heads.count - 1),
    ]
    for ((row, mean), tests) in zip(sorted, compared) {
      let cells =
        [row.label] + seeds.map { row.values[$0].map { Self.short($0) } ?? "" } + [
          Self.short(mean), tests[0],
        ]
        + (hasUsers ? [tests[1]] : []) + [tests[2]]
      lines.append("| " + cells.joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }
}
