import TrestleTensor

extension Losses {
  /// The mean InfoNCE loss: cross-entropy of each anchor's cosines, divided by τ, with its own positive as the label.
  ///
  /// - Parameters:
  ///   - anchors: `[batch, width]`.
  ///   - positives: `[batch, width]`; row i belongs to anchor i.
  ///   - temperature: τ.
  ///   - negatives: what each positive competes with, `[count, width]`, shared by all anchors; by default the other
  ///     anchors' positives.
  ///   - normalizes: whether rows are scaled to unit length first, so that scores are cosines.
  ///
  /// Source: van den Oord, Li and Vinyals, *Representation Learning with Contrastive Predictive Coding* (2018).
  public static func infoNCE(
    anchors: Tensor, positives: Tensor, temperature: Double, negatives: Tensor? = nil,
    normalizes: Bool = true
  ) -> Tensor {
    precondition(
      anchors.rank == 2 && anchors.shape == positives.shape
        && (negatives == nil || negatives?.rank == 2 && negatives?.shape[1] == anchors.shape[1]),
      "infoNCE: anchors \(anchors.shape), positives \(positives.shape), negatives \(negatives.map { "\($0.shape)" } ?? "nil")"
    )
    func prepared(_ x: Tensor) -> Tensor { normalizes ? x.unitNormalized() : x }
    let a = prepared(anchors)
    let p = prepared(positives)
    let batch = anchors.shape[0]
    let logits: Tensor
    let labels: [Int32]
    if let negatives {
      logits = Tensor.concatenated(
        [a.rowDot(p).expanded(at: 1), a.matmul(prepared(negatives), transposingOther: true)], along: 1)
      labels = [Int32](repeating: 0, count: batch)
    } else {
      logits = a.matmul(p, transposingOther: true)
      labels = (0..<batch).map { Int32($0) }
    }
    return (logits * (1 / temperature)).crossEntropy(labels: Tensor(labels)).mean()
  }

  /// The mean squared distance of paired rows at unit length: mean ‖a/‖a‖ − b/‖b‖‖².
  ///
  /// - Parameters:
  ///   - a: `[batch, width]`.
  ///   - b: `[batch, width]`; row i belongs to row i of `a`.
  ///
  /// Source: Wang and Isola, *Understanding Contrastive Representation Learning through Alignment and Uniformity on the
  /// Hypersphere* (2020).
  public static func alignment(_ a: Tensor, _ b: Tensor) -> Tensor {
    precondition(a.rank == 2 && a.shape == b.shape, "alignment: shapes \(a.shape) and \(b.shape)")
    return (a.unitNormalized() - b.unitNormalized()).squared().sum() * (1 / Double(max(a.shape[0], 1)))
  }

  /// How close rows at unit length lie together: log mean exp(−2 ‖x − y‖²) over all pairs of different rows.
  ///
  /// - Parameter rows: `[batch, width]`; equal rows count as pairs, too.
  /// - Returns: 0 for fewer than two rows.
  ///
  /// Source: Wang and Isola, as of ``alignment(_:_:)``.
  public static func uniformity(_ rows: Tensor) -> Tensor {
    precondition(rows.rank == 2, "uniformity: rows \(rows.shape), expected [batch, width]")
    let count = rows.shape[0]
    guard count > 1 else { return .zeros([], dtype: rows.dtype) }
    let unit = rows.unitNormalized()
    // ‖x − y‖² = 2 − 2⟨x, y⟩; each row with itself gives 1.
    let similarities = (unit.matmul(unit, transposingOther: true) * 4 - 4).exp()
    return ((similarities.sum() - Double(count)) * (1 / (Double(count) * Double(count - 1)))).log()
  }

  /// The distance of a student's distribution from a teacher's: τ² · mean over rows of KL(softmax(t/τ) ‖ softmax(s/τ)).
  ///
  /// The factor τ² keeps the gradient's size independent of the temperature.
  /// - Parameters:
  ///   - teacherLogits: `[..., classes]`; no gradient flows to them.
  ///   - studentLogits: of the same shape.
  ///   - temperature: τ.
  ///
  /// Source: Hinton, Vinyals and Dean, *Distilling the Knowledge in a Neural Network* (2015).
  public static func kullbackLeibler(
    teacherLogits: Tensor, studentLogits: Tensor, temperature: Double = 1
  ) -> Tensor {
    precondition(
      teacherLogits.shape == studentLogits.shape && teacherLogits.rank >= 1,
      "kullbackLeibler: teacher \(teacherLogits.shape), student \(studentLogits.shape)")
    let teacher = (teacherLogits.detached * (1 / temperature)).logSoftmax()
    let student = (studentLogits * (1 / temperature)).logSoftmax()
    let rows = max(1, teacher.elementCount / max(1, teacher.shape[teacher.rank - 1]))
    let total = (teacher.exp() * (teacher - student)).sum()
    return total * (temperature * temperature / Double(rows))
  }
}
