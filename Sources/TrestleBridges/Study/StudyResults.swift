import Foundation
import TrestleFormats
import TrestleRecommenders

/// The figures of a study: lines of JSON in a file, the users' values in another beside it.
public struct StudyResults: Sendable {
  /// The figures, in the order of their making.
  public private(set) var records: [StudyRecord] = []
  /// The users' values.
  public private(set) var values: [StudyValues] = []

  /// No figures.
  public init() {}

  /// The figures in `file`, and those of the file beside it; none if it does not exist.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a line that is none of a study's, Foundation's
  ///   error if a file cannot be read.
  public init(contentsOf file: URL?) throws {
    guard let file, FileManager.default.fileExists(atPath: file.path) else { return }
    records = try Self.lines(file)
    let users = Self.usersFile(file)
    if FileManager.default.fileExists(atPath: users.path) { values = try Self.lines(users) }
  }

  private static func lines<Line: Decodable>(_ file: URL) throws -> [Line] {
    let text = String(decoding: try Data(contentsOf: file), as: UTF8.self)
    return try text.split(separator: "\n").enumerated().map { place, line in
      do {
        return try JSONDecoder().decode(Line.self, from: Data(line.utf8))
      } catch {
        throw BridgeError.invalidState(
          path: file.path, place: "line \(place + 1)", expected: "a line of a study's figures",
          found: String(line.prefix(60)))
      }
    }
  }

  private static func usersFile(_ file: URL) -> URL {
    file.deletingPathExtension().appendingPathExtension("users.jsonl")
  }

  /// Adds figures.
  public mutating func add(_ records: [StudyRecord], _ values: [StudyValues]) {
    self.records += records
    self.values += values
  }

  /// The variants of a data set that a seed has figures of.
  public func variants(of dataset: String, seed: UInt64) -> Set<NewItemStudy.Variant> {
    Set(
      records.filter { $0.dataset == dataset && $0.seed == seed }
        .compactMap { NewItemStudy.Variant(rawValue: $0.variant) })
  }

  /// Writes both files, each at once.
  public func write(to file: URL) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    func bytes(_ lines: [some Encodable]) throws -> [UInt8] {
      try lines.flatMap { line in Array(try encoder.encode(line)) + [UInt8(ascii: "\n")] }
    }
    try AtomicFile.write(try bytes(values), to: Self.usersFile(file))
    try AtomicFile.write(try bytes(records), to: file)
  }

  /// NDCG@10 by variant among the new items and among all: the mean over the seeds, in how many of them the bridge is above the
  /// variant among the new items, and the larger p of the paired tests over users, whose values are averaged over the seeds.
  public func table(of dataset: String) -> String {
    let metric = RankingMetric.ndcg(10).name
    let own = records.filter { $0.dataset == dataset && $0.metric == metric }
    var lines = [
      "| variant | NDCG@10, new items | NDCG@10, all items | bridge above, seeds | p |",
      "| --- | ---: | ---: | ---: | ---: |",
    ]
    let bridge = Dictionary(
      own.filter { $0.variant == "bridge" && $0.slice == "new" }.map { ($0.seed, $0.value) }
    ) { $1 }
    for variant in NewItemStudy.Variant.allCases {
      func mean(_ slice: String) -> Double? {
        let found = own.filter { $0.variant == variant.rawValue && $0.slice == slice }.map(\.value)
        return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
      }
      guard let new = mean("new"), let all = mean("all") else { continue }
      let others = own.filter { $0.variant == variant.rawValue && $0.slice == "new" }
      let above = others.filter { (bridge[$0.seed] ?? -1) > $0.value }.count
      let p = variant == .bridge ? nil : pValue(variant)
      lines.append(
        "| \(variant.rawValue) | \(Self.short(new)) | \(Self.short(all)) | "
          + (variant == .bridge || bridge.isEmpty ? "" : "\(above) of \(others.count)") + " | "
          + (p.map { $0 < 0.001 ? "< .001" : Self.short($0) } ?? "") + " |")
    }
    return lines.joined(separator: "\n")
  }

  private static func short(_ value: Double) -> String {
    let text = String(format: "%.4f", value)
    return text.hasPrefix("0") ? String(text.dropFirst()) : text
  }

  /// The larger p of the paired tests of the bridge against a variant among new items.
  private func pValue(_ variant: NewItemStudy.Variant) -> Double? {
    func means(_ name: String) -> [Int32: Double] {
      var sums: [Int32: (Double, Double)] = [:]
      for line in values where line.variant == name && line.slice == "new" {
        for (user, value) in zip(line.users, line.values) {
          let old = sums[user] ?? (0, 0)
          sums[user] = (old.0 + Double(value), old.1 + 1)
        }
      }
      return sums.mapValues { $0.0 / $0.1 }
    }
    let (first, second) = (means("bridge"), means(variant.rawValue))
    let users = first.keys.filter { second[$0] != nil }.sorted()
    guard users.count > 1 else { return nil }
    let (a, b) = (users.map { first[$0] ?? 0 }, users.map { second[$0] ?? 0 })
    return max(PairedTests.studentT(a, b).pValue, PairedTests.wilcoxon(a, b).pValue)
  }
}
