import TrestleTensor

extension Losses {
  /// The mean over the rows of −Σ t log softmax(x): the multinomial log-likelihood of counts.
  ///
  /// - Parameters:
  ///   - logits: x, `[batch, classes]`.
  ///   - targets: t, how often each class was seen, of the same shape; not tracked.
  ///
  /// Source: Liang et al., *Variational Autoencoders for Collaborative Filtering* (2018), section 2.1.
  public static func multinomial(_ logits: Tensor, targets: Tensor) -> Tensor {
    precondition(
      logits.rank == 2 && logits.shape == targets.shape,
      "multinomial: logits \(logits.shape), targets \(targets.shape)")
    let seen = targets.detached
    let scale = 1 / Double(max(logits.shape[0], 1))
    let likelihoods = logits.detached.logSoftmax()
    let output = (likelihoods * seen).sum() * -scale
    return Tensor.custom("multinomial", inputs: [logits], output: output) { upstream in
      let expected = likelihoods.exp() * seen.sum(along: [1], keepingDimensions: true)
      return [(expected - seen) * upstream * scale]
    }
  }

  /// The mean over the rows of KL(N(μ, σ²) ‖ N(0, 1)) = −½ Σ (1 + log σ² − μ² − σ²).
  ///
  /// - Parameters:
  ///   - mean: μ, `[batch, width]`.
  ///   - logVariance: log σ², of the same shape.
  ///
  /// Source: Kingma and Welling, *Auto-Encoding Variational Bayes* (2013), appendix B.
  public static func gaussianDivergence(mean: Tensor, logVariance: Tensor) -> Tensor {
    precondition(
      mean.rank == 2 && mean.shape == logVariance.shape,
      "gaussianDivergence: mean \(mean.shape), log-variance \(logVariance.shape)")
    let terms = logVariance - mean.squared() - logVariance.exp() + 1
    return terms.sum() * (-0.5 / Double(max(mean.shape[0], 1)))
  }
}
