import Foundation
import Testing
import TrestleFormats
import TrestleTensor
import TrestleTestSupport
import TrestleRecommenders

/// What is fitted by one call, answers by ids, is saved and loaded.
@Suite(.serialized) struct FittedRecommenderTests {
  static let world: Dataset? = {
    var configuration = SyntheticWorld.Configuration()
    (configuration.users, configuration.items, configuration.interactions) = (150, 90, 4000)
    return try? SyntheticWorld(configuration, seed: 2).dataset()
  }()

  private func fit(_ kind: ModelKind, split: DataSplit? = nil, epochs: Int = 3) throws -> FittedRecommender {
    var options = FitOptions()
    options.epochs = epochs
    return try #require(Self.world).fit(kind, split: split, options: options)
  }

  private func error(_ body: () throws -> some Any) -> String {
    do {
      _ = try body()
      return ""
    } catch { return "\(error)" }
  }

  @Test(arguments: ModelKind.allCases) func everyModelAnswersTheSameAfterSavingAndLoading(_ kind: ModelKind)
    throws
  {
    let data = try #require(Self.world)
    let model = try fit(kind)
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    try model.save(to: place)
    let loaded = try FittedRecommender(contentsOf: place)
    #expect(loaded.card == model.card && loaded.catalogue == model.catalogue)
    try withSteadyInstructionSet {
      for user in ["0", "7", "149"] {
        let list = try model.recommend(for: user, count: 12, reasons: 2)
        #expect(list.count == 12 && list.note == nil)
        #expect(try loaded.recommend(for: user, count: 12, reasons: 2) == list)
        let had = Set(
          model.histories.items(of: try model.catalogue.user(user)).map { model.catalogue.itemIDs[Int($0)] })
        #expect(!had.isEmpty && list.allSatisfy { !had.contains($0.id) })
      }
      let liked = Array(data.itemIDs.ids.prefix(4))
      let list = try model.recommend(liking: liked, count: 5)
      #expect(list.count == 5)
      #expect(try loaded.recommend(liking: liked, count: 5) == list)
      #expect(list.source == (kind == .popularity || kind == .neuMF ? .popularity : .domain))
      #expect((list.note != nil) == (kind == .neuMF))
    }
  }

