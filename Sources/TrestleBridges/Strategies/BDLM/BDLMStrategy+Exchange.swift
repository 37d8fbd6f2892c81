import TrestleNN
import TrestleRecommenders
import TrestleTensor

extension BDLMStrategy {
  func note(
    _ phase: BridgePhase, _ before: [InformationSharingModule.Table], _ sharing: InformationSharingModule
  ) {
    var counts: [String: Int] = [:]
    var shifts: [String: Double] = [:]
    var spreads: [String: Double] = [:]
    for (kind, old) in zip(EntityKind.allCases, before) {
      let new = sharing[kind]
      let written = new.versions.indices.filter { new.versions[$0] > old.versions[$0] }
      let moved = written.filter { old.versions[$0] > 0 }.map(Int32.init)
      counts[kind.rawValue] = written.count
      spreads[kind.rawValue] = new.spread
      guard !moved.isEmpty else { continue }
      let ids = Tensor(moved)
      let cosines = old.rows.gatheredRows(ids).unitNormalized()
        .rowDot(new.rows.gatheredRows(ids).unitNormalized())
      shifts[kind.rawValue] = 1 - cosines.mean().item
    }
    writings.append(
      Writing(phase: phase.name, writer: phase.side, counts: counts, shifts: shifts, spreads: spreads))
  }

  func allIDs(_ kind: EntityKind, _ context: BridgeContext) -> [Int32] {
    Array(0..<Int32(context.domain.vocabulary.count(of: kind)))
  }

  func writeDomain(_ context: BridgeContext) throws {
    let side = try context.domain.contextual
    for kind in EntityKind.allCases {
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: .row)
      guard rows.shape[1] == configuration.sharing.width else {
        throw BridgeError.invalidState(
          path: side.name, place: "representations of \(kind.rawValue)s",
          expected: "width \(configuration.sharing.width), that of the store", found: "\(rows.shape[1])")
      }
      // A row that no interaction has trained says nothing.
      let counts = interactionCounts(kind, context)
      sharing?.write(
        kind, ids: ids, rows: rows, by: .domain,
        confidences: counts.map { Float($0) / Float($0 + 1) })
    }
  }

  func initializeTokens(_ context: BridgeContext) throws {
    let side = try context.language.tables
    var generator = RandomGenerator(seed: configuration.seed).split(1)
    guard let sharing, let width = side.entityWidth(.item) else { return }
    let statistics = side.pretrainedRowStatistics ?? (Tensor.zeros([width]), 0.02)
    // Tokens have the store's directions; lengths are the business of the language model's own rows.
    let map = OrthonormalMap(
      matching: sharing.items.rows.unitNormalized(), mean: statistics.mean, deviation: statistics.deviation,
      using: &generator)
    for kind in EntityKind.allCases where side.entityWidth(kind) != nil {
      side.setEntityRows(kind, to: map.up(sharing[kind].rows.unitNormalized()))
      if source(kind) == .row { maps[kind] = .orthonormal(map) }
    }
    tokenMap = map
    context.log("entity tokens initialised from the store")
  }

  func source(_ kind: EntityKind) -> RepresentationSource? {
    kind == .user ? configuration.userSource : configuration.itemSource
  }

  /// Fits a map for each kind whose representations are contextual.
  func fitMaps(_ context: BridgeContext) throws {
    let side = try context.language.contextual
    guard let sharing else { return }
    for kind in EntityKind.allCases {
      guard let source = source(kind), side.representationSources(kind).contains(source) else { continue }
      if source == .row, case .orthonormal = maps[kind] { continue }
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: source)
      maps[kind] = .ridge(
        RidgeMap(
          inputs: rows, outputs: sharing[kind].rows, strength: configuration.ridge,
          weights: Tensor(ridgeWeights(kind, context))))
    }
  }

  /// How much each entity counts where a map is fitted: rows that were never trained say nothing.
  func ridgeWeights(_ kind: EntityKind, _ context: BridgeContext) -> [Float] {
    interactionCounts(kind, context).map { Float(Swift.min(Int($0), configuration.ridgeInteractions)) }
  }

  func interactionCounts(_ kind: EntityKind, _ context: BridgeContext) -> [Int32] {
    let training = context.split.training
    return kind == .user ? training.userCounts() : training.itemCounts()
  }

  func writeLanguage(_ context: BridgeContext) throws {
    let side = try context.language.contextual
    guard let sharing else { return }
    for kind in EntityKind.allCases {
      let written = kind == .user ? configuration.writtenUserSource : configuration.writtenItemSource
      guard let source = written, side.representationSources(kind).contains(source) else { continue }
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: source)
      if source == .row, let tokenMap {
        // Token rows began as images of the store's: how much they explain of these says nothing.
        sharing.write(kind, ids: ids, rows: tokenMap.down(rows), by: .language)
        continue
      }
      // Some dimensions of a language model's states are hundreds of times larger than the rest.
      let inputs = source.isState ? InputScaling(fitting: rows)(rows) : rows
      let weights = ridgeWeights(kind, context)
      let mapped = RidgeMap.crossFitted(
        inputs: inputs, outputs: sharing[kind].rows, strength: configuration.ridge, weights: weights,
        seed: configuration.seed)
      let prior = RowPrior(rows: mapped, of: sharing[kind].rows, weights: weights)
      sharing.write(kind, ids: ids, rows: mapped, by: .language, confidences: prior.confidences.floats)
      priors[kind] = prior
    }
  }
}
