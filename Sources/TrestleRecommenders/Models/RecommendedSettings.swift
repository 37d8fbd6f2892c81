import TrestleTensor

/// What of the training data decides about settings: its size and density.
public struct DataProfile: Sendable, Equatable {
  /// The users with an interaction.
  public let activeUsers: Int
  /// The items that exist.
  public let items: Int
  /// The rows.
  public let interactions: Int

  package init(activeUsers: Int, items: Int, interactions: Int) {
    (self.activeUsers, self.items, self.interactions) = (activeUsers, items, interactions)
  }

  /// Looks at the training data.
  public init(_ training: Interactions) {
    activeUsers = training.userCounts().count { $0 > 0 }
    items = training.itemCount
    interactions = training.count
  }

  /// The mean number of interactions of a user who has one.
  public var interactionsPerUser: Double { Double(interactions) / Double(max(activeUsers, 1)) }

  /// The mean number of interactions of an item.
  public var interactionsPerItem: Double { Double(interactions) / Double(max(items, 1)) }

  /// Whether users have few interactions, fewer than twenty on average.
  public var hasShortHistories: Bool { interactionsPerUser < 20 }

  /// Whether items have few interactions as well as users, fewer than ten on average: ``MatrixFactorization`` and ``LightGCN`` then
  /// take much regularisation. The border lies between two data sets, of five and of twenty (`Documentation/Results-Recommenders.md`).
  public var isScarce: Bool { hasShortHistories && interactionsPerItem < 10 }

  /// The share of the pairs of active users and items that have a row.
  public var density: Double { interactionsPerUser / Double(max(items, 1)) }

  /// Whether 2 % of the pairs are there or more, by which iALS' weight of the others is chosen.
  var isDenselyObserved: Bool { density >= 0.02 }

  /// The batch of models that propagate the whole graph in each step: beyond two million interactions in proportion to them, so
  /// that an epoch's time is. That is how the scale check times them; no quality was searched for there.
  var graphBatchSize: Int {
    interactions <= 2_000_000
      ? TrainingConfiguration().batchSize : Int(Double(interactions) / 20_000_000 * Double(1 << 18))
  }
}

extension MatrixFactorization.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.hasShortHistories { configuration.regularization = data.isScarce ? 1e-1 : 1e-3 }
    return configuration
  }
}

extension LightGCN.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.isScarce { configuration.regularization = 3e-2 }
    return configuration
  }
}

extension ImplicitALS.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.isDenselyObserved { configuration.unobservedWeight = 0.3 }
    return configuration
  }
}

extension UserKNN.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.hasShortHistories { configuration.neighbors = 400 }
    return configuration
  }
}

extension RP3Beta.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.hasShortHistories { (configuration.alpha, configuration.beta) = (1, 0.2) }
    return configuration
  }
}

extension SLIM.Configuration {
  /// The settings for such data, chosen on validation data (`Documentation/Results-Recommenders.md`).
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.hasShortHistories { configuration.regularization = 0.01 }
    return configuration
  }
}

extension SimGCL.Configuration {
  /// The defaults, which suit long histories; others have not been searched for.
  public static func recommended(for data: DataProfile) -> Self { Self() }
}

extension SGL.Configuration {
  /// The defaults, which suit long histories; others have not been searched for.
  public static func recommended(for data: DataProfile) -> Self { Self() }
}

extension DirectAU.Configuration {
  /// Propagated rows, and a weight of the uniformity that was chosen on validation data for long histories
  /// (`Documentation/Results-Recommenders.md`); for short ones the paper's middle value.
  public static func recommended(for data: DataProfile) -> Self {
    var configuration = Self()
    if data.hasShortHistories { configuration.uniformityWeight = 1 }
    return configuration
  }
}

extension MultVAE.Configuration {
  /// The defaults, which suit long histories; others have not been searched for.
  public static func recommended(for data: DataProfile) -> Self { Self() }
}

extension RecVAE.Configuration {
  /// The defaults, which suit long histories; others have not been searched for.
  public static func recommended(for data: DataProfile) -> Self { Self() }
}

