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

  /// How many updates a parameter has had in the phases of a side.
  public func updateCount(of parameter: Parameter, training role: SideRole) -> Int {
    optimizers[role]?.state(of: parameter)?.updateCount ?? 0
  }

  /// The present state of a side in training and of the bridge.
  func currentState(of role: SideRole, _ side: any ParameterGroups) -> BestState {
    var result = BestState()
    for (name, parameter) in parameters(of: role, side) {
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
  func restoreBest(_ role: SideRole, _ side: any ParameterGroups) throws {
    if !bridge.saveState().hasSameContent(as: best.state) {
      // The bridge may make new parameters as it loads: those of the other side's phases keep their values too.
      let others = SideRole.allCases.filter { $0 != role }
      let kept = others.map { role in
        (context.side(role) as? any ParameterGroups).map { currentState(of: role, $0) }
      }
      try bridge.loadState(best.state, context)
      for (role, state) in zip(others, kept) {
        if let state, let side = context.side(role) as? any ParameterGroups { put(state, role, side) }
      }
    }
    put(best, role, side)
  }

  private func put(_ state: BestState, _ role: SideRole, _ side: any ParameterGroups) {
    for (name, parameter) in parameters(of: role, side) {
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
