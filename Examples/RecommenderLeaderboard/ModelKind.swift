import Foundation
import Trestle

/// The models of the leaderboard with the settings that did best on the validation data of MovieLens-100K.
enum ModelKind: String, CaseIterable {
  case popularity = "Popularity"
  case itemKNN = "ItemKNN"
  case ease = "EASE"
  case factorization = "MF-BPR"
  case neuMF = "NeuMF"
  case lightGCN = "LightGCN"
  case xSimGCL = "XSimGCL"
  case sasRec = "SASRec"
  case gru4Rec = "GRU4Rec"

  /// Makes the model, fitted if it needs no epochs.
  func make(_ training: Interactions, seed: UInt64, isSparse: Bool) throws -> any Recommender {
    var generator = RandomGenerator(seed: seed)
    switch self {
    case .popularity: return Popularity(training: training)
    case .itemKNN: return ItemNeighbors(training: training)
    case .ease: return try EASE(training: training)
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

  /// How the model is trained; `nil` if it needs no epochs.
  func training(_ options: Options, seed: UInt64, isSparse: Bool) -> TrainingConfiguration {
    var configuration = TrainingConfiguration()
    configuration.epochs = options.epochs
    configuration.seed = seed
    configuration.patience = options.patience ?? (isSparse ? 40 : 20)
    switch self {
    case .lightGCN: configuration.learningRate = 5e-3
    case .xSimGCL: (configuration.learningRate, configuration.patience) = (5e-3, options.patience ?? 60)
    case .factorization where isSparse: configuration.learningRate = 2e-3
    default: break
    }
    return configuration
  }
}
