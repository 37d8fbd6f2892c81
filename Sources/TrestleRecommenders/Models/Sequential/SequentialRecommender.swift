import Foundation
import TrestleNN
import TrestleTensor

/// A recommender that reads a user's last items in the order of time and ranks the next one.
///
/// A new model of this kind writes ``states(_:)``; training on windows of the histories, scoring and evaluation follow.
public protocol SequentialRecommender: HistoryRecommender {
  /// The most items that are read.
  var windowLength: Int { get }
  /// The items' rows, `[items, width]`.
  var itemEmbedding: Parameter { get }
  /// How many items that were drawn stand in the softmax beside the batch's targets; `nil` for the whole catalogue.
  var sampledItems: Int? { get }

  /// The state after each item of packed sequences.
  ///
  /// - Parameter sequences: none longer than ``windowLength`` or empty.
  /// - Returns: `[items of all sequences, width]`; a state's inner products with the items' rows are the next item's scores.
  func states(_ sequences: ItemSequences) -> Tensor
}

extension SequentialRecommender {
  /// The items' rows, not tracked.
  public var itemRows: Tensor { itemEmbedding.detached }

  /// The mean cross-entropy of given targets over the whole catalogue.
  ///
  /// - Parameters:
  ///   - states: `[predictions, width]`.
  ///   - targets: `[predictions]`, `int32`.
  public func loss(states: Tensor, targets: Tensor) -> Tensor {
    states.matmul(itemEmbedding.value, transposingOther: true).crossEntropy(labels: targets).mean()
  }

  /// The mean cross-entropy among the batch's distinct targets and some drawn items, with the logits corrected for how
  /// likely each item is to be among them: s − log Q.
  ///
  /// Q = 1 − (1 − share)ᵗ (1 − 1/items)ᶜ, t the number of targets and c that of drawn items. Without the correction popular
  /// items, which are often another's target, would be pushed down for it.
  ///
  /// Source: Bengio and Senécal, *Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
  /// Model* (2008); Yi et al., *Sampling-Bias-Corrected Neural Modeling for Large Corpus Item Recommendations* (2019).
  ///
  /// - Parameter shares: each item's share of the targets of an epoch, `[items]`.
  package func sampledLoss(
    states: Tensor, targets: [Int32], sampled count: Int, shares: [Float],
    using generator: inout RandomGenerator
  ) -> Tensor {
    let drawn = (0..<count).map { _ in Int32(generator.index(below: itemCount)) }
    let candidates = Set(targets).union(drawn).sorted()
    var place = [Int32: Int32](minimumCapacity: candidates.count)
    for (index, item) in candidates.enumerated() { place[item] = Int32(index) }
    let labels = targets.compactMap { place[$0] }
    let missed = Double(count) * log1p(-1 / Double(max(itemCount, 2)))
    let corrections = candidates.map { item -> Double in
      let unwanted = Double(targets.count) * log1p(-min(Double(shares[Int(item)]), 0.999_999))
      return log(max(-expm1(unwanted + missed), 1e-12))
    }
    let rows = itemEmbedding.value.gatheredRows(Tensor(candidates))
    let logits = states.matmul(rows, transposingOther: true)
    return (logits - Tensor(corrections).converted(to: logits.dtype)).crossEntropy(labels: Tensor(labels))
      .mean()
  }

  /// Steps over windows of the training histories. A batch has ``TrainingConfiguration/batchSize`` predictions.
  public func makeSteps(
    training: Interactions, configuration: TrainingConfiguration
  ) throws(DataError) -> any TrainingSteps {
    histories = UserHistories(training)
    let batches = SequenceBatches(
      histories, windowLength: windowLength, predictionsPerBatch: configuration.batchSize,
      seed: configuration.seed)
    let source = RandomGenerator(seed: configuration.seed).split(0x6472_6177)
    let shares = histories.targetShares()
    return SequenceSteps(model: self, batches: batches.epoch) { [unowned self] batch, epoch, step in
      let read = states(batch.sequences).gatheredRows(Tensor(batch.places))
      guard let sampledItems else { return loss(states: read, targets: Tensor(batch.targets)) }
      var generator = source.split(UInt64(epoch)).split(UInt64(step))
      return sampledLoss(
        states: read, targets: batch.targets, sampled: sampledItems, shares: shares, using: &generator)
    }
  }

  /// The state after each user's last items, `[users, width]`; zeros for a user without items.
  public func userStates(_ histories: UserHistories) -> Tensor {
    setTraining(false)
    let width = itemEmbedding.shape[1]
    let zero = Tensor.zeros([1, width], dtype: itemEmbedding.dtype)
    return withoutGradients {
      var parts: [Tensor] = []
      for first in stride(from: 0, to: histories.userCount, by: 256) {
        let users = first..<min(first + 256, histories.userCount)
        let active = users.filter { !histories.items(of: $0).isEmpty }
        var rows = zero
        if !active.isEmpty {
          let sequences = ItemSequences(active.map { histories.items(of: $0).suffix(windowLength) })
          let last = states(sequences).detached.gatheredRows(Tensor(sequences.lastPlaces))
          rows = .concatenated([zero, last], along: 0)
        }
        // Row 0 is the zero state.
        var next: Int32 = 0
        let places = users.map { user -> Int32 in
          if histories.items(of: user).isEmpty { return 0 }
          next += 1
          return next
        }
        parts.append(rows.gatheredRows(Tensor(places)))
      }
      return parts.isEmpty ? .zeros([0, width], dtype: itemEmbedding.dtype) : .concatenated(parts, along: 0)
    }
  }
}
