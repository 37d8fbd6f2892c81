import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// A hybrid from data and texts, served, saved, brought up to date.
@Suite(.serialized) struct HybridServingTests {
  /// A hybrid of the whole world, tuned once for all tests.
  private struct Served: Sendable {
    let dataset: Dataset
    let hybrid: HybridRecommender
    let tuned: TunedReading
  }

  private static func make(_ reader: TinyReader) throws -> Served {
    let dataset = try TinyReader.world()
    let fit = TinyReader.fit(dataset)
    let tuned = try fit.tune(LoadedModel(contentsOf: reader.model), name: "tiny", path: reader.model)
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    let hybrid = try fit.hybrid(
      tuned, measured: (dataset.fit(.implicitALS, split: split), split), final: dataset.fit(.implicitALS))
    return Served(dataset: dataset, hybrid: hybrid, tuned: tuned)
  }

  private func message(_ body: () throws -> some Any) -> String {
    do {
      _ = try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test func itemsGivenByTheirTextsAreRecommendedAndSurviveSaving() throws {
    let source = try TinyReader()
    let served = try Self.make(source)
    let folder = source.folder.appending(path: "hybrid")
    try served.hybrid.save(to: folder)
    guard case .hybrid(let hybrid) = try SavedRecommender(contentsOf: folder) else {
      Issue.record("a hybrid's folder was taken for something else")
      return
    }
    let reading = try #require(hybrid.reading)
    #expect(!reading.adapterFiles.isEmpty && reading.reader.noun == "Film")
    let card = try #require(hybrid.card)
    #expect(card.dataset == served.dataset.name && card.domain?.model == "iALS")
    #expect(card.domain?.settings["model configuration"]?.contains("\"unobservedWeight\"") == true)
    let configuration = try JSONDecoder().decode(
      HybridFit.Configuration.self, from: Data(try #require(card.settings["reading configuration"]).utf8))
    #expect(
      configuration.bridge.readingEpochs == TinyReader.fit(served.dataset).configuration.bridge.readingEpochs)
    #expect(card.settings["NDCG@10 of new items"] == String(format: "%.4f", served.tuned.figures.tuned))
    #expect(try #require(reading.reader.style).skipping > 0)
    let reader = try ItemTextReader(reading)

    // What serving reads is what training read, adapters included.
    let texts = ItemTexts(dataset: served.dataset, noun: "Film")
    let ids: [Int32] = [3, 50, 119]
    let again = reader.states(of: ids.map { texts[Int($0)] }).floats
    let before = served.tuned.states.gatheredRows(Tensor(ids)).floats
    #expect(zip(again, before).allSatisfy { abs($0 - $1) < 1e-3 * (1 + abs($1)) })

    // A new item with the text of a known one has what is read off that text, for either side.
    let now = try hybrid.adding(
      [
        NewItem(id: "new-1", title: "One", text: texts[50]),
        NewItem(id: "new-2", title: "Two", text: texts[3]),
      ], reading: reader)
    let width = try #require(now.domain).items.shape[1]
    let read = reading.domainRows(of: served.tuned.states.gatheredRows(Tensor([Int32(50)]))).floats
    let row = try #require(now.language).items.gatheredRows(Tensor([Int32(120)])).floats
    #expect(row.count == width && zip(row, read).allSatisfy { abs($0 - $1) < 1e-3 * (1 + abs($1)) })
    let filter = ItemFilter(allowed: ["new-1", "new-2"])
    for user in ["0", "17", "133"] {
      let list = try now.recommend(for: user, count: 5, filter: filter, reasons: 2)
      #expect(list.count == 2 && list.source == .fused && list.allSatisfy { !$0.reasons.isEmpty })
    }
    #expect(try now.recommend(liking: ["new-1"], count: 3).count == 3)
    #expect(hybrid.catalogue.titles.count == 120 && now.catalogue.titles.count == 122)

    let second = source.folder.appending(path: "extended")
    try now.save(to: second)
    let loaded = try HybridRecommender(contentsOf: second)
    let (list, expected) = try withSteadyInstructionSet {
      (
        try loaded.recommend(for: "17", count: 9, reasons: 1),
        try now.recommend(for: "17", count: 9, reasons: 1)
      )
    }
    #expect(list == expected)
  }

  /// Hybrids that were saved before there were styles of reading go on reading as they did.
  @Test func aHybridWithoutAStyleReadsAsItDid() throws {
    let source = try TinyReader()
    let served = try Self.make(source)
    let folder = source.folder.appending(path: "older")
    try served.hybrid.save(to: folder)
    let manifest = folder.appending(path: "manifest.json")
    var fields = try #require(
      JSONSerialization.jsonObject(with: Data(contentsOf: manifest)) as? [String: Any])
    var saved = try #require(fields["reading"] as? [String: Any])
    var reader = try #require(saved["reader"] as? [String: Any])
    #expect(reader.removeValue(forKey: "style") != nil)
    saved["reader"] = reader
    fields["reading"] = saved
    try JSONSerialization.data(withJSONObject: fields).write(to: manifest)
    let reading = try #require(try HybridRecommender(contentsOf: folder).reading)
    #expect(reading.reader.style == nil)
    let film = ItemTexts(dataset: served.dataset, noun: "Film")[3]
    let all = try ItemTextReader(reading).states(of: [film]).floats
    let now = try ItemTextReader(try #require(served.hybrid.reading)).states(of: [film]).floats
    #expect(zip(all, now).contains { abs($0 - $1) > 1e-3 })
  }

  @Test func whatCannotBeReadIsRefused() throws {
    let source = try TinyReader()
    let served = try Self.make(source)
    let reading = try #require(served.hybrid.reading)
    let reader = try ItemTextReader(reading)
    func adding(_ id: String, _ text: String) -> String {
      message { try served.hybrid.adding([NewItem(id: id, title: "T", text: text)], reading: reader) }
    }
    #expect(adding("7", "Film: X").contains("which is taken"))
    #expect(adding("n", "").contains("a text for the new item 'n'"))
    let other = try TinyReader(seed: 3)
    #expect(message { try ItemTextReader(reading, model: other.model) }.contains("other weights"))
    #expect(
      message { try ItemTextReader(reading, model: URL(filePath: "/nowhere")) }.contains("nothing at"))
    let folder = source.folder.appending(path: "hybrid")
    try served.hybrid.save(to: folder)
    try Data("x".utf8).write(to: folder.appending(path: "adapter_model.safetensors"))
    #expect(throws: ServingError.self) { try HybridRecommender(contentsOf: folder) }
  }

  /// New items, protocol: a fifth of the items is out of training altogether, and ranked among themselves.
  @Test func newItemsAreRankedByTheirTexts() throws {
    let source = try TinyReader()
    let figures = try Self.make(source).tuned.figures
    #expect(figures.tuned > 1.3 * figures.random, "\(figures)")
  }

  /// New users, protocol: a fifth of the users is out of training altogether; half of what each had is liked, the rest is to
  /// be found in the whole catalogue.
  @Test func newUsersAreServedByWhatTheyLikeBetterThanByPopularity() throws {
    let source = try TinyReader()
    let dataset = try TinyReader.world()
    let rows = dataset.interactions
    let isNew = { (row: Int) in rows.users[row] % 5 == 0 }
    let places = (0..<rows.count).map { Int32($0) }
    let old = dataset.with(rows.selecting(rows: places.filter { !isNew(Int($0)) }))
    let own = places.filter { isNew(Int($0)) }
    let liked = rows.selecting(rows: own.filter { $0 % 2 == 0 })
    let later = rows.selecting(rows: own.filter { $0 % 2 == 1 })
    // A model of random weights makes nothing of a second reading but noise.
    let fit = TinyReader.fit(old, readingEpochs: 0, readsTwice: false)
    let tuned = try fit.tune(LoadedModel(contentsOf: source.model), name: "tiny", path: source.model)
    let split = try old.interactions.split(.ratio(), seed: 0)
    let measured = try old.fit(.implicitALS, split: split)
    let hybrid = try fit.hybrid(tuned, measured: (measured, split), final: old.fit(.implicitALS))
    let test = DataSplit(
      training: liked, validation: .empty(userCount: rows.userCount, itemCount: rows.itemCount), test: later)
    let evaluator = RankingEvaluator(test)
    func ndcg(_ scorer: any CatalogueScorer) throws -> Double {
      try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0
    }
    let popular = try ndcg(Popularity(training: old.interactions).makeScorer())
    let histories = UserHistories(liked)
    let found = try [HybridRecommender.Part.domain, .fused].map {
      try ndcg(hybrid.makeNewUserScorer(liking: histories, by: $0))
    }
    #expect(found[0] > popular && found[1] > 1.1 * popular, "\(found), popularity \(popular)")
    // The same people through interactions that are added: rows of their own, by the same fold-in.
    let pairs = (0..<liked.count).map { row in
      UserItemPair(
        user: "new \(liked.users[row])", item: dataset.itemIDs[Int(liked.items[row])])
    }
    let updated = try hybrid.adding(pairs)
    let user = Int(liked.users[0])
    let items = Set(histories.items(of: user)).map { dataset.itemIDs[Int($0)] }
    let (list, expected) = try withSteadyInstructionSet {
      (
        try updated.recommend(for: "new \(user)", count: 8).map(\.id),
        try hybrid.recommend(liking: items, count: 8).map(\.id)
      )
    }
    #expect(list == expected)
    #expect(throws: ServingError.self) { try hybrid.adding([UserItemPair(user: "1", item: "no such item")]) }
  }

  @Test func aLanguageSideThatKnowsNothingHasNoWeight() throws {
    let dataset = try TinyReader.world()
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    let model = try dataset.fit(.implicitALS, split: split)
    let rows = try #require(model.embeddings)
    var generator = RandomGenerator(seed: 5)
    let noise = Tensor.normal(rows.items.shape, using: &generator)
    let fusion = try HybridFit.fusion(
      of: Representations(users: try #require(rows.users), items: rows.items),
      Representations(users: try #require(rows.users), items: noise), on: split)
    #expect(fusion.alphas.allSatisfy { $0 <= 0.05 }, "\(fusion.alphas)")
  }
}
