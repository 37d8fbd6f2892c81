import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTestSupport

/// What `trestle compare` and `trestle evaluate` print and write.
@Suite struct CompareCommandTests {
  private static let files = ["--interactions", "rows.csv", "--items", "items.csv"]
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Runs the program in the folder; its exit code, and what it has printed.
  private func trestle(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
    let process = Process()
    process.executableURL = TestExecutables.url("trestle")
    process.arguments = arguments
    process.currentDirectoryURL = folder.url
    // Files rather than pipes, which could fill up.
    let places = ["output", "errors"].map { folder.url.appending(path: $0) }
    for place in places { try Data().write(to: place) }
    process.standardOutput = try FileHandle(forWritingTo: places[0])
    process.standardError = try FileHandle(forWritingTo: places[1])
    try process.run()
    process.waitUntilExit()
    let texts = try places.map { try String(contentsOf: $0, encoding: .utf8) }
    return (process.terminationStatus, texts[0], texts[1])
  }

  private func lines(_ name: String) throws -> [JSONValue] {
    try String(contentsOf: folder.url.appending(path: name), encoding: .utf8).split(separator: "\n")
      .map { try JSONValue(parsing: String($0)) }
  }

  private func value(_ metric: String, of model: String, in lines: [JSONValue]) throws -> Double? {
    try lines.first {
      try $0.member("metric").string() == metric && $0.member("model").string() == model
        && $0.member("slice").string() == "all"
    }?.member("value").double()
  }

  /// Interactions in blocks, and a file of items, with genres or without.
  private func writeFiles(genres: Bool) throws {
    var rows = "user,item,time\n"
    for user in 0..<30 {
      for place in 0..<12 {
        rows +=
          "u\(user),i\((user + place * (user % 3 + 1)) % 25),\(1_600_000_000 + user * 700 + place * 5000)\n"
      }
    }
    try folder.write(rows, to: "rows.csv")
    let items = (0..<25).map {
      "i\($0),Item \($0)" + (genres ? ",\($0 % 2 == 0 ? "Even" : "Odd|Thing")" : "")
    }
    try folder.write(
      (["item,title" + (genres ? ",genres" : "")] + items).joined(separator: "\n") + "\n", to: "items.csv")
  }

  @Test func whatGenresTellIsMeasuredWhereThereAreSome() throws {
    try writeFiles(genres: true)
    let found = try trestle(
      [
        "compare", "--models", "Popularity,EASE", "--json", "with.jsonl", "--metrics",
        "NDCG@10,ILD@10,Miscalibration@10,Gini@10",
      ] + Self.files)
    #expect(found.code == 0, "\(found.errors)")
    let header = try #require(found.output.split(separator: "\n").first { $0.hasPrefix("model") })
    #expect(
      header.split(separator: " ").prefix(5) == [
        "model", "NDCG@10", "ILD@10", "Miscalibration@10", "Gini@10",
      ])
    let figures = try lines("with.jsonl")
    for model in ["Popularity", "EASE"] {
      let diversity = try #require(try value("ILD@10", of: model, in: figures))
      #expect(found.output.contains(String(format: "%.4f", diversity)) && diversity > 0 && diversity <= 1)
      #expect(try value("Miscalibration@10", of: model, in: figures) ?? -1 >= 0)
    }
    // The table shows them when they are asked for alone.
    let usual = try trestle(
      ["compare", "--models", "Popularity"] + Self.files)
    #expect(usual.code == 0 && !usual.output.contains("ILD"))

