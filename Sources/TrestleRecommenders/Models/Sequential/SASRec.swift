import TrestleNN
import TrestleTensor

/// Self-attention over a user's last items.
///
/// x = norm(item + position); per layer x ← norm(x + output(attention(x))), x ← norm(x + outer(gelu(inner(x)))), causal;
/// the score of the next item is the inner product of the state with the item's row. Trained by cross-entropy at every
/// position of packed windows, where RecBole trains every prefix as a sequence of its own.
///
/// Source: Kang and McAuley, *Self-Attentive Sequential Recommendation* (2018).
public final class SASRec: SequentialRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows and states.
    public var dimension = 64
    /// The number of layers.
    public var layers = 2
    /// The number of attention heads.
    public var heads = 2
    /// The width inside the feed-forward blocks.
    public var hidden = 256
    /// The most items that are read.
    public var windowLength = 50
    /// The rate of dropout on the inputs and on each block's output.
    public var dropout = 0.5
    /// The rate of dropout of the probabilities with which a place reads the others.
    public var attentionDropout = 0.0
    /// How many drawn items stand in the softmax beside the batch's targets; `nil` for the whole catalogue.
    public var sampledItems: Int?
    /// The ε of the layer norms.
    public var epsilon = 1e-12

    /// The defaults.
    public init() {}
  }

  /// SASRec.
  public let name = "SASRec"
  /// How the model was built.
  public let configuration: Configuration
  /// The histories that the scorer continues.
  public var histories: UserHistories
  private let encoder: AttentionEncoder
  private let dropout: Dropout?

  /// The tables go by RecBole's names.
  public static let checkpointKeys = ["encoder": ""]

  /// A model for the users and items of `training`, with weights drawn from the normal distribution of deviation 0.02.
  public init(
    training: Interactions, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(
      configuration.dimension % max(configuration.heads, 1) == 0,
      "SASRec: \(configuration.heads) heads of width \(configuration.dimension)")
    self.configuration = configuration
    histories = UserHistories(training)
    encoder = AttentionEncoder(
      configuration, itemCount: training.itemCount, isCausal: true, dtype: dtype, using: &generator)
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
    setTraining(false)
  }

  /// The items' rows.
  public var itemEmbedding: Parameter { encoder.embedding.items }
  /// The most items that are read.
  public var windowLength: Int { configuration.windowLength }
  /// How many drawn items stand in the softmax; `nil` for the whole catalogue.
  public var sampledItems: Int? { configuration.sampledItems }

  /// The state after each item.
  public func states(_ sequences: ItemSequences) -> Tensor { encoder(sequences, dropout: dropout) }
}

extension SASRec.Configuration {
  /// Reads what was saved, by this version or one before it.
  public init(from decoder: any Decoder) throws {
    self.init()
    try readEncoder(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    sampledItems = try values.decodeIfPresent(Int.self, forKey: .sampledItems)
  }
}
