import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What an update costs, and that the recommender before it stays as it was.
@Suite(.serialized) struct UpdateGrowthTests {
  private final class FixedRows: EmbeddingRecommender {
    let name = "fixed rows"
    let rows: Representations
    var userCount: Int { rows.users.shape[0] }
    var itemCount: Int { rows.items.shape[0] }
    init(_ rows: Representations) { self.rows = rows }
    func embeddings() -> Representations { rows }
    func makeScorer() -> any CatalogueScorer { InnerProductScorer(rows) }
  }

  /// A recommender of rows drawn at random, whose users have had four items each.
  private func recommender(users: Int, items: Int, width: Int = 8) throws -> FittedRecommender {
    var generator = RandomGenerator(seed: 1)
    let rows = Representations(
      users: .normal([users, width], using: &generator), items: .normal([items, width], using: &generator))
    let data = Dataset(
      name: "many",
      interactions: Interactions(
        users: (0..<4 * users).map { Int32($0 / 4) },
        items: (0..<4 * users).map { Int32(($0 * 7 + $0 / 4) % items) }, userCount: users, itemCount: items),
      userIDs: IDMap(numbered: users), itemIDs: IDMap(numbered: items),
      items: ItemAttributes(count: items))
    return try FittedRecommender(FixedRows(rows), dataset: data, training: data.interactions)
  }

  /// The least time of some rounds of updates of a known user and of a new one, each of the same recommender.
  private func time(_ model: FittedRecommender) throws -> Double {
    var least = Double.infinity
    for _ in 0..<5 {
      let start = ContinuousClock.now
      for round in 0..<40 {
        let user = "\(round * 11 % model.userCount)"
        let now = try model.adding([
          UserItemPair(user: user, item: "3"), UserItemPair(user: "new", item: "5"),
        ])
        #expect(now.userCount == model.userCount + 1)
      }
      least = min(least, start.duration(to: .now) / .seconds(1))
    }
    return least
  }

  /// Sixty-four times the users, interactions and items: an update that copied them would take about as many times as long.
  @Test func anUpdateTakesAsLongHoweverMuchThereIs() throws {
    let (few, many) = (try recommender(users: 1000, items: 100), try recommender(users: 64_000, items: 6400))
    _ = try (time(few), time(many))
    let (short, long) = (try time(few), try time(many))
    #expect(long < 6 * short, "\(long) s against \(short) s")
  }

  @Test func theRecommenderBeforeAnUpdateStaysAsItWas() throws {
    let model = try recommender(users: 300, items: 90)
    let before = try (0..<5).map { try model.recommend(for: "\($0)", count: 90).map(\.id) }
    let pairs = (0..<200).map { UserItemPair(user: $0 % 3 == 0 ? "new \($0)" : "\($0)", item: "\($0 % 90)") }
    var now = model
    var versions: [FittedRecommender] = []
    for part in stride(from: 0, to: pairs.count, by: 20) {
      now = try now.adding(Array(pairs[part..<part + 20]))
      versions.append(now)
    }
    #expect(try (0..<5).map { try model.recommend(for: "\($0)", count: 90).map(\.id) } == before)
    #expect(model.userCount == 300 && model.histories.items.count == 1200)
    // Step by step or at once, it is the same recommender; and so is what is saved of it.
    let atOnce = try model.adding(pairs)
    #expect(now.card == atOnce.card && now.catalogue == atOnce.catalogue)
    #expect(now.histories.starts == atOnce.histories.starts && now.histories.items == atOnce.histories.items)
    #expect(now.embeddings?.users?.floats == atOnce.embeddings?.users?.floats)
    #expect(now.userCount == 367 && now.catalogue.userIDs[300] == "new 0")
    #expect(versions[0].userCount == 307 && versions[0].catalogue.userIDs.index(of: "new 60") == nil)
    let folder = try TemporaryFolder(inMemory: true)
    try now.save(to: folder.url.appending(path: "model"))
    let loaded = try FittedRecommender(contentsOf: folder.url.appending(path: "model"))
    #expect(loaded.card == now.card && loaded.catalogue == now.catalogue)
    for user in ["new 0", "1", "299", "new 198"] {
      let (list, expected) = try withSteadyInstructionSet {
        (try loaded.recommend(for: user, count: 20), try now.recommend(for: user, count: 20))
      }
      #expect(list == expected)
    }
  }

  @Test func sharedMapsAreMapsAndTheirVersionsAreIndependent() {
    var generator = RandomGenerator(seed: 5)
    var map = SharedMap<Int>()
    var expected: [Int: Int] = [:]
    var versions: [(SharedMap<Int>, [Int: Int])] = []
    #expect(map.isEmpty && map[0] == nil && map[1 << 40] == nil)
    for step in 0..<3000 {
      let key = step % 5 == 0 ? generator.index(below: 1 << 30) : generator.index(below: 400)
      map.set(step, at: key)
      expected[key] = step
      if step % 500 == 0 { versions.append((map, expected)) }
    }
    versions.append((map, expected))
    for (map, expected) in versions {
      var found: [(Int, Int)] = []
      map.forEach { found.append(($0, $1)) }
      let sorted = expected.sorted { $0.key < $1.key }
      #expect(found.map(\.0) == sorted.map(\.key) && found.map(\.1) == sorted.map(\.value))
      #expect((0..<500).allSatisfy { map[$0] == expected[$0] })
    }
    var array = SharedArray([1, 2, 3])
    array[1] += 5
    array.append(9)
    #expect(array.array == [1, 7, 3, 9] && array.count == 4 && array[3] == 9 && array[0] == 1)
  }

  @Test func idsThatAreAddedAreLikeThoseThatWereThere() throws {
    let known = IDMap(["a", "b", "c"])
    let further = (0..<100).map { "u\($0)" }
    let shared = known.adding(Array(further.prefix(40))).adding(Array(further.dropFirst(40)))
    let whole = IDMap(["a", "b", "c"] + further)
    #expect(shared == whole && shared.hash == whole.hash && shared.ids == whole.ids && shared.count == 103)
    #expect((0..<103).allSatisfy { shared.index(of: whole[$0]) == $0 } && shared.index(of: "u100") == nil)
    #expect(known.count == 3 && known.index(of: "u0") == nil && known != shared)
    var inserted = shared
    #expect(inserted.insert("z") == 103 && inserted.insert("u7") == 10 && inserted.hash != whole.hash)
    let copy = try JSONDecoder().decode(IDMap.self, from: JSONEncoder().encode(shared))
    #expect(copy == shared)
  }
}
