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
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a line that is none of a study's, `FormatError`
  ///   if a file cannot be read.
  public init(contentsOf file: URL?) throws {
    guard let file, FileManager.default.fileExists(atPath: file.path) else { return }
    records = try Self.lines(file)
    let users = Self.usersFile(file)
    if FileManager.default.fileExists(atPath: users.path) { values = try Self.lines(users) }
  }

  private static func lines<Line: Decodable>(_ file: URL) throws -> [Line] {
    try JSONLines(try [UInt8](contentsOf: file, limit: 4 << 30)).values { line, found in
      BridgeError.invalidState(
        path: file.path, place: "line \(line)", expected: "a line of a study's figures", found: found)
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

  /// The same figures with each case's users' values as one line of means over its seeds, which is what the tests over users
  /// look at: a file to keep. No seed can be added to it afterwards.
  public func compacted() -> StudyResults {
    struct Key: Hashable {
      let part: String, model: String, variant: String, slice: String, metric: String
    }
    var order: [Key] = []
    var lines: [Key: [StudyValues]] = [:]
    for line in values {
      let key = Key(
        part: line.protocolName, model: line.model, variant: line.variant, slice: line.slice,
        metric: line.metric)
      if lines[key] == nil { order.append(key) }
      lines[key, default: []].append(line)
    }
    var result = self
    result.values = order.compactMap { key in
      guard let own = lines[key], var first = own.first else { return nil }
      if own.count == 1 { return first }
      let means = Self.means(own)
      first.users = means.keys.sorted()
      first.values = first.users.map { Float((means[$0] ?? 0) * 1e4).rounded() / 1e4 }
      first.seeds = own.map(\.seed)
      return first
    }
    return result
  }

  /// Each user's mean over some lines.
  private static func means(_ lines: [StudyValues]) -> [Int32: Double] {
    var sums: [Int32: (Double, Double)] = [:]
    for line in lines {
      for (user, value) in zip(line.users, line.values) {
        let old = sums[user] ?? (0, 0)
        sums[user] = (old.0 + Double(value), old.1 + 1)
      }
    }
    return sums.mapValues { $0.0 / $0.1 }
  }

  /// The cases of a data set and protocol that a seed has figures of.
  public func cases(of dataset: String, _ part: StudyProtocol, seed: UInt64) -> Set<StudyCase> {
    Set(
      records.filter { $0.dataset == dataset && $0.seed == seed && $0.protocolName == part.rawValue }
        .compactMap { record in
          HybridStudy.Variant(rawValue: record.variant).map { StudyCase(record.model, $0) }
        })
  }

  /// Writes both files, each at once.
  public func write(to file: URL) throws {
    try AtomicFile.writeJSONLines(values, to: Self.usersFile(file))
    try AtomicFile.writeJSONLines(records, to: file)
  }

  /// A table of NDCG@10 for a protocol: a row for each model and variant, its mean over the seeds for each slice, how
  /// many seeds these are where rows differ in that, and of what is recorded about readings (``StudyRecord/readingNDCG``, ``StudyRecord/explainedVariance``) if anything is; and how the
  /// bridge of the same model compares with it on the protocol's first slice: in how many seeds it is above, and the larger p of
  /// the paired tests over users, whose values are averaged over the seeds, and of the t-test over seeds, each with its split.
  public func table(of dataset: String, _ part: StudyProtocol) -> String {
    let slices = part.slices
    func figures(_ metric: String) -> [StudyRecord] {
      records.filter { $0.dataset == dataset && $0.protocolName == part.rawValue && $0.metric == metric }
    }
    let own = figures(RankingMetric.ndcg(10).name)
    let readings = [
      ("of the reading alone", figures(StudyRecord.readingNDCG)),
      ("variance explained", figures(StudyRecord.explainedVariance)),
    ].filter { !$0.1.isEmpty }
    let columns = slices.map { "NDCG@10, \($0) items" } + readings.map(\.0)
    var seen: Set<StudyCase> = []
    let cases = own.compactMap { record in
      HybridStudy.Variant(rawValue: record.variant).map { StudyCase(record.model, $0) }
    }.filter { seen.insert($0).inserted }
    // Means over different numbers of seeds say so.
    let counts = cases.map { bySeed(own, $0, slices[0]).count }
    let areCounted = Set(counts).count > 1
    var lines = [
      "| model | variant | " + (areCounted ? "seeds | " : "") + columns.joined(separator: " | ")
        + " | bridge above, seeds | p, users | p, seeds |",
      "| --- | --- |" + String(repeating: " ---: |", count: columns.count + (areCounted ? 4 : 3)),
    ]
    for (item, count) in zip(cases, counts) {
      let means = (slices.map { (own, $0) } + readings.map { ($0.1, slices[0]) })
        .map { bySeed($0, item, $1).values }
        .map { $0.isEmpty ? "" : Self.short($0.reduce(0, +) / Double($0.count)) }
      lines.append(
        "| \(item.model) | \(item.variant.rawValue) | " + (areCounted ? "\(count) | " : "")
          + means.joined(separator: " | ") + " | "
          + comparison(own, item, part).joined(separator: " | ") + " |")
    }
    return lines.joined(separator: "\n")
  }

  func bySeed(_ records: [StudyRecord], _ item: StudyCase, _ slice: String) -> [UInt64: Double] {
    Dictionary(
      records.filter { $0.model == item.model && $0.variant == item.variant.rawValue && $0.slice == slice }
        .map { ($0.seed, $0.value) }
    ) { $1 }
  }

  /// In how many seeds the bridge of the model is above a case, and the p of both tests.
  func comparison(_ own: [StudyRecord], _ item: StudyCase, _ part: StudyProtocol) -> [String] {
    let slice = part.slices[0]
    let bridge = bySeed(own, StudyCase(item.model, .bridge), slice)
    let other = bySeed(own, item, slice)
    let seeds = other.keys.filter { bridge[$0] != nil }.sorted()
    guard item.variant != .bridge, !seeds.isEmpty else { return ["", "", ""] }
    let (a, b) = (seeds.map { bridge[$0] ?? 0 }, seeds.map { other[$0] ?? 0 })
    let above = zip(a, b).count { $0 > $1 }
    return [
      "\(above) of \(seeds.count)", pValue(item, part).map(Self.shortP) ?? "",
      seeds.count > 1 ? Self.shortP(PairedTests.studentT(a, b).pValue) : "",
    ]
  }

  static func short(_ value: Double) -> String { LeaderboardFigures.short(value) }

  private static func shortP(_ value: Double) -> String { value < 0.001 ? "< .001" : short(value) }

  /// The larger p of the paired tests over users of the bridge against a case.
  private func pValue(_ item: StudyCase, _ part: StudyProtocol) -> Double? {
    func means(_ variant: HybridStudy.Variant) -> [Int32: Double] {
      Self.means(
        values.filter {
          $0.protocolName == part.rawValue && $0.model == item.model && $0.variant == variant.rawValue
            && $0.slice == part.slices[0] && $0.metric == RankingMetric.ndcg(10).name
        })
    }
    let (first, second) = (means(.bridge), means(item.variant))
    let users = first.keys.filter { second[$0] != nil }.sorted()
    guard users.count > 1 else { return nil }
    let (a, b) = (users.map { first[$0] ?? 0 }, users.map { second[$0] ?? 0 })
    return max(PairedTests.studentT(a, b).pValue, PairedTests.wilcoxon(a, b).pValue)
  }
}
