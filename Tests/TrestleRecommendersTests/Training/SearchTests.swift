import Foundation
import Testing
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Random search and successive halving: repeated, resumed, and cheaper than training everything.
@Suite(.serialized) struct SearchTests {
  /// A value that rises with the epochs to 1 − |x − 0.3|, at a rate that is the same for all.
  private final class Curve: SearchObjective {
    let maximumEpochs: Int? = 81
    var epochs = 0
    /// What a measurement takes, in microseconds.
    var pause: UInt32 = 0
    private var done: [Int: Int] = [:]

    func measure(
      _ settings: SearchSettings, trial: Int, epochs: Int?, afterEpoch: () throws -> Void
    ) throws -> SearchMeasurement {
      let last = epochs ?? 0
      self.epochs += last - done[trial, default: 0]
      done[trial] = last
      try afterEpoch()
      usleep(pause)
      if settings["x", default: 0] > 0.95 {
        throw TensorError.nonFinite(operation: "x", phase: .forward, shape: [], index: 0)
      }
      let limit = 1 - abs(settings["x", default: 0] - 0.3)
      return SearchMeasurement(
        value: limit - exp(-Double(last) / 20), epochs: last, bestEpoch: last, isFinished: last == 81)
    }
  }

  private static let space = SearchSpace([
    .init("x", .uniform(0...1), initial: 0.9), .init("rate", .logUniform(1e-4...1), initial: 1),
    .init("layers", .integer(1...3), initial: 2), .init("width", .choice([8, 16]), initial: 32),
  ])

  private func search(
    _ objective: Curve, trials: Int = 30, seed: UInt64 = 5, halving: Bool = true
  ) throws -> HyperparameterSearch {
    var configuration = HyperparameterSearch.Configuration()
    (configuration.seed, configuration.budget, configuration.usesHalving) = (seed, .trials(trials), halving)
    configuration.minimumEpochs = 3
    return try HyperparameterSearch(
      "curve", space: Self.space, objective: objective, data: "", configuration: configuration)
  }

  private func withoutTimes(_ result: SearchResult) -> [[String]] {
    result.trials.map {
      ["\($0.number)", "\($0.settings.sorted { $0.key < $1.key })", "\(String(describing: $0.measured))"]
    }
  }

