import TrestleTensor

/// A setting of a configuration as a number.
struct TunedSetting<Configuration> {
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
struct Tuning {
  let settings: [SearchSpace.Setting]
  let make: (SearchSettings, inout RandomGenerator) throws -> any Recommender

  init<Configuration>(
    _ recommended: Configuration, _ list: [TunedSetting<Configuration>],
    make: @escaping (Configuration, inout RandomGenerator) throws -> any Recommender
  ) {
    settings = list.map { SearchSpace.Setting($0.name, $0.domain, initial: $0.get(recommended)) }
    self.make = { values, generator in try make(list.configured(recommended, values), &generator) }
  }
}

extension Array {
  /// A configuration with some settings changed.
  func configured<Configuration>(
    _ recommended: Configuration, _ values: SearchSettings
  ) -> Configuration where Element == TunedSetting<Configuration> {
    var configuration = recommended
    for setting in self { values[setting.name].map { setting.set(&configuration, $0) } }
    return configuration
  }
}

extension ModelKind {
  private static let widths = SearchSpace.Domain.choice([32, 64, 128])
  private static let neighborCounts = SearchSpace.Domain.choice([20, 50, 100, 200, 400, 800])
  private static let noises = SearchSpace.Domain.uniform(0.02...0.3)
  private static let contrastWeights = SearchSpace.Domain.logUniform(0.005...0.5)
  private static let temperatures = SearchSpace.Domain.uniform(0.1...0.5)
  private static let rowPenalties = SearchSpace.Domain.logUniform(1e-5...0.1)

  static var factorizationSettings: [TunedSetting<MatrixFactorization.Configuration>] {
    [
      .init("dimension", widths, \.dimension),
      .init("regularization", .logUniform(1e-4...1), \.regularization),
    ]
  }

  static var lightGCNSettings: [TunedSetting<LightGCN.Configuration>] {
    [
      .init("dimension", widths, \.dimension), .init("layers", .integer(1...4), \.layers),
      .init("regularization", .logUniform(1e-4...0.3), \.regularization),
    ]
  }

  /// The model's settings as they are searched on such data; `nil` if it has none.
  func tuning(_ training: Interactions) -> Tuning? {
    guard isTrainedByEpochs else { return fittedTuning(training) }
    return factorizationTuning(training) ?? graphTuning(training) ?? setTuning(training)
      ?? sequenceTuning(training)
  }

  private func fittedTuning(_ training: Interactions) -> Tuning? {
    let data = DataProfile(training)
    switch self {
    case .itemKNN:
      return Tuning(
        ItemKNN.Configuration(),
        [
          .init("neighbors", Self.neighborCounts, \.neighbors),
          .init("shrinkage", .choice([0, 1, 3, 10, 30, 100]), \.shrinkage),
        ]
      ) { configuration, _ in ItemKNN(training: training, configuration: configuration) }
    case .userKNN:
      return Tuning(
        UserKNN.Configuration.recommended(for: data),
        [
          .init("neighbors", Self.neighborCounts, \.neighbors),
          .init("shrinkage", .choice([0, 1, 3, 10, 30, 100]), \.shrinkage),
        ]
      ) { configuration, _ in UserKNN(training: training, configuration: configuration) }
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

  private func factorizationTuning(_ training: Interactions) -> Tuning? {
    let (users, items) = (training.userCount, training.itemCount)
    switch self {
    case .factorization:
      return Tuning(
        MatrixFactorization.Configuration.recommended(for: DataProfile(training)), Self.factorizationSettings
      ) { MatrixFactorization(userCount: users, itemCount: items, configuration: $0, using: &$1) }
    case .neuMF:
      return Tuning(
        NeuMF.Configuration(),
        [
          .init("factorDimension", Self.widths, \.factorDimension),
          .init("networkDimension", Self.widths, \.networkDimension),
          .init("dropout", .uniform(0...0.5), \.dropout),
        ]
      ) { NeuMF(userCount: users, itemCount: items, configuration: $0, using: &$1) }
    case .directAU:
      return Tuning(
        DirectAU.Configuration.recommended(for: DataProfile(training)),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(0...3), \.layers),
          .init("uniformityWeight", .logUniform(0.05...5), \.uniformityWeight),
          .init("regularization", .logUniform(1e-6...1e-2), \.regularization),
        ]
      ) { DirectAU(training: training, configuration: $0, using: &$1) }
    default: return nil
    }
  }

