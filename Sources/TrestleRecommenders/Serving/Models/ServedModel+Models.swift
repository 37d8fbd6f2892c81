import TrestleFormats
import TrestleNN
import TrestleTensor

extension ServedModel {
  /// What of a fitted model answers requests.
  ///
  /// - Throws: ``ServingError/invalidRequest(expected:found:)`` for a model of another kind than this package's, unless
  ///   it has embeddings.
  init(_ model: any Recommender) throws {
    switch model {
    case is Popularity: self.init(form: .popularity, tensors: [:])
    case let model as EASE: self.init(form: .itemWeights, tensors: ["weights": model.weights])
    case let model as FEASE: self.init(form: .itemWeights, tensors: ["weights": model.weights])
    case let model as any ItemToItemRecommender: self.init(weightsOf: model.itemWeights)
    case let model as UserKNN: self.init(neighborsOf: model)
    case let model as NeuMF:
      try self.init(model, .network, .neuMF(model.configuration), items: model.itemFactors.detached)
    case let model as SASRec:
      try self.init(model, .sequence, .sasRec(model.configuration), items: model.itemEmbedding.detached)
    case let model as HSTU:
      try self.init(model, .sequence, .hstu(model.configuration), items: model.itemEmbedding.detached)
    case let model as GRU4Rec:
      try self.init(model, .sequence, .gru4Rec(model.configuration), items: model.itemEmbedding.detached)
    case let model as BERT4Rec:
      try self.init(model, .sequence, .bert4Rec(model.configuration), items: model.itemRows)
    case let model as MultVAE:
      try self.init(model, .set, .multVAE(model.configuration), items: model.itemRows)
    case let model as RecVAE:
      try self.init(model, .set, .recVAE(model.configuration), items: model.itemRows)
    case let model as any EmbeddingRecommender:
      var folding = RowFolding.mean
      if let squares = model as? ImplicitALS {
        let c = squares.configuration
        folding = .leastSquares(
          unobservedWeight: c.unobservedWeight, regularization: c.regularization,
          exponent: c.frequencyExponent)
      }
      let rows = model.embeddings()
      let tensors = ["users": rows.users, "items": rows.items].mapValues {
        $0.converted(to: .float32).dense()
      }
      self.init(form: .rows, tensors: tensors, folding: folding)
    default:
      throw ServingError.invalidRequest(expected: "a model that can be served", found: model.name)
    }
  }

  private init(
    _ model: any TrainableRecommender, _ form: Form, _ architecture: ServedNetwork.Architecture, items: Tensor
  ) throws {
    let weights = Dictionary(
      uniqueKeysWithValues: model.namedParameters.map {
        (Self.networkPrefix + $0.name, $0.parameter.detached.copied())
      })
    let network = try ServedNetwork(
      architecture, userCount: model.userCount, itemCount: model.itemCount,
      weights: TensorDictionary(tensors: weights), prefix: Self.networkPrefix)
    self.init(
      form: form, tensors: weights.merging(["items": items.dense()]) { first, _ in first }, network: network)
  }

  /// What stands before the names of a network's parameters.
  static let networkPrefix = "network."

  private init(weightsOf weights: ItemToItemWeights) {
    self.init(
      form: .neighbors,
      tensors: [
        "offsets": Tensor(weights.starts.map { Int32($0) }), "targets": Tensor(weights.targets),
        "similarities": Tensor(weights.weights),
      ])
  }

  private init(neighborsOf model: UserKNN) {
    let matrix = model.neighborhood.matrix
    self.init(
      form: .userNeighbors,
      tensors: [
        "offsets": Tensor(matrix.offsets.map { Int32($0) }), "items": Tensor(matrix.items),
        "neighbors": Tensor([Int32(clamping: model.configuration.neighbors)]),
        "shrinkage": Tensor([model.configuration.shrinkage]),
      ], neighborhood: model.neighborhood)
  }
}
