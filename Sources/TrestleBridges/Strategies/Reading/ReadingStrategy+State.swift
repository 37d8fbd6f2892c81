import TrestleRecommenders
import TrestleTensor

extension ReadingStrategy {
  /// How the sides exchange.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The most epochs of the recommender alone.
    public var warmUpEpochs = 300
    /// Its validations without improvement that end the warm-up.
    public var domainPatience = 10
    /// Epochs between the recommender's validations.
    public var domainValidationInterval = 2
    /// The most epochs of the language side; 0 leaves the language model as it is.
    public var readingEpochs = 6
    /// Its validations without improvement that end the phase.
    public var readingPatience = 2
    /// The weight of the distance of the mapped texts from the store's rows, relative to these rows' mean square, in the
    /// reading phase.
    public var distanceWeight = 0.0
    /// An item counts as its training interactions, up to this many, where a map is fitted.
    public var countedInteractions = 20
    /// Whether the language side also writes rows of items with interactions, by two readers.
    public var writesKnownItems = false
    /// The maps that validation chooses among.
    public var maps = KernelRidge.Configuration.candidates
    /// The scales of written rows that validation chooses among, beside the recommender's own rows; at 0 nothing is said.
    public var scales = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3]

    /// The defaults.
    public init() {}
  }

  /// Draws the rows of known items to what was written of them without an echo.
  func drawKnownItems(
    _ written: Tensor, _ sharing: InformationSharingModule, _ context: BridgeContext
  ) throws {
    let counts = context.split.training.itemCounts()
    let own = Representations(users: sharing.users.rows, items: sharing.items.rows)
    let halves = try context.language.halves.readingHalves
    // With one reader an item's row would be an echo.
    guard let halves else {
      throw BridgeError.missingCapability(
        bridge: "\(name), which writes known items,", side: context.language.name,
        capability: .crossFittedReading)
    }
    let speaks = Tensor(halves.map { $0 < 0 ? Float(0) : 1 }, shape: [halves.count, 1])
    let prior = RowPrior(rows: written * speaks, of: own.items, weights: itemWeights(context))
    let best = try RowPrior.chosen(
      among: [.item: prior], of: own, split: context.split,
      candidates: counts.indices.filter { counts[$0] > 0 }.map { Int32($0) })
    drawnItems = (best.rows.items, best.strength)
    context.log("what is read of known items, where sure, counts as \(best.strength) interactions")
  }

  func savedState() -> BridgeState {
    var state = BridgeState()
    guard let sharing else { return state }
    sharing.save(into: &state)
    state.values["width"] = "\(sharing.configuration.width)"
    state.values["scale"] = "\(chosenScale)"
    state.values["map"] = chosenMap?.savedText
    if let drawnItems {
      state.tensors["known"] = drawnItems.rows
      state.values["strength"] = "\(drawnItems.strength)"
    }
    return state
  }

  func takeOver(_ state: BridgeState, _ context: BridgeContext) throws {
    guard let text = state.values["width"] else {
      (sharing, drawnItems) = (nil, nil)
      return
    }
    // The store is made as wide as its rows are, never as a number alone says.
    let rows = state.tensors["sharing.items.rows"]?.shape
    guard let width = Int(text), width > 0, rows?.rank == 2, rows?[1] == width,
      let scale = state.values["scale"].flatMap(Double.init), scale.isFinite, scale >= 0
    else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "width, scale", expected: "a width and a scale", found: text)
    }
    let store = InformationSharingModule(
      context.domain.vocabulary, configuration: .init(width: width, writeRate: 1, isNormalized: false))
    try store.load(from: state)
    let map = try state.values["map"].map(KernelRidge.Configuration.init(savedText:))
    let drawn = try savedDrawnItems(state, shape: [context.split.itemCount, width])
    (sharing, chosenScale, chosenMap, drawnItems) = (store, scale, map, drawn)
  }

  private func savedDrawnItems(
    _ state: BridgeState, shape: Shape
  ) throws(BridgeError) -> (rows: Tensor, strength: Double)? {
    guard state.tensors["known"] != nil || state.values["strength"] != nil else { return nil }
    let text = state.values["strength"] ?? "none"
    guard let strength = Double(text), strength.isFinite, strength >= 0 else {
      throw .invalidState(
        path: "bridge state", place: "strength", expected: "0 or more interactions",
        found: String(text.prefix(60)))
    }
    return (try state.finiteTensor("known", shape: shape), strength)
  }
}
