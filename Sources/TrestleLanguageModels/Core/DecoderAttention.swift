import TrestleNN
import TrestleTensor

extension WeightSource {
  /// The four projections of a decoder's self-attention: `name.q_proj`, `name.k_proj`, `name.v_proj` and `name.o_proj`.
  func attentionProjections(
    _ name: String, _ sizes: some GroupedHeadSizes, hasInputBiases: Bool = false, hasOutputBias: Bool = false
  ) throws(LanguageModelError) -> (query: Linear, key: Linear, value: Linear, output: Linear) {
    let queries = sizes.headCount * sizes.headSize
    let keys = sizes.keyValueHeadCount * sizes.headSize
    func input(_ part: String, _ outputs: Int) throws(LanguageModelError) -> Linear {
      try linear("\(name).\(part)", inputs: sizes.hiddenSize, outputs: outputs, hasBias: hasInputBiases)
    }
    return (
      try input("q_proj", queries), try input("k_proj", keys), try input("v_proj", keys),
      try linear(name + ".o_proj", inputs: queries, outputs: sizes.hiddenSize, hasBias: hasOutputBias)
    )
  }
}

extension Tensor {
  /// Causal attention of a decoder; this tensor holds the queries, `[query tokens, heads, size]`.
  ///
  /// One query alone, the case of generation, is two small matrix products for each group of heads, which is faster than
  /// tiles made for many queries.
  /// - Parameters:
  ///   - keys: those of all tokens, `[key tokens, key heads, size]`.
  ///   - values: of the keys' shape.
  ///   - sequences: where each sequence lies among the rows.
  ///   - window: how many of the last keys a query sees at most; 0 for all.
  ///   - scale: what the scores are multiplied by; by default 1/√size.
  func decoderAttention(
    keys: Tensor, values: Tensor, sequences: PackedSequences, window: Int = 0, scale: Double? = nil
  ) -> Tensor {
    guard shape[0] == 1, !isTracked, !keys.isTracked, !values.isTracked else {
      return attention(
        keys: keys, values: values, sequences: sequences, isCausal: true, window: window, scale: scale)
    }
    let (heads, size, groups) = (shape[1], shape[2], keys.shape[1])
    let first = window > 0 ? Swift.max(0, keys.shape[0] - window) : 0
    func byGroup(_ x: Tensor) -> Tensor { x.sliced(first..<x.shape[0], along: 0).permuted([1, 0, 2]) }
    let scaled = reshaped(to: [groups, heads / groups, size]) * (scale ?? 1 / Double(size).squareRoot())
    let weights = scaled.matmul(byGroup(keys), transposingOther: true).softmax()
    return weights.matmul(byGroup(values)).reshaped(to: shape)
  }

  /// The same in one layer of a model, to keys and values of earlier tokens, too, if there is a cache of them.
  func decoderAttention(
    keys: Tensor, values: Tensor, sequences: PackedSequences, window: Int = 0, scale: Double? = nil,
    layer: Int, cache: KeyValueCache?
  ) -> Tensor {
    cache?.attention(
      layer: layer, queries: self, keys: keys, values: values, sequences: sequences, window: window,
      scale: scale)
      ?? decoderAttention(keys: keys, values: values, sequences: sequences, window: window, scale: scale)
  }
}
