import TrestleNN
import TrestleTensor

/// A language model that reads prompts of text, user and item tokens and ranks items: model, entity tokens, head.
///
/// ```swift
/// let recommender = ItemSequenceModel(model: model, entities: entities, head: head)
/// let (loss, gradients) = valueAndGradients(of: parameters) { recommender.sequenceLoss(batch) }
/// ```
public final class ItemSequenceModel: Module {
  /// The language model.
  public let model: any LanguageModel
  /// The users' and items' tokens.
  public let entities: EntityTokens
  /// The scores of items.
  public let head: ItemHead

  /// Puts the three together.
  public init(model: any LanguageModel, entities: EntityTokens, head: ItemHead) {
    precondition(
      entities.items.shape[1] == model.hiddenSize && head.bias.shape.elementCount == entities.itemCount,
      "ItemSequenceModel: item rows \(entities.items.shape), width \(model.hiddenSize), \(head.bias.shape.elementCount) biases"
    )
    self.model = model
    self.entities = entities
    self.head = head
  }

  /// One training sequence: tokens to read, and the item to be predicted after each.
  public struct Sequence: Sendable, Hashable {
    /// Token ids: text, users and items mixed.
    public var tokens: [Int32]
    /// For each token, the index of the item that comes next, or -1 where nothing is asked.
    public var targets: [Int32]

    /// A sequence of the given tokens and targets.
    public init(tokens: [Int32], targets: [Int32]) {
      precondition(
        tokens.count == targets.count,
        "ItemSequenceModel.Sequence: \(tokens.count) tokens, \(targets.count) targets")
      self.tokens = tokens
      self.targets = targets
    }
  }

  /// The sequence in which every item is predicted from those before it.
  ///
  /// - Parameters:
  ///   - items: item indices in the order in which they are read.
  ///   - prefix: tokens before the first item (a user's token, a short text); the last of them predicts the first item.
  public func sequence(items: [Int], prefix: [Int32] = []) -> Sequence {
    let tokens = prefix + items.dropLast(items.isEmpty ? 0 : 1).map { entities.token(item: $0) }
    if items.isEmpty { return Sequence(tokens: tokens, targets: Array(repeating: -1, count: tokens.count)) }
    var targets = Array(repeating: Int32(-1), count: max(prefix.count - 1, 0))
    targets += (prefix.isEmpty ? items.dropFirst() : items[...]).map { Int32($0) }
    return Sequence(tokens: tokens, targets: targets)
  }

  /// The top-layer states of token sequences, packed, `[tokens, hidden]`.
  public func states(_ tokens: [[Int32]]) -> Tensor {
    model.hiddenStates(
      entities.embed(Array(tokens.joined()), with: model),
      sequences: PackedSequences(lengths: tokens.map(\.count)))
  }

  /// The mean cross-entropy over the items at every position that has a target.
  ///
  /// - Parameter sequences: the batch; at least one position has a target.
  public func sequenceLoss(_ sequences: [Sequence]) -> Tensor {
    let (logits, targets) = targetLogits(sequences)
    return logits.crossEntropy(labels: Tensor(targets)).mean()
  }

  /// The logits over all items at every position that has a target, and the targets.
  ///
  /// - Returns: `[positions, items]`, and an item index for each row.
  public func targetLogits(_ sequences: [Sequence]) -> (logits: Tensor, targets: [Int32]) {
    let targets = sequences.flatMap(\.targets)
    let asked = targets.indices.filter { targets[$0] >= 0 }
    precondition(!asked.isEmpty, "ItemSequenceModel: no position of the batch has a target")
    var states = states(sequences.map(\.tokens))
    if asked.count < targets.count { states = states.rows(asked) }
    return (head.logits(states, items: entities.items.value), asked.map { targets[$0] })
  }

  /// The logits of items after each prompt.
  ///
  /// - Parameters:
  ///   - prompts: token sequences, none empty.
  ///   - candidates: the items that are needed; all for `nil`.
  /// - Returns: `[prompts, items]`, or `[prompts, candidates]`.
  public func scores(_ prompts: [[Int32]], candidates: [Int32]? = nil) -> Tensor {
    head.logits(lastStates(prompts), items: entities.items.value, candidates: candidates)
  }

  /// The state of each prompt's last token, `[prompts, hidden]`: a representation of what the prompt is about.
  public func lastStates(_ prompts: [[Int32]]) -> Tensor {
    states(prompts).rows(PackedSequences(lengths: prompts.map(\.count)).lastRows)
  }

  /// The mean state of each prompt's tokens, `[prompts, hidden]`.
  public func meanStates(_ prompts: [[Int32]]) -> Tensor {
    PackedSequences(lengths: prompts.map(\.count)).meanPooled(states(prompts))
  }
}