    try writeFiles(genres: false)
    let without = try trestle(
      ["compare", "--models", "Popularity", "--json", "without.jsonl"] + Self.files)
    #expect(without.code == 0, "\(without.errors)")
    let plain = try lines("without.jsonl")
    #expect(try value("NDCG@10", of: "Popularity", in: plain) != nil)
    #expect(try value("ILD@10", of: "Popularity", in: plain) == nil)
    #expect(try value("Miscalibration@10", of: "Popularity", in: plain) == nil)
    let refused = try trestle(
      ["compare", "--models", "Popularity", "--metrics", "ILD@10"] + Self.files)
    #expect(refused.code != 0 && refused.errors.contains("found 'ILD@10'"))
  }

  @Test func evaluateMeasuresWhatGenresTell() throws {
    try writeFiles(genres: true)
    let trained = try trestle(
      ["train", "--domain", "EASE", "--no-refit", "--output", "saved"] + Self.files)
    #expect(trained.code == 0, "\(trained.errors)")
    let held = try trestle(
      ["evaluate", "--recommender", "saved", "--json", "held.jsonl", "--metrics", "NDCG@10,ILD@10"]
        + Self.files)
    #expect(held.code == 0 && held.output.contains("ILD@10"), "\(held.errors)")
    let compared = try trestle(
      ["compare", "--models", "EASE", "--json", "compared.jsonl"] + Self.files)
    #expect(compared.code == 0, "\(compared.errors)")
    let (own, other) = try (lines("held.jsonl"), lines("compared.jsonl"))
    for metric in ["NDCG@10", "ILD@10", "Miscalibration@10"] {
      let measured = try #require(try value(metric, of: "EASE", in: own))
      #expect(try measured == value(metric, of: "EASE", in: other))
    }
    // Later interactions: the genres are those of --items.
    try folder.write("user,item\nu1,i8\nu1,i20\nu2,i21\nu4,i19\n", to: "later.csv")
    let later = try trestle([
      "evaluate", "--recommender", "saved", "--test", "later.csv", "--items", "items.csv", "--json",
      "later.jsonl",
    ])
    #expect(later.code == 0, "\(later.errors)")
    #expect(try value("ILD@10", of: "EASE", in: lines("later.jsonl")) != nil)
    let bare = try trestle([
      "evaluate", "--recommender", "saved", "--test", "later.csv", "--json", "bare.jsonl",
    ])
    #expect(bare.code == 0, "\(bare.errors)")
    #expect(try value("ILD@10", of: "EASE", in: lines("bare.jsonl")) == nil)
  }

  @Test func windowsOfTimeHaveRowsAndLinesOfTheirOwn() throws {
    try writeFiles(genres: true)
    let command = ["compare", "--interactions", "rows.csv", "--models", "Popularity,EASE"]
    let rolling = command + ["--split", "rolling", "--windows", "3", "--seeds", "2", "--json"]
    let found = try trestle(rolling + ["windows.jsonl"])
    #expect(found.code == 0, "\(found.errors)")
    let figures = try lines("windows.jsonl")
    let keys = try figures.map { line in
      try [
        line.member("model").string(), "\(line.member("seed").int())", "\(line.member("window").int())",
        line.member("slice").string(), line.member("metric").string(),
      ]
    }
    #expect(Set(keys).count == keys.count && Set(keys.map { $0[1] + $0[2] }).count == 6)
    #expect(Set(try figures.map { try $0.member("split").string() }).count == 3)
    let rows = found.output.split(separator: "\n")
    for window in 1...3 {
      let values = try figures.filter {
        try $0.member("metric").string() == "NDCG@10" && $0.member("model").string() == "EASE"
          && $0.member("slice").string() == "all" && $0.member("window").int() == window
      }.map { try $0.member("value").double() }
      #expect(values.count == 2)
      let text = String(format: "%.4f", values.reduce(0, +) / 2)
      #expect(rows.contains { $0.hasPrefix("  window \(window)") && $0.contains(text) }, "\(text)")
    }
  }

  @Test func aSearchOverWindowsGoesOn() throws {
    try writeFiles(genres: false)
    let command = [
      "compare", "--interactions", "rows.csv", "--models", "EASE", "--split", "rolling", "--windows", "2",
      "--search", "2", "--tried", "tried.jsonl", "--json",
    ]
    let first = try trestle(command + ["first.jsonl"])
    #expect(first.code == 0, "\(first.errors)")
    let tried = try Data(contentsOf: folder.url.appending(path: "tried.jsonl"))
    #expect(tried.split(separator: UInt8(ascii: "\n")).count == 4)
    // What was tried on each window is there: nothing is tried again.
    let second = try trestle(command + ["second.jsonl"])
    #expect(second.code == 0, "\(second.errors)")
    #expect(try Data(contentsOf: folder.url.appending(path: "tried.jsonl")) == tried)
    func values(_ name: String) throws -> [Double] {
      try lines(name).map { try $0.member("value").double() }
    }
    #expect(try values("first.jsonl") == values("second.jsonl"))
  }

  @Test func windowsThatCannotBeAreRefused() throws {
    try writeFiles(genres: false)
    let command = ["compare", "--models", "Popularity", "--interactions"]
    func errors(_ arguments: String...) throws -> String {
      let found = try trestle(command + arguments)
      #expect(found.code != 0)
      return found.errors
    }
    #expect(try errors("rows.csv", "--windows", "2").contains("--windows is for --split rolling"))
    #expect(
      try errors("rows.csv", "--split", "rolling", "--serving", "update").contains("--serving cannot take"))
    try folder.write("user,item\na,x\na,y\nb,x\nb,y\n", to: "timeless.csv")
    #expect(try errors("timeless.csv", "--split", "rolling").contains("no times"))
    let same = (0..<40).map { "u\($0 % 5),i\($0),1600000000\n" }.joined()
    try folder.write("user,item,time\n" + same, to: "same.csv")
    #expect(try errors("same.csv", "--split", "rolling").contains("interactions in each part of 5 windows"))
  }
}
