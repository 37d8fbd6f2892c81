import TrestleTensor

/// Attention of several heads from one batch of sequences to another, with a mask and dropout of the weights.
///
/// The scores are stored, `[batch, heads, queries, keys]`; without mask and dropout ``MultiHeadAttention`` needs no such
/// memory.
///
/// Source: Vaswani et al., *Attention Is All You Need* (2017).
public final class CrossAttention: Module {
  /// The projection of the queries, `[width, width]`.
  public let query: Linear
  /// The projection of the keys, `[width, memory width]`.
  public let key: Linear
  /// The projection of the values, `[width, memory width]`.
  public let value: Linear
  /// The projection of the concatenated heads, `[width, width]`.
  public let output: Linear
  /// The number of heads.
  public let heads: Int
  private let dropout: Dropout?

  /// A layer with random weights.
  ///
  /// - Parameters:
  ///   - width: the width of queries and output, a multiple of `heads`.
  ///   - memoryWidth: the width of what is attended to; `width` by default.
  ///   - heads: the number of heads.
  ///   - dropout: the rate at which weights are dropped while training.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, memoryWidth: Int? = nil, heads: Int, dropout: Double = 0, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(heads > 0 && width % heads == 0, "CrossAttention: width \(width) in \(heads) heads")
    query = Linear(inputs: width, outputs: width, dtype: dtype, using: &generator)
    key = Linear(inputs: memoryWidth ?? width, outputs: width, dtype: dtype, using: &generator)
    value = Linear(inputs: memoryWidth ?? width, outputs: width, dtype: dtype, using: &generator)
    output = Linear(inputs: width, outputs: width, dtype: dtype, using: &generator)
    self.heads = heads
    self.dropout = dropout > 0 ? Dropout(rate: dropout, using: &generator) : nil
  }

  /// Attends from `x` to `memory`.
  ///
  /// - Parameters:
  ///   - x: the queries' side, `[batch, queries, width]`.
  ///   - memory: what is attended to, `[batch, keys, memory width]`.
  ///   - mask: `bool`, `true` where a query may see a key; broadcast to `[batch, heads, queries, keys]`. A query that may see
  ///     nothing gives the output layer zeros.
  /// - Returns: `[batch, queries, width]`.
  public func callAsFunction(_ x: Tensor, memory: Tensor, mask: Tensor? = nil) -> Tensor {
    precondition(
      x.rank == 3 && memory.rank == 3 && x.shape[0] == memory.shape[0],
      "CrossAttention: queries \(x.shape) and memory \(memory.shape), expected [batch, time, width] each")
    func split(_ y: Tensor) -> Tensor {
      y.reshaped(to: [y.shape[0], y.shape[1], heads, -1]).permuted([0, 2, 1, 3])
    }
    let (q, k, v) = (split(query(x)), split(key(memory)), split(value(memory)))
    var scores = q.matmul(k, transposingOther: true) * (1 / Double(q.shape[3]).squareRoot())
    if let mask { scores = scores.filled(where: mask.not(), with: -.infinity) }
    var weights = scores.softmax()
    if let dropout { weights = dropout(weights) }
    let mixed = weights.matmul(v).permuted([0, 2, 1, 3]).reshaped(to: x.shape)
    return output(mixed)
  }
}
