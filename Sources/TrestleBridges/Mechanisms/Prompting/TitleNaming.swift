/// The language model names what a user will like by its title, held to the catalogue's: it learns alone, and nothing else is
/// exchanged. What other mechanisms of prompts are to be compared with.
///
/// Source: Bao et al., *A Bi-Step Grounding Paradigm for Large Language Models in Recommendation Systems* (BIGRec, 2023). Differences: titles
/// are held to the catalogue's by a trie, where the publication lets any text be said and looks for the nearest title.
public final class TitleNaming: BridgeStrategy {
  /// The mechanism.
  ///
  /// - Parameter epochs: the adapters' epochs.
  public init(epochs: Int = 3) {
    super.init(
      name: "TitleNaming",
      phases: [BridgePhase(name: "language", side: .language, kind: .warmUp, epochs: epochs)])
  }

  /// Scores of the language side.
  public override var requirements: [SideRole: Set<Capability>] { [.language: [.training, .scores]] }
}
