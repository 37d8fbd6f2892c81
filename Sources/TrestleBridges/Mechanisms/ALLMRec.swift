import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// A-LLMRec: the recommender's items and their texts meet in one code, and the codes stand in the language model's input.
///
/// 1. The recommender trains alone.
/// 2. Alignment, with both sides frozen: two autoencoders, of item rows and of text vectors, are drawn to the same code; they
///    reconstruct what they encode, and ⟨user row, code mapped back⟩ ranks a batch's positives above its sampled items.
/// 3. The language model reads codes and user rows, each through a projector, where it would read tokens of items and users.
///
/// An item that the recommender does not know well has a code from its text.
///
/// Source: Kim et al., *Large Language Models meet Collaborative Filtering: An Efficient All-round LLM-based Recommender System*
/// (A-LLMRec, 2024). Differences: text vectors are the language side's own, where the publication tunes a sentence encoder
/// along; the language model keeps the side's task over the catalogue and may train its own adapters, where the publication's
/// is frozen and generates the title of one of twenty candidates.
public final class ALLMRec: BridgeStrategy {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// Where the items' text vectors come from.
    public var textSource = RepresentationSource.text
    /// The width of the code.
    public var width = 128
    /// Whether the code of an item comes from its text: so for items that the recommender does not know.
    public var codesUnknownItemsByText = true
    /// The most epochs of the recommender alone.
    public var domainEpochs = 300
    /// How many validations without improvement end the recommender's training.
    public var patience = 10
    /// The epochs of the alignment.
    public var alignmentEpochs = 5
    /// The language model's epochs.
    public var languageEpochs = 3
    /// The learning rate of autoencoders and projectors.
    public var learningRate = 1e-3
    /// Determines the initial weights.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  private let configuration: Configuration
  private let alignment: BridgePhase
  private var texts = FrozenRows()
  private var rows = FrozenRows()
  private var coders: Coders?
  private var projectors: [EntityKind: MLP] = [:]

  /// Two autoencoders with one hidden layer, and the map of codes to the recommender's width.
  private final class Coders: Module {
    let items: MLP
    let texts: MLP
    let decodedItems: MLP
    let decodedTexts: MLP
    let ranking: Linear

