import TrestleTensor

/// Normalises the last dimension to mean 0 and variance 1: y = (x − mean) / √(variance + ε) · γ + β.
///
/// Source: Ba, Kiros and Hinton, *Layer Normalization* (2016).
public final class LayerNorm: Module {
  /// γ, `[width]`.
  public let weight: Parameter
  /// β, `[width]`; `nil` without offset.
  public let bias: Parameter?
  /// ε, added to the variance.
  public let epsilon: Double

  /// A layer with γ = 1 and β = 0.
  public init(width: Int, epsilon: Double = 1e-5, hasBias: Bool = true, dtype: DType = .float32) {
    weight = Parameter(.ones([width], dtype: dtype))
    bias = hasBias ? Parameter(.zeros([width], dtype: dtype)) : nil
    self.epsilon = epsilon
  }

  /// The normalised tensor, of the shape of `x`, `[..., width]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.layerNormalized(gain: weight.value, bias: bias?.value, epsilon: epsilon)
  }
}

/// Scales the last dimension to a root mean square of 1: y = x / √(mean(x²) + ε) · γ.
///
/// Source: Zhang and Sennrich, *Root Mean Square Layer Normalization* (2019).
public final class RMSNorm: Module {
  /// γ, `[width]`.
  public let weight: Parameter
  /// ε, added to the mean square.
  public let epsilon: Double

  /// A layer with γ = 1.
  public init(width: Int, epsilon: Double = 1e-6, dtype: DType = .float32) {
    weight = Parameter(.ones([width], dtype: dtype))
    self.epsilon = epsilon
  }

  /// The scaled tensor, of the shape of `x`, `[..., width]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.rmsNormalized(gain: weight.value, epsilon: epsilon)
  }
}
