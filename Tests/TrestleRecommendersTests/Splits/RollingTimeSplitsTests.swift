import Testing
import TrestleRecommenders

@Suite struct RollingTimeSplitsTests {
  private func world() throws -> Interactions { try SyntheticWorld(seed: 3).dataset().interactions }

  /// Rows of one user and item each, at the given times.
  private func rows(at times: [Int64]?, count: Int = 20) -> Interactions {
    let count = times?.count ?? count
    return Interactions(
      users: (0..<count).map { Int32($0 % 4) }, items: (0..<count).map { Int32($0) }, timestamps: times,
      userCount: 4, itemCount: max(count, 1))
  }

  /// The rows of a part, which differ in this world by user, item and time.
  private func keys(_ part: Interactions) throws -> Set<[Int64]> {
    let times = try #require(part.timestamps)
    return Set(part.users.indices.map { [Int64(part.users[$0]), Int64(part.items[$0]), times[$0]] })
  }

  @Test(arguments: [(2, 0.1, 0.1), (5, 0.1, 0.1), (8, 0.1, 0.1), (3, 0, 0.2), (4, 0.25, 0.05)])
  func windowsFollowOneAnotherAndNothingLaterTrains(count: Int, validation: Double, test: Double) throws {
    let data = try world()
    let splits = try RollingTimeSplits(data, windows: count, validation: validation, test: test)
    #expect(splits.count == count)
    var tested = Set<[Int64]>()
    var latest = Int64.min
    for (place, split) in splits.enumerated() {
      let training = try #require(split.training.timestamps?.max())
      let times = try #require(split.test.timestamps)
      let first = try #require(times.min())
      #expect(training < first)
      if validation > 0 {
        let chosen = try #require(split.validation.timestamps)
        #expect(try #require(chosen.min()) > training && chosen.max()! < first)
        #expect(abs(Double(chosen.count) / Double(data.count) - validation) < 0.01)
      } else {
        #expect(split.validation.isEmpty)
      }
      #expect(abs(Double(split.test.count) / Double(data.count) - test) < 0.01)
      // No overlap with a window before, and no row left out between them.
      #expect(first > latest)
      latest = try #require(times.max())
      let own = try keys(split.test)
      #expect(own.count == split.test.count && own.isDisjoint(with: tested))
      tested.formUnion(own)
      let before = try #require(data.timestamps).count { $0 < first }
      #expect(split.training.count + split.validation.count == before)
      #expect(split.userCount == data.userCount && split.itemCount == data.itemCount)
      #expect(split.strategy == "rolling-time(\(validation), \(test)), window \(place + 1) of \(count)")
    }
    let border = splits.windows[0].testStart
    #expect(try tested == keys(data).filter { $0[2] >= border })
    #expect(splits.windows.last?.testEnd == nil)
    #expect(zip(splits.windows, splits.windows.dropFirst()).allSatisfy { $0.testEnd == $1.testStart })
  }

  @Test(arguments: [(0.1, 0.1), (0, 0.3), (0.3, 0.15)])
  func oneWindowIsTheSplitByGlobalTime(validation: Double, test: Double) throws {
    for data in [try world(), SplitTests.rows] {
      let own = try #require(
        try RollingTimeSplits(data, windows: 1, validation: validation, test: test).first)
      let other = try data.split(.globalTime(validation: validation, test: test), seed: 0)
      #expect(own.training == other.training && own.validation == other.validation && own.test == other.test)
      #expect(own.hash == other.hash)
    }
  }

  @Test func rowsOfOneTimeStayTogether() throws {
    // Twenty rows, five at each time.
    let splits = try RollingTimeSplits(
      rows(at: (0..<20).map { Int64($0 / 5) }), windows: 2, validation: 0.2, test: 0.2)
    #expect(splits.map(\.training.count) == [5, 10] && splits.map(\.validation.count) == [5, 5])
    #expect(
      splits.map(\.test.count) == [5, 5] && splits.map { Set($0.test.timestamps ?? []) } == [[2], [3]])
  }

  @Test func usersAndItemsWithoutATrainingRowStay() throws {
    let splits = try RollingTimeSplits(rows(at: (0..<20).map { Int64($0) }), windows: 2)
    for split in splits {
      #expect(split.test.items.allSatisfy { split.training.itemCounts()[Int($0)] == 0 })
      #expect(!split.test.isEmpty)
    }
    #expect(splits[0].test.items == [16, 17] && splits[1].test.items == [18, 19])
    #expect(splits[0].validation.items == [14, 15] && splits[1].training.count == 16)
  }

  @Test func whatCannotBePartedIsAnError() throws {
    func message(
      _ data: Interactions, _ windows: Int = 2, _ validation: Double = 0.1, _ test: Double = 0.1
    ) throws -> String {
      let error = #expect(throws: DataError.self) {
        try RollingTimeSplits(data, windows: windows, validation: validation, test: test)
      }
      return "\(try #require(error))"
    }
    let good = rows(at: (0..<20).map { Int64($0) })
    #expect(try message(rows(at: nil)).contains("expected timestamps"))
    for (windows, validation, test) in [
      (0, 0.1, 0.1), (9, 0.1, 0.1), (2, -0.1, 0.1), (2, 0.1, 0), (1, .nan, 0.1),
    ] {
      #expect(try message(good, windows, validation, test).contains("something to train on"))
    }
    #expect(try message(good, 100, 0, 0.001).contains("an interaction for each of 100 windows"))
    #expect(try message(rows(at: []), 1).contains("found 0"))
    #expect(try message(good, 2, 0.1, 0.01).contains("test interactions"))
    // One time for all, and one for what should be two windows.
    #expect(
      try message(rows(at: Array(repeating: 7, count: 20))).contains("none in the test part of window 1"))
    let late = rows(at: (0..<16).map { Int64($0) } + [99, 99, 99, 99])
    #expect(try message(late).contains("none in the test part of window 1, around the time 99"))
    let early = rows(at: Array(repeating: 0, count: 17) + [1, 2, 3])
    #expect(try message(early, 1, 0.1, 0.1).contains("none in the training part of window 1"))
    let middle = rows(at: (0..<14).map { Int64($0) } + [50, 50, 50, 50, 60, 61])
    #expect(try message(middle, 2).contains("none in the validation part of window 1"))
  }
}
