import TrestleNN
import TrestleTensor

/// Hierarchical sequential transduction units over a user's last items: attention by SiLU instead of a softmax, gated.
///
/// x = item + position; per layer, with n = norm(x), heads of width d and T the window's length,
///
/// (U, V, Q, K) = silu(W n), A = silu(Q Kᵀ + rᵢ₋ⱼ) / T for j ≤ i, x ← x + output(norm(A V) ⊙ U),
///
/// where r is a trained offset for each head and distance. The state is norm(x), and the score of the next item its inner product with
/// the item's row. Trained by cross-entropy at every position of packed windows, as ``SASRec`` is. Without a softmax, how much a
/// user has of something is not divided away: weights need not sum to 1.
///
/// Source: Zhai et al., *Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations*
/// (2024). Here offsets are for distances only, not for times, which ``UserHistories`` does not keep, and each head has its own;
/// the norms have gains and offsets; the last norm and the softmax over the catalogue stand where the authors' experiments have states of
/// unit length and a sampled softmax.
public final class HSTU: SequentialRecommender {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the rows and states; U, V, Q and K have it, too.
    public var dimension = 64
    /// The number of layers.
    public var layers = 2
    /// The number of attention heads.
    public var heads = 2
    /// The most items that are read.
    public var windowLength = 50
    /// The rate of dropout on the inputs and on what each layer's output map reads.
    public var dropout = 0.2
    /// How many drawn items stand in the softmax beside the batch's targets; `nil` for the whole catalogue.
    public var sampledItems: Int?
    /// The ε of the layer norms.
    public var epsilon = 1e-6

    /// The defaults.
    public init() {}
  }

  /// HSTU.
  public let name = "HSTU"
  /// How the model was built.
  public let configuration: Configuration
  /// The histories that the scorer continues.
  public var histories: UserHistories
  private let embedding: SequenceEmbedding
  private let layers: [TransductionLayer]
  private let norm: LayerNorm
  private let dropout: Dropout?

  /// The tables go by the names of ``SASRec``'s.
  public static let checkpointKeys = ["embedding": ""]

  /// A model for the users and items of `training`, with tables drawn from the normal distribution of deviation 0.02 and maps drawn by
  /// Xavier's normal rule.
  ///
  /// - Parameters:
  ///   - training: what is read to score its users.
  ///   - configuration: how the model is built.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: draws the weights.
  /// - Precondition: heads divide the width, and a window has room for an item.
  public init(
    training: Interactions, configuration: Configuration = Configuration(), dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(
      configuration.dimension % max(configuration.heads, 1) == 0 && configuration.windowLength > 0,
      "HSTU: \(configuration.heads) heads of width \(configuration.dimension), windows of "
        + "\(configuration.windowLength)")
    self.configuration = configuration
    histories = UserHistories(training)
    embedding = SequenceEmbedding(
      itemCount: training.itemCount, windowLength: configuration.windowLength,
      width: configuration.dimension, dtype: dtype, using: &generator)
    layers = (0..<configuration.layers).map { _ in
      TransductionLayer(configuration, dtype, using: &generator)
    }
    norm = LayerNorm(width: configuration.dimension, epsilon: configuration.epsilon, dtype: dtype)
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
    setTraining(false)
  }

  /// The items' rows.
  public var itemEmbedding: Parameter { embedding.items }
  /// The most items that are read.
  public var windowLength: Int { configuration.windowLength }
  /// How many drawn items stand in the softmax; `nil` for the whole catalogue.
  public var sampledItems: Int? { configuration.sampledItems }

  /// The state after each item.
  public func states(_ sequences: ItemSequences) -> Tensor {
    var x = embedding(sequences)
    if let dropout { x = dropout(x) }
    let grid = SequenceGrid(sequences, dtype: x.dtype)
    for layer in layers { x = layer(x, grid) }
    return norm(x)
  }
}