    init(itemWidth: Int, textWidth: Int, code: Int, using generator: inout RandomGenerator) {
      items = MLP(widths: [itemWidth, code, code], activation: .sigmoid, using: &generator)
      texts = MLP(widths: [textWidth, code, code], activation: .sigmoid, using: &generator)
      decodedItems = MLP(widths: [code, itemWidth], using: &generator)
      decodedTexts = MLP(widths: [code, textWidth], using: &generator)
      ranking = Linear(inputs: code, outputs: itemWidth, using: &generator)
    }
  }

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    self.configuration = configuration
    alignment = BridgePhase(
      name: "alignment", side: .domain, kind: .tuning, groups: [], epochs: configuration.alignmentEpochs,
      keepsBest: false)
    super.init(
      name: "A-LLMRec",
      phases: [
        BridgePhase(
          name: "domain", side: .domain, kind: .warmUp, epochs: configuration.domainEpochs,
          patience: configuration.patience),
        alignment,
        BridgePhase(name: "language", side: .language, epochs: configuration.languageEpochs),
      ])
  }

  /// Representations of both sides, input injection of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .scores, .contextualRepresentations, .inputInjection],
    ]
  }

  /// Takes the text vectors and makes autoencoders and projectors.
  public override func prepare(_ context: BridgeContext) throws {
    texts[.item] = try context.textRows(from: configuration.textSource)[.item]
    try make(context)
  }

  private func make(_ context: BridgeContext) throws {
    guard let text = texts[.item] else { return }
    let width = try context.domain.contextual.representationWidth(.item, source: .row)
    let inputWidth = try context.language.input.inputWidth
    var generator = RandomGenerator(seed: configuration.seed)
    coders = Coders(
      itemWidth: width, textWidth: text.shape[1], code: configuration.width, using: &generator)
    for (kind, inputs) in [(EntityKind.item, configuration.width), (.user, width)] {
      projectors[kind] = MLP(
        inputs, hidden: inputWidth, outputs: inputWidth, lastScale: 0.5, using: &generator)
    }
  }

  /// The recommender's rows are noted before the alignment, the codes are put into the input after it.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    if phase.side == .language { return try connect(context) }
    guard phase.kind == .tuning else { return }
    rows = try context.domainRows()
  }

  /// The codes of all items, `[items, width]`, not tracked: of the rows of those with interactions, of the texts of the rest.
  private func codes(_ context: BridgeContext) -> Tensor? {
    guard let coders, let items = rows[.item], let text = texts[.item] else { return nil }
    return withoutGradients {
      let own = coders.items(items).detached
      guard configuration.codesUnknownItemsByText else { return own }
      let counts = context.split.training.itemCounts()
      let known = Tensor(counts.map { $0 > 0 ? Float(1) : 0 }, shape: [counts.count, 1])
      return own * known + coders.texts(text).detached * (1 - known)
    }
  }

  private func connect(_ context: BridgeContext) throws {
    guard let codes = codes(context), let users = rows[.user] else { return }
    var tables = FrozenRows()
    (tables[.item], tables[.user]) = (codes.unitNormalized(), users)
    try context.language.input.injectedRows = tables.slots(through: projectors)
  }

  /// The autoencoders in the alignment, the projectors in the language phase.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    if phase.side == .language {
      return BridgeParameterGroup.groups(
        "projector", of: projectors, learningRate: configuration.learningRate)
    }
    guard phase.kind == .tuning, let coders else { return [] }
    return [BridgeParameterGroup(name: "coders", module: coders, learningRate: configuration.learningRate)]
  }

  /// The alignment's losses stand in place of the recommender's, which is frozen then.
  public override func ownLossWeight(in phase: BridgePhase) -> Double { phase.kind == .tuning ? 0 : 1 }

  /// In the alignment: what the autoencoders lose on positives and sampled items, and the ranking of both by their codes.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .tuning, let coders, let items = rows[.item], let users = rows[.user],
      let text = texts[.item]
    else { return nil }
    let pairs = try step.pairs(for: name, of: context.domain)
    let own = users.gatheredRows(pairs.users)
    var total: Tensor?
    for (ids, label) in [(pairs.positives, Float(1)), (pairs.negatives, 0)] {
      let (itemRows, textRows) = (items.gatheredRows(ids), text.gatheredRows(ids))
      let (code, textCode) = (coders.items(itemRows), coders.texts(textRows))
      let loss = ExchangeLosses.alignment(
        codes: (code, textCode), items: (itemRows, coders.decodedItems(code)),
        texts: (textRows, coders.decodedTexts(textCode)))
      let logits = own.rowDot(coders.ranking(code))
      let labels = Tensor([Float](repeating: label, count: logits.elementCount))
      let term = loss + Losses.binaryCrossEntropyWithLogits(logits, targets: labels)
      total = total.map { $0 + term } ?? term
    }
    return total
  }

  /// Text vectors and rows; autoencoders and projectors are saved with the sides' parameters.
  public override func saveState() -> BridgeState {
    var state = texts.state(prefix: "text")
    rows.save(into: &state, prefix: "rows")
    // The codes are made of the autoencoders, which a resumed run has only once its parameters are read.
    if let coders {
      for item in coders.namedParameters { state.tensors["coder.\(item.name)"] = item.parameter.detached }
    }
    return state
  }

  /// Takes over saved text vectors and rows.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    texts = try context.savedTextRows(state, from: configuration.textSource)
    rows = try context.savedDomainRows(state)
    try make(context)
    for item in coders?.namedParameters ?? [] {
      item.parameter.update(
        to: try state.finiteTensor("coder.\(item.name)", shape: item.parameter.shape).copied())
    }
    try connect(context)
  }
}
