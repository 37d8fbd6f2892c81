import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

@Suite struct LeaderboardTests {
  /// Two seeds of "A, best" and one of "B".
  static func board() throws -> Leaderboard {
    var configuration = RankingEvaluatorTests.configuration([.recall(2), .mrr(6)])
    configuration.listMetrics = [.coverage(2)]
    let evaluator = RankingEvaluator(RankingEvaluatorTests.split, configuration: configuration)
    var board = Leaderboard(dataset: "tiny")
    let worse = try evaluator.evaluate(RankingEvaluatorTests.untied)
    let better = try evaluator.evaluate(RowScorer(itemCount: 6) { _ in [6, 5, 4, 3, 2, 1] })
    board.add(model: "B", seed: 0, result: worse, trainingSeconds: 1.25)
    board.add(model: "A, best", seed: 0, result: better, trainingSeconds: 2)
    board.add(model: "A, best", seed: 1, result: better, trainingSeconds: 4)
    return board
  }

  @Test func theTableRanksByTheFirstMeasure() throws {
    let lines = try Self.board().table(metrics: ["Recall@2", "Coverage@2", "NDCG@10"]).split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines[0].hasPrefix("model") && lines[0].hasSuffix("evaluation s"))
    #expect(
      lines[2].hasPrefix("A, best") && lines[2].contains("1.0000 ± 0.0000") && lines[2].contains(" 3.0 "))
    #expect(lines[3].hasPrefix("B ") && lines[3].contains("0.2500") && lines[3].contains("–"))
    #expect(Leaderboard(dataset: "").table().split(separator: "\n").count == 2)
  }

  @Test func markdownHasOneRowPerModel() throws {
    let lines = try Self.board().markdown(metrics: ["MRR@6"]).split(separator: "\n")
    #expect(lines.count == 4 && lines.allSatisfy { $0.hasPrefix("| ") && $0.hasSuffix(" |") })
    #expect(lines[1] == "| --- | ---: | ---: | ---: | ---: |")
  }

  @Test func jsonLinesCarryModelSeedSliceMetricAndValue() throws {
    let lines = try Self.board().jsonLines().split(separator: "\n")
    let objects = try lines.map { try JSONValue(parsing: String($0)) }
    let found = try objects.first {
      try $0.member("model").string() == "B" && $0.member("slice").string() == "all"
        && $0.member("metric").string() == "Recall@2"
    }
    let record = try #require(found)
    #expect(try record.member("value").double() == 0.25)
    #expect(try record.member("seed").int() == 0 && record.member("users").int() == 2)
    #expect(try record.member("training_seconds").double() == 1.25)
    #expect(try record.member("split").string() == RankingEvaluatorTests.split.hash)
    let slices = try Set(objects.map { try $0.member("slice").string() })
    #expect(slices.isSubset(of: ["all", "warm", "long-tail", "cold", "unseen"]) && slices.contains("all"))
  }

  /// Two seeds of "A", and one of "B", on two windows each.
  private static func windows() throws -> Leaderboard {
    let plain = try board()
    let (worse, better) = (plain.results(of: "B")[0], plain.results(of: "A, best")[0])
    var board = Leaderboard(dataset: "tiny")
    for (seed, results) in [(UInt64(0), [worse, better]), (1, [better, better])] {
      for (place, result) in results.enumerated() {
        board.add(model: "A", seed: seed, window: place + 1, result: result, trainingSeconds: 1)
      }
    }
    for window in [2, 1] {
      board.add(model: "B", seed: 0, window: window, result: worse, trainingSeconds: 1)
    }
    return board
  }

  @Test func aSeedsValueIsTheMeanOverItsWindows() throws {
    let board = try Self.windows()
    #expect(try board.windows == [1, 2] && Self.board().windows.isEmpty)
    // Recall@2 of the worse result is 1/4, of the better one 1.
    let interval = try #require(board.interval("Recall@2", of: "A"))
    #expect(interval.mean == (0.625 + 1) / 2 && interval.count == 2)
    #expect(interval == MeanInterval.student([0.625, 1]))
    let first = board.runs(inWindow: 1)
    #expect(first.runs.count == 3 && first.interval("Recall@2", of: "A")?.mean == 0.625)
    #expect(try first.comparisons(with: "B", metric: .recall(2)).map(\.comparison.difference.mean) == [0.375])
    #expect(board.runs(inWindow: 3).runs.isEmpty)
  }

  @Test func windowsHaveRowsBelowTheirMean() throws {
    let rows = try Self.windows().table(metrics: ["Recall@2"]).split(separator: "\n").dropFirst(2)
      .map { $0.split(separator: " ").map(String.init) }
    #expect(rows.map { $0[0] } == ["A", "window", "window", "B", "window", "window"])
    #expect(rows[0][1] == "0.8125" && rows[0][2] == "±" && rows[0].contains("4"))
    #expect(rows[1][1...2] == ["1", "0.6250"] && rows[2][1...2] == ["2", "1.0000"])
    #expect(rows[3][1...2] == ["0.2500", "2"] && rows[4][1...3] == ["1", "0.2500", "1"])
    let markdown = try Self.windows().markdown(metrics: ["Recall@2"]).split(separator: "\n")
    #expect(markdown.count == 8 && markdown[3].hasPrefix("|   window 1 | 0.6250"))
  }

  @Test func linesOfWindowsAreToldApart() throws {
    let lines = try Self.windows().jsonLines().split(separator: "\n").map {
      try JSONValue(parsing: String($0))
    }
    let keys = try lines.map { line in
      try [
        line.member("model").string(), "\(line.member("seed").int())", "\(line.member("window").int())",
        line.member("slice").string(), line.member("metric").string(),
      ]
    }
    #expect(Set(keys).count == keys.count && Set(keys.map { $0[2] }) == ["1", "2"])
    let csv = try Self.windows().csv().split(separator: "\n")
    #expect(csv[0].hasSuffix(",split,window") && csv[1].hasSuffix(",1"))
    // Nothing changes where there are none.
    #expect(try Self.board().csv().split(separator: "\n")[0].hasSuffix(",split"))
    #expect(try !Self.board().jsonLines().contains("window"))
    let folder = try TemporaryFolder()
    let file = try folder.write(Self.windows().jsonLines(), to: "windows.jsonl")
    let table = try LeaderboardFigures(contentsOf: file).table("Recall@2", dataset: "tiny", beside: nil)
    #expect(table.contains("| A | .2500 1.0000 1.0000 1.0000 | .8125 |"))
    let decoded = try JSONDecoder().decode(Leaderboard.self, from: JSONEncoder().encode(Self.windows()))
    #expect(decoded.windows == [1, 2])
  }

  private final class Objective: SearchObjective {
    let maximumEpochs: Int? = nil

    func measure(
      _ settings: SearchSettings, trial: Int, epochs: Int?, afterEpoch: () throws -> Void
    ) throws -> SearchMeasurement {
      if trial == 1 { throw TensorError.nonFinite(operation: "x", phase: .forward, shape: [], index: 0) }
      return SearchMeasurement(value: settings["x", default: 0])
    }
  }

  @Test func jsonLinesCarryWhatASearchHasTried() throws {
    var configuration = HyperparameterSearch.Configuration()
    configuration.budget = .trials(4)
    let search = try HyperparameterSearch(
      "C", space: SearchSpace([.init("x", .uniform(0...1), initial: 0.25)]), objective: Objective(),
      data: "", configuration: configuration
    ).run()
    var board = try Self.board()
    board.add(
      model: "C", seed: 3, result: try #require(board.results(of: "B").first), trainingSeconds: 1,
      search: search)
    let lines = try board.jsonLines().split(separator: "\n").map { try JSONValue(parsing: String($0)) }
    let own = try lines.filter { try $0.member("model").string() == "C" }
    let (measured, tried) = (own.filter { $0["trial"] == nil }, own.filter { $0["trial"] != nil })
    let best = try #require(search.best.settings["x"])
    #expect(!measured.isEmpty)
    for line in measured { #expect(try line.member("settings").member("x").double() == best) }
    #expect(
      try tried.map { try $0.member("trial").int() } == search.trials.filter { $0.value != nil }.map(\.number)
    )
    for line in tried {
      #expect(
        try line.member("slice").string() == "validation" && line.member("metric").string() == search.metric)
      #expect(try line.member("value").double() == line.member("settings").member("x").double())
    }
    // Models without a search have lines as before.
    #expect(lines.allSatisfy { ($0["settings"] == nil) == ((try? $0.member("model").string()) != "C") })
    #expect(
      try JSONDecoder().decode(Leaderboard.self, from: JSONEncoder().encode(board)).runs.last?.search
        == search)
  }

  @Test func figuresOfAFileBecomeATableBesideAnotherProgram() throws {
    let folder = try TemporaryFolder()
    let (own, other) = (folder.url.appending(path: "own.jsonl"), folder.url.appending(path: "other.jsonl"))
    try Data(Self.board().jsonLines().utf8).write(to: own)
    let line = """
      {"dataset":"tiny","metric":"Recall@2","model":"B","program":"Peer 1","seed":0,"slice":"all","value":0.5}

      """
    try Data(line.utf8).write(to: other)
    let figures = try LeaderboardFigures(contentsOf: own)
    let table = try figures.table("Recall@2", dataset: "tiny", beside: LeaderboardFigures(contentsOf: other))
    #expect(
      table.split(separator: "\n") == [
        "| model | Recall@2 by seed | mean | Peer 1 by seed | mean | ratio |",
        "| --- | --- | ---: | --- | ---: | ---: |",
        "| A, best | 1.0000 1.0000 | 1.0000 |  |  |  |",
        "| B | .2500 | .2500 | .5000 | .5000 | 0.50 |",
      ])
    #expect(figures.table("Recall@2", dataset: "other", beside: nil).split(separator: "\n").count == 2)
    try Data((line + "{\n").utf8).write(to: other)
    let error = #expect(throws: DataError.self) { _ = try LeaderboardFigures(contentsOf: other) }
    #expect("\(error.map { "\($0)" } ?? "")".contains("other.jsonl:2"))
  }

  @Test func csvQuotesNamesAndHasALinePerValue() throws {
    let board = try Self.board()
    let lines = board.csv().split(separator: "\n")
    #expect(lines[0].hasPrefix("dataset,model,seed,slice,metric,value"))
    #expect(lines.count == board.jsonLines().split(separator: "\n").count + 1)
    #expect(lines.contains { $0.hasPrefix("tiny,\"A, best\",1,all,MRR@6,1.0,2,4.0,") })
  }

  @Test func comparisonsCarryHolmsCorrection() throws {
    let board = try Self.board()
    let comparisons = try board.comparisons(with: "B", metric: .mrr(6))
    #expect(comparisons.map(\.model) == ["A, best"])
    #expect(comparisons[0].comparison.difference.mean == 0.375)
    #expect(comparisons[0].adjustedStudentT == comparisons[0].comparison.studentT.pValue)
    let text = try board.comparisonMarkdown(with: "B", metric: .mrr(6))
    #expect(text.contains("| A, best | +0.3750 |") && text.contains("+60.0 %"))
    #expect(throws: DataError.self) { try board.comparisons(with: "C", metric: .mrr(6)) }
  }
}
