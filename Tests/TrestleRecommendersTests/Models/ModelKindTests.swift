import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Models by name with the settings that suit the data, and what these settings reach.
@Suite(.serialized) struct ModelKindTests {
  private func ndcg(_ model: any Recommender, _ split: DataSplit) throws -> Double {
    var configuration = RankingEvaluator.Configuration()
    (configuration.metrics, configuration.slices, configuration.listMetrics) = ([.ndcg(10)], [], [])
    let result = try RankingEvaluator(split, configuration: configuration).evaluate(model.makeScorer())
    return try #require(result.mean(.ndcg(10)))
  }

  @Test func namesAreThoseOfTheModels() throws {
    let data = try SyntheticWorld(seed: 4).dataset().interactions
    for kind in ModelKind.allCases {
      let model = try kind.make(data, seed: 1)
      #expect(model.name == kind.name)
      #expect(ModelKind(name: kind.name.uppercased()) == kind)
      #expect(kind.isSequential == (model is any SequentialRecommender || model is BERT4Rec))
      guard let trainable = model as? any TrainableRecommender else { continue }
      var own = trainable.recommendedTraining(for: DataProfile(data))
      own.seed = 3
      #expect(kind.training(data, seed: 3) == own)
    }
    #expect(ModelKind(name: "nothing") == nil)
  }

  @Test func settingsFollowTheLengthOfHistories() {
    func data(perUser: Int) -> Interactions {
      let count = 40 * perUser
      return Interactions(
        users: (0..<count).map { Int32($0 / perUser) }, items: (0..<count).map { Int32($0 % 50) },
        userCount: 45, itemCount: 50)
    }
    let (short, long) = (data(perUser: 10), data(perUser: 30))
    #expect(DataProfile(short).interactionsPerUser == 10 && DataProfile(short).hasShortHistories)
    #expect(DataProfile(long).interactionsPerUser == 30 && !DataProfile(long).hasShortHistories)
    var generator = RandomGenerator(seed: 1)
    let models = [short, long].map { LightGCN(training: $0, using: &generator) }
    #expect(models[0].configuration.regularization == 3e-2 && models[1].configuration.regularization == 1e-3)
    #expect(models[1].recommendedTraining(for: DataProfile(long)).learningRate == 5e-3)
    #expect(MatrixFactorization(training: short, using: &generator).configuration.regularization == 1e-1)
    // What is asked for is used.
    var own = LightGCN.Configuration()
    own.regularization = 0.5
    let model = LightGCN(training: short, configuration: own, using: &generator)
    #expect(model.configuration.regularization == 0.5)
  }

  @Test func shortHistoriesOfPopularItemsAreNotScarce() {
    func data(items: Int) -> Interactions {
      Interactions(
        users: (0..<400).map { Int32($0 / 10) }, items: (0..<400).map { Int32($0 % items) },
        userCount: 40, itemCount: items)
    }
    var generator = RandomGenerator(seed: 1)
    for (items, isScarce) in [(40, false), (41, true)] {
      let data = data(items: items)
      let profile = DataProfile(data)
      #expect(profile.hasShortHistories && profile.isScarce == isScarce)
      let graph = LightGCN(training: data, using: &generator)
      let factors = MatrixFactorization(training: data, using: &generator)
      #expect(graph.configuration.regularization == (isScarce ? 3e-2 : 1e-3))
      #expect(factors.configuration.regularization == (isScarce ? 1e-1 : 1e-3))
      #expect(factors.recommendedTraining(for: profile).learningRate == (isScarce ? 2e-3 : 5e-3))
      for kind in [ModelKind.lightGCN, .factorization] {
        #expect(kind.recommendation(for: data).contains("10 an item") == isScarce)
      }
    }
    #expect(!DataProfile(activeUsers: 10, items: 1000, interactions: 300).isScarce)
  }

  @Test func theTrainersDefaultIsTheModelsOwn() throws {
    let data = try SyntheticWorld(seed: 4).dataset().interactions
    var generator = RandomGenerator(seed: 1)
    let model = XSimGCL(training: data, using: &generator)
    let trainer = try RecommenderTrainer(model, training: data)
    #expect(trainer.configuration == model.recommendedTraining(for: DataProfile(data)))
    #expect(trainer.configuration.patience == 60)
  }

  @Test(arguments: [
    (ModelKind.itemKNN, 1), (.userKNN, 1), (.rp3Beta, 1), (.slim, 1), (.ease, 1), (.implicitALS, 1),
    (.factorization, 40), (.neuMF, 40), (.directAU, 40), (.lightGCN, 40), (.xSimGCL, 4), (.simGCL, 4),
    (.sgl, 40), (.multVAE, 30), (.recVAE, 25), (.sasRec, 30), (.gru4Rec, 40), (.hstu, 40),
    (.bert4Rec, 12),
  ])
  func fitBeatsPopularity(_ kind: ModelKind, epochs: Int) throws {
    let split = try SyntheticWorld(seed: 4).dataset().interactions.split(.leaveOneOut, seed: 1)
    let popular = try ndcg(ModelKind.popularity.fit(split), split)
    let reached = try ndcg(kind.fit(split, seed: 1) { $0.epochs = epochs }, split)
    #expect(reached > popular * 1.05, "\(kind.name): \(reached) against \(popular)")
  }

