import TrestleNN
import TrestleRecommenders
import TrestleTensor

/// LC-Rec: items are codes that quantise what a language model makes of their texts, level by level.
///
/// Before the language model trains, the items' text vectors are quantised by ``ResidualQuantizer``; a further code tells items with
/// the same codes apart. The language model then learns sequences of codes, and ranks by constrained beam search.
///
/// Source: Zheng et al., *Adapting Large Language Models by Integrating Collaborative Semantics for Recommendation* (LC-Rec, 2023).
/// Differences: codebooks are the means of Lloyd's iterations on standardised text vectors, where the publication trains an
/// autoencoder around them; one of its six tasks, the next item; adapters and code tokens train, not the whole model.
public final class LCRec: ItemCodeStrategy {
  private let textSource: RepresentationSource

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - textSource: where the items' text vectors come from.
  ///   - epochs: the language model's epochs.
  ///   - seed: determines the codebooks.
  public init(textSource: RepresentationSource = .encodedText, epochs: Int = 3, seed: UInt64 = 0) {
    self.textSource = textSource
    super.init(name: "LC-Rec", epochs: epochs, seed: seed)
  }

  /// Text vectors and codes of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.language: [.training, .scores, .itemCodes, .contextualRepresentations]]
  }

  /// The codes of the quantised text vectors.
  override func makeCodes(_ context: BridgeContext) throws -> [[Int32]] {
    let rows = try context.language.representations(ofAll: .item, from: textSource)
    let limits = try context.language.codes.codeLimits
    var generator = RandomGenerator(seed: seed)
    let scaled = InputScaling(fitting: rows)(rows)
    // One level is for what tells equal codes apart: enough of the others that no place has more items than a level has codes.
    let quantizer = ResidualQuantizer(
      fitting: scaled, levels: limits.levels - 1, codes: limits.codes, using: &generator)
    return quantizer.distinctCodes(of: scaled)
  }
}

/// OpenP5 with collaborative indexing: items that are taken together share the first of their codes.
///
/// Items are divided by spectral clustering of their co-occurrence in training histories, and each part again, until a part has no
/// more items than a level has codes; then each item of a part has a code of its own. The language model learns sequences of
/// these codes and ranks by constrained beam search.
///
/// Source: Hua et al., *How to Index Item IDs for Recommendation Foundation Models* (2023), and Xu et al., *OpenP5* (2023).
/// Differences: one task, the next item, without words around the codes; eigenvectors come from subspace iteration.
public final class OpenP5: ItemCodeStrategy {
  /// The mechanism.
  ///
  /// - Parameters:
  ///   - epochs: the language model's epochs.
  ///   - seed: determines the clusters.
  public init(epochs: Int = 3, seed: UInt64 = 0) { super.init(name: "OpenP5", epochs: epochs, seed: seed) }

  /// The codes of spectral clusters.
  override func makeCodes(_ context: BridgeContext) throws -> [[Int32]] {
    let limits = try context.language.codes.codeLimits
    var room = 1
    for _ in 0..<limits.levels { room = Swift.min(room * limits.codes, context.split.itemCount) }
    guard room >= context.split.itemCount else {
      throw BridgeError.invalidState(
        path: context.language.name, place: "levels of \(limits.codes) codes",
        expected: "enough for \(context.split.itemCount) items", found: "\(limits.levels)")
    }
    var generator = RandomGenerator(seed: seed)
    return SpectralCodes.codes(
      of: context.split.training, levels: limits.levels, codes: limits.codes, using: &generator)
  }
}

/// What mechanisms with codes of items share: the codes are made once, and are part of the state.
public class ItemCodeStrategy: BridgeStrategy {
  let seed: UInt64
  private var codes: [[Int32]] = []

  init(name: String, epochs: Int, seed: UInt64) {
    self.seed = seed
    super.init(name: name, phases: [BridgePhase(name: "codes", side: .language, epochs: epochs)])
  }

  /// Codes on the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.language: [.training, .scores, .itemCodes]]
  }

  /// The codes of every item.
  func makeCodes(_ context: BridgeContext) throws -> [[Int32]] { [] }

  /// Makes the codes and gives them to the language side.
  public override func prepare(_ context: BridgeContext) throws {
    codes = try makeCodes(context)
    try context.language.codes.setCodes(codes)
  }

  /// The language side alone.
  public override func recommenders(_ context: BridgeContext) throws -> BridgeRecommenders {
    BridgeRecommenders(language: try context.language.scores.makeScorer())
  }

  /// The codes.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    guard let width = codes.map(\.count).max() else { return state }
    let padded = codes.flatMap { $0 + [Int32](repeating: -1, count: width - $0.count) }
    state.tensors["codes"] = Tensor(padded, shape: [codes.count, width])
    return state
  }

  /// Takes over saved codes.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    guard let saved = state.tensors["codes"] else {
      codes = []
      return
    }
    let width = saved.rank == 2 ? saved.shape[1] : 0
    let flat = try state.tensor("codes", shape: [context.split.itemCount, width], dtype: .int32)
      .scalars(as: Int32.self)
    // Lists are filled up with −1; nothing else is below 0.
    if let bad = flat.first(where: { $0 < -1 }) {
      throw BridgeError.invalidState(
        path: "bridge state", place: "codes", expected: "codes of items", found: "\(bad)")
    }
    codes = (0..<context.split.itemCount).map { row in
      flat[row * width..<(row + 1) * width].filter { $0 >= 0 }
    }
    try context.language.codes.setCodes(codes)
  }
}
