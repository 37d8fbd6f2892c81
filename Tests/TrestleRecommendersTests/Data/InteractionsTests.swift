import Foundation
import Testing
import TrestleRecommenders

@Suite struct InteractionsTests {
  static let rows = Interactions(
    users: [0, 1, 0, 2, 0, 1], items: [3, 1, 1, 1, 3, 0], ratings: [5, 2, 3, 4, 1, 5],
    timestamps: [9, 2, 3, 4, 1, 6], userCount: 4, itemCount: 5)

  @Test func idsMapBothWaysAndGrow() {
    var map = IDMap(["b", "a", "b", "", "ä"])
    #expect(
      map.count == 4 && map[0] == "b" && map[2] == "" && map.index(of: "ä") == 3 && map.index(of: "c") == nil)
    for id in 0..<10_000 { #expect(map.insert("id-\(id)") == id + 4) }
    #expect(map.index(of: "id-9999") == 10_003 && map.insert("a") == 1)
    #expect(IDMap().index(of: "x") == nil)
    #expect(IDMap(["a", "b"]).hash != IDMap(["ab", ""]).hash && IDMap(["a"]).hash == IDMap(["a"]).hash)
  }

  @Test func idsSurviveJSONAndRefuseRepeats() throws {
    let map = IDMap(["x", "y"])
    #expect(try JSONDecoder().decode(IDMap.self, from: JSONEncoder().encode(map)) == map)
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode(IDMap.self, from: Data(#"["x","x"]"#.utf8))
    }
  }

  @Test func rowsGroupByUserInTimeOrder() throws {
    let (offsets, rows) = try Self.rows.rowsByUserInTimeOrder()
    #expect(offsets == [0, 3, 5, 6, 6] && rows == [4, 2, 0, 1, 5, 3])
  }

  @Test func theMatrixIsSortedDistinctAndKnowsWhatIsMissing() {
    let matrix = UserItemMatrix(Self.rows)
    #expect(matrix.offsets == [0, 2, 4, 5, 5] && matrix.items == [1, 3, 0, 1, 1])
    #expect(
      matrix.contains(user: 0, item: 3) && !matrix.contains(user: 0, item: 2)
        && !matrix.contains(user: 3, item: 0))
    #expect((0..<3).map { matrix.missingItem(of: 0, at: $0) } == [0, 2, 4])
    #expect(matrix.activeUsers() == [0, 1, 2])
    let union = UserItemMatrix(
      Self.rows, Interactions(users: [3], items: [4], userCount: 4, itemCount: 5), userCount: 4, itemCount: 5)
    #expect(union.items(of: 3) == [4] && union.count == 6)
  }

  @Test func thresholdKeepsGoodRatings() throws {
    let kept = try Self.rows.ratedAtLeast(3)
    #expect(kept.users == [0, 0, 2, 1] && kept.ratings == [5, 3, 4, 5] && kept.itemCount == 5)
    let unrated = Interactions(users: [0], items: [0], userCount: 1, itemCount: 1)
    #expect(throws: DataError.self) { try unrated.ratedAtLeast(3) }
  }

  @Test func duplicatesFollowThePolicy() throws {
    #expect(try Self.rows.withoutDuplicates(.keepFirst).timestamps == [9, 2, 3, 4, 6])
    #expect(try Self.rows.withoutDuplicates(.keepLast).timestamps == [2, 3, 4, 1, 6])
    #expect(try Self.rows.withoutDuplicates(.keepLatest).timestamps == [9, 2, 3, 4, 6])
    let untimed = Interactions(users: [0], items: [0], userCount: 1, itemCount: 1)
    #expect(throws: DataError.self) { try untimed.withoutDuplicates(.keepLatest) }
  }

  @Test func theCoreIsWhatIteratedRemovalLeaves() throws {
    let data = try SyntheticWorld(seed: 6).dataset().interactions
    let core = data.core(users: 20, items: 12)
    var expected = data
    while true {
      let users = expected.userCounts()
      let items = expected.itemCounts()
      let rows = (0..<expected.count).filter {
        users[Int(expected.users[$0])] >= 20 && items[Int(expected.items[$0])] >= 12
      }
      if rows.count == expected.count { break }
      expected = expected.selecting(rows: rows.map { Int32($0) })
    }
    #expect(core == expected && !core.isEmpty && core.count < data.count)
    #expect(data.core(users: 0, items: 0) == data)
    #expect(data.core(users: 10_000, items: 1).isEmpty)
  }

  @Test func compactingDropsWhatHasNoRow() throws {
    let data = Dataset(
      name: "d", interactions: Self.rows, userIDs: IDMap(["a", "b", "c", "d"]), itemIDs: IDMap(numbered: 5),
      userTexts: ["A", "B", "C", "D"])
    let compact = data.compacted()
    #expect(compact.userIDs.ids == ["a", "b", "c"] && compact.itemIDs.ids == ["0", "1", "3"])
    #expect(compact.interactions.items == [2, 1, 1, 1, 2, 0] && compact.userTexts == ["A", "B", "C"])
  }
}
