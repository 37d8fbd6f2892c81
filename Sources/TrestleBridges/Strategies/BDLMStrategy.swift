import Foundation
import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// BDLM: both sides read and write one store of representations in turn, and each is drawn to what the other wrote.
///
/// 1. Warm-up: the recommender trains alone; its representations are written to the store.
/// 2. Token initialisation: the language model's entity rows become an orthonormal image of the store, with the mean and
///    the spread of the pretrained rows; then fine-tuning on recommendation sequences, with the loss of the rounds.
/// 3. Mutual rounds: the language model trains on its own loss plus α · distance(its representations, store) and writes
///    what it has learned; the recommender trains on its own loss plus β · distance(its representations, store) and writes.
///
/// Beside the store, each side's scores may be drawn to the other's (deep mutual learning).
///
/// Source: Zhang et al., *Bridging the Information Gap Between Domain-Specific Model and General LLM for Personalized
/// Recommendation* (2023). Its losses, weights and schedule are not public in detail: the exponential average of the
/// store, the orthonormal map of token initialisation, the cross-fitted maps of contextual representations, the
/// distances on offer and the phases' lengths are ours.
public final class BDLMStrategy: BridgeStrategy {
  /// How far apart two sets of representations are.
  public enum Distance: Codable, Sendable, Hashable {
    /// The mean squared difference of unit-normalised rows.
    case squaredError
    /// The mean squared difference of the rows as they are: the store is the centre of a Gaussian prior on the side's rows.
    /// For a store that keeps lengths, and whose writer does not learn from the side's answer.
    case squaredDifference
    /// The contrast of each row with its counterpart against the other rows of the batch, at a temperature.
    case infoNCE(temperature: Double)
  }

  /// How the two sides exchange.
  public struct Configuration: Codable, Sendable, Hashable {
    /// The store.
    public var sharing = InformationSharingModule.Configuration()
    /// Whether the language model's entity rows begin as images of the store.
    public var initializesTokens = true
    /// α: the weight of the distance to the store in the language phases; 0 trains the language model for itself.
    public var languageWeight = 0.1
    /// β: the weight of the distance to the store in the recommender's phases; 0 trains it for itself.
    public var domainWeight = 0.05
    /// The distance in the language phases.
    public var languageDistance = Distance.squaredError
    /// The distance in the recommender's phases.
    public var domainDistance = Distance.infoNCE(temperature: 0.2)
    /// Whether the language side writes to the store.
    public var languageWrites = true
    /// Whether the recommender writes to the store after the mutual rounds' phases (it always does after the warm-up).
    public var domainWrites = true
    /// What the language model hands out for items in its losses; `nil` for nothing.
    public var itemSource: RepresentationSource? = .row
    /// What the language model hands out for users in its losses; `nil` for nothing.
    public var userSource: RepresentationSource? = .behaviour
    /// What the language side writes for items; `nil` for nothing.
    public var writtenItemSource: RepresentationSource? = .row
    /// What the language side writes for users; `nil` for nothing.
    public var writtenUserSource: RepresentationSource? = .behaviour
    /// The strength of the ridge regression that maps contextual representations into the shared space.
    public var ridge = 0.1
    /// In that regression an entity counts as its training interactions, up to this many.
    public var ridgeInteractions = 20
    /// The weight, in all language phases, of the Kullback–Leibler divergence of the language model's scores from the
    /// recommender's over the items that a user has not had in training; 0 for none.
    public var languageScoreWeight = 0.0
    /// The same in the recommender's phases of the rounds, with the language model as the teacher. It scores anew at
    /// every step, which is dear for a large language model, and a teacher weaker than its student does harm.
    public var domainScoreWeight = 0.0
    /// The standard deviation that each user's scores of the teacher are given over these items, since a ranking loss does not
    /// fix their scale; `nil` for the scores as they are.
    public var teacherDeviation: Double?
    /// The temperature of the divergence, for both sides' scores.
    public var scoreTemperature = 1.0
    /// Determines the maps.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// The lengths of the phases.
  public struct Schedule: Codable, Sendable, Hashable {
    /// The most epochs of the recommender alone.
    public var warmUpEpochs = 300
    /// How many validations without improvement end a phase of the recommender.
    public var domainPatience = 10
    /// Epochs between the recommender's validations.
    public var domainValidationInterval = 2
    /// Epochs of the language model's fine-tuning before the rounds.
    public var tuningEpochs = 2
    /// The number of mutual rounds.
    public var rounds = 2
    /// How many validations without improvement end a phase of the language model, which then takes back its best state; 0
    /// to train all epochs and keep the last.
    public var languagePatience = 0
    /// Epochs of a round's language phase.
    public var roundLanguageEpochs = 1
    /// The part of the language model's learning rates that is left at its last step: they fall linearly over all its
    /// phases. 1 keeps them.
    public var languageAnnealing = 1.0
    /// The most epochs of a round's recommender phase.
    public var roundDomainEpochs = 100

