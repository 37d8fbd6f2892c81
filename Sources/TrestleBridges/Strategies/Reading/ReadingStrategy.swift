import TrestleRecommenders
import TrestleTensor

/// BDLM with a language side that reads words: the language model writes rows for what the recommender knows nothing of.
///
/// 1. Warm-up: the recommender trains alone, and writes the rows of the users and items that it has interactions of.
/// 2. Reading: the language side takes over the users' rows and a map that fits the items' rows, and learns to tell from an
///    item's text which users take it (see ``ReadingSide``). It ends at the state in which its reading ranks the new items of
///    the validation data best.
/// 3. Writing: a map from the tuned states, beside those of the untrained model if they are given, to the store's rows is
///    fitted by ``KernelRidge`` on the items with interactions, its kernel and penalty chosen on the same validation data; what
///    it predicts of items without any is written.
/// 4. Use: the recommender's rows for what it knows, the language model's for what it does not, at a scale fitted on the
///    validation data.
///
/// The rows written come from a map that has not seen them, since they did not exist: they are no echo.
///
/// Source: Zhang et al., *Bridging the Information Gap Between Domain-Specific Model and General LLM for Personalized
/// Recommendation* (2023), for the store that both sides write in turn. That texts are mapped by kernel ridge regression, that
/// the language side learns from users rather than from rows, and that new items alone are written, are our choices.
public final class ReadingStrategy: BridgeStrategy {
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
    /// The maps that validation chooses among.
    public var maps = KernelRidge.Configuration.candidates
    /// The scales of written rows that validation chooses among, beside the recommender's own rows; at 0 nothing is said.
    public var scales = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3]

    /// The defaults.
    public init() {}
  }

  /// How the sides exchange.
  public let configuration: Configuration
  /// The items that are new in the validation data.
  public let validationItems: [Int32]
  /// What the untrained language model makes of every item's text, `[items, any width]`, read beside the tuned states; `nil`
  /// reads these alone.
  public let untrained: Tensor?
  /// The store, once it is written to.
  public private(set) var sharing: InformationSharingModule?
  /// The map that was chosen.
  public private(set) var chosenMap: KernelRidge.Configuration?
  /// The scale that was chosen.
  public private(set) var chosenScale = 1.0

  /// A bridge over a split whose validation data has new items.
  ///
  /// - Parameters:
  ///   - validationItems: these items.
  ///   - untrained: what the untrained language model makes of every item's text, `[items, any width]`, to be read beside the
  ///     tuned states; tuning then adds to it and replaces nothing.
  ///   - configuration: how the sides exchange.
  public init(
    validationItems: [Int32], untrained: Tensor? = nil, configuration: Configuration = Configuration()
  ) {
    self.configuration = configuration
    self.untrained = untrained
    self.validationItems = validationItems
    var phases = [
      BridgePhase(
        name: "warm-up", side: .domain, epochs: configuration.warmUpEpochs,
        patience: configuration.domainPatience,
        validationInterval: configuration.domainValidationInterval)
    ]
    if configuration.readingEpochs > 0 {
      phases.append(
        BridgePhase(
          name: "reading", side: .language, groups: ["adapters", "map"], epochs: configuration.readingEpochs,
          patience: configuration.readingPatience, countsEntry: true))
    }
    super.init(name: "BDLM, reading", phases: phases)
  }

  /// Rows on the domain side, texts on the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .contextualRepresentations],
    ]
  }

  /// The language side begins with the store's users and a map that fits its items.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language, let sharing else { return }
    guard let side = context.language as? ReadingSide else {
      throw BridgeError.missingCapability(
        bridge: "\(name), which puts the store's rows into a reading side,", side: context.language.name,
        capability: .entityTables)
    }
    side.adopt(
      userRows: sharing.users.rows, itemRows: sharing.items.rows, weights: itemWeights(context))
  }

  /// The recommender writes what it has interactions of; the language side what it reads of the rest.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    if phase.side == .domain { try writeDomain(context) } else { try writeReading(context) }
    if phase.side == .domain && configuration.readingEpochs == 0 { try writeReading(context) }
  }

  /// A reading is as good as it ranks the new items of the validation data, for the store's users.
  public override func validate(_ phase: BridgePhase, _ context: BridgeContext) throws -> Double? {
    guard phase.side == .language, let sharing else { return nil }
    // The map is chosen before the first epoch, and anew when the phase ends.
    let choice = try chooseMap(
      try readings(context), sharing, context, among: chosenMap.map { [$0] } ?? configuration.maps)
    chosenMap = choice.map
    return choice.value
  }

  /// The distance of the mapped texts from the store's rows.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard configuration.distanceWeight > 0, phase.side == .language, let sharing, let items = step.items,
      items.representations.shape[1] == sharing.configuration.width
    else { return nil }
    let rows = sharing.read(.item, items.ids)
    let size = Swift.max(rows.squared().mean().item, 1e-12)
    return (items.representations - rows).squared().mean() * (configuration.distanceWeight / size)
  }

  /// The recommender with the store's rows for new items.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    var result = try super.recommenders(context)
    if let rows { result.domain = InnerProductScorer(rows) }
    return result
  }

  // MARK: Exchange

  private func itemWeights(_ context: BridgeContext) -> [Float] {
    context.split.training.itemCounts().map { Float(Swift.min(Int($0), configuration.countedInteractions)) }
  }

  private func writeDomain(_ context: BridgeContext) throws {
    let side = try context.domain.contextual
    let training = context.split.training
    var store: InformationSharingModule?
    for kind in EntityKind.allCases {
      let counts = kind == .user ? training.userCounts() : training.itemCounts()
      let known = counts.indices.filter { counts[$0] > 0 }.map { Int32($0) }
      let rows = try side.representations(of: kind, ids: known, source: .row)
      let table =
        store
        ?? InformationSharingModule(
          context.domain.vocabulary,
          configuration: .init(width: rows.shape[1], writeRate: 1, isNormalized: false))
      table.write(kind, ids: known, rows: rows, by: .domain)
      store = table
    }
    sharing = store
  }

  /// What the language side makes of every item's text, `[items, hidden]`.
  private func readings(_ context: BridgeContext) throws -> Tensor {
    let tuned = try context.language.contextual.representations(
      of: .item, ids: Array(0..<Int32(context.split.itemCount)), source: .text)
    guard let untrained else { return tuned }
    return RowReading.sideBySide([untrained, tuned])
  }

  private func chooseMap(
    _ readings: Tensor, _ sharing: InformationSharingModule, _ context: BridgeContext,
    among maps: [KernelRidge.Configuration]
  ) throws -> (map: KernelRidge.Configuration, value: Double, rows: Tensor) {
    let choice = try RowReading(
      readings: readings, rows: Representations(users: sharing.users.rows, items: sharing.items.rows),
      weights: itemWeights(context), maps: maps
    ).best(on: context.split, items: validationItems)
    return (choice.map, choice.value, choice.rows)
  }

  private func writeReading(_ context: BridgeContext) throws {
    guard let sharing else { return }
    let choice = try chooseMap(try readings(context), sharing, context, among: configuration.maps)
    chosenMap = choice.map
    let counts = context.split.training.itemCounts()
    let unknown = counts.indices.filter { counts[$0] == 0 }.map { Int32($0) }
    chosenScale = try Self.bestScale(
      choice.rows, Representations(users: sharing.users.rows, items: sharing.items.rows), context.split,
      validationItems, configuration.scales)
    sharing.write(.item, ids: unknown, rows: choice.rows.gatheredRows(Tensor(unknown)), by: .language)
    context.log(
      "\(unknown.count) items without interactions written from their texts, at scale \(chosenScale)")
  }

  /// The rows that the trained bridge ranks by: the store's, those that the language side wrote at the chosen scale; `nil` before
  /// anything was written.
  public var rows: Representations? {
    sharing.map { sharing in
      let factors = sharing.items.lastWriters.map { $0 == .language ? Float(chosenScale) : 1 }
      return Representations(
        users: sharing.users.rows, items: sharing.items.rows * Tensor(factors, shape: [factors.count, 1]))
    }
  }

  // MARK: State

  /// The store, the scale and the map.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    guard let sharing else { return state }
    sharing.save(into: &state)
    state.values["width"] = "\(sharing.configuration.width)"
    state.values["scale"] = "\(chosenScale)"
    state.values["map"] = chosenMap?.savedText
    return state
  }

  /// Takes over a saved store, scale and map.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    guard let text = state.values["width"] else {
      sharing = nil
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
    (sharing, chosenScale, chosenMap) = (store, scale, map)
  }
}