  private func graphTuning(_ training: Interactions) -> Tuning? {
    let data = DataProfile(training)
    switch self {
    case .lightGCN:
      return Tuning(
        LightGCN.Configuration.recommended(for: data), Self.lightGCNSettings
      ) { LightGCN(training: training, configuration: $0, using: &$1) }
    case .xSimGCL:
      // The contrasted layer stays the first, which any number of layers has.
      return Tuning(
        XSimGCL.Configuration(),
        [
          .init("layers", .integer(1...4), \.layers), .init("noise", Self.noises, \.noise),
          .init("contrastWeight", Self.contrastWeights, \.contrastWeight),
          .init("temperature", Self.temperatures, \.temperature),
          .init("regularization", Self.rowPenalties, \.regularization),
        ]
      ) { XSimGCL(training: training, configuration: $0, using: &$1) }
    case .simGCL:
      return Tuning(
        SimGCL.Configuration.recommended(for: data),
        [
          .init("layers", .integer(1...4), \.layers), .init("noise", Self.noises, \.noise),
          .init("contrastWeight", Self.contrastWeights, \.contrastWeight),
          .init("temperature", Self.temperatures, \.temperature),
          .init("regularization", Self.rowPenalties, \.regularization),
        ]
      ) { SimGCL(training: training, configuration: $0, using: &$1) }
    case .sgl:
      return Tuning(
        SGL.Configuration.recommended(for: data),
        [
          .init("layers", .integer(1...4), \.layers), .init("dropRate", .uniform(0.05...0.5), \.dropRate),
          .init("contrastWeight", Self.contrastWeights, \.contrastWeight),
          .init("temperature", Self.temperatures, \.temperature),
          .init("regularization", Self.rowPenalties, \.regularization),
        ]
      ) { SGL(training: training, configuration: $0, using: &$1) }
    default: return nil
    }
  }

  private func setTuning(_ training: Interactions) -> Tuning? {
    let data = DataProfile(training)
    switch self {
    case .multVAE:
      return Tuning(
        MultVAE.Configuration.recommended(for: data),
        [
          .init("latent", .choice([32, 64, 128, 200]), \.latent),
          .init("dropout", .uniform(0.2...0.8), \.dropout), .init("annealCap", .uniform(0...1), \.annealCap),
        ]
      ) { MultVAE(training: training, configuration: $0, using: &$1) }
    case .recVAE:
      return Tuning(
        RecVAE.Configuration.recommended(for: data),
        [
          .init("hidden", .choice([200, 400, 600]), \.hidden),
          .init("latent", .choice([32, 64, 128, 200]), \.latent),
          .init("dropout", .uniform(0.2...0.8), \.dropout),
          .init("itemDivergenceWeight", .logUniform(5e-4...0.05), \.itemDivergenceWeight),
        ]
      ) { RecVAE(training: training, configuration: $0, using: &$1) }
    default: return nil
    }
  }

  private func sequenceTuning(_ training: Interactions) -> Tuning? {
    switch self {
    case .sasRec:
      return Tuning(
        SASRec.Configuration(),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(1...3), \.layers),
          .init("dropout", .uniform(0.1...0.7), \.dropout),
          .init("attentionDropout", .uniform(0...0.5), \.attentionDropout),
        ]
      ) { SASRec(training: training, configuration: $0, using: &$1) }
    case .bert4Rec:
      return Tuning(
        BERT4Rec.Configuration(),
        [
          .init("dimension", Self.widths, \.dimension), .init("layers", .integer(1...3), \.layers),
          .init("dropout", .uniform(0.1...0.7), \.dropout),
          .init("attentionDropout", .uniform(0...0.5), \.attentionDropout),
          .init("maskRate", .uniform(0.1...0.6), \.maskRate),
        ]
      ) { BERT4Rec(training: training, configuration: $0, using: &$1) }
    case .gru4Rec:
      return Tuning(
        GRU4Rec.Configuration(),
        [
          .init("dimension", Self.widths, \.dimension), .init("hidden", .choice([64, 128, 256]), \.hidden),
          .init("dropout", .uniform(0...0.6), \.dropout),
        ]
      ) { GRU4Rec(training: training, configuration: $0, using: &$1) }
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