    /// The defaults.
    public init() {}

    /// The language model's epochs in all.
    public var languageEpochs: Int { tuningEpochs + rounds * roundLanguageEpochs }
  }

  /// One writing to the store, for the record.
  public struct Writing: Codable, Sendable, Equatable {
    /// The phase at whose exit it happened.
    public let phase: String
    /// Who wrote.
    public let writer: SideRole
    /// How many rows were written, by kind.
    public let counts: [String: Int]
    /// The mean cosine distance by which the rows of a kind moved.
    public let shifts: [String: Double]
    /// The spread of the rows of a kind afterwards.
    public let spreads: [String: Double]
  }

  /// How the two sides exchange.
  public let configuration: Configuration
  /// The training rows by user, once they are needed.
  private var histories: (offsets: [Int], rows: [Int32])?
  /// The store.
  public private(set) var sharing: InformationSharingModule?
  /// What was written to the store, in order.
  public private(set) var writings: [Writing] = []
  /// The store's item rows after the first writing, `[items, width]`.
  public private(set) var firstItems: Tensor?
  /// Maps of the language model's representations into the shared space, by kind.
  private var maps: [EntityKind: LanguageMap] = [:]

  /// B_L and its inverse for rows, or a fitted map for contextual representations.
  enum LanguageMap {
    case orthonormal(OrthonormalMap)
    case ridge(RidgeMap)

    func callAsFunction(_ rows: Tensor) -> Tensor {
      switch self {
      case .orthonormal(let map): map.down(rows)
      case .ridge(let map): map(rows)
      }
    }
  }

  /// A BDLM bridge.
  public init(_ configuration: Configuration = Configuration(), schedule: Schedule = Schedule()) {
    self.configuration = configuration
    super.init(name: "BDLM", phases: Self.phases(schedule))
  }

  private static func phases(_ schedule: Schedule) -> [BridgePhase] {
    func domain(_ name: String, _ epochs: Int) -> BridgePhase {
      BridgePhase(
        name: name, side: .domain, epochs: epochs, patience: schedule.domainPatience,
        validationInterval: schedule.domainValidationInterval)
    }
    var past = 0
    func rate() -> Double {
      1 - (1 - schedule.languageAnnealing) * Double(past) / Double(max(schedule.languageEpochs, 1))
    }
    func language(_ name: String, _ epochs: Int) -> BridgePhase {
      var phase = BridgePhase(
        name: name, side: .language, epochs: epochs, patience: schedule.languagePatience,
        learningRateScale: rate())
      past += epochs
      phase.finalLearningRateScale = rate()
      return phase
    }
    var phases = [domain("warm-up", schedule.warmUpEpochs)]
    if schedule.tuningEpochs > 0 { phases.append(language("tuning", schedule.tuningEpochs)) }
    for round in 1...max(schedule.rounds, 1) where round <= schedule.rounds {
      phases.append(language("round \(round): language", schedule.roundLanguageEpochs))
      phases.append(domain("round \(round): domain", schedule.roundDomainEpochs))
    }
    return phases
  }

