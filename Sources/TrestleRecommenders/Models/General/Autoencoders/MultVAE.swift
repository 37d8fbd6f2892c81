import TrestleNN
import TrestleTensor

/// A variational autoencoder of users' items with a multinomial likelihood.
///
/// The encoder reads a user's row at unit length under dropout and gives μ and log σ²; with z = μ + σ ε, ε normal, the decoder's
/// logits are to give the user's items a high likelihood: the loss is −Σᵢ xᵢ log softmax(logits)ᵢ + β KL(N(μ, σ²) ‖ N(0, 1)),
/// and β rises over the steps to a cap. Scores are the logits of μ. A user who was not trained on has scores at once.
///
/// RecBole's MultiVAE draws ε with a deviation of 0.01, and its `latent_dimension` is twice the width of z.
///
/// Source: Liang et al., *Variational Autoencoders for Collaborative Filtering* (2018).
public final class MultVAE: HistoryRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The widths of the encoder's hidden layers, from the items on; the decoder's are the same, reversed.
    public var hidden = [600]
    /// The width of z.
    public var latent = 64
    /// The rate of dropout on the user's row.
    public var dropout = 0.5
    /// The most that β becomes.
    public var annealCap = 0.2
    /// The steps over which β would rise to 1; 0 for the cap from the first step on.
    public var annealSteps = 5000

    /// The defaults.
    public init() {}
  }

  /// MultVAE.
  public let name = "MultVAE"
  /// How the model was built.
  public let configuration: Configuration
  /// The histories that the scorer reads.
  public var histories: UserHistories
  private let input: ItemSetProjection
  private let encoder: [Linear]
  private let decoder: [Linear]
  private let output: Linear

  /// A model for the users and items of `training`, with weights drawn by Xavier's normal rule.
  ///
  /// - Parameters:
  ///   - training: what is read to score its users.
  ///   - configuration: how the model is built; `nil` for what suits the data.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the weights.
  /// - Precondition: at least one hidden layer, a rate of dropout below 1.
  public init(
    training: Interactions, configuration: Configuration? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    let configuration = configuration ?? .recommended(for: DataProfile(training))
    precondition(
      !configuration.hidden.isEmpty && configuration.latent > 0 && configuration.dropout >= 0
        && configuration.dropout < 1,
      "MultVAE: hidden layers \(configuration.hidden), width \(configuration.latent), dropout \(configuration.dropout)"
    )
    self.configuration = configuration
    histories = UserHistories(training)
    let hidden = configuration.hidden
    input = ItemSetProjection(
      itemCount: training.itemCount, outputs: hidden[0], dtype: dtype, using: &generator)
    encoder = zip(hidden, hidden.dropFirst() + [2 * configuration.latent]).map { width, next in
      .xavier(width, next, dtype, using: &generator)
    }
    let reversed = Array(hidden.reversed())
    decoder = zip([configuration.latent] + reversed, reversed).map { width, next in
      .xavier(width, next, dtype, using: &generator)
    }
    output = .xavier(hidden[0], training.itemCount, dtype, using: &generator)
  }

  /// μ and log σ², `[users, latent]`.
  private func encoded(_ inputs: SparseMatrix) -> (mean: Tensor, logVariance: Tensor) {
    let x = encoder.reduce(input(inputs)) { $1($0.tanh()) }
    let latent = configuration.latent
    return (x.sliced(0..<latent, along: 1), x.sliced(latent..<2 * latent, along: 1))
  }

  /// What the last layer reads, `[users, hidden]`.
  private func decoded(_ z: Tensor) -> Tensor { decoder.reduce(z) { $1($0).tanh() } }

  /// The negative evidence lower bound of a batch.
  ///
  /// - Parameters:
  ///   - inputs: the users' rows, `[users, items]`.
  ///   - targets: 1 for each item that they have, `[users, items]`.
  ///   - noise: ε, `[users, latent]`.
  ///   - weight: β.
  package func loss(inputs: SparseMatrix, targets: Tensor, noise: Tensor, weight: Double) -> Tensor {
    let (mean, logVariance) = encoded(inputs)
    let logits = output(decoded(.gaussian(mean: mean, logVariance: logVariance, noise: noise)))
    let divergence = Losses.gaussianDivergence(mean: mean, logVariance: logVariance)
    return Losses.multinomial(logits, targets: targets) + divergence * weight
  }

  /// The logits of some users' items, of μ.
  package func logits(_ sets: ItemSets) -> Tensor {
    output(decoded(encoded(sets.inputs(dtype: input.weight.dtype)).mean))
  }

  /// The decoder's weights and offsets.
  public var itemRows: Tensor { output.rowsWithOffset }

  /// What the last layer reads of each user, and a 1.
  public func userStates(_ histories: UserHistories) -> Tensor {
    histories.states { users in
      decoded(encoded(ItemSets(histories, users).inputs(dtype: input.weight.dtype)).mean)
    }
  }

  /// Steps over batches of ``TrainingConfiguration/batchSize`` users.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    histories = UserHistories(training)
    return Steps(
      model: self,
      batches: UserBatches(histories, batchSize: configuration.batchSize, seed: configuration.seed))
  }

  private struct Steps: TrainingSteps {
    unowned let model: MultVAE
    let batches: UserBatches
    var count: Int { batches.count }

    func epoch(_ epoch: Int) -> AnySequence<TrainingStep> {
      AnySequence(
        batches.pass(epoch).lazy.enumerated().map { [model, count] step, batch in
          TrainingStep(exampleCount: batch.sets.sets.count) {
            model.trainingLoss(batch.sets, step: epoch * count + step, batch.generator)
          }
        })
    }
  }

  private func trainingLoss(_ sets: ItemSets, step: Int, _ source: RandomGenerator) -> Tensor {
    var generator = source
    let dtype = input.weight.dtype
    let rising = configuration.annealSteps > 0 ? Double(step + 1) / Double(configuration.annealSteps) : 1
    return loss(
      inputs: sets.inputs(dropout: configuration.dropout, dtype: dtype, using: &generator),
      targets: sets.targets(dtype: dtype),
      noise: sets.noise(width: configuration.latent, dtype: dtype, using: &generator),
      weight: min(configuration.annealCap, rising))
  }
}
