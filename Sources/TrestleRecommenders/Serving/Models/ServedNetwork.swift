import Foundation
import Synchronization
import TrestleFormats
import TrestleNN
import TrestleTensor

/// A network that scores, fixed: who asks it at the same time waits for the other.
final class ServedNetwork: Sendable {
  /// The networks that can be served, with how they were built.
  enum Architecture: Codable, Sendable {
    case neuMF(NeuMF.Configuration)
    case sasRec(SASRec.Configuration)
    case gru4Rec(GRU4Rec.Configuration)
    case hstu(HSTU.Configuration)
    case bert4Rec(BERT4Rec.Configuration)
    case multVAE(MultVAE.Configuration)
    case recVAE(RecVAE.Configuration)

    /// The network with arbitrary weights.
    func make(userCount: Int, itemCount: Int) -> sending any TrainableRecommender {
      var generator = RandomGenerator(seed: 0)
      let nobody = Interactions.empty(userCount: userCount, itemCount: itemCount)
      switch self {
      case .neuMF(let configuration):
        return NeuMF(
          userCount: userCount, itemCount: itemCount, configuration: configuration, using: &generator)
      case .sasRec(let configuration):
        return SASRec(training: nobody, configuration: configuration, using: &generator)
      case .gru4Rec(let configuration):
        return GRU4Rec(training: nobody, configuration: configuration, using: &generator)
      case .hstu(let configuration):
        return HSTU(training: nobody, configuration: configuration, using: &generator)
      case .bert4Rec(let configuration):
        return BERT4Rec(training: nobody, configuration: configuration, using: &generator)
      case .multVAE(let configuration):
        return MultVAE(training: nobody, configuration: configuration, using: &generator)
      case .recVAE(let configuration):
        return RecVAE(training: nobody, configuration: configuration, using: &generator)
      }
    }
  }

  /// How the network was built.
  let architecture: Architecture
  private let itemCount: Int
  private let model: Mutex<any TrainableRecommender>

  /// The network with the weights of a source under their parameters' names, after `prefix`.
  ///
  /// - Throws: what `Module.load(from:)` throws if they do not fit; nothing is trapped by a strange configuration.
  init(
    _ architecture: Architecture, userCount: Int, itemCount: Int, weights: some TensorSource & Sendable,
    prefix: String
  ) throws {
    self.architecture = architecture
    self.itemCount = itemCount
    let model = architecture.make(userCount: userCount, itemCount: itemCount)
    try model.load(from: weights) { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.count)) : nil }
    // Parameters are views over the file until they are copied: the folder may be exchanged.
    for parameter in model.parameters { parameter.update(to: parameter.detached.copied()) }
    self.model = Mutex(model)
  }

  /// A scorer of the users with these histories, or of the users that the network has rows for.
  func scorer(_ histories: UserHistories) -> any CatalogueScorer {
    model.withLock { model in
      (model as? any HistoryRecommender)?.makeScorer(histories: histories) ?? model.makeScorer()
    }
  }

  /// The states of users with these histories, `[users, width]`.
  ///
  /// - Precondition: the network reads histories.
  func states(_ histories: UserHistories) -> Tensor {
    model.withLock { model in
      guard let model = model as? any HistoryRecommender else {
        preconditionFailure("ServedNetwork.states: \(model.name) reads no histories")
      }
      return model.userStates(histories)
    }
  }

  /// The scores of the items after those that someone has had; `nil` for a network that reads none.
  func scores(continuing items: [Int32]) -> [Float]? {
    model.withLock { model in
      guard let model = model as? any HistoryRecommender else { return nil }
      return state(after: items, model).matmul(model.itemRows, transposingOther: true).floats
    }
  }

  /// The state of someone who has had some items, `[1, width]`; `nil` for a network that reads none.
  func state(continuing items: [Int32]) -> Tensor? {
    model.withLock { model in (model as? any HistoryRecommender).map { state(after: items, $0) } }
  }

  private func state(after items: [Int32], _ model: any HistoryRecommender) -> Tensor {
    model.userStates(UserHistories(starts: [0, items.count], items: items, itemCount: itemCount))
  }
}

/// Tensors in memory under their names.
struct TensorDictionary: TensorSource, Sendable {
  let tensors: [String: Tensor]
  var sourcePath = "memory"
  var names: [String] { tensors.keys.sorted() }

  func tensor(_ name: String) throws(FormatError) -> Tensor {
    guard let tensor = tensors[name] else {
      throw .missing(.init(sourcePath, at: name, expected: "a tensor", found: "none"))
    }
    return tensor
  }
}
