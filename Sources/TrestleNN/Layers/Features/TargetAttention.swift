import TrestleTensor

/// A history summed up in view of a target: each entry weighs as much as a small network finds that it bears on the target.
///
/// The network reads [history, target, history − target, history ⊙ target] and gives one number for each entry. As in the
/// publication the numbers are the weights themselves, so that a history that bears more on the target gives a longer vector;
/// with ``normalizes`` they go through a softmax first. Padded entries weigh nothing, and a history of padding only gives
/// zeros.
///
/// Source: Zhou et al., *Deep Interest Network for Click-Through Rate Prediction* (2018).
public final class TargetAttention: Module {
  /// The network that weighs, from 4 · width over the hidden widths to 1.
  public let network: MLP
  /// Whether the weights of a history go through a softmax.
  public let normalizes: Bool

  /// A layer with random weights.
  ///
  /// - Parameters:
  ///   - width: the width of the target and the history's entries.
  ///   - hidden: the widths of the network's hidden layers.
  ///   - activation: what is applied between its layers.
  ///   - normalizes: whether the weights of a history go through a softmax.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public init(
    width: Int, hidden: [Int] = [36], activation: Activation = .sigmoid, normalizes: Bool = false,
    dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    network = MLP(
      widths: [4 * width] + hidden + [1], activation: activation, dtype: dtype, using: &generator)
    self.normalizes = normalizes
  }

  /// Each history, summed up in view of its target.
  ///
  /// - Parameters:
  ///   - target: `[batch, width]`.
  ///   - history: `[batch, time, width]`.
  ///   - mask: `[batch, time]`, `bool`: true for entries, false for padding; `nil` if there is none.
  /// - Returns: `[batch, width]`.
  public func callAsFunction(target: Tensor, history: Tensor, mask: Tensor? = nil) -> Tensor {
    precondition(
      history.rank == 3 && target.shape == [history.shape[0], history.shape[2]],
      "TargetAttention: target \(target.shape), history \(history.shape), expected [batch, width], [batch, time, width]"
    )
    let (batch, time, width) = (history.shape[0], history.shape[1], history.shape[2])
    precondition(
      mask.map { $0.shape == [batch, time] && $0.dtype == .bool } ?? true,
      "TargetAttention: mask \(mask.map { "\($0.dtype) \($0.shape)" } ?? "nil"), expected bool [\(batch), \(time)]"
    )
    guard batch > 0, time > 0 else { return .zeros([batch, width], dtype: history.dtype) }
    let repeated = target.expanded(at: 1).broadcast(to: [batch, time, width])
    let pairs = Tensor.concatenated(
      [history, repeated, history - repeated, history * repeated], along: 2)
    var weights = network(pairs).reshaped(to: [batch, time] as Shape)
    if normalizes {
      // A history of padding only has equal, finite weights here, and none below.
      if let mask { weights = weights.filled(where: mask.not(), with: -1e30) }
      weights = weights.softmax()
    }
    if let mask { weights = weights.filled(where: mask.not(), with: 0) }
    return weights.expanded(at: 1).matmul(history).squeezed(1)
  }
}
