import TrestleNN
import TrestleTensor

extension SentenceEncoder {
  /// What is done to pooled vectors, one step of it.
  public enum Layer {
    /// y = activation(W x + b), `[texts, inputs]` to `[texts, outputs]`; without an activation y = W x + b.
    case dense(Linear, activation: Activation?)
    /// y = x / |x|.
    case normalization

    /// The layer's output for vectors, `[texts, width]`.
    public func callAsFunction(_ x: Tensor) -> Tensor {
      switch self {
      case .dense(let linear, let activation):
        let y = linear(x)
        return activation?(y) ?? y
      case .normalization: return x.unitNormalized()
      }
    }
  }
}

extension [SentenceEncoder.Layer] {
  /// The width of vectors after these layers.
  ///
  /// - Precondition: each layer takes vectors of the width that those before it give.
  func width(after width: Int) -> Int {
    reduce(width) { width, layer in
      guard case .dense(let linear, _) = layer else { return width }
      let shape = linear.matrix.shape
      precondition(shape[1] == width, "SentenceEncoder: a layer \(shape) after vectors of width \(width)")
      return shape[0]
    }
  }
}
