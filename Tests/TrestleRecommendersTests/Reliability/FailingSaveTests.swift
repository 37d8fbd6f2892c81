import Foundation
import Testing
import TrestleFormats
import TrestleRecommenders
import TrestleTestSupport

/// What does not fit leaves what was there: splits and trials. Each in a process of its own, whose files may not grow beyond a limit.
@Suite struct FailingSaveTests {
  private static func split(items: [String], rows: Int) -> NamedSplit {
    let none = Interactions.empty(userCount: 1, itemCount: items.count)
    let training = Interactions(
      users: [Int32](repeating: 0, count: rows), items: (0..<Int32(rows)).map { $0 }, userCount: 1,
      itemCount: items.count)
    return NamedSplit(
      DataSplit(training: training, validation: none, test: none), userIDs: IDMap(["ann"]),
      itemIDs: IDMap(items))
  }

  /// The rows of the new split fit, its ids do not: part by part it would be half of each.
  @Test func aSplitThatCannotBeWrittenLeavesTheFormerOne() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let place = folder.url.appending(path: "split")
      let former = FailingSaveTests.split(items: ["a", "b", "c"], rows: 3)
      try former.write(to: place)
      try Data("mine".utf8).write(to: place.appending(path: "notes.txt"))
      let other = FailingSaveTests.split(items: (0..<3000).map { "item \($0)" }, rows: 2)
      var hasFailed = false
      try withFileSizeLimit(4 << 10) {
        do { try other.write(to: place) } catch { hasFailed = true }
      }
      guard hasFailed else { exit(1) }
      guard try NamedSplit(contentsOf: place).split.hash == former.split.hash else { exit(2) }
      try other.write(to: place)
      guard try NamedSplit(contentsOf: place).split.hash == other.split.hash else { exit(3) }
      // What else is in the folder stays.
      guard try Data(contentsOf: place.appending(path: "notes.txt")) == Data("mine".utf8) else { exit(4) }
    }
  }

  private final class Objective: SearchObjective {
    let maximumEpochs: Int? = nil

    func measure(
      _ settings: SearchSettings, trial: Int, epochs: Int?, afterEpoch: () throws -> Void
    ) throws -> SearchMeasurement {
      SearchMeasurement(value: settings["x", default: 0], epochs: 0, bestEpoch: 0, isFinished: true)
    }
  }

  private static func search(trials: Int) throws -> HyperparameterSearch {
    var configuration = HyperparameterSearch.Configuration()
    configuration.budget = .trials(trials)
    return try HyperparameterSearch(
      "x", space: SearchSpace([.init("x", .uniform(0...1), initial: 0.5)]), objective: Objective(), data: "",
      configuration: configuration)
  }

  @Test func trialsThatCannotBeWrittenLeaveTheFormerOnes() async {
    await #expect(processExitsWith: .success) {
      let folder = try TemporaryFolder()
      let file = folder.url.appending(path: "trials.jsonl")
      let first = try FailingSaveTests.search(trials: 4).run(file: file)
      let saved = try Data(contentsOf: file)
      var hasFailed = false
      try withFileSizeLimit(saved.count + 10) {
        do { _ = try FailingSaveTests.search(trials: 40).run(file: file) } catch { hasFailed = true }
      }
      guard try hasFailed && Data(contentsOf: file) == saved else { exit(1) }
      guard try FailingSaveTests.search(trials: 4).run(file: file).best.settings == first.best.settings else {
        exit(2)
      }
    }
  }

  @Test func aPipeInPlaceOfTrialsIsRefused() throws {
    let folder = try TemporaryFolder()
    let pipe = folder.url.appending(path: "trials.jsonl")
    #expect(mkfifo(pipe.path, 0o600) == 0)
    #expect(throws: DataError.self) {
      try Self.search(trials: 2).run(file: pipe)
    }
  }
}
