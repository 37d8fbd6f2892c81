import Testing
import TrestleRecommenders
import TrestleTestSupport

/// What comes after a model's training, by the library's protocols.
@Suite(.serialized) struct ServingProtocolTests {
  private func world(seed: UInt64) throws -> Dataset {
    var configuration = SyntheticWorld.Configuration()
    (configuration.users, configuration.items, configuration.interactions) = (300, 120, 9000)
    return try SyntheticWorld(configuration, seed: seed).dataset()
  }

  private func options(epochs: Int? = nil) -> FitOptions {
    var options = FitOptions()
    (options.seed, options.epochs) = (1, epochs)
    return options
  }

  /// Sequential models and autoencoders make a new user's list of the history alone, LightGCN of the mean of its items' rows.
  @Test(arguments: [
    (ModelKind.sasRec, 38), (.gru4Rec, 50), (.multVAE, 38), (.recVAE, 32), (.lightGCN, 50), (.ease, 1),
    (.itemKNN, 1),
  ])
  func peopleWhoAreNewAreServedBetterThanByPopularity(_ kind: ModelKind, epochs: Int) throws {
    let outcome = try ServingProtocol.foldIn.measure(
      kind, on: SyntheticWorld(seed: 0).dataset(),
      options: options(epochs: kind.isTrainedByEpochs ? epochs : nil))
    #expect(outcome.users == 80)
    #expect(outcome.value > 1.05 * outcome.reference, "\(kind.name): \(outcome)")
  }

  /// Settings are searched for on validation data; the refit with them finds more of what comes later with EASE, and about as much
  /// with ItemKNN.
  @Test func aRefitWithTheSettingsFoundFindsMoreOrAsMuch() throws {
    let data = try SyntheticWorld(seed: 0).dataset()
    let ease = try ServingProtocol.refit.measure(.ease, on: data, trials: 8)
    #expect(ease.value > ease.reference && ease.users == 88, "\(ease)")
    #expect(ease.settings["regularization"] != nil)
    let recommended = try ServingProtocol.refit.measure(.ease, on: data)
    #expect(recommended.settings.isEmpty && recommended.value != ease.value)
    let neighbors = try ServingProtocol.refit.measure(.itemKNN, on: data, trials: 8)
    #expect(neighbors.settings["neighbors"] != nil && neighbors.value != neighbors.reference)
    #expect(neighbors.value > 0.95 * neighbors.reference, "\(neighbors)")
  }

  @Test func whatIsAddedCountsAtOnceOrNotAtAll() throws {
    let ease = try ServingProtocol.update.measure(.ease, on: world(seed: 6), options: options())
    #expect(ease.value > ease.reference, "\(ease)")
    let graph = try ServingProtocol.update.measure(.lightGCN, on: world(seed: 6), options: options(epochs: 5))
    #expect(graph.value == graph.reference, "\(graph)")
  }

  @Test func aProtocolSaysWhatItIsNotFor() throws {
    let data = try world(seed: 6)
    #expect(throws: ServingError.self) {
      try ServingProtocol.foldIn.measure(.neuMF, on: data, options: options(epochs: 1))
    }
    // Popularity is its own reference.
    let popular = try ServingProtocol.foldIn.measure(.popularity, on: data, options: options())
    #expect(popular.value == popular.reference && popular.value > 0)
    let rows = data.interactions
    let timeless = data.with(
      Interactions(users: rows.users, items: rows.items, userCount: rows.userCount, itemCount: rows.itemCount)
    )
    #expect(throws: DataError.self) { try ServingProtocol.refit.measure(.ease, on: timeless) }
    let random = try ServingProtocol.foldIn.measure(.ease, on: timeless, options: options())
    let byTime = try ServingProtocol.foldIn.measure(.ease, on: data, options: options())
    #expect(random.users == byTime.users && random.value != byTime.value)
  }
}
