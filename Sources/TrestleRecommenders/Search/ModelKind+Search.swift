import TrestleTensor

/// A setting of a configuration as a number.
private struct TunedSetting<Configuration> {
  let name: String
  let domain: SearchSpace.Domain
  let get: (Configuration) -> Double
  let set: (inout Configuration, Double) -> Void

  init(_ name: String, _ domain: SearchSpace.Domain, _ path: WritableKeyPath<Configuration, Double>) {
    (self.name, self.domain) = (name, domain)
    get = { $0[keyPath: path] }
    set = { $0[keyPath: path] = $1 }
  }

  init(_ name: String, _ domain: SearchSpace.Domain, _ path: WritableKeyPath<Configuration, Int>) {
    (self.name, self.domain) = (name, domain)
    get = { Double($0[keyPath: path]) }
    set = { $0[keyPath: path] = Int($1) }
  }
}

/// A model and those of its settings that a search may change.
private struct Tuning {
  let settings: [SearchSpace.Setting]
  let make: (SearchSettings, inout RandomGenerator) throws -> any Recommender

  init<Configuration>(
    _ recommended: Configuration, _ list: [TunedSetting<Configuration>],
    make: @escaping (Configuration, inout RandomGenerator) throws -> any Recommender
  ) {
    settings = list.map { SearchSpace.Setting($0.name, $0.domain, initial: $0.get(recommended)) }
    self.make = { values, generator in
      var configuration = recommended
      for setting in list { values[setting.name].map { setting.set(&configuration, $0) } }
      return try make(configuration, &generator)
    }
  }
}

extension ModelKind {
  private static let widths = SearchSpace.Domain.choice([32, 64, 128])
  private static let neighborCounts = SearchSpace.Domain.choice([20, 50, 100, 200, 400, 800])
  private static let learningRates = SearchSpace.Domain.logUniform(3e-4...1e-2)

  /// Whether the model is trained by epochs; others are fitted at once.
  public var isTrainedByEpochs: Bool {
    switch self {
    case .popularity, .itemKNN, .userKNN, .rp3Beta, .ease, .slim, .implicitALS: false
    default: true
    }
  }

  /// The settings that a search may change on such data, with the recommended values; `nil` for models without a space:
  /// Popularity, NeuMF, XSimGCL, SimGCL, SGL, DirectAU, RecVAE, BERT4Rec and GRU4Rec.
  public func searchSpace(for training: Interactions) -> SearchSpace? {
    guard let tuning = tuning(training) else { return nil }
    guard isTrainedByEpochs else { return SearchSpace(tuning.settings) }
    let rate = self.training(training, seed: 0).learningRate
    return SearchSpace(tuning.settings + [.init("learningRate", Self.learningRates, initial: rate)])
  }

  /// Makes the model as ``make(_:seed:)`` does, with some settings changed.
  ///
  /// - Parameters:
  ///   - training: what it is fitted on.
  ///   - seed: decides first weights.
  ///   - settings: values from ``searchSpace(for:)``; those that are not named are the recommended ones.
  /// - Throws: as ``make(_:seed:)``, and ``DataError/invalidParameter(operation:expected:found:)`` for a setting that the space does
  ///   not have, or a value that is not of its domain.
  public func make(
    _ training: Interactions, seed: UInt64, settings: SearchSettings
  ) throws -> any Recommender {
    try check(settings, training)
    guard !settings.isEmpty, let tuning = tuning(training) else { return try make(training, seed: seed) }
    var generator = RandomGenerator(seed: seed)
    return try tuning.make(settings, &generator)
  }

  /// How the model is trained, as ``training(_:seed:)`` says it, with some settings changed.
  ///
  /// - Throws: as ``make(_:seed:settings:)`` for settings.
  public func training(
    _ training: Interactions, seed: UInt64, settings: SearchSettings
  ) throws(DataError) -> TrainingConfiguration {
    try check(settings, training)
    var configuration = self.training(training, seed: seed)
    configuration.learningRate = settings["learningRate"] ?? configuration.learningRate
    return configuration
  }

  private func check(_ settings: SearchSettings, _ training: Interactions) throws(DataError) {
    guard !settings.isEmpty else { return }
    try (searchSpace(for: training) ?? SearchSpace([])).check(settings, of: name)
  }

