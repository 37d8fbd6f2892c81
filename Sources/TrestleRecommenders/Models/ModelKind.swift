import TrestleTensor

/// The package's models, with the settings that are recommended for data of a given density.
public enum ModelKind: String, CaseIterable, Sendable, Codable {
  /// The most popular items for everybody.
  case popularity = "Popularity"
  /// Item-based neighbours.
  case itemKNN = "ItemKNN"
  /// Linear item-to-item weights in closed form.
  case ease = "EASE"
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
  /// Self-attention over the last items.
  case sasRec = "SASRec"
  /// Recurrent units over the last items.
  case gru4Rec = "GRU4Rec"

  /// Whether the data has fewer than twenty interactions a user.
  static func isSparse(_ training: Interactions) -> Bool { training.count < 20 * max(training.userCount, 1) }

  /// What was chosen for this data, in words.
  public func recommendation(for training: Interactions) -> String {
    Self.isSparse(training)
      ? "for sparse data (below 20 interactions a user)" : "for dense data (20 interactions a user or more)"
  }

  /// Makes the model, fitted if it needs no epochs.
  public func make(_ training: Interactions, seed: UInt64) throws -> any Recommender {
    var generator = RandomGenerator(seed: seed)
    let isSparse = Self.isSparse(training)
    switch self {
    case .popularity: return Popularity(training: training)
    case .itemKNN: return ItemNeighbors(training: training)
    case .ease: return try EASE(training: training)
    case .implicitALS:
      let model = ImplicitALS(training: training, using: &generator)
      model.fit()
      return model
    case .factorization:
      var configuration = MatrixFactorization.Configuration()
      if isSparse { configuration.regularization = 1e-1 }
      return MatrixFactorization(
        userCount: training.userCount, itemCount: training.itemCount, configuration: configuration,
        using: &generator)
    case .neuMF: return NeuMF(userCount: training.userCount, itemCount: training.itemCount, using: &generator)
    case .lightGCN:
      var configuration = LightGCN.Configuration()
      if isSparse { configuration.regularization = 3e-2 }
      return LightGCN(training: training, configuration: configuration, using: &generator)
    case .xSimGCL: return XSimGCL(training: training, using: &generator)
    case .sasRec: return SASRec(training: training, using: &generator)
    case .gru4Rec: return GRU4Rec(training: training, using: &generator)
    }
  }

  /// How the model is trained.
  public func training(_ training: Interactions, seed: UInt64) -> TrainingConfiguration {
    let isSparse = Self.isSparse(training)
    var configuration = TrainingConfiguration()
    configuration.seed = seed
    configuration.patience = isSparse ? 40 : 20
    switch self {
    case .lightGCN: configuration.learningRate = 5e-3
    case .xSimGCL: (configuration.learningRate, configuration.patience) = (5e-3, 60)
    case .factorization where isSparse: configuration.learningRate = 2e-3
    default: break
    }
    return configuration
  }
}
