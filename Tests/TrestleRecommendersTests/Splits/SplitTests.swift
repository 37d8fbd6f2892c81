import Foundation
import Testing
import TrestleRecommenders
import TrestleTestSupport

@Suite struct SplitTests {
  /// Ten rows of user 0, three of user 1, two of user 2, one of user 3, none of user 4.
  static let rows = Interactions(
    users: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3],
    items: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5],
    timestamps: [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 5, 5, 5, 1, 2, 3], userCount: 5, itemCount: 11)

  private func pairs(_ part: Interactions) -> Set<[Int32]> {
    Set(zip(part.users, part.items).map { [$0, $1] })
  }

  @Test(arguments: [
    // Computed with RecBole's _calcu_split_ids for 0.8, 0.1, 0.1.
    (0, [0, 0, 0]), (1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (5, [3, 1, 1]), (9, [7, 1, 1]),
    (10, [8, 1, 1]),
    (11, [9, 1, 1]), (19, [17, 1, 1]), (20, [16, 2, 2]), (29, [25, 2, 2]), (737, [591, 73, 73]),
  ])
  func partSizesFollowRecBole(total: Int, expected: [Int]) {
    let parts = SplitStrategy.parts(of: total, validation: 0.1, test: 0.1)
    #expect([parts.training, parts.validation, parts.test] == expected)
  }

  @Test func ratioSplitsEachUserAndLosesNothing() throws {
    let split = try Self.rows.split(.ratio(), seed: 1)
    #expect(split.training.userCounts() == [8, 1, 1, 1, 0])
    #expect(split.validation.userCounts() == [1, 1, 0, 0, 0])
    #expect(split.test.userCounts() == [1, 1, 1, 0, 0])
    let union = pairs(split.training).union(pairs(split.validation)).union(pairs(split.test))
    #expect(union == pairs(Self.rows))
    #expect(split.itemCount == 11)
  }

  @Test func sameSeedGivesTheSameSplitAndHash() throws {
    let first = try Self.rows.split(.ratio(), seed: 5)
    let again = try Self.rows.split(.ratio(), seed: 5)
    let other = try Self.rows.split(.ratio(), seed: 6)
    #expect(first.training == again.training && first.test == again.test && first.hash == again.hash)
    #expect(first.hash != other.hash)
    #expect(first.hash.count == 32)
  }

  @Test func theHashIsStableAcrossReleases() throws {
    let split = try Self.rows.split(.leaveOneOut, seed: 0)
    #expect(split.hash == "1ccc5a9ff73c67772901cedd3371dea8")
  }

  @Test func leaveOneOutTakesTheLastTwoInTime() throws {
    let split = try Self.rows.split(.leaveOneOut, seed: 0)
    #expect(pairs(split.test) == [[0, 0], [1, 2], [2, 4]])
    #expect(pairs(split.validation) == [[0, 1], [1, 1]])
    #expect(split.training.userCounts() == [8, 1, 1, 1, 0])
    #expect(Array(split.training.timestamps?.prefix(8) ?? []) == [0, 1, 2, 3, 4, 5, 6, 7])
  }

  @Test func globalTimeNeverTrainsOnWhatComesLater() throws {
    let split = try Self.rows.split(.globalTime(validation: 0.2, test: 0.2), seed: 0)
    let latest = try #require(split.training.timestamps?.max())
    let validation = try #require(split.validation.timestamps)
    let test = try #require(split.test.timestamps)
    #expect(validation.allSatisfy { $0 > latest } && !validation.isEmpty)
    #expect(test.allSatisfy { $0 > validation.max() ?? 0 } && !test.isEmpty)
    #expect(split.training.count + validation.count + test.count == 16)
    let untouched = try Self.rows.split(.globalTime(validation: 0, test: 0), seed: 0)
    #expect(untouched.training.count == 16)
  }

  @Test func coldItemsLeaveTrainingAltogether() throws {
    let split = try Self.rows.split(.coldItems(share: 0.4), seed: 3)
    let trained = Set(split.training.items)
    #expect(Set(split.validation.items).count == 2 && Set(split.test.items).count == 2)
    #expect(trained.isDisjoint(with: split.validation.items) && trained.isDisjoint(with: split.test.items))
  }

  @Test func emptyDataSplitsIntoEmptyParts() throws {
    let empty = Interactions.empty(userCount: 3, itemCount: 0)
    for strategy in [SplitStrategy.ratio(), .coldItems()] {
      let split = try empty.split(strategy, seed: 0)
      #expect(split.training.isEmpty && split.test.isEmpty && split.userCount == 3)
    }
    #expect(throws: DataError.self) { try empty.split(.leaveOneOut, seed: 0) }
    #expect(throws: DataError.self) { try empty.split(.globalTime(), seed: 0) }
    #expect(throws: DataError.self) { try Self.rows.split(.ratio(validation: 0.7, test: 0.7), seed: 0) }
    #expect(throws: DataError.self) { try Self.rows.split(.ratio(validation: .nan, test: 0.1), seed: 0) }
  }

  @Test(.enabled(if: TestAssets.movieLens100K != nil))
  func movieLensPartsHaveRecBolesSizes() throws {
    let data = try Dataset.recBole(at: try #require(TestAssets.movieLens100K))
    let split = try data.interactions.split(.ratio(), seed: 2020)
    #expect(split.training.count == 80808 && split.validation.count == 9596 && split.test.count == 9596)
    #expect(split.test.userCounts().allSatisfy { $0 > 0 })
  }
}
