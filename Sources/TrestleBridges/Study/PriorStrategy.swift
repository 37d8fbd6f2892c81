import TrestleTensor

/// A recommender trains while its items' rows are drawn to given ones: what is written in the store is a prior.
///
/// To the recommender's own loss comes w times the mean, over a batch's items, of the squared distance between an item's
/// representation and its prior: an item with many interactions moves away from it, one with few stays near.
final class PriorStrategy: BridgeStrategy {
  private let prior: Tensor
  private let weight: Double

  /// - Parameters:
  ///   - phases: the recommender's.
  ///   - prior: `[items, width]`, in the basis of the recommender's rows.
  ///   - weight: w.
  init(phases: [BridgePhase], prior: Tensor, weight: Double) {
    (self.prior, self.weight) = (prior.detached, weight)
    super.init(name: "prior", phases: phases)
  }

  override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard let items = step[.item] else { return nil }
    return BDLMStrategy.distance(items.representations, prior.gatheredRows(items.ids), .squaredDistance)
      * weight
  }
}
