import TrestleTensor

extension ModelKind {
  private static let learningRates = SearchSpace.Domain.logUniform(3e-4...1e-2)

  /// The settings that a search may change on such data, with the recommended values; `nil` for Popularity, which has none.
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

  /// The settings with which a fit with these options goes, in words.
  ///
  /// - Throws: as ``make(_:seed:settings:)`` for settings.
  package func settingsInWords(
    for training: Interactions, _ options: FitOptions = FitOptions()
  ) throws(DataError) -> String {
    try check(options.settings, training)
    var words = (tuning(training)?.settings ?? []).map { setting in
      let name = setting.name.map { $0.isUppercase ? " \($0.lowercased())" : "\($0)" }.joined()
      return "\(name) \(SearchResult.short(options.settings[setting.name] ?? setting.initial))"
    }
    if isTrainedByEpochs {
      let configuration = try self.training(training, seed: options.seed, settings: options.settings)
      words += [
        "batches of \(configuration.batchSize)",
        "learning rate \(SearchResult.short(configuration.learningRate))",
        "at most \(options.epochs ?? configuration.epochs) epochs, "
          + "\(options.patience ?? configuration.patience) without improvement",
      ]
    }
    return words.joined(separator: ", ")
  }

  func check(_ settings: SearchSettings, _ training: Interactions) throws(DataError) {
    guard !settings.isEmpty else { return }
    try (searchSpace(for: training) ?? SearchSpace([])).check(settings, of: name)
  }
}