  /// Tables and representations of both sides, and training and scores.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .scores, .entityTables, .contextualRepresentations],
    ]
  }

  // MARK: Exchange

  /// An empty store.
  public override func prepare(_ context: BridgeContext) throws {
    sharing = InformationSharingModule(context.domain.vocabulary, configuration: configuration.sharing)
  }

  /// Tokens are initialised before the first language phase; a phase of a round begins with a map that fits the present
  /// representations.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    if maps.isEmpty, configuration.initializesTokens { try initializeTokens(context) }
    if phase.name.hasPrefix("round"), configuration.languageWeight > 0 { try fitMaps(context) }
  }

  /// Each side writes what it has learned.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    let writes =
      phase.side == .domain
      ? phase.name == "warm-up" || configuration.domainWrites
      : configuration.languageWrites && phase.name != "tuning"
    guard writes, let sharing else { return }
    let before = EntityKind.allCases.map { sharing[$0] }
    if phase.side == .domain { try writeDomain(context) } else { try writeLanguage(context) }
    note(phase, before, sharing)
    if firstItems == nil { firstItems = sharing.items.rows }
  }

  private func note(
    _ phase: BridgePhase, _ before: [InformationSharingModule.Table], _ sharing: InformationSharingModule
  ) {
    var counts: [String: Int] = [:]
    var shifts: [String: Double] = [:]
    var spreads: [String: Double] = [:]
    for (kind, old) in zip(EntityKind.allCases, before) {
      let new = sharing[kind]
      let written = new.versions.indices.filter { new.versions[$0] > old.versions[$0] }
      let moved = written.filter { old.versions[$0] > 0 }.map(Int32.init)
      counts[kind.rawValue] = written.count
      spreads[kind.rawValue] = new.spread
      guard !moved.isEmpty else { continue }
      let ids = Tensor(moved)
      let cosines = old.rows.gatheredRows(ids).unitNormalized()
        .rowDot(new.rows.gatheredRows(ids).unitNormalized())
      shifts[kind.rawValue] = 1 - cosines.mean().item
    }
    writings.append(
      Writing(phase: phase.name, writer: phase.side, counts: counts, shifts: shifts, spreads: spreads))
  }

  private func allIDs(_ kind: EntityKind, _ context: BridgeContext) -> [Int32] {
    Array(0..<Int32(context.domain.vocabulary.count(of: kind)))
  }

  private func writeDomain(_ context: BridgeContext) throws {
    let side = try context.side(
      .domain, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    for kind in EntityKind.allCases {
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: .row)
      guard rows.shape[1] == configuration.sharing.width else {
        throw BridgeError.invalidState(
          path: side.name, place: "representations of \(kind.rawValue)s",
          expected: "width \(configuration.sharing.width), that of the store", found: "\(rows.shape[1])")
      }
      sharing?.write(kind, ids: ids, rows: rows, by: .domain)
    }
  }

  private func initializeTokens(_ context: BridgeContext) throws {
    let side = try context.side(.language, as: (any EntityTables).self, .entityTables, for: self)
    var generator = RandomGenerator(seed: configuration.seed).split(1)
    guard let sharing, let width = side.entityWidth(.item) else { return }
    let statistics = side.pretrainedRowStatistics ?? (Tensor.zeros([width]), 0.02)
    // Tokens have the store's directions; lengths are the business of the language model's own rows.
    let map = OrthonormalMap(
      matching: sharing.items.rows.unitNormalized(), mean: statistics.mean, deviation: statistics.deviation,
      using: &generator)
    for kind in EntityKind.allCases where side.entityWidth(kind) != nil {
      side.setEntityRows(kind, to: map.up(sharing[kind].rows.unitNormalized()))
      if source(kind) == .row || kind == .item { maps[kind] = .orthonormal(map) }
    }
    context.log("entity tokens initialised from the store")
  }

  private func source(_ kind: EntityKind) -> RepresentationSource? {
    kind == .user ? configuration.userSource : configuration.itemSource
  }

  /// Fits a map for each kind whose representations are contextual.
  private func fitMaps(_ context: BridgeContext) throws {
    let side = try context.side(
      .language, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    guard let sharing else { return }
    for kind in EntityKind.allCases {
      guard let source = source(kind), side.representationSources(kind).contains(source) else { continue }
      if source == .row, case .orthonormal = maps[kind] { continue }
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: source)
      maps[kind] = .ridge(
        RidgeMap(
          inputs: rows, outputs: sharing[kind].rows, strength: configuration.ridge,
          weights: Tensor(ridgeWeights(kind, context))))
    }
  }

  /// How much each entity counts where a map is fitted: rows that were never trained say nothing.
  private func ridgeWeights(_ kind: EntityKind, _ context: BridgeContext) -> [Float] {
    let training = context.split.training
    let counts = kind == .user ? training.userCounts() : training.itemCounts()
    return counts.map { Float(Swift.min(Int($0), configuration.ridgeInteractions)) }
  }

  private func writeLanguage(_ context: BridgeContext) throws {
    let side = try context.side(
      .language, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    guard let sharing else { return }
    for kind in EntityKind.allCases {
      let written = kind == .user ? configuration.writtenUserSource : configuration.writtenItemSource
      guard let source = written, side.representationSources(kind).contains(source) else { continue }
      let ids = allIDs(kind, context)
      let rows = try side.representations(of: kind, ids: ids, source: source)
      let mapped: Tensor
      if source == .row, case .orthonormal(let map) = maps[kind] {
        mapped = map.down(rows)
      } else {
        mapped = RidgeMap.crossFitted(
          inputs: rows, outputs: sharing[kind].rows, strength: configuration.ridge,
          weights: ridgeWeights(kind, context), seed: configuration.seed)
      }
      sharing.write(kind, ids: ids, rows: mapped, by: .language)
    }
  }

  // MARK: Losses

  /// The distance of the batch's entities from the store, and of its users' scores from the other side's.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    var total: Tensor?
    func add(_ term: Tensor) { total = total.map { $0 + term } ?? term }
    if phase.name != "warm-up", let sharing {
      let weight = phase.side == .language ? configuration.languageWeight : configuration.domainWeight
      let distance = phase.side == .language ? configuration.languageDistance : configuration.domainDistance
      for kind in EntityKind.allCases where weight > 0 {
        guard let entities = step[kind] else { continue }
        let own: Tensor
        if phase.side == .language {
          // A map fits the representations that it was made for, and no others.
          guard let map = maps[kind], entities.source == source(kind) else { continue }
          own = map(entities.representations)
        } else {
          own = entities.representations
        }
        add(Self.distance(own, sharing.read(kind, entities.ids), distance) * weight)
      }
    }
    if let divergence = try scoreDivergence(step, in: phase, context) { add(divergence) }
    return total
  }

  /// How far the batch's users' scores are from those of the other side, weighted; `nil` if that does not count.
  private func scoreDivergence(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    let isLanguage = phase.side == .language
    let weight = isLanguage ? configuration.languageScoreWeight : configuration.domainScoreWeight
    // Before the rounds the language model has nothing to teach, while the recommender has been trained.
    guard weight > 0, isLanguage || phase.name.hasPrefix("round"), let scores = step.scores?() else {
      return nil
    }
    let peer = try context.side(
      isLanguage ? .domain : .language, as: (any ScoreProvider).self, .scores, for: self)
    let users = scores.users.scalars(as: Int32.self)
    let candidates = candidates(users, context)
    var teacher = try peer.scores(users: users).detached
    if let deviation = configuration.teacherDeviation {
      let count = candidates.sum(along: [1], keepingDimensions: true)
      let mean = (teacher * candidates).sum(along: [1], keepingDimensions: true) / count
      let centred = (teacher - mean) * candidates
      let variance = centred.squared().sum(along: [1], keepingDimensions: true) / count
      teacher = centred * (variance + 1e-12).sqrt().reciprocal() * deviation
    }
    let exclusion = (candidates - 1) * 1e9
    return Losses.kullbackLeibler(
      teacherLogits: teacher + exclusion, studentLogits: scores.logits + exclusion,
      temperature: configuration.scoreTemperature) * weight
  }

  /// 1 at the items that a user has not had in training, else 0, `[users, items]`; a user who has had all keeps all.
  private func candidates(_ users: [Int32], _ context: BridgeContext) -> Tensor {
    let training = context.split.training
    let (offsets, rows) = histories ?? training.rowsByUser()
    histories = (offsets, rows)
    let itemCount = context.split.itemCount
    var mask = [Float](repeating: 1, count: users.count * itemCount)
    for (place, user) in users.enumerated() {
      let seen = rows[offsets[Int(user)]..<offsets[Int(user) + 1]].map { Int(training.items[Int($0)]) }
      guard Set(seen).count < itemCount else { continue }
      for item in seen { mask[place * itemCount + item] = 0 }
    }
    return Tensor(mask, shape: [users.count, itemCount])
  }

  static func distance(_ own: Tensor, _ store: Tensor, _ kind: Distance) -> Tensor {
    switch kind {
    case .squaredError:
      return (own.unitNormalized() - store.detached.unitNormalized()).squared().sum(along: [1]).mean()
    case .squaredDifference:
      return (own - store.detached).squared().sum(along: [1]).mean()
    case .infoNCE(let temperature):
      return Losses.infoNCE(anchors: own, positives: store.detached, temperature: temperature)
    }
  }

  /// Both sides alone, and fused with weights fitted on the validation data.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    let domain = try context.side(.domain, as: (any ScoreProvider).self, .scores, for: self)
    let language = try context.side(.language, as: (any ScoreProvider).self, .scores, for: self)
    return try .fusing(
      domain: domain.makeScorer(), language: language.makeScorer(), split: context.split)
  }

  /// The store's spread.
  public override var notes: [String: Double] {
    guard let sharing else { return [:] }
    return ["item_spread": sharing.items.spread, "user_spread": sharing.users.spread]
  }

  // MARK: State

  /// The store and the maps.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    sharing?.save(into: &state)
    if let firstItems { state.tensors["first_items"] = firstItems }
    if let text = try? RecordCoding.encoder().encode(writings) {
      state.values["writings"] = String(decoding: text, as: UTF8.self)
    }
    for (kind, map) in maps { map.save(kind, into: &state) }
    return state
  }

  /// Takes over a saved store and maps.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    let store = InformationSharingModule(context.domain.vocabulary, configuration: configuration.sharing)
    try store.load(from: state)
    let side = try context.side(
      .language, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    var saved: [EntityKind: LanguageMap] = [:]
    for kind in EntityKind.allCases {
      saved[kind] = try .saved(
        kind, in: state, shared: configuration.sharing.width, side: side, source: source(kind))
    }
    let first = try state.tensors["first_items"].map { _ in
      try state.finiteTensor("first_items", shape: store.items.rows.shape)
    }
    let text = state.values["writings"] ?? "[]"
    guard let writings = try? RecordCoding.decoder().decode([Writing].self, from: Data(text.utf8)) else {
      throw BridgeError.invalidState(
        path: "bridge state", place: "writings", expected: "a record of writings", found: "something else")
    }
    (self.writings, maps, firstItems, sharing) = (writings, saved, first, store)
  }
}