  @Test func unknownIdsThrowAndSayWhatThereIs() throws {
    let model = try fit(.itemKNN)
    #expect(
      error { try model.recommend(for: "nobody") }.contains("no user has the id 'nobody'; the 150 users"))
    #expect(error { try model.recommend(liking: ["nothing"]) }.contains("none of the 90 items is 'nothing'"))
    #expect(error { try model.recommend(liking: []) }.contains("at least one liked item"))
    #expect(error { try model.recommend(for: "0", count: -1) }.contains("a count of at least 0"))
    var filter = ItemFilter()
    filter.excluded = ["what"]
    #expect(error { try model.recommend(for: "0", filter: filter) }.contains("'what'"))
    #expect(try model.recommend(for: "0", count: 0).isEmpty)
    #expect(try model.recommend(for: "0", count: .max).count < 90)
  }

  @Test func filtersAllowExcludeAndRepeat() throws {
    let model = try fit(.ease)
    let best = try model.recommend(for: "3", count: 3)
    let without = try model.recommend(for: "3", count: 2, filter: ItemFilter(excluded: [best[0].id]))
    #expect(without.map(\.id) == [best[1].id, best[2].id])
    let only = try model.recommend(for: "3", count: 9, filter: ItemFilter(allowed: [best[2].id, best[1].id]))
    #expect(only.map(\.id) == [best[1].id, best[2].id])
    let all = try model.recommend(for: "3", count: 90, filter: ItemFilter(includesKnown: true))
    #expect(all.count == 90)
    var filter = ItemFilter()
    filter.condition = { id, _ in id == best[1].id }
    #expect(try model.recommend(for: "3", filter: filter).map(\.id) == [best[1].id])
  }

  @Test func aUserWithoutInteractionsGetsWhatIsPopularAndIsTold() throws {
    var data = try #require(Self.world)
    let rows = data.interactions
    data.userIDs.insert("new")
    data.userTexts = []
    data.interactions = Interactions(
      users: rows.users, items: rows.items, userCount: rows.userCount + 1, itemCount: rows.itemCount)
    let model = try data.fit(.ease)
    let list = try model.recommend(for: "new", count: 1)
    let counts = rows.itemCounts()
    #expect(list.source == .popularity && list.note?.contains("no interactions") == true)
    #expect(list[0].score == Float(counts.max() ?? 0))
  }

  @Test func theAnswersAreThoseOfTheModel() throws {
    let data = try #require(Self.world)
    let ease = try EASE(training: data.interactions)
    let model = try FittedRecommender(ease, dataset: data, training: data.interactions)
    let seen = UserItemMatrix(data.interactions)
    for user in [0, 31, 77] {
      let expected = try ease.makeScorer().recommend(user: user, count: 7, without: seen.items(of: user))
      let list = try model.recommend(for: data.userIDs[user], count: 7)
      #expect(list.map(\.id) == expected.map { data.itemIDs[$0.item] })
      // Someone new with the same items gets the same list.
      let liked = seen.items(of: user).map { data.itemIDs[Int($0)] }
      #expect(try model.recommend(liking: liked, count: 7).map(\.id) == list.map(\.id))
    }
  }

  @Test func fittedOnASplitItIsMeasuredAndOnEverythingItIsNot() throws {
    let data = try #require(Self.world)
    let split = try data.interactions.split(.ratio(), seed: 3)
    let evaluator = RankingEvaluator(split)
    for kind in [ModelKind.ease, .itemKNN, .userKNN, .slim, .implicitALS] {
      let own = try fit(kind, split: split).evaluate(on: split).mean(.ndcg(10))
      #expect(
        own == (try evaluator.evaluate(kind.make(split.training, seed: 0).makeScorer()).mean(.ndcg(10))))
    }
    #expect(error { try fit(.ease).evaluate(on: split) }.contains("expected a model fitted on the split's"))
  }

  @Test func foldedInUsersAreServedBetterThanByPopularity() throws {
    // Users are new to the model: it is fitted without a fifth of them, who are then known by four fifths of their items.
    let data = try #require(Self.world)
    let rows = data.interactions
    let known = rows.selecting(rows: rows.users.indices.filter { rows.users[$0] % 5 != 0 }.map { Int32($0) })
    let fresh = rows.selecting(rows: rows.users.indices.filter { rows.users[$0] % 5 == 0 }.map { Int32($0) })
    let split = try fresh.split(.ratio(validation: 0, test: 0.2), seed: 1)
    let evaluator = RankingEvaluator(split)
    let popular = try evaluator.evaluate(Popularity(training: known).makeScorer()).mean(.ndcg(10)) ?? 1
    var options = FitOptions()
    options.epochs = 60
    for kind in [ModelKind.ease, .itemKNN, .userKNN, .rp3Beta, .slim, .implicitALS, .lightGCN] {
      let model = try data.with(known).fit(kind, options: options)
      let scorer = model.makeNewUserScorer(liking: UserHistories(split.training))
      let value = try evaluator.evaluate(scorer).mean(.ndcg(10)) ?? 0
      #expect(value > 1.05 * popular, "\(kind): \(value) against \(popular)")
    }
  }

  @Test func theCardHoldsTheConfigurationsOfModelAndTraining() throws {
    func decoded<Value: Decodable>(_ type: Value.Type, _ model: FittedRecommender, _ name: String) throws
      -> Value
    {
      try JSONDecoder().decode(type, from: Data(try #require(model.card.settings[name]).utf8))
    }
    let data = try #require(Self.world)
    var options = FitOptions()
    (options.epochs, options.seed, options.settings) = (2, 5, ["layers": 2, "learningRate": 2e-3])
    let split = try data.interactions.split(.ratio(), seed: 3)
    let measured = try data.fit(.lightGCN, split: split, options: options)
    let refitted = try data.refit(.lightGCN, epochs: 1, options: options)
    for (model, epochs) in [(measured, 2), (refitted, 1)] {
      let layers = try decoded(LightGCN.Configuration.self, model, "model configuration").layers
      let training = try decoded(TrainingConfiguration.self, model, "training configuration")
      #expect(layers == 2 && training.learningRate == 2e-3 && training.seed == 5 && training.epochs == epochs)
    }
    let ease = try data.fit(.ease)
    #expect(try decoded(EASE.Configuration.self, ease, "model configuration").regularization == 250)
    #expect(ease.card.settings["training configuration"] == nil)
    // What is found later is said too, and saved.
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    try ease.saying(["test NDCG@10 of EASE": "0.5"]).save(to: place)
    let loaded = try FittedRecommender(contentsOf: place)
    #expect(loaded.card.settings["test NDCG@10 of EASE"] == "0.5")
    #expect(loaded.card.settings["model configuration"] == ease.card.settings["model configuration"])
  }

  @Test func answersArePrintedWithIdsAndReasons() throws {
    let model = try fit(.ease)
    let list = try model.recommend(for: "3", count: 2, reasons: 2)
    let lines = list.lines()
    #expect(lines.count == 2 && lines[0].hasPrefix("  1. \(list[0].title)"))
    #expect(lines.allSatisfy { $0.contains("  because of ") && $0.contains("; ") })
    #expect(try model.heading(for: "3").hasPrefix("For user 3, who has had "))
    #expect(model.heading(liking: [4]) == "For someone who likes \(model.catalogue.titles[4]):")
    let none = RecommendationList(items: [], source: .popularity, note: "no\u{1B}[31m")
    #expect(none.lines(orNone: "nothing") == ["  nothing", "(no\\u{1B}[31m)"])
  }

  @Test func damagedFoldersAreRefusedWithTheReason() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    try fit(.implicitALS).save(to: place)
    let manifest = try String(contentsOf: place.appending(path: "manifest.json"), encoding: .utf8)
    func load(_ text: String) -> String {
      try? Data(text.utf8).write(to: place.appending(path: "manifest.json"))
      return error { try FittedRecommender(contentsOf: place) }
    }
    #expect(load(manifest) == "")
    #expect(
      load(manifest.replacing("\"version\" : 1", with: "\"version\" : 9")).contains(
        "found trestle-recommender, version 9, of another version of the package: train it anew"))
    #expect(load("{}").contains("expected the manifest of a saved recommender"))
    #expect(load(manifest.replacing("\"rows\"", with: "\"itemWeights\"")).contains("weights"))
    #expect(load(manifest.replacing("\"rows\"", with: "\"sequence\"")).contains("how the network is built"))
    #expect(load(manifest) == "")
    for name in ["catalogue.json", "history.safetensors", "model.safetensors"] {
      let file = place.appending(path: name)
      let bytes = try Data(contentsOf: file)
      var other = bytes
      other[other.count / 2] ^= 1
      try other.write(to: file)
      #expect(error { try FittedRecommender(contentsOf: place) }.contains("SHA-256"))
      try bytes.write(to: file)
    }
    #expect(
      error { try FittedRecommender(contentsOf: folder.url.appending(path: "none")) }.contains(
        "expected the folder of a saved recommender, found nothing there"))
  }

  @Test func savingReplacesAnOlderFolderInOneStepAndLeavesOthersAlone() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    let (first, second) = (try fit(.ease), try fit(.itemKNN))
    try first.save(to: place)
    let answers = [try first.recommend(for: "5"), try second.recommend(for: "5")]
    // Whoever loads while others save finds the one or the other.
    let writer = Thread {
      for round in 0..<20 { try? (round % 2 == 0 ? second : first).save(to: place) }
    }
    writer.start()
    for _ in 0..<20 {
      let loaded = try FittedRecommender(contentsOf: place)
      #expect(answers.contains(try loaded.recommend(for: "5")))
    }
    while !writer.isFinished { usleep(1000) }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["model"])
    let other = folder.url.appending(path: "precious")
    try FileManager.default.createDirectory(at: other, withIntermediateDirectories: true)
    try Data("x".utf8).write(to: other.appending(path: "file"))
    #expect(error { try first.save(to: other) }.contains("other files"))
    #expect(FileManager.default.fileExists(atPath: other.appending(path: "file").path))
  }

  /// A reader that met files of two saves reads again, even if the manifest it began with is back by then.
  @Test func aFolderThatWasExchangedTwiceIsReadAgain() throws {
    struct Torn: Error {}
    let folder = try TemporaryFolder(inMemory: true)
    let place = folder.url.appending(path: "model")
    let (first, second) = (try fit(.ease), try fit(.itemKNN))
    try first.save(to: place)
    var readings = 0
    let value = try SavedFolder(place).whole("manifest.json") { _ in
      readings += 1
      if readings == 1 {
        try second.save(to: place)
        try first.save(to: place)
        throw Torn()
      }
      return readings
    }
    #expect(value == 2)
    #expect(throws: Torn.self) { try SavedFolder(place).whole("manifest.json") { _ in throw Torn() } }
  }

  @Test func anInterruptedFitGoesOnAndEndsInTheSameModel() throws {
    struct Stop: Error {}
    let data = try #require(Self.world)
    let folder = try TemporaryFolder(inMemory: true)
    var options = FitOptions()
    (options.epochs, options.patience) = (6, 6)
    try withSteadyInstructionSet {
      let whole = try data.fit(.factorization, options: options)
      options.checkpoint = folder.url
      #expect(throws: Stop.self) {
        try data.fit(.factorization, options: options) { if $0.epoch == 3 { throw Stop() } }
      }
      var epochs: [Int] = []
      let resumed = try data.fit(.factorization, options: options) { epochs.append($0.epoch) }
      #expect(epochs.first == 4)
      let expected = try whole.recommend(for: "9")
      #expect(try resumed.recommend(for: "9") == expected)
    }
  }
}
