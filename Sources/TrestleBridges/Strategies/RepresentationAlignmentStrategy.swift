import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// Alignment of a recommender with frozen text representations of the language side, by contrast or by reconstruction.
///
/// The recommender trains on its own loss plus a term that ties each of the batch's users and items to the language
/// model's representation of it: contrastive, InfoNCE(own, MLP(text)); generative, reconstruction of the text
/// representation by MLP(own), against the other rows of the batch.
///
/// Source: Ren et al., *Representation Learning with Large Language Models for Recommendation* (RLMRec, 2023).
/// Differences: the publication describes users and items by texts that a large model wrote and embeds these with a
/// separate model; here the language side's own representations are taken. Its generative variant masks nodes of the
/// graph before it reconstructs them; here all rows of the batch are reconstructed.
public final class RepresentationAlignmentStrategy: BridgeStrategy {
  /// In which direction the two are aligned.
  public enum Variant: String, Codable, Sendable {
    /// Text is projected to the recommender's space.
    case contrastive
    /// The recommender's rows are projected to the text's space.
    case generative
  }

  private let variant: Variant
  private let weight: Double
  private let temperature: Double
  private let sources: [EntityKind: RepresentationSource]
  private let seed: UInt64
  private var targets: [EntityKind: Tensor] = [:]
  private var projectors: [EntityKind: (first: Linear, second: Linear)] = [:]

  /// An alignment.
  ///
  /// - Parameters:
  ///   - variant: how representations are aligned.
  ///   - weight: that of the alignment beside the recommender's own loss.
  ///   - temperature: that of the contrast.
  ///   - sources: which representations the language side gives for each kind.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the maps' initial weights.
  public init(
    variant: Variant = .contrastive, weight: Double = 0.05, temperature: Double = 0.2,
    sources: [EntityKind: RepresentationSource] = [.item: .text], epochs: Int = 300, patience: Int = 10,
    seed: UInt64 = 0
  ) {
    self.variant = variant
    self.weight = weight
    self.temperature = temperature
    self.sources = sources
    self.seed = seed
    super.init(
      name: "representation alignment (\(variant.rawValue))",
      phases: [BridgePhase(name: "alignment", side: .domain, epochs: epochs, patience: patience)])
  }

  /// Representations of the language side, training of the recommender.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores, .contextualRepresentations], .language: [.contextualRepresentations]]
  }

  /// Computes the text representations once, and makes the projectors.
  public override func prepare(_ context: BridgeContext) throws {
    let language = try context.side(
      .language, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    for (kind, source) in sources {
      let ids = Array(0..<Int32(context.domain.vocabulary.count(of: kind)))
      let rows = try language.representations(of: kind, ids: ids, source: source)
      // Centred: the states of a language model share a large common part that tells nothing apart.
      targets[kind] = (rows - rows.mean(along: [0])).unitNormalized()
    }
    try makeProjectors(context)
  }

  private func makeProjectors(_ context: BridgeContext) throws {
    let domain = try context.side(
      .domain, as: (any ContextualRepresentations).self, .contextualRepresentations, for: self)
    var generator = RandomGenerator(seed: seed)
    for kind in EntityKind.allCases {
      guard let text = targets[kind]?.shape[1] else { continue }
      let own = domain.representationWidth(kind, source: .row)
      let (inputs, outputs) = variant == .contrastive ? (text, own) : (own, text)
      let middle = (inputs + outputs) / 2
      projectors[kind] = (
        Linear(inputs: inputs, outputs: middle, using: &generator),
        Linear(inputs: middle, outputs: outputs, using: &generator)
      )
    }
  }

  /// The projectors.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    let parameters = EntityKind.allCases.flatMap { kind -> [(name: String, parameter: Parameter)] in
      guard let projector = projectors[kind] else { return [] }
      return [(projector.first, "first"), (projector.second, "second")].flatMap { layer, place in
        layer.namedParameters.map { ("projector.\(kind.rawValue).\(place).\($0.name)", $0.parameter) }
      }
    }
    return [BridgeParameterGroup(name: "projectors", parameters: parameters, learningRate: 1e-3)]
  }

  /// The alignment of the batch's entities.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    var total: Tensor?
    for kind in EntityKind.allCases {
      guard let entities = step[kind], let targets = targets[kind], let projector = projectors[kind] else {
        continue
      }
      let text = targets.gatheredRows(entities.ids)
      func project(_ rows: Tensor) -> Tensor { projector.second(projector.first(rows).gelu()) }
      let term =
        variant == .contrastive
        ? Losses.infoNCE(
          anchors: entities.representations, positives: project(text), temperature: temperature)
        : Losses.infoNCE(
          anchors: project(entities.representations), positives: text, temperature: temperature)
      total = total.map { $0 + term * weight } ?? term * weight
    }
    return total
  }

  /// The text representations; the projectors are saved with the side's parameters.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    for (kind, rows) in targets { state.tensors["text.\(kind.rawValue)s"] = rows }
    return state
  }

  /// Takes over saved text representations.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    targets = [:]
    for kind in EntityKind.allCases {
      guard let rows = state.tensors["text.\(kind.rawValue)s"] else { continue }
      let count = context.domain.vocabulary.count(of: kind)
      guard rows.rank == 2, rows.shape[0] == count, rows.dtype == .float32 else {
        throw BridgeError.invalidState(
          path: "bridge state", place: "text.\(kind.rawValue)s", expected: "\(count) rows",
          found: "\(rows.dtype) \(rows.shape)")
      }
      targets[kind] = rows
    }
    try makeProjectors(context)
  }
}
