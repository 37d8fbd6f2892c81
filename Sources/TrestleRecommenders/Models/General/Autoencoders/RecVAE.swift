import Foundation
import TrestleNN
import TrestleTensor

/// A variational autoencoder of users' items with a composite prior, its encoder and decoder trained in turns.
///
/// The loss of a batch is −mean Σᵢ xᵢ log softmax(logits)ᵢ + mean βᵤ Σ (log q(z | x) − log p(z)), βᵤ = γ times the number of
/// the user's items. The prior p mixes, in each dimension of z, a standard normal distribution, the encoder's own of the epoch before,
/// and one of log-variance 10: it keeps the encoder near what it said. An epoch trains the encoder under dropout for
/// some passes, then the decoder, which is linear, without. Scores are the logits of μ, and a user who was not trained
/// on has scores at once.
///
/// RecBole draws z with a deviation of 0.01 times σ, where paper and this model draw it with σ.
///
/// Source: Shenbin et al., *RecVAE: A New Variational Autoencoder for Top-N Recommendations with Implicit Feedback* (2020).
public final class RecVAE: HistoryRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the encoder's layers.
    public var hidden = 600
    /// The width of z.
    public var latent = 200
    /// The rate of dropout on the user's row while the encoder is trained.
    public var dropout = 0.5
    /// γ, the weight of the divergence for each item that a user has; 0 for ``divergenceWeight`` instead.
    public var itemDivergenceWeight = 0.005
    /// β, the weight of the divergence where γ is 0.
    public var divergenceWeight = 0.2
    /// The weights of the prior's parts: standard, former, wide.
    public var mixture = [0.15, 0.75, 0.1]
    /// How often an epoch passes over the users for the encoder.
    public var encoderPasses = 3
    /// How often an epoch passes over the users for the decoder.
    public var decoderPasses = 1

    /// The defaults.
    public init() {}
  }

  /// RecVAE.
  public let name = "RecVAE"
  /// How the model was built.
  public let configuration: Configuration
  /// The histories that the scorer reads.
  public var histories: UserHistories
  private let encoder: RecVAEEncoder
  private let decoder: Linear

  /// A model for the users and items of `training`, with weights drawn by Xavier's normal rule.
  ///
  /// - Parameters:
  ///   - training: what is read to score its users.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the weights.
  /// - Precondition: three positive weights of the prior, a rate of dropout below 1, at least one pass each.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      configuration.mixture.count == 3 && configuration.mixture.allSatisfy { $0 > 0 }
        && configuration.dropout >= 0 && configuration.dropout < 1 && configuration.encoderPasses > 0
        && configuration.decoderPasses > 0,
      "RecVAE: mixture \(configuration.mixture), dropout \(configuration.dropout), "
        + "\(configuration.encoderPasses) and \(configuration.decoderPasses) passes")
    self.configuration = configuration
    histories = UserHistories(training)
    encoder = RecVAEEncoder(
      itemCount: training.itemCount, hidden: configuration.hidden, latent: configuration.latent, dtype: dtype,
      using: &generator)
    decoder = .xavier(configuration.latent, training.itemCount, dtype, using: &generator)
  }

  private var dtype: DType { decoder.weight.dtype }

  // MARK: Losses

  /// What the encoder's steps lower; no gradient flows to the decoder.
  ///
  /// - Parameters:
  ///   - sets: the users' items.
  ///   - inputs: their rows under dropout, `[users, items]`.
  ///   - noise: ε, `[users, latent]`.
  ///   - former: what the encoder said of the rows without dropout an epoch ago: mean and log-variance, `[users, latent]`.
  package func encoderLoss(
    _ sets: ItemSets, inputs: SparseMatrix, noise: Tensor, former: (mean: Tensor, logVariance: Tensor)
  ) -> Tensor {
    let (mean, logVariance) = encoder(inputs)
    let z = Tensor.gaussian(mean: mean, logVariance: logVariance, noise: noise)
    let logits =
      z.matmul(decoder.weight.detached, transposingOther: true)
      + (decoder.bias?.detached ?? .zeros([1], dtype: dtype))
    let own = Self.logDensity(z, mean: mean, logVariance: logVariance)
    let divergence = (own - logPrior(z, former)).sum(along: [1])
    let gamma = configuration.itemDivergenceWeight
    let weighted =
      gamma > 0 ? divergence * sets.counts(dtype: dtype) * gamma : divergence * configuration.divergenceWeight
    return Losses.multinomial(logits, targets: sets.targets(dtype: dtype)) + weighted.mean()
  }

  /// What the decoder's steps lower; no gradient flows to the encoder.
  package func decoderLoss(_ sets: ItemSets, noise: Tensor) -> Tensor {
    let (mean, logVariance) = encoded(sets)
    let z = Tensor.gaussian(mean: mean, logVariance: logVariance, noise: noise)
    return Losses.multinomial(decoder(z), targets: sets.targets(dtype: dtype))
  }

  /// What the encoder says of some users' rows without dropout, not tracked.
  package func encoded(_ sets: ItemSets) -> (mean: Tensor, logVariance: Tensor) {
    let (mean, logVariance) = withoutGradients { encoder(sets.inputs(dtype: dtype)) }
    return (mean.detached, logVariance.detached)
  }

  /// log p(z) of the composite prior, `[users, latent]`.
  private func logPrior(_ z: Tensor, _ former: (mean: Tensor, logVariance: Tensor)) -> Tensor {
    let zero = Tensor.zeros([1, z.shape[1]], dtype: z.dtype)
    let parts = [
      Self.logDensity(z, mean: zero, logVariance: zero),
      Self.logDensity(z, mean: former.mean, logVariance: former.logVariance),
      Self.logDensity(z, mean: zero, logVariance: zero + 10),
    ]
    let weighted = zip(parts, configuration.mixture).map { part, weight in part + log(weight) }
    return Tensor.stacked(weighted, along: 2).logSumExp()
  }

  /// log N(x; μ, σ²), element by element.
  private static func logDensity(_ x: Tensor, mean: Tensor, logVariance: Tensor) -> Tensor {
    ((x - mean).squared() * (-logVariance).exp() + logVariance + log(2 * Double.pi)) * -0.5
  }

  // MARK: Scores

  /// The logits of some users' items, of μ.
  package func logits(_ sets: ItemSets) -> Tensor { decoder(encoder(sets.inputs(dtype: dtype)).mean) }

  /// The decoder's weights and offsets.
  public var itemRows: Tensor { decoder.rowsWithOffset }

  /// μ of each user, and a 1.
  public func userStates(_ histories: UserHistories) -> Tensor {
    histories.states { encoded(ItemSets(histories, $0)).mean }
  }

  // MARK: Training

  /// Steps over batches of ``TrainingConfiguration/batchSize`` users: those of the encoder's passes, then the decoder's.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    histories = UserHistories(training)
    return Steps(
      model: self,
      batches: UserBatches(histories, batchSize: configuration.batchSize, seed: configuration.seed))
  }

  private struct Steps: TrainingSteps {
    unowned let model: RecVAE
    let batches: UserBatches
    private var passes: Int { model.configuration.encoderPasses + model.configuration.decoderPasses }
    var count: Int { passes * batches.count }

    init(model: RecVAE, batches: UserBatches) { (self.model, self.batches) = (model, batches) }

    func epoch(_ epoch: Int) -> AnySequence<TrainingStep> {
      // Decoder's passes leave the encoder alone: what it is now is what it was after the last epoch's own passes.
      let former = model.encoder.copied()
      let (passes, encoderPasses) = (passes, model.configuration.encoderPasses)
      return AnySequence(
        (0..<passes).lazy.flatMap { [model, batches] pass in
          batches.pass(epoch * passes + pass).lazy.map { batch in
            TrainingStep(exampleCount: batch.sets.sets.count) {
              pass < encoderPasses
                ? model.encoderStep(batch.sets, former, batch.generator)
                : model.decoderStep(batch.sets, batch.generator)
            }
          }
        })
    }
  }

  private func encoderStep(_ sets: ItemSets, _ former: RecVAEEncoder, _ source: RandomGenerator) -> Tensor {
    var generator = source
    let inputs = sets.inputs(dropout: configuration.dropout, dtype: dtype, using: &generator)
    return encoderLoss(
      sets, inputs: inputs, noise: noise(sets, &generator),
      former: withoutGradients { former(sets.inputs(dtype: dtype)) })
  }

  private func decoderStep(_ sets: ItemSets, _ source: RandomGenerator) -> Tensor {
    var generator = source
    return decoderLoss(sets, noise: noise(sets, &generator))
  }

  private func noise(_ sets: ItemSets, _ generator: inout RandomGenerator) -> Tensor {
    sets.noise(width: configuration.latent, dtype: dtype, using: &generator)
  }
}

