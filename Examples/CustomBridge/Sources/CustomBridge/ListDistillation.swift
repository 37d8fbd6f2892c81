import Foundation
import Trestle

/// A bridge of our own: the language model's best items for each user teach the recommender.
///
/// First the language model trains alone. Then, for each user, its `length` best items are noted, and the recommender
/// trains on its own loss plus the cross-entropy of its scores with these items, the earlier the heavier:
/// −Σⱼ wⱼ log softmax(scores)[itemⱼ] with wⱼ ∝ e^(−j / decay). Idea: Cui et al., *Distillation Matters: Empowering
/// Sequential Recommenders to Match the Performance of Large Language Model* (DLLM2Rec, 2024), whose weights by
/// confidence and consistency are left out.
public final class ListDistillation: BridgeStrategy {
  private let weight: Double
  private let length: Int
  /// wⱼ, which add up to 1.
  private let shares: [Double]
  /// The language model's best items, `[users, length]`.
  private var lists: Tensor?

  /// A distillation of lists of `length` items.
  public init(
    weight: Double = 0.02, length: Int = 10, decay: Double = 5, languageEpochs: Int = 2,
    domainEpochs: Int = 30
  ) {
    self.weight = weight
    self.length = length
    let raw = (0..<length).map { exp(-Double($0) / decay) }
    shares = raw.map { $0 / raw.reduce(0, +) }
    super.init(
      name: "list distillation",
      phases: [
        BridgePhase(name: "teacher", side: .language, epochs: languageEpochs),
        BridgePhase(name: "student", side: .domain, epochs: domainEpochs, patience: 5),
      ])
  }

  /// The teacher has trained: its lists are noted, without the items that each user knows already.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .domain else { return }
    let teacher = try context.language.scores
    let users = Array(0..<Int32(context.domain.vocabulary.userCount))
    var scores = try teacher.scores(users: users)
    let seen = UserItemMatrix(context.split.training)
    var mask = [Float](repeating: 0, count: scores.elementCount)
    for user in 0..<users.count {
      for item in seen.items(of: user) { mask[user * seen.itemCount + Int(item)] = -1e9 }
    }
    scores = scores + Tensor(mask, shape: scores.shape)
    lists = scores.topK(min(length, seen.itemCount)).indices
  }

  /// The student's cross-entropy with the teacher's lists.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.side == .domain, let lists, let scores = step.scores?() else { return nil }
    let targets = lists.gatheredRows(scores.users)
    let logs = scores.logits.logSoftmax()
    var total: Tensor?
    for place in 0..<lists.shape[1] {
      let items = targets.sliced(place..<place + 1, along: 1).flattened()
      let term = logs.gatheredElements(items).mean() * (-weight * shares[place])
      total = total.map { $0 + term } ?? term
    }
    return total
  }

  /// The lists.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    state.tensors["lists"] = lists
    return state
  }

  /// Takes over saved lists.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    lists = nil
    guard state.tensors["lists"] != nil else { return }
    // A state is a file: what names items is checked before it is looked up.
    let (users, items) = (context.split.userCount, context.split.itemCount)
    lists = try state.indices("lists", shape: [users, min(length, items)], below: items)
  }
}
