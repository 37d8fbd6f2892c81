import Foundation
import TrestleTensor

/// The package's models, with the settings that are recommended for data of a given density.
public enum ModelKind: String, CaseIterable, Sendable, Codable {
  /// The most popular items for everybody.
  case popularity = "Popularity"
  /// Item-based neighbours.
  case itemKNN = "ItemKNN"
  /// User-based neighbours.
  case userKNN = "UserKNN"
  /// A random walk over users and items.
  case rp3Beta = "RP3beta"
  /// Linear item-to-item weights in closed form.
  case ease = "EASE"
  /// Sparse linear item-to-item weights.
  case slim = "SLIM"
  /// Alternating least squares.
  case implicitALS = "iALS"
  /// Matrix factorisation by pairwise ranking.
  case factorization = "MF-BPR"
  /// Neural matrix factorisation.
  case neuMF = "NeuMF"
  /// Light graph convolution.
  case lightGCN = "LightGCN"
  /// Graph convolution with contrastive noise.
  case xSimGCL = "XSimGCL"
  /// Graph convolution with a contrast of two noisy views.
  case simGCL = "SimGCL"
  /// Graph convolution with a contrast of two thinned graphs.
  case sgl = "SGL"
  /// Rows trained for alignment and uniformity.
  case directAU = "DirectAU"
  /// A variational autoencoder of users' items.
  case multVAE = "MultVAE"
  /// A variational autoencoder with a composite prior.
  case recVAE = "RecVAE"
  /// Self-attention over the last items.
  case sasRec = "SASRec"
  /// Attention in both directions, trained to fill in masked items.
  case bert4Rec = "BERT4Rec"
  /// Recurrent units over the last items.
  case gru4Rec = "GRU4Rec"
  /// Gated attention without a softmax over the last items.
  case hstu = "HSTU"

  /// The kind of this name, in upper or lower case; `nil` if there is none.
  public init?(name: String) {
    guard let kind = Self.allCases.first(where: { $0.name.lowercased() == name.lowercased() }) else {
      return nil
    }
    self = kind
  }

  /// The name that tables show; that of the model.
  public var name: String { rawValue }

  /// Whether the model reads the order of a user's items.
  public var isSequential: Bool {
    switch self {
    case .sasRec, .bert4Rec, .gru4Rec, .hstu: true
    default: false
    }
  }

  /// Whether the model is trained by epochs; others are fitted at once.
  public var isTrainedByEpochs: Bool {
    switch self {
    case .popularity, .itemKNN, .userKNN, .rp3Beta, .ease, .slim, .implicitALS: false
    default: true
    }
  }

  /// What was chosen for this data, in words.
  public func recommendation(for training: Interactions) -> String {
    let data = DataProfile(training)
    switch self {
    case .popularity: return "has no settings"
    case .itemKNN, .ease, .neuMF, .xSimGCL, .simGCL, .sgl, .multVAE, .recVAE, .bert4Rec:
      return "with its defaults, whatever the data"
    case .implicitALS:
      return data.isDenselyObserved
        ? "for dense data (2 % of all pairs of users and items or more)"
        : "for sparse data (below 2 % of all pairs of users and items)"
    case .factorization where data.isScarce, .lightGCN where data.isScarce:
      return "for scarce data (below 20 interactions a user and 10 an item)"
    default:
      return data.hasShortHistories
        ? "for sparse data (below 20 interactions a user)"
        : "for dense data (20 interactions a user or more)"
    }
  }

