import TrestleNN
import TrestleTensor

/// Steps over batches of sequences, in which the model behaves as in training.
struct SequenceSteps: TrainingSteps {
  unowned let model: any HistoryRecommender
  /// The batches of an epoch.
  let batches: (_ epoch: Int) -> [SequenceBatch]
  /// The loss of a batch, which is one step of an epoch.
  let loss: (_ batch: SequenceBatch, _ epoch: Int, _ step: Int) -> Tensor

  /// The number of batches varies a little, as cuts and masks do; this is that of the first epoch.
  var count: Int { batches(0).count }

  func epoch(_ epoch: Int) -> AnySequence<TrainingStep> {
    AnySequence(
      batches(epoch).lazy.enumerated().map { [model, loss] step, batch in
        TrainingStep(exampleCount: batch.targets.count) {
          model.setTraining(true)
          defer { model.setTraining(false) }
          return loss(batch, epoch, step)
        }
      })
  }
}

extension UserHistories {
  /// Each item's share of what follows another item, `[items]`.
  func targetShares() -> [Float] {
    var counts = [Int](repeating: 0, count: itemCount)
    for user in 0..<userCount {
      for item in items(of: user).dropFirst() { counts[Int(item)] += 1 }
    }
    let total = Float(max(counts.reduce(0, +), 1))
    return counts.map { Float($0) / total }
  }
}
