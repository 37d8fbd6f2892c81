import Foundation
import TrestleTensor

extension BDLMStrategy {
  private static let tokenMapName = "map.tokens"

  /// The store and the maps.
  func savedState() -> BridgeState {
    var state = BridgeState()
    sharing?.save(into: &state)
    if let gate { state.tensors["divergence_gate"] = gate }
    if let firstItems { state.tensors["first_items"] = firstItems }
    if let text = try? RecordCoding.encoder().encode(writings) {
      state.values["writings"] = String(decoding: text, as: UTF8.self)
    }
    if let tokenMap { tokenMap.save(into: &state, as: Self.tokenMapName) }
    for (kind, map) in maps { map.save(kind, into: &state) }
    for (kind, prior) in priors { prior.save(kind, into: &state) }
    return state
  }

  /// Takes over a saved store and maps; everything is checked before anything changes.
  func takeOver(_ state: BridgeState, _ context: BridgeContext) throws {
    let store = InformationSharingModule(context.domain.vocabulary, configuration: configuration.sharing)
    try store.load(from: state)
    let side = try context.language.contextual
    let shared = configuration.sharing.width
    var saved: [EntityKind: LanguageMap] = [:]
    for kind in EntityKind.allCases {
      saved[kind] = try .saved(kind, in: state, shared: shared, side: side, source: source(kind))
    }
    let tokens = try state.tensors["\(Self.tokenMapName).basis"].map { _ in
      try OrthonormalMap(
        from: state, as: Self.tokenMapName, shared: shared,
        wide: side.representationWidth(.item, source: .row))
    }
    let first = try state.tensors["first_items"].map { _ in
      try state.finiteTensor("first_items", shape: store.items.rows.shape)
    }
    let gate = try state.tensors["divergence_gate"].map { _ in
      try state.finiteTensor("divergence_gate", shape: [context.domain.vocabulary.userCount])
    }
    var priors: [EntityKind: RowPrior] = [:]
    for kind in EntityKind.allCases {
      priors[kind] = try RowPrior.saved(kind, in: state, shape: store[kind].rows.shape)
    }
    let text = state.values["writings"] ?? "[]"
    guard let writings = try? RecordCoding.decoder().decode([Writing].self, from: Data(text.utf8)) else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "writings", expected: "a record of writings", found: "something else")
    }
    (self.writings, maps, firstItems, sharing, tokenMap) = (writings, saved, first, store, tokens)
    (self.gate, self.priors) = (gate, priors)
  }
}