  /// Makes the model with the settings that suit the data, fitted if it needs no epochs.
  ///
  /// - Throws: ``DataError`` if the data is not for this model: too many items for ``EASE``, say.
  public func make(_ training: Interactions, seed: UInt64) throws -> any Recommender {
    var generator = RandomGenerator(seed: seed)
    switch self {
    case .popularity: return Popularity(training: training)
    case .itemKNN: return ItemKNN(training: training)
    case .userKNN: return UserKNN(training: training)
    case .rp3Beta: return RP3Beta(training: training)
    case .slim: return SLIM(training: training)
    case .ease: return try EASE(training: training)
    case .implicitALS:
      let model = ImplicitALS(training: training, using: &generator)
      model.fit()
      return model
    case .factorization: return MatrixFactorization(training: training, using: &generator)
    case .neuMF: return NeuMF(userCount: training.userCount, itemCount: training.itemCount, using: &generator)
    case .lightGCN: return LightGCN(training: training, using: &generator)
    case .xSimGCL: return XSimGCL(training: training, using: &generator)
    case .simGCL: return SimGCL(training: training, using: &generator)
    case .sgl: return SGL(training: training, using: &generator)
    case .directAU: return DirectAU(training: training, using: &generator)
    case .multVAE: return MultVAE(training: training, using: &generator)
    case .recVAE: return RecVAE(training: training, using: &generator)
    case .sasRec: return SASRec(training: training, using: &generator)
    case .bert4Rec: return BERT4Rec(training: training, using: &generator)
    case .gru4Rec: return GRU4Rec(training: training, using: &generator)
    case .hstu: return HSTU(training: training, using: &generator)
    }
  }

  /// How the model is trained, if it is trained by epochs.
  public func training(_ training: Interactions, seed: UInt64) -> TrainingConfiguration {
    let data = DataProfile(training)
    var configuration =
      switch self {
      case .factorization: TrainingConfiguration.recommendedForFactorization(data)
      case .lightGCN: TrainingConfiguration.recommendedForLightGCN(data)
      case .xSimGCL: TrainingConfiguration.recommendedForXSimGCL(data)
      case .simGCL: TrainingConfiguration.recommendedForSimGCL(data)
      case .sgl: TrainingConfiguration.recommendedForSGL(data)
      case .directAU: TrainingConfiguration.recommendedForDirectAU(data)
      case .multVAE: TrainingConfiguration.recommendedForMultVAE
      case .bert4Rec: TrainingConfiguration.recommendedForBERT4Rec
      case .recVAE: TrainingConfiguration.recommendedForRecVAE
      case .neuMF: TrainingConfiguration.recommendedForNeuMF(data)
      default: TrainingConfiguration.recommended(data)
      }
    configuration.seed = seed
    return configuration
  }

  /// Makes the model and trains it on the training part of a split, until its validation part no longer improves.
  ///
  /// ```swift
  /// let model = try ModelKind.lightGCN.fit(split, seed: 1)
  /// let result = try RankingEvaluator(split).evaluate(model.makeScorer())
  /// ```
  ///
  /// A sequential model's scorer then goes on from training and validation items: it ranks what comes after both. It is not
  /// for ranking validation items.
  ///
  /// - Parameters:
  ///   - split: the test part is not looked at.
  ///   - seed: decides first weights, batches and negatives.
  ///   - adjust: may change how the model is trained, if it is trained by epochs.
  ///   - checkpoint: see ``RecommenderTrainer/fit(_:checkpoint:progress:)``.
  ///   - progress: called after each epoch.
  /// - Returns: the model at its best.
  /// - Throws: as ``make(_:seed:)`` and ``RecommenderTrainer/fit(_:checkpoint:progress:)``.
  public func fit(
    _ split: DataSplit, seed: UInt64 = 0, adjust: (inout TrainingConfiguration) -> Void = { _ in },
    checkpoint: URL? = nil, progress: (EpochReport) throws -> Void = { _ in }
  ) throws -> any Recommender {
    let model = try make(split.training, seed: seed)
    guard let trainable = model as? any TrainableRecommender else { return model }
    var configuration = training(split.training, seed: seed)
    adjust(&configuration)
    let trainer = try RecommenderTrainer(trainable, training: split.training, configuration: configuration)
    try trainer.fit(split, checkpoint: checkpoint, progress: progress)
    if isSequential, let sequential = trainable as? any HistoryRecommender {
      sequential.histories = UserHistories(split.training, split.validation)
    }
    return model
  }
}
