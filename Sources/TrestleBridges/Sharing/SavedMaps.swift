import Foundation
import TrestleTensor

extension BDLMStrategy.LanguageMap {
  /// The parts of the map as a state keeps them.
  func save(_ kind: EntityKind, into state: inout BridgeState) {
    let name = "map.\(kind.rawValue)"
    switch self {
    case .orthonormal(let map): map.save(into: &state, as: name)
    case .ridge(let map):
      state.tensors["\(name).weight"] = map.weight
      state.tensors["\(name).input_mean"] = map.inputMean
      state.tensors["\(name).output_mean"] = map.outputMean
    }
  }

  /// The saved map of a kind; `nil` if the state has none.
  ///
  /// - Parameters:
  ///   - kind: users or items.
  ///   - state: what ``save(_:into:)`` has written to.
  ///   - shared: the width of the store.
  ///   - side: the language side, whose representations the map is for.
  ///   - source: where those of the kind come from in the losses.
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for a map that does not lead from the side's
  ///   representations to the store, or that has a number which is none.
  static func saved(
    _ kind: EntityKind, in state: BridgeState, shared: Int, side: any ContextualRepresentations,
    source: RepresentationSource?
  ) throws(BridgeError) -> BDLMStrategy.LanguageMap? {
    let name = "map.\(kind.rawValue)"
    let sources = side.representationSources(kind)
    func width(_ source: RepresentationSource?) throws(BridgeError) -> Int {
      guard let source, sources.contains(source) else {
        throw .invalidState(
          path: "bridge state", place: name, expected: "no map: '\(side.name)' has nothing to map",
          found: "one")
      }
      return side.representationWidth(kind, source: source)
    }
    if state.tensors["\(name).basis"] != nil {
      let wide = try width(.row)
      return .orthonormal(try OrthonormalMap(from: state, as: name, shared: shared, wide: wide))
    }
    guard state.tensors["\(name).weight"] != nil else { return nil }
    let inputs = try width(source)
    return .ridge(
      RidgeMap(
        weight: try state.finiteTensor("\(name).weight", shape: [inputs, shared]),
        inputMean: try state.finiteTensor("\(name).input_mean", shape: [inputs]),
        outputMean: try state.finiteTensor("\(name).output_mean", shape: [shared])))
  }
}

extension OrthonormalMap {
  /// The parts of the map as a state keeps them.
  func save(into state: inout BridgeState, as name: String) {
    state.tensors["\(name).basis"] = basis
    state.tensors["\(name).mean"] = mean
    state.values["\(name).scale"] = "\(scale)"
  }

  /// A saved map from rows of a width to the store's.
  ///
  /// - Throws: ``BridgeError/invalidState(path:place:expected:found:)`` for other widths, or a number which is none.
  init(from state: BridgeState, as name: String, shared: Int, wide: Int) throws(BridgeError) {
    let scale = state.values["\(name).scale"]
    guard let factor = scale.flatMap(Double.init), factor.isFinite, factor > 0 else {
      throw .invalidState(
        path: "bridge state", place: "\(name).scale", expected: "a number above 0",
        found: scale ?? "nothing")
    }
    self.init(
      basis: try state.finiteTensor("\(name).basis", shape: [shared, wide]),
      mean: try state.finiteTensor("\(name).mean", shape: [wide]), scale: factor)
  }
}

extension KernelRidge.Configuration {
  /// The settings as they stand in a bridge's state.
  var savedText: String? {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Settings of ``savedText``, validated.
  init(savedText: String) throws {
    guard let map = try? JSONDecoder().decode(Self.self, from: Data(savedText.utf8)), map.strength >= 0,
      map.strength.isFinite,
      map.maximumExamples > 0
    else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "map", expected: "kernel, penalty and number of examples",
        found: savedText)
    }
    self = map
  }
}
