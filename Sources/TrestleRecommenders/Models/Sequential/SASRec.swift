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
  /// The items' rows.
  public let itemEmbedding: Parameter
  /// The histories that the scorer continues.
  public var histories: UserHistories
  private let positionEmbedding: Parameter
  private let norm: LayerNorm
  private let layers: [AttentionLayer]
  private let dropout: Dropout?

  /// RecBole's names of the tables.
  public static let checkpointKeys = [
    "itemEmbedding": "item_embedding.weight", "positionEmbedding": "position_embedding.weight",
  ]

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
    func table(_ rows: Int) -> Parameter {
      Parameter(.normal([rows, configuration.dimension], deviation: 0.02, dtype: dtype, using: &generator))
    }
    itemEmbedding = table(training.itemCount)
    positionEmbedding = table(configuration.windowLength)
    norm = LayerNorm(width: configuration.dimension, epsilon: configuration.epsilon, dtype: dtype)
    layers = (0..<configuration.layers).map { _ in
      AttentionLayer(
        width: configuration.dimension, hidden: configuration.hidden, heads: configuration.heads,
        dropout: configuration.dropout, epsilon: configuration.epsilon, isCausal: true, dtype: dtype,
        using: &generator)
    }
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
    setTraining(false)
  }

  /// The most items that are read.
  public var windowLength: Int { configuration.windowLength }
  /// How many drawn items stand in the softmax; `nil` for the whole catalogue.
  public var sampledItems: Int? { configuration.sampledItems }

  /// The state after each item.
  public func states(_ sequences: ItemSequences) -> Tensor {
    let rows = itemEmbedding.value.gatheredRows(Tensor(sequences.items))
    var x = norm(rows + positionEmbedding.value.gatheredRows(Tensor(sequences.positions)))
    if let dropout { x = dropout(x) }
    let packed = PackedSequences(lengths: sequences.lengths)
    for layer in layers { x = layer(x, packed) }
    return x
  }
}
