import TrestleTensor

extension Linear {
  /// What several layers make of one input: queries, keys and values, say.
  ///
  /// Where nothing is recorded and the input has few rows, as in generation, the layers' products are one job of the thread
  /// pool. The bits are those of each layer alone.
  /// - Parameters:
  ///   - layers: layers with one number of inputs.
  ///   - x: `[..., inputs]`.
  /// - Returns: `[..., outputs]` for each layer.
  public static func outputs(of layers: [Linear], for x: Tensor) -> [Tensor] {
    let matrices = layers.compactMap(\.matrix.untracked)
    guard let arithmetic = layers.first?.arithmetic, x.rank > 1, !x.isTracked, matrices.count == layers.count,
      layers.allSatisfy({ $0.arithmetic == arithmetic })
    else { return layers.map { $0(x) } }
    return zip(layers, x.products(with: matrices, arithmetic: arithmetic)).map { layer, product in
      layer.completed(product, input: x)
    }
  }
}

extension LinearWeight {
  /// The matrix, if nothing is recorded of products with it.
  fileprivate var untracked: ProductMatrix? {
    switch self {
    case .quantized(let matrix): return .quantized(matrix)
    case .dense(let parameter):
      let weight = parameter.value
      return weight.isTracked ? nil : .dense(weight)
    }
  }
}
