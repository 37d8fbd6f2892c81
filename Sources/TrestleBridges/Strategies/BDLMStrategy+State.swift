import Foundation
import TrestleTensor

extension BDLMStrategy {
  /// The store and the maps.
  func savedState() -> BridgeState {
    var state = BridgeState()
    sharing?.save(into: &state)
    if let firstItems { state.tensors["first_items"] = firstItems }
    if let text = try? JSONEncoder().encode(writings) {
      state.values["writings"] = String(decoding: text, as: UTF8.self)
    }
    if let tokenMap { tokenMap.save(into: &state, as: "map.tokens") }
    for (kind, map) in maps {
      let name = "map.\(kind.rawValue)"
      switch map {
      case .orthonormal(let map): map.save(into: &state, as: name)
      case .ridge(let map): map.save(into: &state, as: name)
      }
    }
    return state
  }

  /// Takes over a saved store and maps.
  func takeOver(_ state: BridgeState, _ context: BridgeContext) throws {
    let store = InformationSharingModule(context.domain.vocabulary, configuration: configuration.sharing)
    try store.load(from: state)
    sharing = store
    firstItems = state.tensors["first_items"]
    writings = try JSONDecoder().decode([Writing].self, from: Data((state.values["writings"] ?? "[]").utf8))
    tokenMap = try OrthonormalMap(from: state, as: "map.tokens")
    maps = [:]
    for kind in EntityKind.allCases {
      let name = "map.\(kind.rawValue)"
      if let map = try OrthonormalMap(from: state, as: name) {
        maps[kind] = .orthonormal(map)
      } else if let map = try RidgeMap(from: state, as: name) {
        maps[kind] = .ridge(map)
      }
    }
  }
}

extension OrthonormalMap {
  fileprivate func save(into state: inout BridgeState, as name: String) {
    state.tensors["\(name).basis"] = basis
    state.tensors["\(name).mean"] = mean
    state.values["\(name).scale"] = "\(scale)"
  }

  /// The saved map; `nil` if there is none of that name.
  fileprivate init?(from state: BridgeState, as name: String) throws {
    guard let basis = state.tensors["\(name).basis"], basis.rank == 2 else { return nil }
    let mean = try state.tensor("\(name).mean", shape: [basis.shape[1]], dtype: .float32)
    guard let scale = state.values["\(name).scale"].flatMap(Double.init) else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "\(name).scale", expected: "a number",
        found: state.values["\(name).scale"] ?? "nothing")
    }
    self.init(basis: basis, mean: mean, scale: scale)
  }
}

extension RidgeMap {
  fileprivate func save(into state: inout BridgeState, as name: String) {
    state.tensors["\(name).weight"] = weight
    state.tensors["\(name).input_mean"] = inputMean
    state.tensors["\(name).output_mean"] = outputMean
  }

  /// The saved map; `nil` if there is none of that name.
  fileprivate init?(from state: BridgeState, as name: String) throws {
    guard let weight = state.tensors["\(name).weight"], weight.rank == 2 else { return nil }
    self.init(
      weight: weight,
      inputMean: try state.tensor("\(name).input_mean", shape: [weight.shape[0]], dtype: .float32),
      outputMean: try state.tensor("\(name).output_mean", shape: [weight.shape[1]], dtype: .float32))
  }
}
