import Trestle

/// What is compared: the bridge, each side alone, and the bridge with something taken away.
enum Variant: String, CaseIterable, Codable {
  /// BDLM in full: the recommender, the language model and their fusion.
  case bridge
  /// The recommender alone, with the bridged one's epochs.
  case domainAlone = "lightgcn-alone"
  /// The language model alone, with random entity tokens and the bridged one's epochs.
  case randomTokens = "random-tokens"
  /// The language model with item rows frozen at its own pooled states of titles and genres: no collaborative signal
  /// but what the sequences themselves hold.
  case textRows = "text-rows"
  /// The bridge without mutual rounds' losses and writings: tokens initialised from the recommender, nothing more.
  case initializationOnly = "initialization-only"
  /// The bridge without the divergence of the language model's scores from the recommender's.
  case storeOnly = "store-only"
  /// The bridge without the language model's writing to the store.
  case noWriteBack = "no-write-back"
  /// The bridge without the language side's distance to the store and divergence of scores: it teaches, and learns
  /// no more than what its tokens began with.
  case toDomainOnly = "to-domain-only"
  /// The bridge without the recommender's distance to the store: it teaches, and does not learn.
  case toLanguageOnly = "to-language-only"

  /// Those that a run without `--full` compares.
  static let main: [Variant] = [.domainAlone, .randomTokens, .bridge]
}

/// How long things train, and with what settings.
struct Budget {
  var schedule = BDLMStrategy.Schedule()
  var bridge = BDLMStrategy.Configuration()
  var side = LanguageSide.Configuration()
  var gcn = LightGCN.Configuration()
  var training = TrainingConfiguration()

  /// The settings for a share of the training data, chosen on validation data: the recommender's regularisation and
  /// patience grow as the data gets thinner.
  init(share: Double, seed: UInt64, isQuick: Bool, isSynthetic: Bool, hasEncoder: Bool) {
    gcn.layers = 3
    gcn.regularization = share < 0.15 ? 3e-2 : share < 0.5 ? 1e-2 : 1e-3
    training.learningRate = 5e-3
    training.seed = seed
    side.seed = seed
    bridge.seed = seed
    // The recommender is drawn to where the texts would have its rows: a prior for what its data leaves open.
    bridge.domainDistance = .squaredDifference
    bridge.domainWeight = share < 0.5 ? 0.1 : 0.006
    bridge.sharing.isNormalized = false
    bridge.sharing.writeRate = 1
    bridge.ridge = 1
    bridge.writtenItemSource = hasEncoder ? .encodedText : .text
    bridge.writtenUserSource = hasEncoder ? .encodedText : nil
    // The language model is drawn to the ranking of the recommender, the better of the two.
    bridge.languageScoreWeight = 3
    // The token rows, rather than the states after the histories: these cost a pass over all histories each time.
    bridge.userSource = .row
    side.userRepresentation = .row
    schedule.domainPatience = share < 0.5 ? 20 : 10
    schedule.domainValidationInterval = 2
    schedule.languagePatience = 2
    // Where steps are few, falling rates leave the language model short of them.
    if !isQuick { schedule.languageAnnealing = 0.1 }
    if isQuick {
      schedule.tuningEpochs = 1
      schedule.rounds = 1
      schedule.warmUpEpochs = 120
      schedule.roundDomainEpochs = 40
      side.windowItems = 24
      side.trainingItems = 24
      side.batchTokens = 512
      side.readingItems = 48
      side.validationUsers = 100
    }
    if isSynthetic {
      training.batchSize = 1024
      side.batchTokens = 768
    }
  }

  /// All settings as text: a checkpoint of other settings is refused.
  var fingerprint: String {
    "\(schedule) \(bridge) \(side) \(gcn) \(training)"
  }
}
