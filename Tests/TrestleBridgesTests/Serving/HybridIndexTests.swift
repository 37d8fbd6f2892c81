import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Hybrids of many items: an approximate index of both sides' rows, and updates that share what stays.
@Suite(.serialized) struct HybridIndexTests {
  /// A hybrid of rows around some centres, on both sides, whose users have had four items each.
  private func hybrid(
    users: Int, items: Int, sides: HybridRecommender.Sides = .both, alpha: Double = 0.4
  ) throws -> HybridRecommender {
    var generator = RandomGenerator(seed: 3)
    func rows(_ count: Int, _ width: Int, _ length: Float, _ centres: Tensor) -> Tensor {
      let of = Tensor((0..<count).map { Int32($0 * 7 % centres.shape[0]) })
      let noise = Tensor.normal([count, width], deviation: 0.7, using: &generator)
      return (centres.gatheredRows(of) + noise) * Double(length)
    }
    let first = Tensor.normal([40, 12], using: &generator)
    let second = Tensor.normal([40, 8], using: &generator)
    let domain = Representations(users: rows(users, 12, 1, first), items: rows(items, 12, 1, first))
    let language = Representations(users: rows(users, 8, 1, second), items: rows(items, 8, 30, second))
    let interactions = Interactions(
      users: (0..<4 * users).map { Int32($0 / 4) },
      items: (0..<4 * users).map { Int32(($0 * 7 + $0 / 4) % items) }, userCount: users, itemCount: items)
    let data = Dataset(
      name: "many", interactions: interactions, userIDs: IDMap(numbered: users),
      itemIDs: IDMap(numbered: items), items: ItemAttributes(count: items))
    let nothing = Interactions.empty(userCount: users, itemCount: items)
    return try HybridRecommender(
      dataset: data, split: DataSplit(training: interactions, validation: nothing, test: nothing),
      domain: sides.contains(.domain) ? domain : nil, language: sides.contains(.language) ? language : nil,
      fusion: FusionWeights(alpha: alpha))
  }

  private func same(_ list: RecommendationList, _ expected: RecommendationList) -> Bool {
    list.source == expected.source && list.note == expected.note
      && list.map(\.id) == expected.map(\.id) && list.map(\.reasons) == expected.map(\.reasons)
      && zip(list, expected).allSatisfy { abs($0.score - $1.score) < 1e-3 * (1 + abs($1.score)) }
  }

  /// Looking everywhere gives the lists and the scores of looking at every item, whoever of the three is asked.
  @Test(arguments: [HybridRecommender.Sides.both, .domain, .language])
  func lookingEverywhereIsExact(_ sides: HybridRecommender.Sides) throws {
    let hybrid = try hybrid(users: 60, items: 700, sides: sides)
    let index = try HybridIndex(hybrid, cells: 30, seed: 1)
    let filter = ItemFilter(excluded: ["5", "11"])
    for part in HybridRecommender.Part.allCases {
      for user in ["0", "17", "59"] {
        let list = try hybrid.recommend(
          for: user, count: 12, by: index, probes: 30, part: part, filter: filter, reasons: 2)
        let all = try hybrid.recommend(for: user, count: 12, by: part, filter: filter, reasons: 2)
        #expect(same(list, all) && list.count == 12, "\(part), \(user)")
      }
      let list = try hybrid.recommend(liking: ["3", "99", "8"], count: 9, by: index, probes: 30, part: part)
      #expect(same(list, try hybrid.recommend(liking: ["3", "99", "8"], count: 9, by: part)), "\(part)")
    }
    #expect(throws: ServingError.self) { try hybrid.recommend(for: "nobody", by: index) }
    #expect(throws: ServingError.self) { try hybrid.recommend(for: "3", count: -1, by: index) }
    let other = try HybridIndex(self.hybrid(users: 60, items: 50, sides: sides), seed: 1)
    #expect(throws: ServingError.self) { try hybrid.recommend(for: "3", by: other) }
  }

