import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// What a study puts together, and whether it says what is so.
@Suite struct StudyTests {
  /// A tiny random decoder that reads genres as tokens, over a world in which genres decide.
  private func study(_ change: (inout HybridStudy.Configuration) -> Void = { _ in }) throws -> HybridStudy {
    let dataset = try SyntheticWorld(seed: 5).dataset()
    var shape = LlamaConfiguration(
      vocabularySize: 64, hiddenSize: 16, intermediateSize: 32, layerCount: 3, headCount: 2,
      keyValueHeadCount: 1)
    shape.tiesEmbeddings = true
    let genres = Set(dataset.items.genres.joined()).sorted()
    let tokens = (0..<dataset.itemCount).map { item in
      dataset.items.genres[item].compactMap { genres.firstIndex(of: $0) }.map { Int32($0) } + [63]
    }
    var configuration = HybridStudy.Configuration()
    configuration.recommender.dimension = 8
    configuration.regularizations = [1e-3, 1e-2]
    configuration.training.learningRate = 1e-2
    configuration.bridge.warmUpEpochs = 20
    configuration.bridge.readingEpochs = 1
    configuration.layerShares = [0.7, 1]
    // A model of random weights makes nothing of a second reading but noise.
    configuration.readsTwice = false
    configuration.tunedBlocks = 1
    configuration.models = ["Random", "Popularity", "EASE", "LightGCN", "fusion"]
    configuration.variants = [.alone, .bridge, .noLanguageTraining, .shuffledTexts, .meanRow]
    change(&configuration)
    return HybridStudy(
      dataset: dataset, texts: ItemTexts(dataset: dataset, noun: "Thing"),
      model: try Llama(shape, using: RandomGenerator(seed: 2)), modelName: "tiny", tokens: tokens,
      encodedTexts: nil, configuration: configuration)
  }

  private func figures(
    _ study: HybridStudy, _ part: StudyProtocol, seed: UInt64 = 3
  ) throws -> (StudyResults, (String, HybridStudy.Variant, String) -> Double?) {
    var results = StudyResults()
    try study.run(seed: seed, part) { _, records, values in results.add(records, values) }
    let found = results
    return (
      found,
      { model, variant, slice in
        found.records.first {
          $0.model == model && $0.variant == variant.rawValue && $0.slice == slice && $0.metric == "NDCG@10"
        }?.value
      }
    )
  }

