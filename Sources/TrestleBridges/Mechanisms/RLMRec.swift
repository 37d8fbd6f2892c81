/// RLMRec-Con: a recommender whose rows agree with what texts say of users and items, by contrast.
///
/// The recommender's loss + w · InfoNCE(row, MLP(text)) over the batch's users and items.
///
/// Source: Ren et al., *Representation Learning with Large Language Models for Recommendation* (2023), its contrastive variant.
/// Differences: the publication embeds profiles that a large model wrote with a model of embeddings; here an item is what the
/// language side makes of its text, a user the mean over the history. Users compete within the batch, as items do, rather than
/// with all profiles.
public final class RLMRecContrastive: RepresentationAlignmentStrategy {
  /// The mechanism.
  ///
  /// - Parameters:
  ///   - textSource: where the items' text vectors come from.
  ///   - weight: w.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the maps' initial weights.
  public init(
    textSource: RepresentationSource = .text, weight: Double = 0.05, epochs: Int = 300, patience: Int = 10,
    seed: UInt64 = 0
  ) {
    super.init(
      name: "RLMRec-Con", variant: .contrastive, weight: weight, sources: [.item: textSource],
      describesUsers: true, epochs: epochs, patience: patience, seed: seed)
  }
}

/// RLMRec-Gen: a recommender from whose rows the texts of users and items can be told.
///
/// The recommender's loss + w · the contrast of MLP(row) with the text, among the texts of the batch.
///
/// Source: Ren et al., *Representation Learning with Large Language Models for Recommendation* (2023), its generative variant.
/// Differences: those of ``RLMRecContrastive``; and all rows of the batch are reconstructed, where the publication masks nodes
/// of the graph and reconstructs these.
public final class RLMRecGenerative: RepresentationAlignmentStrategy {
  /// The mechanism.
  ///
  /// - Parameters:
  ///   - textSource: where the items' text vectors come from.
  ///   - weight: w.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the maps' initial weights.
  public init(
    textSource: RepresentationSource = .text, weight: Double = 0.05, epochs: Int = 300, patience: Int = 10,
    seed: UInt64 = 0
  ) {
    super.init(
      name: "RLMRec-Gen", variant: .generative, weight: weight, sources: [.item: textSource],
      describesUsers: true, epochs: epochs, patience: patience, seed: seed)
  }
}
