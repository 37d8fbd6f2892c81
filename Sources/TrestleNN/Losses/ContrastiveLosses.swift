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