  @Test func aReadingRanksNewItemsAndControlsDoNot() throws {
    let (results, figure) = try figures(try study(), .newItems)
    let random = try #require(figure("Random", .alone, "new"))
    let untuned = try #require(figure("LightGCN", .noLanguageTraining, "new"))
    let shuffled = try #require(figure("LightGCN", .shuffledTexts, "new"))
    let ease = try #require(figure("EASE", .bridge, "all"))
    #expect(untuned > 1.5 * random, "\(untuned) beside \(random)")
    #expect(shuffled < untuned, "\(shuffled) beside \(untuned)")
    // Among new items a reading that is heard ranks as it does at any scale; one that is not is measured all the same.
    for variant in [HybridStudy.Variant.bridge, .noLanguageTraining, .shuffledTexts] {
      let own = results.records.filter { $0.model == "LightGCN" && $0.variant == variant.rawValue }
      let reading = try #require(own.first { $0.metric == StudyRecord.readingNDCG }?.value)
      let chosen = try #require(figure("LightGCN", variant, "new"))
      #expect(
        abs(chosen - reading) < 1e-6 || abs(chosen - random) < 1e-6, "\(variant): \(chosen), \(reading)")
    }
    #expect(
      !results.records.contains {
        $0.metric == StudyRecord.readingNDCG && ["alone", "Random"].contains($0.variant)
      })
    // A reading gives a closed form new items too, and so more among all items than it has alone.
    #expect(ease > (figure("EASE", .alone, "all") ?? 1))
    #expect(figure("fusion", .bridge, "all") != nil)
    #expect(results.cases(of: "synthetic", .warm, seed: 3).isEmpty)
    let dataset = try #require(results.records.first?.dataset)
    let done = results.cases(of: dataset, .newItems, seed: 3)
    #expect(done == Set(try study().cases(.newItems)))
    // What is done is not run again.
    try study().run(seed: 3, .newItems, without: done) { item, _, _ in Issue.record("\(item) was run again") }
    let table = results.table(of: dataset, .newItems)
    #expect(table.contains("| LightGCN | bridge |") && table.contains("of 1"))
    #expect(table.contains("| of the reading alone | variance explained | bridge above, seeds |"))
    let rows = table.split(separator: "\n").map { $0.count { $0 == "|" } }
    #expect(Set(rows).count == 1)
    var plain = StudyResults()
    let ofReadings = [StudyRecord.readingNDCG, StudyRecord.explainedVariance]
    plain.add(results.records.filter { !ofReadings.contains($0.metric) }, [])
    #expect(plain.table(of: dataset, .newItems).contains("| NDCG@10, all items | bridge above, seeds |"))
  }

  @Test func textsAreReadTwiceIfAskedTo() throws {
    func reading(_ readsTwice: Bool) throws -> Double? {
      let (results, _) = try figures(
        try study {
          $0.readsTwice = readsTwice
          ($0.models, $0.variants) = (["LightGCN"], [.noLanguageTraining])
          $0.regularizations = []
        }, .newItems)
      return results.records.first { $0.metric == StudyRecord.explainedVariance }?.value
    }
    let (once, twice) = (try #require(try reading(false)), try #require(try reading(true)))
    #expect(abs(once - twice) > 1e-4, "\(once), \(twice)")
  }

  @Test func aPagesTablesAndPicturesSayWhatTheFiguresSay() throws {
    let (results, figure) = try figures(
      try study { $0.models = ["Random", "LightGCN"] }, .newItems)
    let dataset = try #require(results.records.first?.dataset)
    let folder = FileManager.default.temporaryDirectory.appending(path: "study-page-\(UUID())")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try results.write(to: folder.appending(path: "figures.jsonl"))
    let page = folder.appending(path: "Page.md")
    let opening = "<!-- study figures.jsonl \(dataset) new-items -->"
    try "# Page\n\n\(opening)\nstale\n<!-- end -->\nafter\n".write(
      to: page, atomically: true, encoding: .utf8)
    let made = try StudyPage(contentsOf: page)
    let table = results.table(of: dataset, .newItems)
    #expect(made.tables == 1)
    #expect(made.text == "# Page\n\n\(opening)\n\n\(table)\n\n<!-- end -->\nafter\n")
    // A page that is right stays as it is.
    try made.text.write(to: page, atomically: true, encoding: .utf8)
    #expect(try StudyPage(contentsOf: page).text == made.text)
    for broken in [
      opening, "<!-- study figures.jsonl \(dataset) tepid -->\n<!-- end -->",
      "<!-- study figures.jsonl \(dataset) warm -->\n<!-- end -->",
      "<!-- study nowhere.jsonl \(dataset) new-items -->\n<!-- end -->",
    ] {
      try broken.write(to: page, atomically: true, encoding: .utf8)
      #expect(throws: BridgeError.self) { _ = try StudyPage(contentsOf: page) }
    }
    var picture = StudyPicture()
    picture.add(dataset, [("A <model>", results)])
    let svg = picture.svg
    let tuned = try #require(figure("LightGCN", .bridge, "new"))
    #expect(svg.contains(">A &lt;model>, tuned</text>"))
    #expect(svg.contains(">" + String(format: "%.4f", tuned).dropFirst() + "</text>"))
    #expect(svg.components(separatedBy: "<rect").count == 1 + 4)
    #expect(results.records.contains { $0.metric == StudyRecord.explainedVariance && $0.value <= 1 })
    #expect(results.records.contains { $0.metric == StudyRecord.seconds && $0.value > 0 })
  }

  @Test func compactedValuesGiveTheSameTests() throws {
    let configured = try study { $0.models = ["LightGCN"] }
    var results = StudyResults()
    for seed in 3...4 {
      try configured.run(seed: UInt64(seed), .newItems) { _, records, values in results.add(records, values) }
    }
    let dataset = try #require(results.records.first?.dataset)
    let compact = results.compacted()
    #expect(compact.values.count * 2 == results.values.count && compact.records == results.records)
    #expect(compact.values.allSatisfy { $0.seeds == [3, 4] && $0.users.count == $0.values.count })
    let table = results.table(of: dataset, .newItems)
    #expect(table.contains("of 2"))
    // Means are rounded, and tests of them with them; all else is the same.
    let cells = [table, compact.table(of: dataset, .newItems)].map { $0.split(separator: "|") }
    #expect(cells[0].count == cells[1].count)
    for (one, other) in zip(cells[0], cells[1]) where one != other {
      let numbers = [one, other].map { Double($0.filter { $0.isNumber || $0 == "." }) }
      #expect(abs(try #require(numbers[0]) - #require(numbers[1])) < 2e-3, "\(one), \(other)")
    }
  }

  @Test func sparseDataKeepsTestAndATenthOfTraining() throws {
    let (_, figure) = try figures(
      try study { $0.models = ["Popularity", "LightGCN", "language model", "fusion"] }, .sparse)
    for item in [
      ("Popularity", HybridStudy.Variant.alone), ("LightGCN", .bridge), ("language model", .bridge),
      ("fusion", .alone),
      ("fusion", .bridge),
    ] {
      let value = try #require(figure(item.0, item.1, "all"))
      #expect(value > 0 && value <= 1)
    }
  }

  @Test func aSmootherSaysOfScoresWhatItsMapSaysOfRows() throws {
    var generator = RandomGenerator(seed: 8)
    let (users, items) = (
      Tensor.normal([9, 4], using: &generator), Tensor.normal([30, 4], using: &generator)
    )
    let inputs = Tensor.normal([30, 6], using: &generator)
    let targets: [Int32] = [3, 17, 29]
    let weights = (0..<30).map { targets.contains(Int32($0)) ? 0 : Float(1 + $0 % 5) }
    for map in [
      KernelRidge.Configuration(kernel: .linear, strength: 0.3),
      .init(kernel: .exponential(sharpness: 2), strength: 0.1),
    ] {
      let fitted = KernelRidge(
        inputs: inputs, outputs: items, weights: weights, scaling: InputScaling(fitting: inputs),
        configuration: map)
      let smoother = KernelRidge.smoother(
        inputs: inputs, weights: weights, targets: targets, configuration: map)
      let part = SmoothedScorer.Smoother(
        targets: targets, examples: smoother.examples, matrix: smoother.matrix)
      let expected = fitted(inputs.gatheredRows(Tensor(targets)))
      #expect(largestDifference(part.rows(items).floats, expected.floats) < 1e-4)
      let base = InnerProductScorer(Representations(users: users, items: items))
      let scorer = SmoothedScorer(base, [part], scale: 2)
      var scores = try scorer.prepare(users: [4])
      var row = [Float](repeating: 0, count: 30)
      try scores.write(items: 0..<30, into: &row)
      let own = base.scores(user: 4, items: Array(0..<30))
      let predicted = (users.gatheredRows(Tensor([Int32(4)])).matmul(expected, transposingOther: true) * 2)
        .floats
      for item in 0..<30 {
        let wanted = targets.firstIndex(of: Int32(item)).map { predicted[$0] } ?? own[item]
        #expect(abs(row[item] - wanted) < 1e-4)
      }
    }
  }

  private func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    zip(a, b).reduce(a.count == b.count ? 0 : .infinity) { max($0, abs($1.0 - $1.1)) }
  }

  @Test func aStackFindsWhatTellsAndLeavesOutWhatDoesNot() throws {
    let dataset = try SyntheticWorld(seed: 5).dataset()
    let split = try dataset.interactions.split(.ratio(), seed: 1)
    let validation = UserItemMatrix(split.validation)
    let items = split.itemCount
    let noise = RandomGenerator(seed: 3)
    func scorer(_ signal: Float) -> any CatalogueScorer {
      RowScorer(itemCount: items) { user in
        var generator = noise.split(UInt64(user) * 2 + (signal > 0 ? 1 : 0))
        var row = (0..<items).map { _ in Float.random(in: -1..<1, using: &generator) }
        for item in validation.items(of: Int(user)) { row[Int(item)] += signal }
        return row
      }
    }
    let stack = try StackedScorer(fitting: [scorer(1), scorer(-1)], on: split)
    #expect(stack.weights[0] > 0.5 && stack.weights[1] == 0, "\(stack.weights)")
    let evaluator = RankingEvaluator(split, on: .validation)
    let (alone, stacked) = (try evaluator.evaluate(scorer(1)), try evaluator.evaluate(stack))
    #expect(abs((alone.mean(.ndcg(10)) ?? 0) - (stacked.mean(.ndcg(10)) ?? 1)) < 1e-6)
  }
}
