internal import CTrestleKernels
import TrestleNN
import TrestleTensor

extension Tensor {
  /// The Bayesian personalised ranking loss of each pair: −log σ(self − negative), self being the positives' scores.
  ///
  /// Source: Rendle et al., *BPR: Bayesian Personalized Ranking from Implicit Feedback* (2009).
  public func bprLoss(negative: Tensor) -> Tensor {
    precondition(
      shape == negative.shape && dtype == negative.dtype,
      "bprLoss: positives \(dtype) \(shape), negatives \(negative.dtype) \(negative.shape)")
    let (p, n) = (detached.dense(), negative.detached.dense())
    let losses = Tensor(uninitialized: shape, dtype: dtype)
    let slope = Tensor(uninitialized: shape, dtype: dtype)
    let table = Kernels.table(dtype, "bprLoss")
    let size = dtype.byteCount
    withExtendedLifetime((p.storage, n.storage)) {
      Kernels.parallel(elementCount) { start, count in
        let shift = start * size
        table.pointee.bpr(
          p.data + shift, n.data + shift, losses.data + shift, slope.data + shift, Int64(count))
      }
    }
    guard let tape = Tensor.tape("bprLoss", self, negative) else { return losses }
    let (pNode, nNode) = (node, negative.node)
    return tape.record("bprLoss", losses) { dy, pass in
      let d = dy * slope
      pass.add(d, to: pNode)
      pass.add(d.negated(), to: nNode)
    }
  }
}

extension Losses {
  /// The mean Bayesian personalised ranking loss: −log σ(positive − negative).
  ///
  /// - Parameters:
  ///   - positive: the scores of observed items.
  ///   - negative: the scores of sampled items, of the same shape.
  ///
  /// Source: Rendle et al., *BPR: Bayesian Personalized Ranking from Implicit Feedback* (2009).
  public static func bpr(positive: Tensor, negative: Tensor) -> Tensor {
    positive.bprLoss(negative: negative).mean()
  }
}
