import TrestleTensor

extension PairwiseBatches {
  /// The batches that a model is trained on, their negatives drawn as the configuration says.
  package init(
    for model: any PairwiseRecommender, training: Interactions, configuration: TrainingConfiguration
  ) {
    self.init(
      training: training, batchSize: configuration.batchSize, seed: configuration.seed,
      negatives: Self.sampler(configuration.negatives, training, model))
  }

  private static func sampler(
    _ sampling: NegativeSampling, _ training: Interactions, _ model: any PairwiseRecommender
  ) -> (any NegativeSampler)? {
    // Safe: batches are made on the thread that trains the model, between its steps.
    nonisolated(unsafe) unowned let model = model
    return sampling.sampler(avoiding: training) {
      let rows = model.embeddings()
      return { users, items in
        rows.users.gatheredRows(Tensor(users)).rowDot(rows.items.gatheredRows(Tensor(items))).floats
      }
    }
  }
}
