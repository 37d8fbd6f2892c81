import TrestleTensor

/// A nonlinearity between layers.
public enum Activation: String, Codable, Sendable, CaseIterable {
  /// max(x, 0).
  case relu
  /// x Φ(x), with the exact normal distribution function.
  case gelu
  /// GELU approximated by a hyperbolic tangent, as in GPT-2.
  case geluTanh
  /// x σ(x).
  case silu
  /// The hyperbolic tangent.
  case tanh
  /// The logistic function.
  case sigmoid

  /// The nonlinearity of every element.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    switch self {
    case .relu: x.relu()
    case .gelu: x.gelu()
    case .geluTanh: x.geluTanh()
    case .silu: x.silu()
    case .tanh: x.tanh()
    case .sigmoid: x.sigmoid()
    }
  }
}

/// The feed-forward block of transformers: y = W₂ · activation(W₁ x + b₁) + b₂.
public final class FeedForward: Module {
  /// PyTorch's names in `nn.TransformerEncoderLayer`.
  public static let checkpointKeys = ["input": "linear1", "output": "linear2"]
  /// W₁ and b₁, `[hidden, width]`.
  public let input: Linear
  /// W₂ and b₂, `[width, hidden]`.
  public let output: Linear
  /// The nonlinearity in between.
  public let activation: Activation
  private let dropout: Dropout?

  /// A block with random weights.
  ///
  /// - Parameters:
  ///   - width: the width of input and output.
  ///   - hidden: the width between the two layers.
  ///   - activation: what is applied between the layers.
  ///   - dropout: the rate of dropout after the activation; 0 for none.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, hidden: Int, activation: Activation = .gelu, dropout: Double = 0, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    input = Linear(inputs: width, outputs: hidden, dtype: dtype, using: &generator)
    output = Linear(inputs: hidden, outputs: width, dtype: dtype, using: &generator)
    self.activation = activation
    self.dropout = dropout > 0 ? Dropout(rate: dropout, using: &generator) : nil
  }

  /// The block's output, `[..., width]` like `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let hidden = activation(input(x))
    return output(dropout?(hidden) ?? hidden)
  }
}

/// The gated feed-forward block of the LLaMA family: y = W_down (silu(W_gate x) · W_up x).
///
/// Source: Shazeer, *GLU Variants Improve Transformer* (2020).
public final class SwiGLU: Module {
  /// Hugging Face's names.
  public static let checkpointKeys = ["gate": "gate_proj", "up": "up_proj", "down": "down_proj"]
  /// W_gate, `[hidden, width]`.
  public let gate: Linear
  /// W_up, `[hidden, width]`.
  public let up: Linear
  /// W_down, `[width, hidden]`.
  public let down: Linear

  /// A block of the given layers.
  public init(gate: Linear, up: Linear, down: Linear) {
    self.gate = gate
    self.up = up
    self.down = down
  }

  /// A block with random weights and no offsets.
  public convenience init(
    width: Int, hidden: Int, dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    func linear(_ inputs: Int, _ outputs: Int) -> Linear {
      Linear(inputs: inputs, outputs: outputs, hasBias: false, dtype: dtype, using: &generator)
    }
    self.init(gate: linear(width, hidden), up: linear(width, hidden), down: linear(hidden, width))
  }

  /// The block's output, `[..., width]` like `x`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    let parts = Linear.outputs(of: [gate, up], for: x)
    return down(parts[0].swiGLU(up: parts[1]))
  }
}

/// Linear layers with a nonlinearity and dropout after each but the last.
public final class MLP: Module {
  /// The linear layers, first to last.
  public let layers: [Linear]
  /// The nonlinearity between them.
  public let activation: Activation
  /// Whether the activation follows the last layer too.
  public let activatesLast: Bool
  private let dropout: Dropout?

  /// Layers from `widths[0]` features over the widths in between to `widths.last`.
  ///
  /// - Parameters:
  ///   - widths: at least two.
  ///   - activation: what is applied between the layers.
  ///   - activatesLast: whether the activation follows the last layer too.
  ///   - dropout: the rate of dropout after each activation; 0 for none.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    widths: [Int], activation: Activation = .relu, activatesLast: Bool = false, dropout: Double = 0,
    dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    precondition(widths.count >= 2, "MLP: widths \(widths), expected at least two")
    layers = zip(widths, widths.dropFirst()).map {
      Linear(inputs: $0, outputs: $1, dtype: dtype, using: &generator)
    }
    self.activation = activation
    self.activatesLast = activatesLast
    self.dropout = dropout > 0 ? Dropout(rate: dropout, using: &generator) : nil
  }

  /// The output of the last layer, `[..., widths.last]`.
  ///
  /// - Parameter x: `[..., widths[0]]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    var y = x
    for (index, layer) in layers.enumerated() {
      y = layer(y)
      guard index < layers.count - 1 || activatesLast else { continue }
      y = activation(y)
      if let dropout { y = dropout(y) }
    }
    return y
  }
}
