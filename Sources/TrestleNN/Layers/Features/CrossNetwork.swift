import TrestleTensor

/// Layers that cross all features of an example with each other: after k layers there are products of up to k + 1 features.
///
/// xₗ₊₁ = x₀ ⊙ (Wₗ xₗ + bₗ) + xₗ with a full matrix, or with Wₗ = Uₗ Vₗ of low rank.
///
/// Source: Wang et al., *DCN V2: Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to Rank Systems*
/// (2021).
public final class CrossNetwork: Module {
  /// Wₗ and bₗ, `[width, width]`; of low rank Uₗ and bₗ, `[width, rank]`.
  public let layers: [Linear]
  /// Vₗ, `[rank, width]`, without offsets; empty for full matrices.
  public let reductions: [Linear]

  /// Layers whose weights are drawn uniformly from ±1/√inputs.
  ///
  /// - Parameters:
  ///   - width: the number of features of an example.
  ///   - layerCount: the number of layers, at least 1.
  ///   - rank: the rank of the matrices, below `width`; `nil` for full ones.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, layerCount: Int, rank: Int? = nil, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    precondition(
      layerCount >= 1 && (rank.map { $0 >= 1 && $0 < width } ?? true),
      "CrossNetwork: \(layerCount) layers of rank \(rank ?? width) and width \(width), expected at least one and a lower rank"
    )
    var layers: [Linear] = []
    var reductions: [Linear] = []
    for _ in 0..<layerCount {
      if let rank {
        reductions.append(
          Linear(inputs: width, outputs: rank, hasBias: false, dtype: dtype, using: &generator))
      }
      layers.append(Linear(inputs: rank ?? width, outputs: width, dtype: dtype, using: &generator))
    }
    self.layers = layers
    self.reductions = reductions
  }

  /// The crossed features.
  ///
  /// - Parameter x: `[batch, width]`.
  /// - Returns: `[batch, width]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    precondition(
      x.rank == 2 && x.shape[1] == layers[0].outputs,
      "CrossNetwork: input \(x.shape), expected [batch, \(layers[0].outputs)]")
    var y = x
    for (index, layer) in layers.enumerated() {
      let reduced = reductions.isEmpty ? y : reductions[index](y)
      y = x * layer(reduced) + y
    }
    return y
  }
}
