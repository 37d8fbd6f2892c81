import TrestleTensor

/// The language model alone, with item rows frozen at its own pooled states of the items' texts: what a bridge has to beat that
/// brings behaviour into the tokens.
///
/// Users have no text: all share one row. Item rows have the mean and the spread of the pretrained ones.
public final class TextRowsStrategy: BridgeStrategy {
  /// The strategy.
  ///
  /// - Parameter phases: the language side's phases; of them adapters and head train.
  public init(phases: [BridgePhase]) {
    var phases = phases
    for index in phases.indices {
      phases[index].name += " (text rows)"
      phases[index].groups = ["adapters", "head"]
    }
    super.init(name: "text rows", phases: phases)
  }

  /// Tables and representations of the language side, and its training.
  public override var requirements: [SideRole: Set<Capability>] {
    [.language: [.training, .entityTables, .contextualRepresentations]]
  }

  /// Sets the rows.
  public override func prepare(_ context: BridgeContext) throws {
    let side = try context.language.tables
    let states = try context.language.representations(ofAll: .item, from: .text)
    let statistics = side.pretrainedRowStatistics ?? (Tensor.zeros([states.shape[1]]), 0.02)
    let centred = states - states.mean(along: [0])
    side.setEntityRows(.item, to: centred.spread(by: statistics.deviation, about: statistics.mean))
    side.setEntityRows(
      .user,
      to: statistics.mean.expanded(at: 0).broadcast(to: [
        context.domain.vocabulary.userCount, states.shape[1],
      ]))
  }
}