  private func tuning(_ training: Interactions) -> Tuning? {
    isTrainedByEpochs ? trainedTuning(training) : fittedTuning(training)
  }

  private func fittedTuning(_ training: Interactions) -> Tuning? {
    let data = DataProfile(training)
    switch self {
    case .itemKNN:
      return Tuning(
        ItemNeighbors.Configuration(),
        [
          .init("neighbors", Self.neighborCounts, \.neighbors),
          .init("shrinkage", .choice([0, 1, 3, 10, 30, 100]), \.shrinkage),
        ]
      ) { configuration, _ in ItemNeighbors(training: training, configuration: configuration) }
    case .userKNN:
      return Tuning(
        UserNeighbors.Configuration.recommended(for: data),
        [
          .init("neighbors", Self.neighborCounts, \.neighbors),
          .init("shrinkage", .choice([0, 1, 3, 10, 30, 100]), \.shrinkage),
        ]
      ) { configuration, _ in UserNeighbors(training: training, configuration: configuration) }
    case .rp3Beta:
      return Tuning(
        RP3Beta.Configuration.recommended(for: data),
        [
          .init("neighbors", Self.neighborCounts, \.neighbors), .init("alpha", .uniform(0.2...1.6), \.alpha),
          .init("beta", .uniform(0...1), \.beta),
        ]
      ) { configuration, _ in RP3Beta(training: training, configuration: configuration) }
    case .ease:
      return Tuning(
        EASE.Configuration(), [.init("regularization", .logUniform(1...10_000), \.regularization)]
      ) { configuration, _ in try EASE(training: training, configuration: configuration) }
    case .slim:
      return Tuning(
        SLIM.Configuration.recommended(for: data),
        [
          .init("regularization", .logUniform(1e-3...1), \.regularization),
          .init("l1Ratio", .logUniform(1e-3...0.5), \.l1Ratio),
        ]
      ) { configuration, _ in SLIM(training: training, configuration: configuration) }
    case .implicitALS:
      return Tuning(
        ImplicitALS.Configuration.recommended(for: data),
        [
          .init("dimension", Self.widths, \.dimension),
          .init("unobservedWeight", .logUniform(0.01...1), \.unobservedWeight),
          .init("regularization", .logUniform(1e-3...0.1), \.regularization),
        ]
      ) { configuration, generator in
        let model = ImplicitALS(training: training, configuration: configuration, using: &generator)
        model.fit()
        return model
      }
    default: return nil
    }
  }

  private func trainedTuning(_ training: Interactions) -> Tuning? {
    let data = DataProfile(training)
    switch self {
    case .factorization:
      return Tuning(
        MatrixFactorization.Configuration.recommended(for: data),
        [
          .init("dimension", Self.widths, \.dimension),
          .init("regularization", .logUniform(1e-4...1), \.regularization),
        ]
      ) { configuration, generator in
        MatrixFactorization(
          userCount: training.userCount, itemCount: training.itemCount, configuration: configuration,
          using: &generator)
      }
    case .lightGCN:
      return Tuning(
        LightGCN.Configuration.recommended(for: data),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(1...4), \.layers),
          .init("regularization", .logUniform(1e-4...0.3), \.regularization),
        ]
      ) { LightGCN(training: training, configuration: $0, using: &$1) }
    case .multVAE:
      return Tuning(
        MultVAE.Configuration.recommended(for: data),
        [
          .init("latent", .choice([32, 64, 128, 200]), \.latent),
          .init("dropout", .uniform(0.2...0.8), \.dropout), .init("annealCap", .uniform(0...1), \.annealCap),
        ]
      ) { MultVAE(training: training, configuration: $0, using: &$1) }
    case .sasRec:
      return Tuning(
        SASRec.Configuration(),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(1...3), \.layers),
          .init("dropout", .uniform(0.1...0.7), \.dropout),
        ]
      ) { SASRec(training: training, configuration: $0, using: &$1) }
    case .hstu:
      return Tuning(
        HSTU.Configuration(),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(1...4), \.layers),
          .init("dropout", .uniform(0.1...0.7), \.dropout),
        ]
      ) { HSTU(training: training, configuration: $0, using: &$1) }
    default: return nil
    }
  }
}
