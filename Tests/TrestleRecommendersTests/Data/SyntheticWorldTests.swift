import Testing
import TrestleRecommenders

@Suite struct SyntheticWorldTests {
  @Test func theSeedDecidesEverything() throws {
    let first = try SyntheticWorld(seed: 1).dataset()
    let again = try SyntheticWorld(seed: 1).dataset()
    let other = try SyntheticWorld(seed: 2).dataset()
    #expect(first.interactions == again.interactions && first.items == again.items)
    #expect(first.interactions != other.interactions)
    #expect(first.vocabularyHash == other.vocabularyHash)
  }

  @Test func rowsAreDistinctOrderedInTimeAndAboutAsManyAsAsked() throws {
    let data = try SyntheticWorld(seed: 3).dataset()
    let rows = data.interactions
    #expect((9_000...12_600).contains(rows.count))
    #expect(UserItemMatrix(rows).count == rows.count)
    let (offsets, order) = try rows.rowsByUserInTimeOrder()
    #expect(order == rows.rowsByUser().rows && offsets.last == rows.count)
  }

  @Test func usersFollowTheirTastes() throws {
    let data = try SyntheticWorld(seed: 3).dataset()
    var matches = 0
    for (user, item) in zip(data.interactions.users, data.interactions.items)
    where data.items.genres[Int(item)].contains(where: { data.userTexts[Int(user)].contains($0) }) {
      matches += 1
    }
    #expect(Double(matches) > 0.85 * Double(data.interactions.count))
  }

  @Test func popularityIsSkewedAndSomeItemsAreCold() throws {
    let data = try SyntheticWorld(seed: 3).dataset()
    let slices = ItemSlices(training: data.interactions)
    #expect(slices.items(of: .cold).count + slices.items(of: .unseen).count > 5)
    #expect(slices.items(of: .warm).count < 200 && slices.items(of: .longTail).count > 60)
  }

  @Test func itemsReadLikeText() throws {
    let data = try SyntheticWorld(seed: 3).dataset()
    #expect(data.items.titles.allSatisfy { !$0.isEmpty } && Set(data.items.titles).count > 150)
    #expect(data.items.texts.allSatisfy { $0.hasSuffix(".") && $0.split(separator: " ").count >= 8 })
    #expect(data.items.years.allSatisfy { ($0 ?? 0) >= 1950 })
  }

  @Test func extremesAreDefined() throws {
    var configuration = SyntheticWorld.Configuration()
    configuration.items = 0
    #expect(try SyntheticWorld(configuration, seed: 0).dataset().interactions.isEmpty)
    configuration.items = 1
    configuration.genres = 1
    configuration.tastes = 1
    #expect(try SyntheticWorld(configuration, seed: 0).dataset().interactions.count <= 400)
    configuration.users = 0
    #expect(try SyntheticWorld(configuration, seed: 0).dataset().interactions.isEmpty)
    configuration.genres = 17
    #expect(throws: DataError.self) { try SyntheticWorld(configuration, seed: 0).dataset() }
  }
}
