import TrestleRecommenders

/// How long the parts of a job train, and with what settings.
struct JobBudget {
  var schedule = BDLMStrategy.Schedule()
  var bridge = BDLMStrategy.Configuration()
  var side = LanguageSide.Configuration()
  var gcn = LightGCN.Configuration()
  var training = TrainingConfiguration()
  /// The new items' part.
  var study = HybridStudy.Configuration()

  /// The part of the language model's blocks that reads a known item's text.
  static let textShare = 2.0 / 3

  /// The settings for a share of the training data, chosen on validation data: the recommender's regularisation and
  /// patience grow as the data gets thinner.
  init(share: Double, seed: UInt64, level: HybridJobPlan.Level, isSynthetic: Bool, writer: HybridJob.Writer) {
    gcn.layers = 3
    gcn.regularization = share < 0.15 ? 3e-2 : share < 0.5 ? 1e-2 : 1e-3
    // One training of the recommender for new items is planned for; a search would be four.
    study.regularizations = [study.recommender.regularization]
    training.learningRate = 5e-3
    training.seed = seed
    side.seed = seed
    bridge.seed = seed
    // The recommender is drawn to where the texts would have its rows: a prior for what its data leaves open.
    bridge.domainDistance = .squaredDistance
    bridge.domainWeight = share < 0.5 ? 0.1 : 0.006
    bridge.sharing.isNormalized = false
    bridge.sharing.writeRate = 1
    bridge.ridge = 1
    // What a sentence encoder makes of a user's items costs nothing; the language model's states after histories do.
    bridge.writtenItemSource = writer == .sentenceEncoder ? .encodedText : .text
    bridge.writtenUserSource = writer == .sentenceEncoder ? .encodedText : nil
    // The language model is drawn to the ranking of the recommender, the better of the two.
    bridge.languageScoreWeight = 3
    // The token rows, rather than the states after the histories: these cost a pass over all histories each time.
    bridge.userSource = .row
    side.userRepresentation = .row
    schedule.domainPatience = share < 0.5 ? 20 : 10
    schedule.domainValidationInterval = 2
    schedule.languagePatience = 2
    // Where steps are few, falling rates leave the language model short of them.
    if ![.quick, .brief].contains(level) { schedule.languageAnnealing = 0.1 }
    shorten(level)
    if isSynthetic {
      training.batchSize = 1024
      side.batchItems = 768
      study.training.batchSize = 1024
    }
  }

  /// Takes from the whole what a level leaves out.
  private mutating func shorten(_ level: HybridJobPlan.Level) {
    switch level {
    case .long: break
    case .medium:
      schedule.tuningEpochs = 1
      side.trainingItems = 64
      side.readingItems = 384
      side.validationUsers = 200
    case .modest:
      schedule.tuningEpochs = 1
      schedule.rounds = 1
      side.trainingItems = 64
      side.readingItems = 128
      side.validationUsers = 100
    case .short, .quick, .brief:
      schedule.tuningEpochs = 1
      schedule.rounds = 1
      side.windowItems = level == .brief ? 12 : 20
      side.trainingItems = level == .brief ? 12 : 20
      side.batchItems = 512
      side.readingItems = level == .brief ? 20 : 32
      side.validationUsers = level == .brief ? 40 : 60
      study.bridge.readingEpochs = level == .short ? 3 : 1
      study.layerShares = [1.0 / 3, 0.5]
      study.readsTwice = false
      guard level != .short else { return }
      schedule.warmUpEpochs = 120
      schedule.roundDomainEpochs = 40
      study.bridge.warmUpEpochs = 120
    }
  }

  /// All settings as text: a checkpoint of other settings is refused.
  var fingerprint: String {
    "\(schedule) \(bridge) \(side) \(gcn) \(training)"
  }

  /// The same of the new items' part.
  var studyFingerprint: String { "\(study)" }
}