  /// A fifth of the cells has nine tenths of the fused lists, though one side's rows are thirty times as long as the other's.
  @Test func lookingIntoAFifthFindsNineTenths() throws {
    let hybrid = try hybrid(users: 100, items: 4000)
    let index = try HybridIndex(hybrid, seed: 2)
    var found = 0
    for user in 0..<60 {
      let all = try hybrid.recommend(for: "\(user)", count: 10).map(\.id)
      let some = try hybrid.recommend(
        for: "\(user)", count: 10, by: index, probes: index.index.cellCount / 5)
      found += Set(some.map(\.id)).intersection(all).count
    }
    #expect(found >= 540, "\(found) of 600")
  }

  @Test func anIndexIsSavedAndServesAfterUpdates() throws {
    let hybrid = try hybrid(users: 60, items: 300)
    let index = try HybridIndex(hybrid, cells: 12, seed: 1)
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "index.safetensors")
    try index.save(to: file)
    let mapped = try HybridIndex(contentsOf: file, of: hybrid)
    #expect(throws: ServingError.self) {
      try HybridIndex(contentsOf: file, of: self.hybrid(users: 60, items: 299))
    }
    let now = try hybrid.adding([UserItemPair(user: "new", item: "7"), UserItemPair(user: "4", item: "9")])
    for user in ["new", "4", "5"] {
      let list = try now.recommend(for: user, count: 8, by: mapped, probes: 12)
      #expect(same(list, try now.recommend(for: user, count: 8)), "\(user)")
      #expect(!list.contains { $0.id == (user == "new" ? "7" : "9") } || user == "5")
    }
  }

  /// Items that the language model has read come into the cells that are nearest to them.
  @Test func itemsThatAreAddedAreFound() throws {
    let source = try TinyReader()
    let dataset = try TinyReader.world()
    let fit = TinyReader.fit(dataset, readingEpochs: 0)
    let loaded = try LoadedModel(contentsOf: source.model)
    let tuned = try fit.tune(loaded, name: "tiny", path: source.model)
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    let hybrid = try fit.hybrid(
      tuned, measured: (dataset.fit(.implicitALS, split: split), split), final: dataset.fit(.implicitALS))
    let index = try HybridIndex(hybrid, cells: 6, seed: 1)
    let text = ItemTexts(dataset: dataset, noun: "Film")[3]
    let now = try hybrid.adding(
      [NewItem(id: "new", title: "New", text: text)], reading: ItemTextReader(try #require(hybrid.reading)))
    #expect(throws: ServingError.self) { try now.recommend(for: "0", by: index) }
    let extended = try index.adding(itemsOf: now)
    #expect(extended.index.itemCount == 121)
    let only = ItemFilter(allowed: ["new"])
    let list = try now.recommend(for: "0", count: 3, by: extended, probes: 6, filter: only)
    #expect(same(list, try now.recommend(for: "0", count: 3, filter: only)) || list.map(\.id) == ["new"])
    #expect(throws: ServingError.self) { try extended.adding(itemsOf: hybrid) }
  }

  /// Sixty-four times the users, interactions and items: an update that copied them would take about as many times as long.
  @Test func anUpdateTakesAsLongHoweverMuchThereIs() throws {
    func time(_ hybrid: HybridRecommender) throws -> Double {
      var least = Double.infinity
      for _ in 0..<5 {
        let start = ContinuousClock.now
        for round in 0..<40 {
          let now = try hybrid.adding([
            UserItemPair(user: "\(round)", item: "3"), UserItemPair(user: "new", item: "5"),
          ])
          #expect(now.catalogue.userIDs.count == hybrid.catalogue.userIDs.count + 1)
        }
        least = min(least, start.duration(to: .now) / .seconds(1))
      }
      return least
    }
    let (few, many) = (try hybrid(users: 500, items: 60), try hybrid(users: 32_000, items: 3840))
    _ = try (time(few), time(many))
    let (short, long) = (try time(few), try time(many))
    #expect(long < 6 * short, "\(long) s against \(short) s")
  }
}