extension RidgeMap {
  /// Predicts each row by a map fitted without it: in five folds, drawn by `seed`.
  ///
  /// What comes out holds only what the inputs say about the outputs in general, not the row's own output.
  /// Rows whose input is zero stay zero and take no part; rows of no weight are predicted, and teach nothing.
  static func crossFitted(
    inputs: Tensor, outputs: Tensor, strength: Double, weights: [Float], seed: UInt64, folds: Int = 5
  ) -> Tensor {
    let count = inputs.shape[0]
    let energies = inputs.squared().sum(along: [1]).floats
    var order = (0..<Int32(count)).filter { energies[Int($0)] > 0 }
    var generator = RandomGenerator(seed: seed).split(2)
    generator.shuffle(&order)
    let result = Tensor.zeros([count, outputs.shape[1]])
    for fold in 0..<folds {
      let held = order.enumerated().filter { $0.offset % folds == fold }.map(\.element)
      let kept = order.enumerated().filter { $0.offset % folds != fold && weights[Int($0.element)] > 0 }.map(
        \.element)
      guard !held.isEmpty, kept.count > 1 else { continue }
      let map = RidgeMap(
        inputs: inputs.gatheredRows(Tensor(kept)), outputs: outputs.gatheredRows(Tensor(kept)),
        strength: strength, weights: Tensor(kept.map { weights[Int($0)] }))
      result.scatterAddInPlace(map(inputs.gatheredRows(Tensor(held))), at: Tensor(held))
    }
    return result
  }
}
