import Foundation
import Testing
import TrestleBridges
import TrestleTestSupport

/// Pages whose tables and pictures come from committed figures.
@Suite struct StudyPageTests {
  private static let root = TestAssets.fixtures.deletingLastPathComponent().deletingLastPathComponent()

  @Test(arguments: [
    ("README.md", 1, 0), ("Documentation/Results-NewItems.md", 10, 1),
    ("Documentation/Results-KnownItems.md", 3, 0), ("Documentation/Results/NewItems/Earlier/README.md", 1, 0),
    ("Documentation/Bridges.md", 2, 0), ("Documentation/Results-Recommenders.md", 8, 0),
  ])
  func aPageSaysWhatTheFiguresSay(name: String, tables: Int, pictures: Int) throws {
    let page = Self.root.appending(path: name)
    let made = try StudyPage(contentsOf: page)
    #expect(made.text == (try String(contentsOf: page, encoding: .utf8)), "trestle study-pages makes it anew")
    #expect(made.tables == tables && made.pictures.count == pictures)
    for (file, svg) in made.pictures {
      #expect(svg == (try String(contentsOf: file, encoding: .utf8)), "trestle study-pages makes it anew")
    }
  }

  /// The README's second table, beside the page that is made from the runs.
  @Test func theReadmesTableOfBothSidesIsThatOfTheResults() throws {
    func rows(_ name: String, after heading: String) throws -> [[String]] {
      let text = try String(contentsOf: Self.root.appending(path: name), encoding: .utf8)
      let part = try #require(text.components(separatedBy: heading).dropFirst().first)
      return part.split(separator: "\n", omittingEmptySubsequences: false).drop { !$0.hasPrefix("| ") }
        .prefix { $0.hasPrefix("| ") }.dropFirst(2).map { row in
          row.split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
            .map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }
    func short(_ cell: String) -> String { cell.replacingOccurrences(of: "0.", with: ".") }
    func p(_ cell: String) -> String {
      short(String(cell.prefix { $0 != "(" })).trimmingCharacters(in: .whitespaces)
    }
    let all = try rows("Documentation/Results.md", after: "## ml-100k, 100 % of the training data")
    let tenth = try rows("Documentation/Results.md", after: "## ml-100k, 10 % of the training data")
    let readme = try rows("README.md", after: "**Both sides in turn.**")
    let names = [
      "Popularity": "Popularity", "LightGCN alone": "LightGCN", "LightGCN + bridge": "LightGCN + bridge",
      "language model alone, random tokens": "LM, random tokens", "language model + bridge": "LM + bridge",
      "fusion of both bridged": "Fusion",
    ]
    #expect(readme.count == names.count)
    for row in readme {
      let name = try #require(names[row[0]], "a row of another name: \(row[0])")
      let (first, second) = (
        try #require(all.first { $0[0] == name }), try #require(tenth.first { $0[0] == name })
      )
      #expect(row[1] == short(first[2]) && row[2] == short(first[5]), "\(row)")
      #expect(p(row[3]) == p(first[6]) && row[3].isEmpty == first[6].isEmpty, "\(row)")
      #expect(row[4] == short(second[2]) && row[5] == p(second[6]), "\(row)")
    }
  }

  @Test func aTableThatNamesItsCasesTakesTheirFigures() throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "cells-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    func record(_ model: String, _ variant: String, _ seed: UInt64, _ value: Double) -> StudyRecord {
      StudyRecord(
        dataset: "d", protocolName: "warm", model: model, variant: variant, seed: seed, slice: "all",
        metric: "NDCG@10", value: value)
    }
    var results = StudyResults()
    results.add(
      [
        record("EASE", "alone", 1, 0.2), record("EASE", "alone", 2, 0.3), record("iALS", "alone", 1, 0.1),
        record("EASE", "bridge", 1, 0.5),
      ], [])
    try results.write(to: folder.appending(path: "a.jsonl"))
    let page = folder.appending(path: "Page.md")
    func made(_ rows: String) throws -> String {
      try "<!-- study-cells -->\n| | a | b |\n| --- | ---: | ---: |\n\(rows)\n<!-- end -->\n".write(
        to: page, atomically: true, encoding: .utf8)
      return try StudyPage(contentsOf: page).text
    }
    let head = "| head <!-- warm all a.jsonl - --> | 9 splits | |"
    let text = try made(
      "\(head)\n| x <!-- EASE/alone --> | **.9999** | not run |\n| y <!-- EASE/bridge --> | not run | |\n"
        + "| z <!-- best --> | .1000, iALS | |\n| w <!-- iALS/bridge --> | not run | |")
    #expect(text.contains("| head <!-- warm all a.jsonl - --> | 2 splits | |"))
    #expect(text.contains("| x <!-- EASE/alone --> | **.2500** | not run |"))
    #expect(text.contains("| y <!-- EASE/bridge --> | .5000 | |"))
    #expect(text.contains("| z <!-- best --> | .2500, EASE | |"))
    #expect(text.contains("| w <!-- iALS/bridge --> | not run | |"))
    for broken in [
      "\(head)\n| w <!-- iALS/bridge --> | .1234 | |", "\(head)\n| x <!-- EASE/alone --> | .1 | .1234 |",
      "\(head)\n| x <!-- EASE/alone --> | .1 |", "\(head)\n| x | .1234 | |",
      "| head <!-- sparse all a.jsonl - --> | | |",
    ] {
      #expect(throws: BridgeError.self) { try made(broken) }
    }
    // Rows of different numbers of seeds say how many, and a table by seed leaves out what was not run.
    #expect(results.table(of: "d", .warm).contains("| EASE | bridge | 1 | .5000 |"))
    let bySeed = results.tableBySeed(of: "d", .warm, model: "EASE").split(separator: "\n")
    #expect(bySeed[0] == "| what reads | 1 | 2 | mean | bridge above | p, seeds |")
    #expect(bySeed[2] == "| nothing: EASE alone | .2000 | .3000 | .2500 | 1 of 1 |  |")
    #expect(bySeed[3].hasSuffix("| .5000 |  | .5000 |  |  |"))
  }

  @Test func aTableOfALeaderboardIsOfTheMeasureThatIsNamed() throws {
    let folder = try TemporaryFolder(inMemory: true)
    func lines(_ model: String, _ values: [(String, Double)], _ program: String) -> String {
      values.map {
        """
        {"dataset":"d","metric":"\($0.0)","model":"\(model)","seed":0,"slice":"all","value":\($0.1)\(program)}\n
        """
      }.joined()
    }
    let own = lines("A", [("NDCG@10", 0.2), ("Hit@10", 0.5)], "") + lines("B", [("Hit@10", 0.75)], "")
    try Data(own.utf8).write(to: folder.url.appending(path: "a.jsonl"))
    let other = lines("A", [("Hit@10", 0.25)], ",\"program\":\"P 1\"")
    try Data(other.utf8).write(to: folder.url.appending(path: "b.jsonl"))
    let page = folder.url.appending(path: "Page.md")
    func made(_ mark: String) throws -> String {
      try Data("<!-- leaderboard \(mark) -->\n<!-- end -->\n".utf8).write(to: page)
      return try StudyPage(contentsOf: page).text
    }
    let plain = try made("a.jsonl d -")
    #expect(plain.contains("| A | .2000 | .2000 |") && !plain.contains("| B |"))
    let hits = try made("a.jsonl d b.jsonl Hit@10")
    #expect(hits.contains("| model | Hit@10 by seed | mean | P 1 by seed | mean | ratio |"))
    #expect(hits.contains("| B | .7500 | .7500 |  |  |  |"))
    #expect(hits.contains("| A | .5000 | .5000 | .2500 | .2500 | 2.00 |"))
    for wrong in ["a.jsonl d - MRR", "a.jsonl e -", "a.jsonl d", "a.jsonl d - Hit@10 more", "none.jsonl d -"]
    {
      #expect(throws: (any Error).self) { try made(wrong) }
    }
  }
}
