import TrestleNN
import TrestleTensor

/// Attention and a feed-forward block, each normalised after its residual connection.
final class AttentionLayer: Module {
  static let checkpointKeys = ["attentionNorm": "attention_norm"]
  let query: Linear
  let key: Linear
  let value: Linear
  let output: Linear
  let inner: Linear
  let outer: Linear
  let attentionNorm: LayerNorm
  let norm: LayerNorm
  let heads: Int
  let isCausal: Bool
  /// Of the probabilities with which a place reads the others.
  let probabilityDropout: Dropout?
  let attentionDropout: Dropout?
  let dropout: Dropout?

  /// A layer with weights drawn from the normal distribution of deviation 0.02.
  init(
    width: Int, hidden: Int, heads: Int, dropout rate: Double, attentionDropout probabilityRate: Double,
    epsilon: Double,
    isCausal: Bool, dtype: DType, using generator: inout RandomGenerator
  ) {
    func linear(_ inputs: Int, _ outputs: Int) -> Linear {
      .narrow(inputs, outputs, dtype, using: &generator)
    }
    query = linear(width, width)
    key = linear(width, width)
    value = linear(width, width)
    output = linear(width, width)
    inner = linear(width, hidden)
    outer = linear(hidden, width)
    attentionNorm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    norm = LayerNorm(width: width, epsilon: epsilon, dtype: dtype)
    (self.heads, self.isCausal) = (heads, isCausal)
    probabilityDropout = probabilityRate > 0 ? Dropout(rate: probabilityRate, using: &generator) : nil
    attentionDropout = rate > 0 ? Dropout(rate: rate, using: &generator) : nil
    dropout = rate > 0 ? Dropout(rate: rate, using: &generator) : nil
  }

  func callAsFunction(_ x: Tensor, _ sequences: PackedSequences) -> Tensor {
    let mixed = output(attended(x, sequences).reshaped(to: x.shape))
    let y = attentionNorm(x + (attentionDropout?(mixed) ?? mixed))
    let fed = outer(inner(y).gelu())
    return norm(y + (dropout?(fed) ?? fed))
  }

  private func attended(_ x: Tensor, _ sequences: PackedSequences) -> Tensor {
    let shape: Shape = [x.shape[0], heads, x.shape[1] / heads]
    let (q, k, v) = (
      query(x).reshaped(to: shape), key(x).reshaped(to: shape), value(x).reshaped(to: shape)
    )
    guard let dropout = probabilityDropout, dropout.isTraining else {
      return q.attention(keys: k, values: v, sequences: sequences, isCausal: isCausal)
    }
    return q.attention(
      keys: k, values: v, sequences: sequences, isCausal: isCausal, dropout: dropout.rate,
      using: &dropout.generator)
  }
}

extension Linear {
  /// A layer drawn from the normal distribution of deviation 0.02, with an offset of 0.
  static func narrow(
    _ inputs: Int, _ outputs: Int, _ dtype: DType, using generator: inout RandomGenerator
  ) -> Linear {
    Linear(
      weight: .normal([outputs, inputs], deviation: 0.02, dtype: dtype, using: &generator),
      bias: .zeros([outputs], dtype: dtype))
  }
}
