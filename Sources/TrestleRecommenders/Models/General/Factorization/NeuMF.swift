import TrestleNN
import TrestleTensor

/// Neural matrix factorisation: the product of two rows beside a network over two other rows, joined by a linear layer.
///
/// logit(u, i) = w · [pᵤ ⊙ qᵢ ; MLP([rᵤ ; tᵢ])] + b, trained by binary cross-entropy on interactions and as many drawn
/// negatives.
///
/// Source: He et al., *Neural Collaborative Filtering* (2017).
public final class NeuMF: TrainableRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows that are multiplied.
    public var factorDimension = 64
    /// The width of the rows that the network reads.
    public var networkDimension = 64
    /// The widths of the network's layers.
    public var hidden = [128, 64]
    /// The rate of dropout before each layer of the network.
    public var dropout = 0.1

    /// The defaults.
    public init() {}
  }

  /// NeuMF.
  public let name = "NeuMF"
  /// How the model was built.
  public let configuration: Configuration
  private let userFactors: Parameter
  let itemFactors: Parameter
  private let userInputs: Parameter
  private let itemInputs: Parameter
  private let layers: [Linear]
  private let dropouts: [Dropout]
  private let predict: Linear

  /// RecBole's names of the tables.
  public static let checkpointKeys = [
    "userFactors": "user_mf_embedding.weight", "itemFactors": "item_mf_embedding.weight",
    "userInputs": "user_mlp_embedding.weight", "itemInputs": "item_mlp_embedding.weight", "layers": "mlp",
  ]

  /// A model with rows drawn from the normal distribution of deviation 0.01.
  public init(
    userCount: Int, itemCount: Int, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    self.configuration = configuration
    func table(_ rows: Int, _ columns: Int) -> Parameter {
      Parameter(.normal([rows, columns], deviation: 0.01, dtype: dtype, using: &generator))
    }
    userFactors = table(userCount, configuration.factorDimension)
    itemFactors = table(itemCount, configuration.factorDimension)
    userInputs = table(userCount, configuration.networkDimension)
    itemInputs = table(itemCount, configuration.networkDimension)
    var layers: [Linear] = []
    var dropouts: [Dropout] = []
    var width = 2 * configuration.networkDimension
    for next in configuration.hidden {
      layers.append(Linear(inputs: width, outputs: next, dtype: dtype, using: &generator))
      if configuration.dropout > 0 {
        dropouts.append(Dropout(rate: configuration.dropout, using: &generator))
      }
      width = next
    }
    (self.layers, self.dropouts) = (layers, dropouts)
    predict = Linear(
      inputs: configuration.factorDimension + width, outputs: 1, dtype: dtype, using: &generator)
    setTraining(false)
  }

  /// The number of users.
  public var userCount: Int { userFactors.shape[0] }
  /// The number of items.
  public var itemCount: Int { itemFactors.shape[0] }

  /// The logits of pairs.
  ///
  /// - Parameters:
  ///   - users: `[pairs]`, `int32`.
  ///   - items: `[pairs]`, `int32`.
  /// - Returns: `[pairs]`.
  public func logits(users: Tensor, items: Tensor) -> Tensor {
    let product = userFactors.value.gatheredRows(users) * itemFactors.value.gatheredRows(items)
    var x = Tensor.concatenated(
      [userInputs.value.gatheredRows(users), itemInputs.value.gatheredRows(items)], along: 1)
    for (index, layer) in layers.enumerated() {
      if index < dropouts.count { x = dropouts[index](x) }
      x = layer(x).relu()
    }
    return predict(Tensor.concatenated([product, x], along: 1)).squeezed(1)
  }

  /// Steps over ``PairwiseBatches``, each positive and each negative an example of its own.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    // Safe: batches are made on the thread that trains the model, between its steps.
    nonisolated(unsafe) unowned let model = self
    let negatives = configuration.negatives.sampler(avoiding: training) {
      { users, items in
        withoutGradients { model.logits(users: Tensor(users), items: Tensor(items)) }.floats
      }
    }
    return Steps(
      model: self,
      batches: PairwiseBatches(
        training: training, batchSize: configuration.batchSize, seed: configuration.seed,
        negatives: negatives))
  }

  private struct Steps: TrainingSteps {
    unowned let model: NeuMF
    let batches: PairwiseBatches
    var count: Int { batches.count }

    func epoch(_ epoch: Int) -> AnySequence<TrainingStep> {
      AnySequence(
        batches.epoch(epoch).lazy.map { batch in
          TrainingStep(exampleCount: 2 * batch.count) { [model] in
            model.setTraining(true)
            defer { model.setTraining(false) }
            let labels = [Float](repeating: 1, count: batch.count) + [Float](repeating: 0, count: batch.count)
            return model.loss(
              users: .concatenated([batch.users, batch.users], along: 0),
              items: .concatenated([batch.positives, batch.negatives], along: 0), labels: Tensor(labels))
          }
        })
    }
  }

  /// The mean binary cross-entropy of pairs with labels 1 and 0.
  public func loss(users: Tensor, items: Tensor, labels: Tensor) -> Tensor {
    Losses.binaryCrossEntropyWithLogits(logits(users: users, items: items), targets: labels)
  }

  /// A snapshot that scores by logits.
  public func makeScorer() -> any CatalogueScorer {
    let width = configuration.networkDimension
    guard let first = layers.first else {
      preconditionFailure("NeuMF.makeScorer: the network has no layer")
    }
    let weight = first.weight.detached
    let head = predict.weight.detached.squeezed(0)
    let factors = configuration.factorDimension
    // The first layer is linear in user and item: each table passes through its half once.
    let userPart = userInputs.detached.matmul(
      weight.sliced(0..<width, along: 1), transposingOther: true)
    let itemPart = itemInputs.detached.matmul(
      weight.sliced(width..<2 * width, along: 1), transposingOther: true)
    let offset = first.bias?.detached ?? .zeros([weight.shape[0]], dtype: weight.dtype)
    return Scorer(
      userPart: userPart + offset, itemPart: itemPart,
      layers: layers.dropFirst().map { ($0.weight.detached, $0.bias?.detached) },
      userFactors: userFactors.detached * head.sliced(0..<factors, along: 0),
      itemFactors: itemFactors.detached,
      head: head.sliced(factors..<head.elementCount, along: 0).expanded(at: 0),
      offset: predict.bias?.detached.item ?? 0)
  }

  private struct Scorer: CatalogueScorer {
    let userPart: Tensor
    let itemPart: Tensor
    let layers: [(weight: Tensor, bias: Tensor?)]
    let userFactors: Tensor
    let itemFactors: Tensor
    let head: Tensor
    let offset: Double
    var itemCount: Int { itemPart.shape[0] }

    func prepare(users: [Int32]) -> any UserBatchScores { Batch(scorer: self, users: users) }
  }

  private struct Batch: UserBatchScores {
    let scorer: Scorer
    let users: [Int32]

    func write(items: Range<Int>, into scores: inout [Float]) {
      let itemPart = scorer.itemPart.sliced(items, along: 0)
      let rows = Tensor(users)
      let products = scorer.userFactors.gatheredRows(rows).matmul(
        scorer.itemFactors.sliced(items, along: 0), transposingOther: true)
      for (row, user) in users.enumerated() {
        var x = (itemPart + scorer.userPart.gatheredRows(Tensor([user])).squeezed(0)).relu()
        for layer in scorer.layers {
          x = x.matmul(layer.weight, transposingOther: true)
          if let bias = layer.bias { x = x + bias }
          x = x.relu()
        }
        let network = scorer.head.matmul(x, transposingOther: true).squeezed(0)
        let values = (network + products[row] + scorer.offset).floats
        scores.replaceSubrange(row * items.count..<(row + 1) * items.count, with: values)
      }
    }
  }
}