  /// EASE and its like take seconds: a floor under what every reader, split and metric gives together.
  @Test(.enabled(if: TestAssets.movieLens100K != nil, "MovieLens-100K is not among the assets"))
  func closedFormsKeepTheirQualityOnMovieLens() throws {
    let data = try Dataset.recBole(at: try #require(TestAssets.movieLens100K))
    let split = try data.interactions.split(.ratio(), seed: 0)
    #expect(try ndcg(ModelKind.ease.fit(split), split) > 0.320)
    #expect(try ndcg(ModelKind.itemKNN.fit(split), split) > 0.270)
    #expect(try ndcg(ModelKind.implicitALS.fit(split), split) > 0.300)
    #expect(try ndcg(ModelKind.userKNN.fit(split), split) > 0.250)
    #expect(try ndcg(ModelKind.rp3Beta.fit(split), split) > 0.250)
    let popular = try ndcg(ModelKind.popularity.fit(split), split)
    #expect(abs(popular - 0.145) < 0.005)
  }

  /// A few epochs with the recommended settings are well above popularity; LightGCN with others stays at its level for long.
  @Test(
    .enabled(if: TestAssets.movieLens100K != nil, "MovieLens-100K is not among the assets"),
    arguments: [(ModelKind.lightGCN, 6), (.factorization, 15)])
  func fewEpochsBeatPopularityOnMovieLens(_ kind: ModelKind, epochs: Int) throws {
    let data = try Dataset.recBole(at: try #require(TestAssets.movieLens100K))
    let split = try data.interactions.split(.ratio(), seed: 0)
    let popular = try ndcg(ModelKind.popularity.fit(split), split)
    let model = try kind.fit(split) { ($0.epochs, $0.evaluationInterval) = (epochs, epochs) }
    let reached = try ndcg(model, split)
    #expect(reached > popular * 1.2, "\(kind.name): \(reached) against \(popular)")
  }

  @Test func settingsAreSaidWithTheirValuesAndTheirOwnCriterion() throws {
    let data = try SyntheticWorld(seed: 4).dataset().interactions
    let profile = DataProfile(data)
    var options = FitOptions()
    let words = try ModelKind.lightGCN.settingsInWords(for: data, options)
    #expect(
      words == "dimension 64, layers 3, regularization 0.001, batches of 2048, learning rate 0.005, "
        + "at most 500 epochs, 20 without improvement")
    (options.epochs, options.patience, options.settings) = (7, 3, ["layers": 2])
    let own = try ModelKind.lightGCN.settingsInWords(for: data, options)
    #expect(own.contains("layers 2") && own.hasSuffix("at most 7 epochs, 3 without improvement"))
    #expect(try ModelKind.ease.settingsInWords(for: data) == "regularization 250")
    #expect(try ModelKind.popularity.settingsInWords(for: data) == "")
    #expect(throws: DataError.self) { try ModelKind.ease.settingsInWords(for: data, options) }
    #expect(profile.density >= 0.02 && !profile.hasShortHistories)
    #expect(
      ModelKind.implicitALS.recommendation(for: data).contains("2 % of all pairs of users and items or more"))
    #expect(ModelKind.lightGCN.recommendation(for: data).contains("20 interactions a user or more"))
    #expect(ModelKind.ease.recommendation(for: data).contains("whatever the data"))
  }

  @Test func graphModelsHaveLargerBatchesOnMillionsOfInteractions() {
    var generator = RandomGenerator(seed: 1)
    let few = Interactions(users: [0, 1], items: [0, 1], userCount: 2, itemCount: 2)
    let models: [any TrainableRecommender] = [
      LightGCN(training: few, using: &generator), XSimGCL(training: few, using: &generator),
      SimGCL(training: few, using: &generator), SGL(training: few, using: &generator),
    ]
    func batch(_ model: any TrainableRecommender, _ interactions: Int) -> Int {
      model.recommendedTraining(
        for: DataProfile(activeUsers: 100_000, items: 20_000, interactions: interactions)
      ).batchSize
    }
    for model in models {
      #expect(batch(model, 2_000_000) == 2048)
      #expect(batch(model, 20_000_000) == 1 << 18)
    }
    #expect(batch(MatrixFactorization(training: few, using: &generator), 20_000_000) == 2048)
  }

  private static let data = ProcessInfo.processInfo.environment["TRESTLE_DATA"].map {
    URL(fileURLWithPath: $0)
  }

  @Test(
    .enabled(if: data != nil, "TRESTLE_DATA does not name the folder of the further data sets"),
    arguments: [ModelKind.itemKNN, .implicitALS, .factorization])
  func quickModelsBeatPopularityOnSteam(_ kind: ModelKind) throws {
    let folder = try #require(Self.data).appending(path: "steam")
    let split = try Dataset.recBole(at: folder).interactions.split(.ratio(), seed: 0)
    let popular = try ndcg(ModelKind.popularity.fit(split), split)
    let reached = try ndcg(kind.fit(split), split)
    #expect(reached > popular, "\(kind.name): \(reached) against \(popular)")
  }

  /// Minutes on two cores: EASE inverts a matrix of the catalogue's size, and LightGCN propagates the whole graph.
  @Test(
    .enabled(if: data != nil, "TRESTLE_DATA does not name the folder of the further data sets"),
    arguments: ["steam", "books"], [ModelKind.ease, .lightGCN])
  func largerModelsBeatPopularityOnSteamAndBooks(_ name: String, _ kind: ModelKind) throws {
    let folder = try #require(Self.data).appending(path: name)
    let split = try Dataset.recBole(at: folder).interactions.split(.ratio(), seed: 0)
    let popular = try ndcg(ModelKind.popularity.fit(split), split)
    let reached = try ndcg(kind.fit(split) { $0.epochs = 12 }, split)
    #expect(reached > popular, "\(kind.name) on \(name): \(reached) against \(popular)")
  }
}
