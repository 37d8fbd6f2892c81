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
public class RepresentationAlignmentStrategy: BridgeStrategy {
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
  private let describesUsers: Bool
  private var targets = FrozenRows()
  private var projectors: [EntityKind: MLP] = [:]

  /// An alignment.
  ///
  /// - Parameters:
  ///   - name: the name for messages and tables; `nil` names the variant.
  ///   - variant: how representations are aligned.
  ///   - weight: that of the alignment beside the recommender's own loss.
  ///   - temperature: that of the contrast.
  ///   - sources: which representations the language side gives for each kind.
  ///   - describesUsers: whether users are described by the means of their histories' items.
  ///   - epochs: the most epochs, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the training.
  ///   - seed: determines the maps' initial weights.
  public init(
    name: String? = nil, variant: Variant = .contrastive, weight: Double = 0.05, temperature: Double = 0.2,
    sources: [EntityKind: RepresentationSource] = [.item: .text], describesUsers: Bool = false,
    epochs: Int = 300, patience: Int = 10, seed: UInt64 = 0
  ) {
    self.describesUsers = describesUsers
    self.variant = variant
    self.weight = weight
    self.temperature = temperature
    self.sources = sources
    self.seed = seed
    super.init(
      name: name ?? "representation alignment (\(variant.rawValue))",
      phases: [BridgePhase(name: "alignment", side: .domain, epochs: epochs, patience: patience)])
  }

  /// Representations of the language side, training of the recommender.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores, .contextualRepresentations], .language: [.contextualRepresentations]]
  }

  /// Computes the text representations once, and makes the projectors.
  public override func prepare(_ context: BridgeContext) throws {
    targets = FrozenRows()
    for (kind, source) in sources {
      let rows = try context.language.representations(ofAll: kind, from: source)
      // Centred: the states of a language model share a large common part that tells nothing apart.
      targets[kind] = (rows - rows.mean(along: [0])).unitNormalized()
    }
    if describesUsers, let items = targets[.item] { targets[.user] = context.historyMeans(of: items) }
    try makeProjectors(context)
  }

  private func makeProjectors(_ context: BridgeContext) throws {
    let domain = try context.domain.contextual
    var generator = RandomGenerator(seed: seed)
    for kind in EntityKind.allCases {
      guard let text = targets[kind]?.shape[1] else { continue }
      let own = domain.representationWidth(kind, source: .row)
      let (inputs, outputs) = variant == .contrastive ? (text, own) : (own, text)
      projectors[kind] = MLP(
        widths: [inputs, (inputs + outputs) / 2, outputs], activation: .gelu, using: &generator)
    }
  }

  /// The projectors, a group for each kind.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    BridgeParameterGroup.groups("projector", of: projectors, learningRate: 1e-3)
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
      let term =
        variant == .contrastive
        ? Losses.infoNCE(
          anchors: entities.representations, positives: projector(text), temperature: temperature)
        : Losses.infoNCE(
          anchors: projector(entities.representations), positives: text, temperature: temperature)
      total = total.map { $0 + term * weight } ?? term * weight
    }
    return total
  }

  /// The text representations; the projectors are saved with the side's parameters.
  public override func saveState() -> BridgeState { targets.state(prefix: "text") }

  /// Takes over saved text representations.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    let side = try context.language.contextual
    var widths: [EntityKind: Int] = [:]
    for (kind, source) in sources where side.representationSources(kind).contains(source) {
      widths[kind] = side.representationWidth(kind, source: source)
    }
    if describesUsers { widths[.user] = widths[.item] }
    targets = try FrozenRows(from: state, prefix: "text", context.domain.vocabulary, widths: widths)
    try makeProjectors(context)
  }
}
