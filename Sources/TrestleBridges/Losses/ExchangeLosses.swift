import TrestleNN
import TrestleTensor

/// The losses by which the published mechanisms tie a language model and a recommender, each a scalar.
public enum ExchangeLosses {
  /// The sum of the squared differences of rows from the other side's, which it does not move: Σ‖own − sg(peer)‖².
  ///
  /// - Parameters:
  ///   - own: `[n, width]`.
  ///   - peer: of the same shape; no gradient flows to it.
  ///
  /// Source: Zhu et al., *Collaborative Large Language Model for Recommender Systems* (CLLM4Rec, 2024), the regularisation of
  /// each tower's token embeddings.
  public static func tie(_ own: Tensor, _ peer: Tensor) -> Tensor {
    precondition(own.shape == peer.shape, "ExchangeLosses.tie: own \(own.shape), peer \(peer.shape)")
    return (own - peer.detached).squared().sum()
  }

  /// The mean over rows of the multinomial log-loss −Σᵢ xᵢ log softmax(logits)ᵢ.
  ///
  /// - Parameters:
  ///   - logits: `[rows, items]`.
  ///   - counts: x, of the same shape; not tracked.
  ///
  /// Source: CLLM4Rec's recommendation-oriented fine-tuning, after Liang et al., *Variational Autoencoders for Collaborative
  /// Filtering* (2018).
  public static func multinomial(_ logits: Tensor, counts: Tensor) -> Tensor {
    precondition(
      logits.rank == 2 && logits.shape == counts.shape,
      "ExchangeLosses.multinomial: logits \(logits.shape), counts \(counts.shape)")
    return (logits.logSoftmax() * counts).sum() * (-1 / Double(Swift.max(logits.shape[0], 1)))
  }

  /// The mean contrast of anchors with their positives among given rows: −aᵢ·pᵢ/τ + log Σⱼ exp(aᵢ·rⱼ/τ), all of length 1.
  ///
  /// - Parameters:
  ///   - anchors: `[n, width]`.
  ///   - positives: `[n, width]`; row i belongs to anchor i.
  ///   - rows: what each positive competes with, `[m, width]`: the positives themselves, or the whole catalogue.
  ///   - temperature: τ.
  ///
  /// Source: Ren et al., *Representation Learning with Large Language Models for Recommendation* (RLMRec, 2023): the term of
  /// its contrastive variant, and with the batch's own rows that of the generative one.
  public static func contrast(
    _ anchors: Tensor, _ positives: Tensor, among rows: Tensor, temperature: Double
  ) -> Tensor {
    precondition(
      anchors.rank == 2 && anchors.shape == positives.shape && rows.rank == 2
        && rows.shape[1] == anchors.shape[1],
      "ExchangeLosses.contrast: anchors \(anchors.shape), positives \(positives.shape), rows \(rows.shape)")
    let own = anchors.unitNormalized()
    let agreement = own.rowDot(positives.unitNormalized()) * (1 / temperature)
    let all = own.matmul(rows.unitNormalized(), transposingOther: true) * (1 / temperature)
    return (all.logSumExp() - agreement).mean()
  }

  /// The mean binary cross-entropy of the positive answer's logit: softplus(x) − y·x.
  ///
  /// - Parameters:
  ///   - logits: of the answer "Yes" (or its difference from "No"), `[n]`.
  ///   - labels: 1 for a liked item, else 0, `[n]`.
  ///
  /// Source: Zhang et al., *CoLLM: Integrating Collaborative Embeddings into Large Language Models for Recommendation* (2023).
  public static func answer(_ logits: Tensor, labels: Tensor) -> Tensor {
    answers(logits, labels: labels).mean()
  }

  /// The same of each answer, `[n]`.
  public static func answers(_ logits: Tensor, labels: Tensor) -> Tensor {
    precondition(
      logits.shape == labels.shape,
      "ExchangeLosses.answers: logits \(logits.shape), labels \(labels.shape)")
    return logits.softplus() - logits * labels
  }

  /// What two autoencoders that meet in the middle lose on items: the mean squared differences of the codes, of the item
  /// rows from what is decoded of theirs, and of the text rows likewise.
  ///
  /// - Parameters:
  ///   - codes: of items and of their texts, `[n, width]` each.
  ///   - items: the item rows and their reconstructions, `[n, itemWidth]` each; the rows are not moved.
  ///   - texts: the text rows and their reconstructions, `[n, textWidth]` each; the rows are not moved.
  ///   - itemWeight: that of the items' reconstruction; the publication has .5.
  ///   - textWeight: that of the texts' reconstruction; the publication has .2.
  ///
  /// Source: Kim et al., *Large Language Models meet Collaborative Filtering: An Efficient All-round LLM-based Recommender
  /// System* (A-LLMRec, 2024), stage 1.
  public static func alignment(
    codes: (items: Tensor, texts: Tensor), items: (rows: Tensor, decoded: Tensor),
    texts: (rows: Tensor, decoded: Tensor), itemWeight: Double = 0.5, textWeight: Double = 0.2
  ) -> Tensor {
    Losses.meanSquaredError(codes.items, codes.texts)
      + Losses.meanSquaredError(items.decoded, items.rows.detached) * itemWeight
      + Losses.meanSquaredError(texts.decoded, texts.rows.detached) * textWeight
  }

  /// The weighted loss of a student on a teacher's lists: the mean over rows of Σₖ wₖ · (−log σ(sₖ)).
  ///
  /// - Parameters:
  ///   - scores: the student's scores of the teacher's items, `[n, k]`.
  ///   - weights: w, of the same shape; not tracked.
  ///
  /// Source: Cui et al., *Distillation Matters: Empowering Sequential Recommenders to Match the Performance of Large Language
  /// Model* (DLLM2Rec, 2024), the ranking distillation.
  public static func listDistillation(_ scores: Tensor, weights: Tensor) -> Tensor {
    precondition(
      scores.rank == 2 && scores.shape == weights.shape,
      "ExchangeLosses.listDistillation: scores \(scores.shape), weights \(weights.shape)")
    return (scores.logSigmoid() * weights.detached).sum() * (-1 / Double(Swift.max(scores.shape[0], 1)))
  }

  /// The distance of a student's distributions from a teacher's, each row with a weight of its own:
  /// τ² · Σᵣ wᵣ KL(softmax(tᵣ/τ) ‖ softmax(sᵣ/τ)) / n.
  ///
  /// - Parameters:
  ///   - teacher: logits, `[n, items]`; no gradient flows to them.
  ///   - student: logits, of the same shape.
  ///   - weights: w, `[n]`; not tracked.
  ///   - temperature: τ.
  ///
  /// Source: *LLMD4Rec* (arXiv 2505.18120, 2025): temperature-scaled, with weights by sample, in both directions.
  public static func divergence(
    teacher: Tensor, student: Tensor, weights: Tensor, temperature: Double
  ) -> Tensor {
    precondition(
      teacher.rank == 2 && teacher.shape == student.shape && weights.shape == [teacher.shape[0]],
      "ExchangeLosses.divergence: teacher \(teacher.shape), student \(student.shape), weights \(weights.shape)"
    )
    let from = (teacher.detached * (1 / temperature)).logSoftmax()
    let to = (student * (1 / temperature)).logSoftmax()
    let rows = (from.exp() * (from - to)).sum(along: [1])
    return (rows * weights.detached).sum()
      * (temperature * temperature / Double(Swift.max(teacher.shape[0], 1)))
  }
}
