import Trestle

/// A bridge over prompts: what the recommender thinks of an item is said in words.
///
/// First the recommender trains alone. Then the language model, asked whether a user will like an item, reads in the prompt where
/// the recommender ranks it: " (ranked 3 of 40)". Idea: the collaborative predictions that Luo et al. write into prompts
/// (Llama4Rec, 2024), for one item at a time and without their fusion of scores.
public final class RanksInWords: BridgeStrategy {
  /// The rank of each item for each user, from 1, `[users, items]`.
  private var ranks: Tensor?

  /// A bridge that trains both sides for a number of epochs.
  public init(domainEpochs: Int = 30, languageEpochs: Int = 3) {
    super.init(
      name: "ranks in words",
      phases: [
        BridgePhase(name: "domain", side: .domain, kind: .warmUp, epochs: domainEpochs, patience: 5),
        BridgePhase(name: "prompts", side: .language, epochs: languageEpochs),
      ])
  }

  /// Scores of the recommender, words in the language model's prompts.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores], .language: [.training, .promptFields]]
  }

  /// The recommender has trained: its ranks are noted.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    let (users, items) = (context.split.userCount, context.split.itemCount)
    let best = try context.domain.scores.scores(users: Array(0..<Int32(users))).topK(items)
    let order = best.indices.scalars(as: Int32.self)
    var values = [Int32](repeating: 0, count: users * items)
    for (place, item) in order.enumerated() {
      values[place / items * items + Int(item)] = Int32(place % items) + 1
    }
    ranks = Tensor(values, shape: [users, items])
    try say(context)
  }

  private func say(_ context: BridgeContext) throws {
    guard let ranks else { return }
    let (side, items, values) = (try context.language.words, ranks.shape[1], ranks.scalars(as: Int32.self))
    side.promptFields = { user, item in
      guard let item else { return [] }
      return side.tokens(of: " (ranked \(values[Int(user) * items + Int(item)]) of \(items))")
    }
  }

  /// The ranks.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    state.tensors["ranks"] = ranks
    return state
  }

  /// Takes over saved ranks.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    ranks = nil
    if state.tensors["ranks"] != nil {
      let (users, items) = (context.split.userCount, context.split.itemCount)
      ranks = try state.indices("ranks", shape: [users, items], below: items + 1)
    }
    try say(context)
  }
}
