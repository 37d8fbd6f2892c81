import TrestleRecommenders
import TrestleTensor

/// The best items of every user in order, each with a confidence: what one side tells the other in a list.
public struct RankedLists: Sendable {
  /// The items, best first, `[users, length]`, `int32`.
  public let items: Tensor
  /// How sure the side is of each, `[users, length]`, from 0 to 1; those of a list add up to 1.
  public let confidences: Tensor

  /// Lists and confidences.
  public init(items: Tensor, confidences: Tensor) {
    precondition(
      items.rank == 2 && items.shape == confidences.shape,
      "RankedLists: items \(items.shape), confidences \(confidences.shape)")
    (self.items, self.confidences) = (items.detached, confidences.detached)
  }

  /// The number of items of a list.
  public var length: Int { items.shape[1] }

  /// The items of a user, best first.
  public func items(of user: Int32) -> [Int32] {
    items.rows([Int(user)]).scalars(as: Int32.self)
  }

  /// Adds the lists to a state, under `name` and `name.confidences`.
  public func save(into state: inout BridgeState, as name: String) {
    state.tensors[name] = items
    state.tensors["\(name).confidences"] = confidences
  }

  /// The lists that ``save(into:as:)`` has saved; `nil` if there are none.
  ///
  /// - Parameters:
  ///   - state: what was saved.
  ///   - name: what they were saved as.
  ///   - vocabulary: of the users and items.
  ///   - length: how long the lists must be; lists of all items if there are fewer.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for items that do not exist, lists of another number or
  ///   length, or confidences that are not from 0 to 1.
  public static func saved(
    in state: BridgeState, as name: String, _ vocabulary: EntityVocabulary, length: Int
  ) throws(BridgeError) -> RankedLists? {
    guard state.tensors[name] != nil || state.tensors["\(name).confidences"] != nil else {
      return nil
    }
    let shape: Shape = [vocabulary.userCount, Swift.min(length, vocabulary.itemCount)]
    return RankedLists(
      items: try state.indices(name, shape: shape, below: vocabulary.itemCount),
      confidences: try state.shares("\(name).confidences", shape: shape))
  }
}

extension BridgeContext {
  /// What a side ranks highest for every user among the items that the user has not had in training, with the softmax of the
  /// scores over the list as its confidence.
  ///
  /// - Parameters:
  ///   - role: the side that ranks.
  ///   - length: the number of items of a list; all items if there are fewer.
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the side has no scores, and what scoring throws.
  public func rankedLists(of role: SideRole, length: Int) throws -> RankedLists {
    let side = try side(role).scores
    var items: [Tensor] = []
    var confidences: [Tensor] = []
    // In parts: all users' scores of all items may be more than the memory holds.
    for users in Array(0..<Int32(split.userCount)).chunks(ofCount: 512) {
      let best = (try side.scores(users: Array(users)) + exclusion(Array(users)))
        .topK(Swift.min(length, split.itemCount))
      items.append(best.indices)
      confidences.append(best.values.softmax())
    }
    guard !items.isEmpty else {
      let shape: Shape = [0, Swift.min(length, split.itemCount)]
      return RankedLists(items: .zeros(shape, dtype: .int32), confidences: .zeros(shape))
    }
    return RankedLists(
      items: .concatenated(items, along: 0), confidences: .concatenated(confidences, along: 0))
  }
}
