import TrestleNN
import TrestleTensor

/// A phase's best state: what it takes back at its end.
struct BestState {
  /// The values of the side's parameters and of the bridge's own that train with it, by name.
  var values: [String: Tensor] = [:]
  /// What the optimizer remembered about them.
  var moments: [String: OptimizerState] = [:]
  /// What the bridge kept beside them.
  var state = BridgeState()

  var isEmpty: Bool { values.isEmpty }
}

extension BridgeTrainer {
  /// A side's parameters, and the bridge's own that train with it, each once.
  func parameters(
    of role: SideRole, _ side: any ParameterGroups
  ) -> [(name: String, parameter: Parameter)] {
    var seen = Set<ObjectIdentifier>()
    let own = bridge.phases.filter { $0.side == role }.flatMap { bridge.parameterGroups(in: $0) }
    return (side.parameterGroups + own).flatMap(\.parameters).filter {
      seen.insert(ObjectIdentifier($0.parameter)).inserted
    }
  }

  /// The parameters that a phase's best state holds: those of its side and the bridge's own, and, with `peer.` before their names,
  /// those of the other side that train with it. With each the side whose optimizer moves it.
  func trained(
    in phase: BridgePhase, _ side: any ParameterGroups
  ) -> [(name: String, parameter: Parameter, role: SideRole)] {
    parameters(of: phase.side, side).map { ($0.name, $0.parameter, phase.side) }
      + peerGroups(in: phase).flatMap(\.parameters).map {
        ("peer.\($0.name)", $0.parameter, phase.side.peer)
      }
  }

  /// How many updates a parameter has had in the phases of a side.
  public func updateCount(of parameter: Parameter, training role: SideRole) -> Int {
    optimizers[role]?.state(of: parameter)?.updateCount ?? 0
  }

  /// The present state of what trains in a phase and of the bridge.
  func currentState(in phase: BridgePhase, _ side: any ParameterGroups) -> BestState {
    currentState(of: trained(in: phase, side))
  }

  private func currentState(
    of parameters: [(name: String, parameter: Parameter, role: SideRole)]
  ) -> BestState {
    var result = BestState()
    for (name, parameter, role) in parameters {
      result.values[name] = parameter.detached.copied()
      if var moments = optimizers[role]?.state(of: parameter) {
        moments.tensors = moments.tensors.mapValues { $0.copied() }
        result.moments[name] = moments
      }
    }
    result.state = bridge.saveState()
    return result
  }

  /// Takes the phase's best state back: the side, the bridge's own parameters, the moments of both, and the bridge's state.
  func restoreBest(_ phase: BridgePhase, _ side: any ParameterGroups) throws {
    if !bridge.saveState().hasSameContent(as: best.state) {
      // The bridge may make new parameters as it loads: those of the other side's phases keep their values too.
      let other = phase.side.peer
      func others() -> [(name: String, parameter: Parameter, role: SideRole)] {
        guard let side = context.side(other) as? any ParameterGroups else { return [] }
        return parameters(of: other, side).map { ($0.name, $0.parameter, other) }
      }
      let kept = currentState(of: others())
      try bridge.loadState(best.state, context)
      put(kept, into: others())
    }
    put(best, into: trained(in: phase, side))
  }

  private func put(
    _ state: BestState, into parameters: [(name: String, parameter: Parameter, role: SideRole)]
  ) {
    for (name, parameter, role) in parameters {
      guard let value = state.values[name] else { continue }
      parameter.update(to: value)
      optimizers[role]?.setState(state.moments[name], of: parameter)
    }
  }
}

extension BridgeState {
  /// Whether both hold the same values and the same bits.
  func hasSameContent(as other: BridgeState) -> Bool {
    guard values == other.values, Set(tensors.keys) == Set(other.tensors.keys) else { return false }
    return tensors.allSatisfy { name, tensor in
      guard let twin = other.tensors[name], twin.shape == tensor.shape, twin.dtype == tensor.dtype else {
        return false
      }
      switch tensor.dtype {
      case .int32: return tensor.scalars(as: Int32.self) == twin.scalars(as: Int32.self)
      case .float64: return tensor.scalars(as: Double.self) == twin.scalars(as: Double.self)
      default: return tensor.floats == twin.floats
      }
    }
  }
}
