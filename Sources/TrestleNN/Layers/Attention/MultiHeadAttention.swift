import TrestleTensor

/// Self-attention of several heads, with the three input projections packed in one matrix as in PyTorch.
///
/// Sequences are packed one after the other without padding; the score matrix is never stored.
///
/// ```swift
/// let attention = MultiHeadAttention(width: 64, heads: 4, using: &generator)
/// let y = attention(x, sequences: PackedSequences(lengths: [5, 3]), isCausal: true)  // [8, 64] → [8, 64]
/// ```
///
/// Source: Vaswani et al., *Attention Is All You Need* (2017).
public final class MultiHeadAttention: Module {
  /// PyTorch's names in `nn.MultiheadAttention`.
  public static let checkpointKeys = [
    "inputWeight": "in_proj_weight", "inputBias": "in_proj_bias", "output": "out_proj",
  ]
  /// The projections to queries, keys and values, one below the other, `[3 · width, width]`.
  public let inputWeight: Parameter
  /// Their offsets, `[3 · width]`.
  public let inputBias: Parameter
  /// The projection of the concatenated heads, `[width, width]`.
  public let output: Linear
  /// The number of heads.
  public let heads: Int

  /// A layer with random weights (Xavier-uniform projections, offsets 0).
  ///
  /// - Precondition: `width` is a multiple of `heads`.
  public init(width: Int, heads: Int, dtype: DType = .float32, using generator: inout RandomGenerator) {
    precondition(
      heads > 0 && width % heads == 0,
      "MultiHeadAttention: width \(width) is not a multiple of \(heads) heads")
    self.heads = heads
    let bound = (6 / Double(4 * max(width, 1))).squareRoot()
    inputWeight = Parameter(
      .uniform([3 * width, width], in: -bound..<bound, dtype: dtype, using: &generator))
    inputBias = Parameter(.zeros([3 * width], dtype: dtype))
    output = Linear(inputs: width, outputs: width, dtype: dtype, using: &generator)
    output.bias?.update(to: .zeros([width], dtype: dtype))
  }

  /// Attends within each sequence.
  ///
  /// - Parameters:
  ///   - x: the tokens of all sequences, `[tokens, width]`.
  ///   - sequences: where each sequence lies among the rows.
  ///   - isCausal: whether a token sees no later one.
  /// - Returns: `[tokens, width]`.
  public func callAsFunction(_ x: Tensor, sequences: PackedSequences, isCausal: Bool) -> Tensor {
    let width = inputWeight.shape[1]
    precondition(
      x.rank == 2 && x.shape[1] == width, "MultiHeadAttention: input \(x.shape), expected [tokens, \(width)]")
    let projected = x.matmul(inputWeight.value, transposingOther: true) + inputBias.value
    // Heads first, then the three parts: each part is a view whose heads are dense, so that nothing is copied.
    let parts = projected.reshaped(to: [x.shape[0], 3 * heads, width / heads] as Shape)
    func part(_ index: Int) -> Tensor { parts.sliced(index * heads..<(index + 1) * heads, along: 1) }
    let attended = part(0).attention(
      keys: part(1), values: part(2), sequences: sequences, isCausal: isCausal)
    return output(attended.reshaped(to: x.shape))
  }
}

/// A transformer's encoder block: self-attention and a feed-forward block, each with a residual connection.
///
/// With `normalizesFirst`, x ← x + f(norm(x)), else x ← norm(x + f(x)), as originally published.
public final class TransformerEncoderBlock: Module {
  /// PyTorch's names in `nn.TransformerEncoderLayer`.
  public static let checkpointKeys = [
    "attention": "self_attn", "feedForward": "", "attentionNorm": "norm1", "feedForwardNorm": "norm2",
  ]
  /// The self-attention.
  public let attention: MultiHeadAttention
  /// The feed-forward block.
  public let feedForward: FeedForward
  /// The normalisation of the attention's residual.
  public let attentionNorm: LayerNorm
  /// The normalisation of the feed-forward block's residual.
  public let feedForwardNorm: LayerNorm
  /// Whether a part's input is normalised rather than the sum after it.
  public let normalizesFirst: Bool
  private let attentionDropout: Dropout?
  private let feedForwardDropout: Dropout?

  /// A block with random weights.
  ///
  /// - Parameters:
  ///   - width: the width of input and output.
  ///   - heads: the number of heads, a divisor of the width.
  ///   - hidden: the inner width of the feed-forward block.
  ///   - activation: what the feed-forward block applies between its layers.
  ///   - normalizesFirst: whether each part normalises its input rather than the sum with its output.
  ///   - dropout: the rate of dropout on each part's output and inside the feed-forward block.
  ///   - epsilon: ε of the normalisations.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, heads: Int, hidden: Int, activation: Activation = .relu, normalizesFirst: Bool = false,
    dropout: Double = 0, epsilon: Double = 1e-5, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    attention = MultiHeadAttention(width: width, heads: heads, dtype: dtype, using: &generator)
    feedForward = FeedForward(
      width: width, hidden: hidden, activation: activation, dropout: dropout, dtype: dtype, using: &generator)
    attentionNorm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    feedForwardNorm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    self.normalizesFirst = normalizesFirst
    attentionDropout = dropout > 0 ? Dropout(rate: dropout, using: &generator) : nil
    feedForwardDropout = dropout > 0 ? Dropout(rate: dropout, using: &generator) : nil
  }

  /// The block's output, `[tokens, width]` like `x`.
  public func callAsFunction(_ x: Tensor, sequences: PackedSequences, isCausal: Bool = false) -> Tensor {
    func attend(_ x: Tensor) -> Tensor {
      let y = attention(x, sequences: sequences, isCausal: isCausal)
      return attentionDropout?(y) ?? y
    }
    func feed(_ x: Tensor) -> Tensor {
      let y = feedForward(x)
      return feedForwardDropout?(y) ?? y
    }
    if normalizesFirst {
      let y = x + attend(attentionNorm(x))
      return y + feed(feedForwardNorm(y))
    }
    let y = attentionNorm(x + attend(x))
    return feedForwardNorm(y + feed(y))
  }
}
