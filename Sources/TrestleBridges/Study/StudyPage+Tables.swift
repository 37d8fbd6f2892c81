import Foundation
import TrestleRecommenders

/// A line of a page that may say where a table or a picture comes from.
struct StudyMark {
  let page: URL
  let line: Int
  let text: Substring

  private var words: [Substring] {
    guard text.hasPrefix("<!-- "), text.hasSuffix(" -->") else { return [] }
    return text.split(separator: " ").dropFirst().dropLast()
  }

  var beginsTable: Bool {
    ["study", "study-seeds", "study-cells", "bridges", "labelled", "leaderboard"].contains(words.first)
      || text.split(separator: " ").prefix(2) == ["<!--", "study"]
  }

  func refusal(_ expected: String, found: Substring? = nil, line other: Int? = nil) -> BridgeError {
    .invalidState(
      path: page.path, place: "line \((other ?? line) + 1)", expected: expected,
      found: String((found ?? text).prefix(80)))
  }

  /// The table that the line begins.
  func table(old: ArraySlice<Substring>) throws -> String {
    switch words.first {
    case "study-seeds":
      guard words.count == 5, let part = StudyProtocol(rawValue: String(words[3])) else {
        throw refusal("<!-- study-seeds FILE DATASET PROTOCOL MODEL -->")
      }
      let results = try figures(words[1], of: words[2], part)
      return results.tableBySeed(of: String(words[2]), part, model: String(words[4]))
    case "study-cells":
      var cells = StudyCells(mark: self)
      return try old.enumerated().filter { $0.element.hasPrefix("|") }
        .map { try cells.made($0.element, line: line + 1 + $0.offset) }.joined(separator: "\n")
    case "bridges":
      guard words.count == 3 else { throw refusal("<!-- bridges FILE DATASET -->") }
      return BridgeComparison.table(try figures(words[1], of: words[2], nil).records)
    case "labelled":
      guard words.count == 3 else { throw refusal("<!-- labelled FILE DATASET -->") }
      return LabelledComparison.table(
        try figures(words[1], of: words[2], nil).records.filter { $0.dataset == words[2] })
    case "leaderboard":
      return try leaderboard()
    default:
      guard words.count == 4, let part = StudyProtocol(rawValue: String(words[3])) else {
        throw refusal("<!-- study FILE DATASET PROTOCOL -->")
      }
      return try figures(words[1], of: words[2], part).table(of: String(words[2]), part)
    }
  }

  private func leaderboard() throws -> String {
    guard words.count == 4 || words.count == 5 else {
      throw refusal("<!-- leaderboard FILE DATASET OTHER [MEASURE] -->")
    }
    let metric = words.count == 5 ? String(words[4]) : RankingMetric.ndcg(10).name
    let table = try LeaderboardFigures(contentsOf: place(words[1])).table(
      metric, dataset: String(words[2]),
      beside: words[3] == "-" ? nil : LeaderboardFigures(contentsOf: place(words[3])))
    guard table.split(separator: "\n").count > 2 else {
      throw refusal("\(metric) of \(words[2]) in \(place(words[1]).path)")
    }
    return table
  }

  /// The picture that the line names.
  func picture() throws -> (file: URL, svg: String)? {
    guard words.first == "study-picture" else { return nil }
    guard words.count == 3 else { throw refusal("<!-- study-picture PICTURE DATASET:MODEL=FILE,… -->") }
    let picture = try StudyPicture(
      panels: words[2].split(separator: ",").map(String.init), from: page.deletingLastPathComponent())
    return (place(words[1]), picture.svg)
  }

  private func place(_ name: Substring) -> URL {
    page.deletingLastPathComponent().appending(path: String(name))
  }

  /// A file's figures, which must have some of a data set and protocol.
  func figures(_ name: Substring, of dataset: Substring?, _ part: StudyProtocol?) throws -> StudyResults {
    let results = try StudyResults(contentsOf: place(name))
    let isThere = results.records.contains { record in
      (dataset.map { $0 == record.dataset } ?? true)
        && (part.map { $0.rawValue == record.protocolName } ?? true)
    }
    guard isThere else {
      throw refusal(
        "figures of \(dataset ?? "a data set"), \(part?.rawValue ?? "any protocol") in \(place(name).path)")
    }
    return results
  }
}