/// Where packed sequences stand in a table of equally long rows, and what each place may see.
private struct SequenceGrid {
  /// The number of sequences.
  let count: Int
  /// The length of the longest.
  let length: Int
  /// The packed place of each place of the table, `[count · length]`. Behind a sequence's end it is the first of all: no query
  /// before sees it, and what it would see is dropped.
  let packed: Tensor
  /// The place in the table of each packed one.
  let places: Tensor
  /// i − j, and 0 where j > i, `[length · length]`.
  let distances: Tensor
  /// 1 where j ≤ i, else 0, `[length, length]`.
  let isVisible: Tensor

  init(_ sequences: ItemSequences, dtype: DType) {
    let length = sequences.lengths.max() ?? 0
    var packed = [Int32](repeating: 0, count: sequences.lengths.count * length)
    var places: [Int32] = []
    places.reserveCapacity(sequences.items.count)
    for (row, own) in sequences.lengths.enumerated() {
      for position in 0..<own {
        packed[row * length + position] = Int32(places.count)
        places.append(Int32(row * length + position))
      }
    }
    let pairs = (0..<length * length).map { $0 / max(length, 1) - $0 % max(length, 1) }
    (count, self.length) = (sequences.lengths.count, length)
    (self.packed, self.places) = (Tensor(packed), Tensor(places))
    distances = Tensor(pairs.map { Int32(max($0, 0)) })
    isVisible = Tensor(pairs.map { Float($0 >= 0 ? 1 : 0) }, shape: [length, length]).converted(to: dtype)
  }
}

/// One transduction unit.
private final class TransductionLayer: Module {
  static let checkpointKeys = [
    "inputNorm": "input_norm", "attentionNorm": "attention_norm", "distanceBias": "distance_bias",
  ]
  let inputNorm: LayerNorm
  /// U, V, Q and K side by side.
  let input: Linear
  let attentionNorm: LayerNorm
  let output: Linear
  /// r, `[window, heads]`.
  let distanceBias: Parameter
  let heads: Int
  let dropout: Dropout?

  init(_ configuration: HSTU.Configuration, _ dtype: DType, using generator: inout RandomGenerator) {
    let (width, epsilon) = (configuration.dimension, configuration.epsilon)
    inputNorm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    attentionNorm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    input = .xavier(width, 4 * width, dtype, using: &generator)
    output = .xavier(width, width, dtype, using: &generator)
    distanceBias = Parameter(
      .normal(
        [configuration.windowLength, configuration.heads], deviation: 0.02, dtype: dtype, using: &generator))
    heads = configuration.heads
    dropout = configuration.dropout > 0 ? Dropout(rate: configuration.dropout, using: &generator) : nil
  }

  func callAsFunction(_ x: Tensor, _ grid: SequenceGrid) -> Tensor {
    let width = x.shape[1]
    let mapped = input(inputNorm(x)).silu()
    func part(_ index: Int) -> Tensor { mapped.sliced(index * width..<(index + 1) * width, along: 1) }
    let attended = attention(values: part(1), queries: part(2), keys: part(3), grid)
    let gated = attentionNorm(attended) * part(0)
    return x + output(dropout?(gated) ?? gated)
  }

  /// A V, packed, `[tokens, width]`.
  private func attention(values: Tensor, queries: Tensor, keys: Tensor, _ grid: SequenceGrid) -> Tensor {
    let width = values.shape[1]
    func split(_ rows: Tensor) -> Tensor {
      rows.gatheredRows(grid.packed)
        .reshaped(to: [grid.count, grid.length, heads, width / heads] as Shape).permuted([0, 2, 1, 3])
    }
    let bias = distanceBias.value.gatheredRows(grid.distances)
      .reshaped(to: [grid.length, grid.length, heads] as Shape).permuted([2, 0, 1])
    let scores = split(queries).matmul(split(keys), transposingOther: true) + bias
    let window = Double(distanceBias.shape[0])
    let mixed = (scores.silu() * (grid.isVisible * (1 / window))).matmul(split(values))
    return mixed.permuted([0, 2, 1, 3]).reshaped(to: [grid.count * grid.length, width] as Shape)
      .gatheredRows(grid.places)
  }
}