  @Test func theBestLineOfAModelIsFoundInAFileOfSeveral() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "tried.jsonl")
    func message(_ kind: ModelKind) -> String {
      do {
        _ = try SearchRecord.best(of: kind, in: file)
        return ""
      } catch { return "\(error)" }
    }
    #expect(message(.ease).contains("No such file"))
    let data = try SyntheticWorld(seed: 4).dataset().interactions
    let split = try data.split(.ratio(), seed: 1)
    var best: [ModelKind: SearchTrial] = [:]
    for kind in [ModelKind.ease, .itemKNN] {
      var configuration = HyperparameterSearch.Configuration()
      configuration.budget = .trials(3)
      best[kind] = try HyperparameterSearch(
        kind, training: split.training, validation: split.validation, configuration: configuration
      ).run(file: file).best
    }
    for (kind, trial) in best {
      let record = try SearchRecord.best(of: kind, in: file)
      #expect(record.settings == trial.settings && record.trial == trial.number && record.model == kind.name)
    }
    #expect(message(.lightGCN).contains("expected a line of LightGCN"))
    #expect(message(.lightGCN).contains("found lines of EASE, ItemKNN"))
  }

  @Test func drawsStayInTheirDomainsAndRepeatThemselves() {
    var values: [String: Set<Double>] = [:]
    for trial in 1..<400 {
      let settings = Self.space.settings(ofTrial: trial, seed: 3)
      #expect(settings == Self.space.settings(ofTrial: trial, seed: 3))
      for setting in Self.space.settings {
        #expect(setting.domain.contains(settings[setting.name] ?? .nan))
        values[setting.name, default: []].insert(settings[setting.name] ?? .nan)
      }
    }
    #expect(values["layers"] == [1, 2, 3] && values["width"] == [8, 16] && values["x"]?.count == 399)
    // Half of the logarithms are below the middle one.
    let low = values["rate"]?.count { $0 < 1e-2 } ?? 0
    #expect(abs(low - 200) < 50)
    #expect(Self.space.settings(ofTrial: 0, seed: 3) == ["x": 0.9, "rate": 1, "layers": 2, "width": 32])
    #expect(Self.space.settings(ofTrial: 1, seed: 3) != Self.space.settings(ofTrial: 1, seed: 4))
  }

  @Test func theSameSeedTriesTheSame() throws {
    let first = try search(Curve()).run()
    #expect(try withoutTimes(search(Curve()).run()) == withoutTimes(first))
    #expect(first.trials.count == 30)
    #expect(try withoutTimes(search(Curve(), seed: 6).run()) != withoutTimes(first))
    #expect(first.trials.contains { $0.failure != nil && $0.value == nil })
    #expect(first.table().split(separator: "\n").count == 30)
  }

  @Test func halvingSpendsLessAndKeepsTheBest() throws {
    let (all, some) = (Curve(), Curve())
    let whole = try search(all, halving: false).run()
    let halved = try search(some).run()
    #expect(all.epochs == 81 * 30)
    #expect(some.epochs * 3 < all.epochs, "\(some.epochs) of \(all.epochs) epochs")
    #expect(halved.best.number == whole.best.number && halved.best.value == whole.best.value)
    #expect(halved.best.measured?.epochs == 81 && halved.initial.measured?.epochs == 81)
    #expect((halved.best.value ?? 0) > (halved.initial.value ?? 1))
  }

  @Test func aResumedSearchIsTheUninterruptedOneAndRepeatsNothing() throws {
    struct Stop: Error {}
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "trials.jsonl")
    let uninterrupted = Curve()
    let whole = try search(uninterrupted).run()
    // A search of another seed has lines of its own in the file.
    _ = try search(Curve(), trials: 2, seed: 9).run(file: file)
    let parts = [Curve(), Curve(), Curve()]
    var records = 0
    #expect(throws: Stop.self) {
      try search(parts[0]).run(file: file) { _ in
        records += 1
        if records == 11 { throw Stop() }
      }
    }
    let lines = try String(contentsOf: file, encoding: .utf8)
    #expect(try withoutTimes(search(parts[1]).run(file: file)) == withoutTimes(whole))
    let after = try String(contentsOf: file, encoding: .utf8)
    #expect(after.hasPrefix(lines) && after.count > lines.count)
    #expect(try withoutTimes(search(parts[2]).run(file: file)) == withoutTimes(whole))
    #expect(parts[2].epochs == 0)
    #expect(try String(contentsOf: file, encoding: .utf8) == after)
    // More trials go on from there.
    let more = Curve()
    #expect(try search(more, trials: 40).run(file: file).trials.count == 40)
    #expect(more.epochs < uninterrupted.epochs)
  }

  @Test func aBudgetOfSecondsCountsThoseOfEarlierRuns() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "trials.jsonl")
    var configuration = HyperparameterSearch.Configuration()
    configuration.budget = .seconds(0)
    func run() throws -> SearchResult {
      let curve = Curve()
      curve.pause = 5000
      return try HyperparameterSearch(
        "curve", space: Self.space, objective: curve, data: "", configuration: configuration
      ).run(file: file)
    }
    // The recommended settings are tried whatever the budget.
    #expect(try run().trials.count == 1)
    configuration.budget = .seconds(0.05)
    let first = try run()
    #expect(first.trials.count > 1 && first.seconds >= 0.05)
    #expect(try run() == first)
  }

  @Test func aFileOfSomethingElseIsRefusedWithItsLine() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "trials.jsonl")
    _ = try search(Curve(), trials: 1).run(file: file)
    let good = try String(contentsOf: file, encoding: .utf8)
    let count = good.split(separator: "\n").count
    for bad in [
      "{}", "no", good.replacing("\"rung\":0", with: "\"rung\":-1"),
      good.replacing("\"trial\":0", with: "\"trial\":-4"),
    ] {
      try Data((good + bad + "\n").utf8).write(to: file)
      do {
        _ = try search(Curve()).run(file: file)
        Issue.record("\(bad) was taken")
      } catch { #expect("\(error)".contains("trials.jsonl:\(count + 1):1: expected a line of a search")) }
    }
  }

  @Test func damagedFilesOfTrialsAreReadOrRefused() throws {
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "trials.jsonl")
    _ = try search(Curve(), trials: 2).run(file: file)
    // The same bytes in every run, whatever time the trials took: how many damages are read hangs on them.
    let written = try String(contentsOf: file, encoding: .utf8)
      .replacing(/"seconds":[0-9.eE+-]+/, with: "\"seconds\":0.0012345678901234")
    let outcome = try Mutations.run(Array(written.utf8), count: 400, seed: 1) { bytes in
      try Data(bytes).write(to: file)
      #expect(try search(Curve(), trials: 2).run(file: file).trials.count == 2)
    }
    #expect(outcome.read > 20 && outcome.threw > 100, "\(outcome)")
  }

  private static let kinds: [ModelKind] = [
    .itemKNN, .userKNN, .rp3Beta, .ease, .slim, .implicitALS, .factorization, .neuMF, .directAU, .lightGCN,
    .xSimGCL, .simGCL, .sgl, .multVAE, .recVAE, .sasRec, .bert4Rec, .gru4Rec, .hstu,
  ]

  private static let split: DataSplit? = {
    var world = SyntheticWorld.Configuration()
    (world.users, world.items, world.interactions, world.hasTexts) = (120, 80, 2500, false)
    return try? SyntheticWorld(world, seed: 2).dataset().interactions.split(.leaveOneOut, seed: 1)
  }()

  @Test(arguments: kinds) func theFoundSettingsAreNoWorseThanTheRecommended(_ kind: ModelKind) throws {
    let split = try #require(Self.split)
    var configuration = HyperparameterSearch.Configuration()
    (configuration.seed, configuration.budget) = (1, .trials(4))
    (configuration.minimumEpochs, configuration.maximumEpochs, configuration.patience) = (1, 4, 4)
    let search = try HyperparameterSearch(
      kind, training: split.training, validation: split.validation, configuration: configuration)
    try withSteadyInstructionSet {
      let found = try search.run()
      #expect(found.trials.count == 4 && found.trials.allSatisfy { $0.failure == nil })
      #expect((found.best.value ?? 0) >= (found.initial.value ?? 1))
      // The recommended settings are the model's own, and what was found is what a fit with it reaches.
      let evaluator = RankingEvaluator(
        split, on: .validation, configuration: .init(only: [.ndcg(10)], userLimit: 10_000))
      for trial in [found.initial, found.best] {
        let model = try kind.make(split.training, seed: 1, settings: trial.settings)
        if let trainable = model as? any TrainableRecommender {
          let trainer = try RecommenderTrainer(
            trainable, training: split.training,
            configuration: try kind.training(split.training, seed: 1, settings: trial.settings))
          for _ in 0..<(trial.measured?.bestEpoch ?? 0) { try trainer.trainEpoch() }
        }
        #expect(
          abs((try evaluator.evaluate(model.makeScorer()).mean(.ndcg(10)) ?? 0) - (trial.value ?? 1)) < 1e-6)
      }
      #expect(try kind.make(split.training, seed: 1).name == kind.name)
    }
  }

  /// Every end of every domain makes a model, and the recommended settings are of the space.
  @Test func everyModelButPopularityHasASpace() throws {
    let training = try #require(Self.split).training
    for kind in ModelKind.allCases where kind != .popularity {
      let space = try #require(kind.searchSpace(for: training), "\(kind.name)")
      #expect(space.settings.contains { $0.name == "learningRate" } == kind.isTrainedByEpochs)
      // Fitting those that are fitted at once takes its time, and is what the other tests do.
      guard kind.isTrainedByEpochs else { continue }
      for picksUpper in [false, true] {
        var settings: SearchSettings = [:]
        for setting in space.settings {
          #expect(setting.initial.isFinite, "\(kind.name), \(setting.name)")
          switch setting.domain {
          case .logUniform(let range), .uniform(let range):
            settings[setting.name] = picksUpper ? range.upperBound : range.lowerBound
          case .integer(let range):
            settings[setting.name] = Double(picksUpper ? range.upperBound : range.lowerBound)
          case .choice(let values): settings[setting.name] = picksUpper ? values.max() : values.min()
          }
        }
        #expect(try kind.make(training, seed: 1, settings: settings).name == kind.name)
      }
    }
    #expect(ModelKind.popularity.searchSpace(for: training) == nil)
  }

  @Test func aTrainingThatGoesOnFromTheFileIsTheSame() throws {
    struct Stop: Error {}
    let split = try #require(Self.split)
    let folder = try TemporaryFolder(inMemory: true)
    let file = folder.url.appending(path: "trials.jsonl")
    var configuration = HyperparameterSearch.Configuration()
    (configuration.budget, configuration.minimumEpochs, configuration.maximumEpochs) = (.trials(7), 1, 9)
    let search = {
      try HyperparameterSearch(
        .factorization, training: split.training, validation: split.validation, configuration: configuration)
    }
    try withSteadyInstructionSet {
      let whole = try search().run()
      var records = 0
      #expect(throws: Stop.self) {
        try search().run(file: file) { _ in
          records += 1
          if records == 6 { throw Stop() }
        }
      }
      #expect(try withoutTimes(search().run(file: file)) == withoutTimes(whole))
    }
  }

  @Test func settingsThatAModelDoesNotHaveAreRefused() throws {
    let data = try #require(Self.split).training
    func refusal(_ kind: ModelKind, _ settings: SearchSettings) -> String {
      do {
        _ = try kind.make(data, seed: 1, settings: settings)
        return ""
      } catch { return "\(error)" }
    }
    #expect(refusal(.ease, ["width": 3]) == "EASE: expected settings among regularization, found width")
    #expect(refusal(.lightGCN, ["layers": 0]).contains("expected layers of 1 to 4, whole, found 0.0"))
    #expect(refusal(.popularity, ["x": 1]) == "Popularity: expected no settings, found x")
    #expect(refusal(.lightGCN, ["layers": 1]) == "")
    #expect(throws: DataError.self) {
      try HyperparameterSearch(.popularity, training: data, validation: data)
    }
    let nothing = Interactions.empty(userCount: data.userCount, itemCount: data.itemCount)
    #expect(throws: DataError.self) { try HyperparameterSearch(.ease, training: data, validation: nothing) }
  }

  @Test func aFitTakesTheSettings() throws {
    let data = try SyntheticWorld(seed: 2).dataset()
    var options = FitOptions()
    options.settings = ["regularization": 7]
    try withSteadyInstructionSet {
      let model = try data.fit(.ease, options: options)
      var ridge = EASE.Configuration()
      ridge.regularization = 7
      let own = try FittedRecommender(
        EASE(training: data.interactions, configuration: ridge), dataset: data, training: data.interactions)
      #expect(try model.recommend(for: "3") == own.recommend(for: "3"))
      #expect(model.card.settings["searched"] == "regularization 7")
    }
  }
}
