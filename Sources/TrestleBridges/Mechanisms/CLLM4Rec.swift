import TrestleTensor

/// CLLM4Rec: two towers of a frozen language model, one that learns user and item tokens from behaviour and one that learns
/// them from texts, tied to each other.
///
/// The content tower (``ContentSide``) trains alone first. Then, in turn, the collaborative tower (a ``LanguageSide`` in the
/// role of the domain side, without adapters) trains a number of epochs on its item loss + λ · Σ‖own − sg(peer)‖², and the content
/// tower on its text loss with the same term; only the tokens' rows and the item head move. The sum is over the batch's users and items,
/// divided by their number.
///
/// Source: Zhu et al., *Collaborative Large Language Model for Recommender Systems* (2024). Differences: the collaborative
/// tower's loss is the side's cross-entropy over the items at each position, the publication's multinomial fine-tuning stage is
/// not a stage of its own; texts are those of items, where the publication has users' reviews.
public final class CLLM4Rec: BridgeStrategy {
  private let weight: Double

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - weight: λ.
  ///   - contentEpochs: the content tower's epochs alone.
  ///   - rounds: how often both train in turn.
  ///   - roundEpochs: the collaborative tower's epochs in a round; the content tower has one.
  public init(weight: Double = 1, contentEpochs: Int = 2, rounds: Int = 3, roundEpochs: Int = 1) {
    self.weight = weight
    var phases = [
      BridgePhase(name: "content alone", side: .language, kind: .warmUp, epochs: contentEpochs)
    ]
    for round in 1...Swift.max(rounds, 1) {
      phases.append(
        BridgePhase(name: "round \(round): collaborative", side: .domain, epochs: roundEpochs))
      phases.append(BridgePhase(name: "round \(round): content", side: .language, epochs: 1))
    }
    super.init(name: "CLLM4Rec", phases: phases)
  }

  /// Tables of both sides.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores, .entityTables], .language: [.training, .entityTables]]
  }

  /// The collaborative tower begins with the content tower's rows.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` if the towers' rows have not the same width.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .domain, phase == phases.first(where: { $0.side == .domain }) else { return }
    let (own, peer) = (try context.domain.tables, try context.language.tables)
    for kind in EntityKind.allCases {
      guard let rows = peer.entityRows(kind), let width = own.entityWidth(kind) else { continue }
      guard rows.shape[1] == width else {
        throw BridgeError.invalidState(
          path: own.name, place: "rows of \(kind.rawValue)s", expected: "width \(rows.shape[1])",
          found: "\(width)")
      }
      own.setEntityRows(kind, to: rows.copied())
    }
  }

  /// The tie of the batch's rows to the other tower's.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .mutual else { return nil }
    let peer = try context.side(phase.side == .domain ? .language : .domain).tables
    var total: Tensor?
    for kind in EntityKind.allCases {
      guard let own = try step.entities(kind, from: .row), let table = peer.entityRows(kind) else { continue }
      let term =
        ExchangeLosses.tie(own.representations, table.gatheredRows(own.ids))
        * (weight / Double(Swift.max(own.ids.elementCount, 1)))
      total = total.map { $0 + term } ?? term
    }
    return total
  }
}
