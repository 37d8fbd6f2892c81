import Foundation
import Testing
import TrestleBridges
import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Recommenders that learnt from a language model by a mechanism, saved and served.
@Suite(.serialized) struct MechanismServingTests {
  /// A fit that takes seconds, of LightGCN with a few epochs.
  private func fit(_ dataset: Dataset, _ settings: SearchSettings = [:]) -> HybridFit {
    let other = TinyReader.fit(dataset, readingEpochs: 0)
    var fit = HybridFit(
      dataset: dataset, texts: other.texts, kind: .lightGCN, configuration: other.configuration)
    (fit.options.epochs, fit.options.settings) = (6, settings)
    return fit
  }

  private var budget: ComparisonBudget {
    var budget = ComparisonBudget.quick
    (budget.trainingItems, budget.readingItems, budget.validationUsers) = (6, 6, 20)
    return budget
  }

  /// Each mechanism: what is saved says by which it was made, answers known and new users, takes a new item by its text, and is
  /// another recommender than the one that learnt alone.
  @Test(arguments: BridgeMechanism.served.map(\.name))
  func aServedMechanismIsSavedLikeAnyHybrid(_ name: String) throws {
    let source = try TinyReader()
    let dataset = try TinyReader.world()
    let loaded = try LoadedModel(contentsOf: source.model)
    let fit = fit(dataset)
    let tuned = try fit.tune(loaded, name: "tiny", path: source.model)
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    var trained = MechanismFit(try #require(.named(name)), fit: fit, loaded, name: "tiny")
    trained.budget = budget
    let (measured, epochs) = try trained.fit(split)
    #expect(epochs.contains { $0 > 0 } && epochs.allSatisfy { $0 <= 6 }, "\(epochs)")
    #expect(try measured.evaluate(on: split).mean(.ndcg(10)) ?? 0 > 0)
    let final = try trained.refit(epochs: epochs)
    #expect(final.card.trainingCount == dataset.interactions.count)
    let hybrid = try fit.hybrid(tuned, measured: (measured, split), final: final)

    let folder = source.folder.appending(path: "hybrid")
    try hybrid.save(to: folder)
    let served = try HybridRecommender(contentsOf: folder)
    let card = try #require(served.card)
    #expect(card.settings["mechanism"]?.hasPrefix(name) == true)
    #expect(card.domain?.model == name && card.domain?.settings["trained recommender"] == "LightGCN")
    for user in ["0", "17"] {
      let (list, expected) = try withSteadyInstructionSet {
        (try served.recommend(for: user, count: 5), try hybrid.recommend(for: user, count: 5))
      }
      #expect(list == expected && list.count == 5 && list.source == .fused)
    }
    #expect(try served.recommend(liking: ["3", "50"], count: 4).count == 4)
    let text = ItemTexts(dataset: dataset, noun: "Film")[7]
    let now = try served.adding(
      [NewItem(id: "new", title: "New", text: text)],
      reading: ItemTextReader(try #require(served.reading)))
    #expect(
      try now.recommend(for: "0", count: 2, filter: ItemFilter(allowed: ["new"])).map(\.id) == ["new"])

    let alone = try dataset.fit(.lightGCN, split: split, options: fit.options)
    #expect(alone.embeddings?.items.floats != measured.embeddings?.items.floats)
  }

  @Test func settingsThatWereFoundReachTheRecommender() throws {
    let source = try TinyReader()
    let dataset = try TinyReader.world()
    let loaded = try LoadedModel(contentsOf: source.model)
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    let fit = fit(dataset, ["dimension": 32, "layers": 1])
    var trained = MechanismFit(try #require(.named("RLMRec-Con")), fit: fit, loaded, name: "tiny")
    trained.budget = budget
    let (measured, _) = try trained.fit(split)
    #expect(measured.embeddings?.items.shape == [120, 32])
    #expect(measured.card.settings["searched"] == "dimension 32, layers 1")
    // The reading learns from the recommender of the same settings: another of another width would read other rows.
    let tuned = try fit.tune(loaded, name: "tiny", path: source.model)
    let plain = try self.fit(dataset).tune(loaded, name: "tiny", path: source.model)
    #expect(tuned.figures != plain.figures)
    var wrong = fit
    wrong.options.settings = ["depth": 3]
    #expect(throws: DataError.self) { try wrong.tune(loaded, name: "tiny", path: source.model) }
    #expect(throws: DataError.self) {
      try MechanismFit(try #require(.named("KAR")), fit: wrong, loaded, name: "tiny").fit(split)
    }
  }

  /// A run that is stopped goes on from its checkpoint and ends in the same rows; one with other settings is refused.
  @Test func aStoppedFitGoesOn() throws {
    let source = try TinyReader()
    let dataset = try TinyReader.world()
    let loaded = try LoadedModel(contentsOf: source.model)
    let split = try dataset.interactions.split(.ratio(), seed: 0)
    let folder = source.folder.appending(path: "checkpoint")
    func run(_ fit: HybridFit, _ folder: URL?) throws -> [Float] {
      var trained = MechanismFit(try #require(.named("RLMRec-Gen")), fit: fit, loaded, name: "tiny")
      trained.budget = budget
      return try trained.fit(split, checkpoint: folder).model.embeddings?.items.floats ?? []
    }
    var (stopping, other) = (fit(dataset), fit(dataset))
    stopping.onProgress = { _, done, total in done * 2 > total }
    other.options.settings = ["layers": 1]
    let runs = withSteadyInstructionSet {
      [(stopping, folder), (other, folder), (fit(dataset), folder), (fit(dataset), nil)].map { fit, folder in
        Result { try run(fit, folder) }
      }
    }
    #expect(throws: BridgeError.self) { try runs[0].get() }
    #expect(throws: BridgeError.self) { try runs[1].get() }
    #expect(try runs[2].get() == runs[3].get())
  }
}
