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
    (ModelKind.sasRec, 25), (.gru4Rec, 30), (.multVAE, 30), (.recVAE, 20), (.lightGCN, 40), (.ease, 1),
    (.itemKNN, 1),
  ])
  func peopleWhoAreNewAreServedBetterThanByPopularity(_ kind: ModelKind, epochs: Int) throws {
    let outcome = try ServingProtocol.foldIn.measure(
      kind, on: world(seed: 6), options: options(epochs: kind.isTrainedByEpochs ? epochs : nil))
    #expect(outcome.users == 60)
    #expect(outcome.value > 1.2 * outcome.reference, "\(kind.name): \(outcome)")
  }

  /// Settings are searched for on validation data; the refit with them finds more of what comes later.
  @Test(arguments: [ModelKind.ease, .itemKNN])
  func aRefitWithTheSettingsFoundFindsMore(_ kind: ModelKind) throws {
    let outcome = try ServingProtocol.refit.measure(kind, on: world(seed: 6), options: options(), trials: 6)
    #expect(outcome.value > outcome.reference, "\(kind.name): \(outcome)")
    #expect(outcome.users > 50)
    let recommended = try ServingProtocol.refit.measure(kind, on: world(seed: 6), options: options())
    #expect(recommended.settings.isEmpty)
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
