import TrestleTensor

/// Normalises each channel over batch and places: y = (x − mean) / √(variance + ε) · γ + β.
///
/// While training, mean and variance are those of the batch, and running means of both are kept in buffers; otherwise the
/// running ones are used. Input is `[batch, channels, ...]`.
///
/// Source: Ioffe and Szegedy, *Batch Normalization* (2015).
public final class BatchNorm: TrainingDependent {
  /// PyTorch's names in `nn.BatchNorm2d`.
  public static let checkpointKeys = ["runningMean": "running_mean", "runningVariance": "running_var"]
  /// γ, `[channels]`.
  public let weight: Parameter
  /// β, `[channels]`.
  public let bias: Parameter
  /// The running mean, `[channels]`.
  public let runningMean: Buffer
  /// The running variance (divided by the count less one), `[channels]`.
  public let runningVariance: Buffer
  /// How much of a batch's statistics enters the running ones.
  public let momentum: Double
  /// ε, added to the variance.
  public let epsilon: Double
  /// Whether the batch's own statistics are used.
  public var isTraining = true

  /// A layer with γ = 1, β = 0, running mean 0 and running variance 1.
  public init(channels: Int, momentum: Double = 0.1, epsilon: Double = 1e-5, dtype: DType = .float32) {
    weight = Parameter(.ones([channels], dtype: dtype))
    bias = Parameter(.zeros([channels], dtype: dtype))
    runningMean = Buffer(.zeros([channels], dtype: dtype))
    runningVariance = Buffer(.ones([channels], dtype: dtype))
    self.momentum = momentum
    self.epsilon = epsilon
  }

  /// The normalised tensor, of the shape of `x`, `[batch, channels, ...]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    precondition(
      x.rank >= 2 && x.shape[1] == weight.shape[0],
      "BatchNorm: input \(x.shape) of \(weight.shape[0]) channels")
    let axes = (0..<x.rank).filter { $0 != 1 }
    let perChannel = Shape([weight.shape[0]] + Array(repeating: 1, count: x.rank - 2))
    let (mean, variance) =
      isTraining ? batchStatistics(x, axes) : (runningMean.value, runningVariance.value)
    let scale = weight.value * (variance + epsilon).rsqrt()
    let shift = bias.value - mean * scale
    return x * scale.reshaped(to: perChannel) + shift.reshaped(to: perChannel)
  }

  private func batchStatistics(_ x: Tensor, _ axes: [Int]) -> (mean: Tensor, variance: Tensor) {
    let mean = x.mean(along: axes)
    let variance = x.variance(along: axes)
    let count = Double(x.elementCount / max(1, x.shape[1]))
    precondition(count > 1, "BatchNorm: \(x.shape) has one value per channel, which has no variance")
    func blend(_ buffer: Buffer, _ value: Tensor, _ factor: Double) {
      buffer.update(to: buffer.value * (1 - momentum) + value.detached * (momentum * factor))
    }
    blend(runningMean, mean, 1)
    blend(runningVariance, variance, count / (count - 1))
    return (mean, variance)
  }
}

/// Normalises groups of channels of each example: y = (x − mean) / √(variance + ε) · γ + β. Input is `[batch, channels, ...]`.
///
/// Source: Wu and He, *Group Normalization* (2018).
public final class GroupNorm: Module {
  /// γ, `[channels]`.
  public let weight: Parameter
  /// β, `[channels]`.
  public let bias: Parameter
  /// The number of groups.
  public let groups: Int
  /// ε, added to the variance.
  public let epsilon: Double

  /// A layer with γ = 1 and β = 0.
  ///
  /// - Precondition: `channels` is a multiple of `groups`.
  public init(groups: Int, channels: Int, epsilon: Double = 1e-5, dtype: DType = .float32) {
    precondition(groups > 0 && channels % groups == 0, "GroupNorm: \(channels) channels in \(groups) groups")
    weight = Parameter(.ones([channels], dtype: dtype))
    bias = Parameter(.zeros([channels], dtype: dtype))
    self.groups = groups
    self.epsilon = epsilon
  }

  /// The normalised tensor, of the shape of `x`, `[batch, channels, ...]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    precondition(
      x.rank >= 2 && x.shape[1] == weight.shape[0],
      "GroupNorm: input \(x.shape) of \(weight.shape[0]) channels")
    let perChannel = Shape([weight.shape[0]] + Array(repeating: 1, count: x.rank - 2))
    let y = x.reshaped(to: [x.shape[0], groups, -1]).layerNormalized(epsilon: epsilon).reshaped(to: x.shape)
    return y * weight.value.reshaped(to: perChannel) + bias.value.reshaped(to: perChannel)
  }
}
