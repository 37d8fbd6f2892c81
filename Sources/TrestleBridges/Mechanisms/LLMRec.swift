import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// LLMRec: the language model adds edges to the graph of interactions, and the recommender learns from those it can believe.
///
/// The recommender trains alone and gives each user a list of candidates. The language model, tuned on the training data,
/// marks the best of them as liked and the worst as not. The recommender then goes on with its own loss + w · BPR over the
/// marked pairs of the batch's users, without the share of pairs that has the largest loss.
///
/// Source: Wei et al., *LLMRec: Large Language Models with Graph Augmentation for Recommendation* (2024). Differences: the
/// language model ranks the candidates by its item head, where the publication asks a chat model to pick two titles; user
/// profiles and item attributes that it writes, and the features made of them, are left out; an added edge counts in the
/// loss, not in the graph, as in the publication.
public final class LLMRec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// w, the weight of the added edges.
    public var weight = 0.3
    /// The share of a batch's added edges, those with the largest losses, that is left out.
    public var prunedShare = 0.2
    /// How many candidates the recommender gives for each user.
    public var candidates = 20
    /// How many of them are marked as liked, and how many as not.
    public var marks = 2
    /// The most epochs of the recommender, alone and then with the edges.
    public var domainEpochs = 300
    /// How many validations without improvement end a phase of the recommender.
    public var patience = 10
    /// The language model's epochs.
    public var languageEpochs = 3

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  /// Of each user the items marked as liked and those marked as not, `[users, marks]` each.
  private var marks: (liked: Tensor, other: Tensor)?

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    func domain(_ name: String, _ kind: BridgePhase.Kind) -> BridgePhase {
      BridgePhase(
        name: name, side: .domain, kind: kind, epochs: configuration.domainEpochs,
        patience: configuration.patience)
    }
    super.init(
      name: "LLMRec",
      phases: [
        domain("candidates", .warmUp),
        BridgePhase(name: "marking", side: .language, kind: .warmUp, epochs: configuration.languageEpochs),
        domain("augmented", .mutual),
      ])
  }

  /// Marks the candidates once both sides have trained.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.kind == .mutual else { return }
    let users = Array(0..<Int32(context.split.userCount))
    let excluded = context.exclusion(users)
    let count = Swift.min(configuration.candidates, context.split.itemCount)
    let lists = (try context.domain.scores.scores(users: users) + excluded).topK(count).indices
    let opinions = try context.language.scores.scores(users: users).gatheredColumns(lists)
    let marked = Swift.max(1, Swift.min(configuration.marks, count / 2))
    marks = (
      lists.elements(in: opinions.topK(marked).indices),
      lists.elements(in: (opinions * -1).topK(marked).indices)
    )
    context.log("\(users.count * marked) pairs marked by \(context.language.name)")
  }

  /// BPR on the marked pairs of the batch's users, without those that are believed least.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .mutual, let marks, let users = step.users, users.source == .row,
      let represent = step.represent
    else { return nil }
    let count = marks.liked.shape[1]
    let ids = users.ids.scalars(as: Int32.self).flatMap { [Int32](repeating: $0, count: count) }
    guard let rows = try represent(.user, Tensor(ids), .row),
      let liked = try represent(.item, marks.liked.gatheredRows(users.ids).flattened(), .row),
      let other = try represent(.item, marks.other.gatheredRows(users.ids).flattened(), .row)
    else { return nil }
    let losses = rows.rowDot(liked).bprLoss(negative: rows.rowDot(other))
    return losses.meanOfSmallest(share: 1 - configuration.prunedShare) * configuration.weight
  }

  /// The marks.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    state.tensors["liked"] = marks?.liked
    state.tensors["other"] = marks?.other
    return state
  }

  /// Takes over saved marks.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    marks = nil
    guard let liked = state.tensors["liked"] else { return }
    let shape: Shape = [context.split.userCount, liked.rank == 2 ? liked.shape[1] : 0]
    marks = (
      try state.tensor("liked", shape: shape, dtype: .int32),
      try state.tensor("other", shape: shape, dtype: .int32)
    )
  }
}

extension Tensor {
  /// Of each row of whole numbers those in given columns, `[rows, k]`.
  fileprivate func elements(in columns: Tensor) -> Tensor {
    let (values, width, count) = (scalars(as: Int32.self), shape[1], columns.shape[1])
    return Tensor(
      columns.scalars(as: Int32.self).enumerated().map { values[$0 / count * width + Int($1)] },
      shape: columns.shape)
  }

  /// The mean of the smallest elements of a vector, a share of all, at least one; gradients flow to these.
  func meanOfSmallest(share: Double) -> Tensor {
    let values = detached.floats
    let kept = Swift.max(1, Int((share * Double(values.count)).rounded()))
    guard kept < values.count else { return mean() }
    let order = values.indices.sorted { (values[$0], $0) < (values[$1], $1) }.prefix(kept)
    return expanded(at: 1).gatheredRows(Tensor(order.sorted().map { Int32($0) })).mean()
  }
}
