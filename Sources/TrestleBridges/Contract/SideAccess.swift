import TrestleTensor

/// What a side can do, asked for by name: `try context.language.scores.makeScorer()`.
///
/// A bridge that has named a capability in ``SharingBridge/requirements`` finds it here: the trainer has checked that. Any other
/// that is lacking is an error.
extension BridgeSide {
  /// The side as something with rows of its own.
  public var tables: any EntityTables {
    get throws(BridgeError) { try able(.entityTables, self as? any EntityTables) }
  }

  /// The side as something that represents users and items in context.
  public var contextual: any ContextualRepresentations {
    get throws(BridgeError) { try able(.contextualRepresentations, self as? any ContextualRepresentations) }
  }

  /// The side as something that reads texts by halves.
  public var halves: any CrossFittedReading {
    get throws(BridgeError) { try able(.crossFittedReading, self as? any CrossFittedReading) }
  }

  /// The side as something that scores items.
  public var scores: any ScoreProvider {
    get throws(BridgeError) { try able(.scores, self as? any ScoreProvider) }
  }

  /// The side as something that answers about pairs of a user and an item.
  public var answering: any AnswerProvider {
    get throws(BridgeError) { try able(.answers, self as? any AnswerProvider) }
  }

  /// The side as something whose input has slots.
  public var input: any InputInjection {
    get throws(BridgeError) { try able(.inputInjection, self as? any InputInjection) }
  }

  /// The side as something whose prompts take words.
  public var words: any PromptFields {
    get throws(BridgeError) { try able(.promptFields, self as? any PromptFields) }
  }

  /// The side as something whose adapters can be mixed.
  public var gating: any AdapterGating {
    get throws(BridgeError) { try able(.adapterGating, self as? any AdapterGating) }
  }

  /// The side as something whose items have codes.
  public var codes: any ItemCodes {
    get throws(BridgeError) { try able(.itemCodes, self as? any ItemCodes) }
  }

  /// The side as something whose rows take features.
  public var features: any FeatureInjection {
    get throws(BridgeError) { try able(.featureInjection, self as? any FeatureInjection) }
  }

  /// The side as something that can be drawn to a prior.
  public var prior: any PriorInjection {
    get throws(BridgeError) { try able(.priorInjection, self as? any PriorInjection) }
  }

  /// The side as something whose training data can be changed.
  public var interactions: any InteractionHooks {
    get throws(BridgeError) { try able(.interactionHooks, self as? any InteractionHooks) }
  }

  /// The side as something that is trained.
  public var training: any TrainableSide {
    get throws(BridgeError) { try able(.training, self as? any TrainableSide) }
  }

  /// The representations of all entities of a kind from a source, `[count, width]`, not tracked.
  ///
  /// - Throws: ``BridgeError/missingCapability(bridge:side:capability:)`` if the side has none, and what computing throws.
  public func representations(ofAll kind: EntityKind, from source: RepresentationSource) throws -> Tensor {
    let side = try contextual
    try side.requireSource(source, of: kind, for: "\(kind.rawValue)s from \(source.rawValue)")
    return try side.representations(
      of: kind, ids: Array(0..<Int32(vocabulary.count(of: kind))), source: source)
  }

  private func able<Ability>(_ capability: Capability, _ ability: Ability?) throws(BridgeError) -> Ability {
    guard let ability else {
      throw .missingCapability(bridge: "a bridge", side: name, capability: capability)
    }
    return ability
  }
}
