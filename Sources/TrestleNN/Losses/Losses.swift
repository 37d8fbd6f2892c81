import TrestleTensor

/// The training losses, each a scalar: the mean over the batch.
///
/// The fused part of the cross-entropy is a tensor operation, which gives one loss for each row: `Tensor.crossEntropy(labels:)`.
/// TrestleRecommenders adds the losses of ranking.
public enum Losses {
  /// The mean cross-entropy of logits against labels: mean of log Σ exp x − x[label].
  ///
  /// - Parameters:
  ///   - logits: `[..., classes]`.
  ///   - labels: one class a row, `int32`; rows with a negative label are ignored and not counted.
  /// - Returns: 0 if all rows are ignored.
  public static func crossEntropy(_ logits: Tensor, labels: Tensor) -> Tensor {
    let counted = labels.scalars(as: Int32.self).reduce(into: 0) { $0 += $1 >= 0 ? 1 : 0 }
    return logits.crossEntropy(labels: labels).sum() * (1 / Double(max(counted, 1)))
  }

  /// The mean binary cross-entropy of logits: softplus(x) − x·target, without overflow.
  ///
  /// - Parameters:
  ///   - logits: of any shape.
  ///   - targets: of the same shape, between 0 and 1; not tracked.
  ///   - weights: a factor for each element's loss; the mean is over the number of elements all the same, as in PyTorch.
  public static func binaryCrossEntropyWithLogits(
    _ logits: Tensor, targets: Tensor, weights: Tensor? = nil
  ) -> Tensor {
    precondition(
      logits.shape == targets.shape && (weights?.shape ?? logits.shape) == logits.shape,
      "binaryCrossEntropyWithLogits: logits \(logits.shape), targets \(targets.shape), weights \(weights.map { "\($0.shape)" } ?? "nil")"
    )
    let losses = logits.softplus() - logits * targets
    return (weights.map { losses * $0 } ?? losses).mean()
  }

  /// The mean squared difference.
  public static func meanSquaredError(_ predictions: Tensor, _ targets: Tensor) -> Tensor {
    precondition(
      predictions.shape == targets.shape,
      "meanSquaredError: predictions \(predictions.shape), targets \(targets.shape)")
    return (predictions - targets).squared().mean()
  }

  /// The mean cosine distance of the rows of two tensors: 1 − cos(aᵢ, bᵢ) over the last dimension.
  public static func cosine(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.shape == b.shape, "cosine: shapes \(a.shape) and \(b.shape) differ")
    return 1 - a.unitNormalized().rowDot(b.unitNormalized()).mean()
  }
}
