import TrestleTensor

/// Phases in which groups of the other side train in the same steps.
extension BridgeTrainer {
  /// The groups of the other side that train in a phase.
  func peerGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard let names = phase.peerGroups, !names.isEmpty,
      let peer = context.side(phase.side.peer) as? any ParameterGroups
    else { return [] }
    return peer.parameterGroups.filter { names.contains($0.name) }
  }

  /// Stops a phase that names groups which the other side has not, or which gradients cannot reach.
  func checkPeer(_ phase: BridgePhase) throws(BridgeError) {
    guard let names = phase.peerGroups, !names.isEmpty else { return }
    let peer = context.side(phase.side.peer)
    let known = Set((peer as? any ParameterGroups)?.parameterGroups.map(\.name) ?? [])
    guard peer is any TrackedRepresentations, names.isSubset(of: known) else {
      let missing = names.subtracting(known).sorted().joined(separator: ", ")
      throw .missingCapability(
        bridge: "\(bridge.name), phase '\(phase.name)', which trains both sides"
          + (missing.isEmpty ? "" : " and names the groups \(missing)"),
        side: peer.name, capability: missing.isEmpty ? .contextualRepresentations : .parameterGroups)
    }
  }

  /// A side's step as the bridge sees it: with what the other side makes of entities.
  package func step(
    on batch: any SideBatch, of side: any TrainableSide, in phase: BridgePhase
  ) throws -> SideStep {
    var step = try side.step(on: batch)
    step.peerRepresent = peerRepresentations(phase)
    return step
  }

  /// What a step sees of the other side: tracked if some of it trains too.
  func peerRepresentations(
    _ phase: BridgePhase
  ) -> ((_ kind: EntityKind, _ ids: Tensor, _ source: RepresentationSource) throws -> Tensor?)? {
    let peer = context.side(phase.side.peer)
    if phase.peerGroups?.isEmpty == false, let peer = peer as? any TrackedRepresentations {
      return { kind, ids, source in
        guard peer.representationSources(kind).contains(source) else { return nil }
        return try peer.trackedRepresentations(of: kind, ids: ids, source: source)
      }
    }
    guard let peer = peer as? any ContextualRepresentations else { return nil }
    return { kind, ids, source in
      guard peer.representationSources(kind).contains(source) else { return nil }
      return try peer.representations(of: kind, ids: ids.scalars(), source: source)
    }
  }
}