extension TrainingConfiguration {
  private static func recommended(learningRate: Double, patience: Int) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    (configuration.learningRate, configuration.patience) = (learningRate, patience)
    return configuration
  }

  static func recommended(_ data: DataProfile) -> TrainingConfiguration {
    recommended(learningRate: 1e-3, patience: data.hasShortHistories ? 40 : 20)
  }

  static func recommendedForFactorization(_ data: DataProfile) -> TrainingConfiguration {
    recommended(
      learningRate: data.isScarce ? 2e-3 : data.hasShortHistories ? 5e-3 : 1e-3,
      patience: data.hasShortHistories ? 40 : 20)
  }

  static func recommendedForLightGCN(_ data: DataProfile) -> TrainingConfiguration {
    recommendedForGraph(data, patience: data.hasShortHistories ? 40 : 20)
  }

  static func recommendedForSimGCL(_ data: DataProfile) -> TrainingConfiguration {
    recommendedForGraph(data, patience: 60)
  }

  static func recommendedForSGL(_ data: DataProfile) -> TrainingConfiguration {
    recommendedForGraph(data, patience: 40)
  }

  private static func recommendedForGraph(_ data: DataProfile, patience: Int) -> TrainingConfiguration {
    var configuration = recommended(learningRate: 5e-3, patience: patience)
    configuration.batchSize = data.graphBatchSize
    return configuration
  }

  static func recommendedForDirectAU(_ data: DataProfile) -> TrainingConfiguration {
    var configuration = recommended(learningRate: 2e-3, patience: data.hasShortHistories ? 40 : 20)
    configuration.batchSize = 1024
    return configuration
  }

  static let recommendedForMultVAE = recommendedForUsers(learningRate: 1e-3, patience: 20)

  static let recommendedForRecVAE = recommendedForUsers(learningRate: 5e-4, patience: 20)

  static let recommendedForBERT4Rec = {
    var configuration = recommended(learningRate: 1e-3, patience: 10)
    configuration.batchSize = 512
    return configuration
  }()

  /// For models whose examples are users.
  private static func recommendedForUsers(learningRate: Double, patience: Int) -> TrainingConfiguration {
    var configuration = recommended(learningRate: learningRate, patience: patience)
    configuration.batchSize = 256
    return configuration
  }

  static func recommendedForXSimGCL(_ data: DataProfile) -> TrainingConfiguration {
    recommendedForGraph(data, patience: 60)
  }

  static func recommendedForNeuMF(_ data: DataProfile) -> TrainingConfiguration {
    var configuration = recommended(learningRate: 1e-3, patience: 20)
    configuration.validationUsers = 1000
    return configuration
  }
}

extension TrainableRecommender {
  /// A patience of twenty epochs, forty for short histories, and otherwise the defaults.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration { .recommended(data) }
}

extension MatrixFactorization {
  /// Learning rate 1e-3, 5e-3 for short histories, and 2e-3 for these where items are rare, too.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForFactorization(data)
  }
}

extension LightGCN {
  /// Learning rate 5e-3: at 1e-3 three layers stay at the level of popularity longer than any patience. Beyond two million
  /// interactions the batch grows with them, as each step propagates the whole graph.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForLightGCN(data)
  }
}

extension XSimGCL {
  /// Learning rate 5e-3 and a patience of sixty, which outlasts the epochs in which the contrast outweighs the ranking.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForXSimGCL(data)
  }
}

extension NeuMF {
  /// Validated on a thousand users, as its network scores every pair by itself.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForNeuMF(data)
  }
}

extension SimGCL {
  /// Learning rate 5e-3 and a patience of sixty, for the same reason as ``XSimGCL``'s.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForSimGCL(data)
  }
}

extension SGL {
  /// Learning rate 5e-3 and a patience of forty.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForSGL(data)
  }
}

extension DirectAU {
  /// Learning rate 2e-3 and batches of 1024: the uniformity takes time in proportion to a batch's square.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration {
    .recommendedForDirectAU(data)
  }
}

extension MultVAE {
  /// Batches of 256 users.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration { .recommendedForMultVAE }
}

extension RecVAE {
  /// Batches of 256 users, learning rate 5e-4 as in the paper.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration { .recommendedForRecVAE }
}

extension BERT4Rec {
  /// Batches of 512 masked items and a patience of ten: an epoch goes through the windows up to ten times.
  public func recommendedTraining(for data: DataProfile) -> TrainingConfiguration { .recommendedForBERT4Rec }
}
