import Foundation
import TrestleTensor

/// A block of a decoder as the LLaMA family has it: y = x + attention(norm(x)), then y + feedForward(norm(y)).
///
/// Queries have more heads than keys and values, which groups of them share; positions are rotary.
///
/// Source: Touvron et al., *LLaMA* (2023); Ainslie et al., *GQA* (2023); Su et al., *RoFormer* (2021).
public final class DecoderBlock: Module {
  /// Hugging Face's names.
  public static let checkpointKeys = [
    "attention": "self_attn", "feedForward": "mlp", "attentionNorm": "input_layernorm",
    "feedForwardNorm": "post_attention_layernorm",
  ]
  /// The self-attention.
  public let attention: GroupedQueryAttention
  /// The gated feed-forward block.
  public let feedForward: SwiGLU
  /// The normalisation before the attention.
  public let attentionNorm: RMSNorm
  /// The normalisation before the feed-forward block.
  public let feedForwardNorm: RMSNorm

  /// A block with random weights.
  ///
  /// - Parameters:
  ///   - width: the width of input and output.
  ///   - heads: the number of query heads, a divisor of the width.
  ///   - keyHeads: the number of key and value heads, a divisor of `heads`.
  ///   - hidden: the inner width of the feed-forward block.
  ///   - ropeBase: the base of the rotary frequencies.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, heads: Int, keyHeads: Int, hidden: Int, ropeBase: Double = 10000, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    attention = GroupedQueryAttention(
      width: width, heads: heads, keyHeads: keyHeads, ropeBase: ropeBase, dtype: dtype, using: &generator)
    feedForward = SwiGLU(width: width, hidden: hidden, dtype: dtype, using: &generator)
    attentionNorm = RMSNorm(width: width, dtype: dtype)
    feedForwardNorm = RMSNorm(width: width, dtype: dtype)
  }

  /// The block's output, `[tokens, width]` like `x`; each token sees itself and those before it in its sequence.
  public func callAsFunction(_ x: Tensor, sequences: PackedSequences) -> Tensor {
    let y = x + attention(attentionNorm(x), sequences: sequences)
    return y + feedForward(feedForwardNorm(y))
  }
}

/// Causal self-attention whose query heads share key and value heads in groups, with rotary positions.
public final class GroupedQueryAttention: Module {
  /// Hugging Face's names.
  public static let checkpointKeys = [
    "query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj",
  ]
  /// The projection to queries, `[width, width]`.
  public let query: Linear
  /// The projection to keys, `[key heads · head size, width]`.
  public let key: Linear
  /// The projection to values, `[key heads · head size, width]`.
  public let value: Linear
  /// The projection of the concatenated heads, `[width, width]`.
  public let output: Linear
  /// The numbers of a head.
  public let headSize: Int
  private let frequencies: [Double]

  /// A layer with random weights and no offsets.
  ///
  /// - Precondition: `width` is a multiple of `heads`, `heads` one of `keyHeads`, and a head has an even number of elements.
  public init(
    width: Int, heads: Int, keyHeads: Int, ropeBase: Double = 10000, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(
      heads > 0 && keyHeads > 0 && width % heads == 0 && heads % keyHeads == 0 && width / heads % 2 == 0,
      "GroupedQueryAttention: width \(width), \(heads) heads, \(keyHeads) key heads")
    let size = width / heads
    func linear(_ outputs: Int) -> Linear {
      Linear(inputs: width, outputs: outputs, hasBias: false, dtype: dtype, using: &generator)
    }
    (query, key, value, output) = (
      linear(width), linear(keyHeads * size), linear(keyHeads * size), linear(width)
    )
    headSize = size
    frequencies = (0..<size / 2).map { pow(ropeBase, -2 * Double($0) / Double(size)) }
  }

  /// Attends within each sequence; each token sees itself and those before it.
  ///
  /// - Parameters:
  ///   - x: the tokens of all sequences, `[tokens, width]`.
  ///   - sequences: where each sequence lies among the rows.
  /// - Returns: `[tokens, width]`.
  public func callAsFunction(_ x: Tensor, sequences: PackedSequences) -> Tensor {
    precondition(
      x.rank == 2 && x.shape[0] == sequences.queryCount,
      "GroupedQueryAttention: input \(x.shape) for \(sequences.queryCount) tokens")
    let (cosines, sines) = angles(sequences, x.dtype)
    let parts = Linear.outputs(of: [query, key, value], for: x).map {
      $0.reshaped(to: [x.shape[0], -1, headSize])
    }
    let mixed = parts[0].rotated(cosines: cosines, sines: sines).attention(
      keys: parts[1].rotated(cosines: cosines, sines: sines), values: parts[2], sequences: sequences,
      isCausal: true)
    return output(mixed.reshaped(to: x.shape))
  }

  private func angles(_ sequences: PackedSequences, _ dtype: DType) -> (Tensor, Tensor) {
    let positions = (0..<sequences.count).flatMap { index in
      0..<(sequences.queryStarts[index + 1] - sequences.queryStarts[index])
    }
    let values = positions.flatMap { position in frequencies.map { Double(position) * $0 } }
    let table = Tensor(values, shape: [positions.count, frequencies.count])
    return (table.cos().converted(to: dtype), table.sin().converted(to: dtype))
  }
}
