import TrestleRecommenders
import TrestleTensor

/// Some data that a side takes one step on.
public protocol SideBatch {
  /// The number of examples, for means and progress.
  var count: Int { get }
}

/// The entities of a batch, each once, with what the side makes of them.
public struct BatchEntities {
  /// The entities, `[n]`, `int32`, each once.
  public let ids: Tensor
  /// Their representations in the side's own space, `[n, width]`, tracked.
  public let representations: Tensor
  /// Where the representations come from.
  public let source: RepresentationSource

  /// Entities and representations.
  public init(ids: Tensor, representations: Tensor, source: RepresentationSource = .row) {
    precondition(
      representations.rank == 2 && representations.shape[0] == ids.elementCount,
      "BatchEntities: \(ids.shape) entities, representations \(representations.shape)")
    self.ids = ids
    self.representations = representations
    self.source = source
  }
}

/// Scores of a batch's users over the whole catalogue.
public struct BatchScores {
  /// The users, `[n]`, `int32`, each once.
  public let users: Tensor
  /// Their scores, `[n, items]`.
  public let logits: Tensor

  /// Users and their scores.
  public init(users: Tensor, logits: Tensor) {
    precondition(
      logits.rank == 2 && logits.shape[0] == users.elementCount,
      "BatchScores: \(users.shape) users, logits \(logits.shape)")
    self.users = users
    self.logits = logits
  }
}

/// The examples of a batch, each with its own loss, for a bridge that weighs them.
public struct BatchExamples {
  /// The user of each example, `[n]`, `int32`.
  public let users: Tensor
  /// The item of each example, `[n]`, `int32`: the one that was taken, asked about or predicted.
  public let items: Tensor
  /// The loss of each example, `[n]`, tracked. Their mean is the side's own loss without penalties and contrasts.
  public let losses: Tensor

  /// Examples and their losses.
  public init(users: Tensor, items: Tensor, losses: Tensor) {
    precondition(
      losses.rank == 1 && users.elementCount == losses.elementCount
        && items.elementCount == losses.elementCount,
      "BatchExamples: \(users.shape) users, \(items.shape) items, losses \(losses.shape)")
    self.users = users
    self.items = items
    self.losses = losses
  }

  /// Σ w · loss / Σ w, a scalar; 0 if the weights add up to 0.
  ///
  /// - Parameter weights: w of each example, `[n]`, none negative; not tracked.
  public func weightedMean(_ weights: Tensor) -> Tensor {
    precondition(
      weights.elementCount == losses.elementCount,
      "BatchExamples.weightedMean: weights \(weights.shape), losses \(losses.shape)")
    let total = weights.detached.sum().item
    return (losses * weights.detached).sum() * (total > 0 ? 1 / total : 0)
  }
}

/// What a side computes on a batch, for a bridge to add to.
public struct SideStep {
  /// The side's own loss, a tracked scalar.
  public var loss: Tensor
  /// The users of the batch.
  public var users: BatchEntities?
  /// The items of the batch.
  public var items: BatchEntities?
  /// Computes the scores of the batch's users over the whole catalogue, tracked; `nil` if the side has none.
  /// They cost something, so they are computed only when a bridge asks.
  public var scores: (() -> BatchScores)?
  /// The examples with the loss of each; `nil` if the side's loss is no mean over examples.
  public var examples: (() -> BatchExamples)?
  /// The examples, if they are users with an item that each took and one that each did not.
  public var pairs: PairwiseBatch?
  /// Computes what the side makes of any entities from a source, `[ids, width]`, tracked; `nil` for a source that it has not.
  public var represent:
    ((_ kind: EntityKind, _ ids: Tensor, _ source: RepresentationSource) throws -> Tensor?)?
  /// What the other side makes of any entities, `[ids, width]`: tracked if the phase trains some of its groups too
  /// (``BridgePhase/peerGroups``), `nil` for a source that it has not. The trainer sets it.
  public var peerRepresent:
    ((_ kind: EntityKind, _ ids: Tensor, _ source: RepresentationSource) throws -> Tensor?)?

  /// A step.
  public init(loss: Tensor, users: BatchEntities? = nil, items: BatchEntities? = nil) {
    self.loss = loss
    self.users = users
    self.items = items
  }

  /// The entities of a kind.
  public subscript(kind: EntityKind) -> BatchEntities? { kind == .user ? users : items }

  /// The entities of a kind with their representations from a given source; `nil` if the batch or the side has none.
  ///
  /// - Parameters:
  ///   - kind: users or items.
  ///   - source: where the representations come from.
  ///   - limit: the most entities, at even distances, whose representations are computed if they are not there already.
  /// - Throws: what the side throws.
  public func entities(
    _ kind: EntityKind, from source: RepresentationSource, atMost limit: Int = .max
  ) throws -> BatchEntities? {
    guard let own = self[kind] else { return nil }
    if own.source == source { return own }
    var ids = own.ids
    if ids.elementCount > limit {
      let all: [Int32] = ids.scalars()
      ids = Tensor((0..<limit).map { all[$0 * all.count / limit] })
    }
    guard let represent, let rows = try represent(kind, ids, source) else { return nil }
    return BatchEntities(ids: ids, representations: rows, source: source)
  }

  /// The examples, for a bridge that weighs them.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the side's loss is no mean over examples.
  public func examples(for bridge: String, of side: any BridgeSide) throws(BridgeError) -> BatchExamples {
    guard let examples else {
      throw .missingCapability(
        bridge: "\(bridge), which weighs examples,", side: side.name, capability: .training)
    }
    return examples()
  }

  /// The examples of a bridge that trains on pairs alone.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the side's batches are of another kind.
  func pairs(for bridge: String, of side: any BridgeSide) throws(BridgeError) -> PairwiseBatch {
    guard let pairs else {
      throw .missingCapability(
        bridge: "\(bridge), for batches of pairs,", side: side.name, capability: .training)
    }
    return pairs
  }
}

/// A side that a bridge can train.
public protocol TrainableSide: ParameterGroups {
  /// The number of batches of an epoch.
  var batchCount: Int { get }
  /// The batches of an epoch: the same number gives the same batches, in the same order.
  func batches(epoch: Int) -> AnySequence<any SideBatch>
  /// Computes the loss of a batch and what bridges build on. Called while gradients are taken.
  func step(on batch: any SideBatch) throws -> SideStep
  /// The side's own figure of merit on the validation data (higher is better).
  func validate() throws -> Double
}
