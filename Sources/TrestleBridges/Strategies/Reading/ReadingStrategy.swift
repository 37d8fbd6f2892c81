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
/// The rows written come from a map that has not seen them, since they did not exist: they are no echo. With
/// ``Configuration/writesKnownItems`` rows of items with interactions are written too, each by the one of two readers that has not
/// learnt from the item (``ReadingSide/Configuration/crossFitsAdapters``), with the share of the rows' variance that is explained so as
/// their confidence; they are a prior of the recommender's rows, as strong as validation data wants it.
///
/// Source: Zhang et al., *Bridging the Information Gap Between Domain-Specific Model and General LLM for Personalized
/// Recommendation* (2023), for the store that both sides write in turn. That texts are mapped by kernel ridge regression, that
/// the language side learns from users rather than from rows, and that new items alone are written, are our choices.
public final class ReadingStrategy: BridgeStrategy {
  /// How the sides exchange.
  public let configuration: Configuration
  /// The items that are new in the validation data.
  public let validationItems: [Int32]
  /// What the untrained language model makes of every item's text, `[items, any width]`, read beside the tuned states; `nil`
  /// reads these alone.
  public let untrained: Tensor?
  /// The store, once it is written to.
  public internal(set) var sharing: InformationSharingModule?
  /// The map that was chosen.
  public internal(set) var chosenMap: KernelRidge.Configuration?
  /// The scale that was chosen.
  public internal(set) var chosenScale = 1.0
  /// The recommender's rows of known items, drawn to what was written of them, `[items, width]`, and as how many interactions
  /// that counts where it is sure; `nil` before, and if none are written.
  public internal(set) var drawnItems: (rows: Tensor, strength: Double)?

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
    let reading: Set<Capability> = [.training, .contextualRepresentations]
    return [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: configuration.writesKnownItems ? reading.union([.crossFittedReading]) : reading,
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
    let choice = try chooseMap(sharing, context, among: chosenMap.map { [$0] } ?? configuration.maps)
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

  func itemWeights(_ context: BridgeContext) -> [Float] {
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
    _ sharing: InformationSharingModule, _ context: BridgeContext, among maps: [KernelRidge.Configuration]
  ) throws -> (map: KernelRidge.Configuration, value: Double, rows: Tensor) {
    let rows = Representations(users: sharing.users.rows, items: sharing.items.rows)
    let weights = itemWeights(context)
    let reading: RowReading
    // Two readers' states are not of one space: each has a map of its own.
    if let side = context.language as? any CrossFittedReading, let halves = side.readingHalves {
      reading = RowReading(
        (try readings(side, by: 0), try readings(side, by: 1)), halves: halves, rows: rows,
        weights: weights, maps: maps)
    } else {
      reading = RowReading(readings: try readings(context), rows: rows, weights: weights, maps: maps)
    }
    return try reading.best(on: context.split, items: validationItems)
  }

  /// What one of two readers makes of every item's text.
  private func readings(_ side: any CrossFittedReading, by half: Int) throws -> Tensor {
    let tuned = try side.representations(
      ofItems: Array(0..<Int32(side.vocabulary.itemCount)), readBy: half)
    return RowReading.sideBySide([untrained, tuned].compactMap { $0 })
  }

  private func writeReading(_ context: BridgeContext) throws {
    guard let sharing else { return }
    let choice = try chooseMap(sharing, context, among: configuration.maps)
    chosenMap = choice.map
    let counts = context.split.training.itemCounts()
    let unknown = counts.indices.filter { counts[$0] == 0 }.map { Int32($0) }
    chosenScale = try Self.bestScale(
      choice.rows, Representations(users: sharing.users.rows, items: sharing.items.rows), context.split,
      validationItems, configuration.scales)
    if configuration.writesKnownItems { try drawKnownItems(choice.rows, sharing, context) }
    sharing.write(.item, ids: unknown, rows: choice.rows.gatheredRows(Tensor(unknown)), by: .language)
    context.log(
      "\(unknown.count) items without interactions written from their texts, at scale \(chosenScale)")
  }

  /// The rows that the trained bridge ranks by: the store's, those that the language side wrote at the chosen scale; `nil` before
  /// anything was written.
  public var rows: Representations? {
    sharing.map { sharing in
      let writers = sharing.items.lastWriters
      let factors = Tensor(
        writers.map { $0 == .language ? Float(chosenScale) : 1 }, shape: [writers.count, 1])
      var items = sharing.items.rows * factors
      if let drawnItems {
        let isKnown = Tensor(writers.map { $0 == .language ? Float(0) : 1 }, shape: [writers.count, 1])
        items = items * (1 - isKnown) + drawnItems.rows * isKnown
      }
      return Representations(users: sharing.users.rows, items: items)
    }
  }

  // MARK: State

  /// The store, the scale and the map, and the rows of known items.
  public override func saveState() -> BridgeState { savedState() }

  /// Takes over a saved store, scale and map.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    try takeOver(state, context)
  }
}