/// The rows of a table that names its cases.
private struct StudyCells {
  let mark: StudyMark
  private var part = StudyProtocol.warm
  private var slice = ""
  /// The NDCG@10 of the slice, for each column.
  private var columns: [[StudyRecord]?] = []
  private var files: [Substring: StudyResults] = [:]

  init(mark: StudyMark) { self.mark = mark }

  /// A row with its figures made anew.
  mutating func made(_ row: Substring, line: Int) throws -> String {
    guard let opening = row.range(of: "<!-- "),
      let closing = row.range(of: " -->", range: opening.upperBound..<row.endIndex)
    else {
      guard row.firstMatch(of: Self.number) == nil else {
        throw mark.refusal("a comment that names the row's case", found: row, line: line)
      }
      return String(row)
    }
    let name = row[opening.upperBound..<closing.lowerBound]
    let words = name.split(separator: " ")
    let isHead = words.count > 2 && StudyProtocol(rawValue: String(words[0])) != nil
    if isHead { try begin(words) }
    var cells = row[closing.upperBound...].split(separator: "|", omittingEmptySubsequences: false)
      .map(String.init)
    // The end of the first cell, the columns, and what is after the last line.
    guard cells.count == columns.count + 2 else {
      throw mark.refusal("\(columns.count) columns", found: row, line: line)
    }
    for (column, records) in columns.enumerated() {
      let value = records.flatMap { isHead ? splits($0) : figure(name, $0) }
      guard let cell = Self.cell(cells[column + 1], value, isHead: isHead) else {
        throw mark.refusal("no number where no figures are", found: row, line: line)
      }
      cells[column + 1] = cell
    }
    return row[..<closing.upperBound] + cells.joined(separator: "|")
  }

  private mutating func begin(_ words: [Substring]) throws {
    guard let named = StudyProtocol(rawValue: String(words[0])) else { return }
    (part, slice) = (named, String(words[1]))
    columns = try words.dropFirst(2).map { name in
      if name == "-" { return nil }
      let results = try files[name] ?? mark.figures(name, of: nil, named)
      files[name] = results
      return results.records.filter {
        $0.protocolName == named.rawValue && $0.slice == slice && $0.metric == RankingMetric.ndcg(10).name
      }
    }
  }

  private func splits(_ records: [StudyRecord]) -> String? {
    let count = Set(records.map(\.seed)).count
    return count == 0 ? nil : "\(count) split\(count == 1 ? "" : "s")"
  }

  private func figure(_ name: Substring, _ records: [StudyRecord]) -> String? {
    func mean(_ model: some StringProtocol, _ variant: some StringProtocol) -> Double? {
      let values = records.filter { $0.model == model && $0.variant == variant }.map(\.value)
      return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
    if name == "best" {
      let alone = HybridStudy.Variant.alone.rawValue
      let models = Set(records.filter { $0.variant == alone }.map(\.model)).subtracting([HybridStudy.fusion])
      let best = models.sorted().compactMap { model in mean(model, alone).map { (model, $0) } }
        .max { $0.1 < $1.1 }
      return best.map { "\(StudyResults.short($0.1)), \($0.0)" }
    }
    guard let slash = name.lastIndex(of: "/") else { return nil }
    return mean(name[..<slash], name[name.index(after: slash)...]).map { StudyResults.short($0) }
  }

  // A regular expression is not Sendable; these are never changed.
  private nonisolated(unsafe) static let number = /[−-]?[0-9]?\.[0-9]{4}(, [^|*]*[^|* ])?/
  private nonisolated(unsafe) static let count = /[0-9]+ splits?/

  /// A cell with its number replaced, or all of it where it has none; `nil` if it has one and should not.
  private static func cell(_ old: String, _ value: String?, isHead: Bool) -> String? {
    let match = isHead ? old.firstMatch(of: count)?.range : old.firstMatch(of: number)?.range
    guard let value else { return match == nil ? old : nil }
    guard let match else { return " \(value) " }
    return old.replacingCharacters(in: match, with: value)
  }
}