/// Five densely connected layers, x ← norm(swish(W x + Σ of the layers before)), and a head each for μ and log σ².
private final class RecVAEEncoder: Module {
  static let checkpointKeys = ["logVariance": "logvar"]
  private let input: ItemSetProjection
  private let layers: [Linear]
  private let norms: [LayerNorm]
  private let mean: Linear
  private let logVariance: Linear

  init(itemCount: Int, hidden: Int, latent: Int, dtype: DType, using generator: inout RandomGenerator) {
    input = ItemSetProjection(itemCount: itemCount, outputs: hidden, dtype: dtype, using: &generator)
    layers = (0..<4).map { _ in .xavier(hidden, hidden, dtype, using: &generator) }
    norms = (0..<5).map { _ in LayerNorm(width: hidden, epsilon: 0.1, dtype: dtype) }
    mean = .xavier(hidden, latent, dtype, using: &generator)
    logVariance = .xavier(hidden, latent, dtype, using: &generator)
  }

  func callAsFunction(_ inputs: SparseMatrix) -> (mean: Tensor, logVariance: Tensor) {
    var state = norms[0](input(inputs).silu())
    var sum = state
    for (layer, norm) in zip(layers, norms.dropFirst()) {
      state = norm((layer(state) + sum).silu())
      sum = sum + state
    }
    return (mean(state), logVariance(state))
  }

  /// An encoder of its own with the same weights.
  func copied() -> RecVAEEncoder {
    var generator = RandomGenerator(seed: 0)
    let copy = RecVAEEncoder(
      itemCount: input.weight.shape[0], hidden: input.weight.shape[1], latent: mean.outputs,
      dtype: input.weight.dtype, using: &generator)
    for (target, source) in zip(copy.parameters, parameters) { target.update(to: source.detached.copied()) }
    copy.freeze()
    return copy
  }
}
