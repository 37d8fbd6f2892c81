import Testing
import TrestleRecommenders

/// Splits as row numbers make the parts that splits made by copying, and are found again in parts.
@Suite struct SplitRowsTests {
  private static let strategies: [SplitStrategy] = [
    .ratio(), .ratio(validation: 0, test: 0.3), .leaveOneOut, .globalTime(), .coldItems(share: 0.3),
  ]

  /// A world, with ratings.
  private static func world() throws -> Interactions {
    let data = try SyntheticWorld(seed: 6).dataset().interactions
    return Interactions(
      users: data.users, items: data.items, ratings: data.items.map { Float($0 % 9) / 2 },
      timestamps: data.timestamps, userCount: data.userCount, itemCount: data.itemCount)
  }

  private func expectEqual(_ split: DataSplit, _ other: DataSplit) {
    #expect(split.training == other.training && split.validation == other.validation)
    #expect(split.test == other.test && split.hash == other.hash && split.strategy == other.strategy)
  }

  /// The hashes are those of the release before splits were row numbers, when each part was copied at once.
  @Test(
    arguments: zip(
      strategies,
      [
        "116626858f400aca1d29901d6714b95d", "b31075b41c9671ace122e77e6c82c004",
        "95a86feca594c46eb2e324289eada640", "2b92337976f6f7c42d4afea0d9abdefa",
        "e21c5b631ae7778cd82c171f063c461b",
      ]))
  func partsAreThoseThatWereCopied(strategy: SplitStrategy, hash: String) throws {
    let data = try Self.world()
    #expect(try data.split(strategy, seed: 9).hash == hash)
  }

  @Test(arguments: strategies)
  func rowsMakeThePartsAndAreFoundInThem(strategy: SplitStrategy) throws {
    for data in [try Self.world(), SplitTests.rows, try SyntheticWorld(seed: 6).dataset().interactions] {
      let split = try data.split(strategy, seed: 9)
      let rows = try data.splitRows(strategy, seed: 9)
      #expect(rows.strategy == split.strategy && rows.hash(in: data) == split.hash)
      expectEqual(data.split(by: rows), split)
      for (part, own) in [
        (split.training, rows.training), (split.validation, rows.validation), (split.test, rows.test),
      ] {
        #expect(
          part.users == own.map { data.users[Int($0)] } && part.items == own.map { data.items[Int($0)] })
        #expect(part.ratings == data.ratings.map { ratings in own.map { ratings[Int($0)] } })
        #expect(part.timestamps == data.timestamps.map { times in own.map { times[Int($0)] } })
      }
      // Every row is in one part.
      #expect((rows.training + rows.validation + rows.test).sorted() == (0..<Int32(data.count)).map { $0 })
      let found = try split.rows(in: data)
      #expect(found == rows)
      #expect(found.hash(in: data) == split.hash)
    }
  }

  @Test func rowsOfWindowsAndOfNewItemsAreFoundToo() throws {
    let data = try Self.world()
    let splits = try RollingTimeSplits(data, windows: 3)
    for (place, split) in splits.enumerated() {
      #expect(try split.rows(in: data) == splits.rows(of: place))
      #expect(splits.rows(of: place).hash(in: data) == split.hash)
    }
    let new = try NewItemSplit(data, seed: 2).split
    expectEqual(data.split(by: try new.rows(in: data)), new)
    let thinned = new.keepingTraining(share: 0.5)
    expectEqual(data.split(by: try thinned.rows(in: data)), thinned)
  }

  @Test func rowsThatAreTheSameAreTakenOnceEach() throws {
    let data = Interactions(
      users: [1, 0, 1, 1, 0], items: [2, 2, 2, 2, 2], ratings: [1, 1, 1, -0.0, 1], userCount: 2, itemCount: 3)
    let rows = SplitRows(training: [2, 4], validation: [3], test: [0, 1])
    let split = data.split(by: rows)
    let found = try split.rows(in: data)
    // Which of two equal rows is which cannot be told; the parts are the same.
    #expect(found.training == [0, 1] && found.validation == [3] && found.test == [2, 4])
    expectEqual(data.split(by: found), split)
    let empty = Interactions(users: [], items: [], ratings: [], userCount: 2, itemCount: 3)
    let nothing = empty.split(by: SplitRows(training: [], validation: [], test: []))
    #expect(try nothing.rows(in: data) == SplitRows(training: [], validation: [], test: []))
    #expect(SplitRows(training: [], validation: [], test: []).hash(in: data) == nothing.hash)
  }

  @Test func whatIsNotOfTheInteractionsIsAnError() throws {
    let data = try Self.world()
    let split = try data.split(.ratio(), seed: 0)
    func message(_ split: DataSplit, in data: Interactions) throws -> String {
      let error = #expect(throws: DataError.self) { try split.rows(in: data) }
      return "\(try #require(error))"
    }
    let fewer = data.selecting(rows: (0..<Int32(data.count - 1)).map { $0 })
    #expect(try message(split, in: fewer).contains("part, of user \(try #require(data.users.last))"))
    let unrated = try SyntheticWorld(seed: 6).dataset().interactions
    #expect(try message(split, in: unrated).contains("found users, items, ratings, timestamps"))
    // A row in two parts is there once.
    let twice = DataSplit(training: split.training, validation: split.validation, test: split.training)
    #expect(try message(twice, in: data).contains("of the test part"))
    let small = Interactions.empty(userCount: 1, itemCount: 1)
    #expect(try message(split, in: small).contains("found 1 and 1"))
  }
}
