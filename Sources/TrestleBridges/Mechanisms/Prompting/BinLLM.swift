import TrestleNN
import TrestleTensor

/// BinLLM: the recommender's vectors as words: each user and item has a code of bits, written into the prompt.
///
/// 1. The recommender trains alone.
/// 2. Hashing, with the recommender frozen: a linear map and tanh make vectors of as many numbers as bits, trained so that their
///    products, divided by the number of bits, tell a batch's positives from its sampled items.
/// 3. The language model's adapters train on prompts in which the signs of these numbers are written as text, four numbers
///    from 0 to 255 with dots between them.
///
/// Source: Zhang et al., *Text-like Encoding of Collaborative Information in Large Language Models for Recommendation* (BinLLM, 2024),
/// with its compressed form. Differences: no annealed mixture of numbers and their signs; the adapters have one stage, on text with codes.
public final class BinLLM: BridgeStrategy {
  private let bits: Int
  private let seed: UInt64
  private var rows = FrozenRows()
  private var hashes: [EntityKind: Linear] = [:]
  /// The signs of the hashed rows: 1 or 0.
  private var codes = FrozenRows()

  /// The mechanism.
  ///
  /// - Parameters:
  ///   - bits: the length of a code, in whole bytes.
  ///   - domainEpochs: the most epochs of the recommender alone, ended by `patience` validations without improvement.
  ///   - patience: how many validations without improvement end the recommender's training.
  ///   - hashEpochs: the epochs of hashing.
  ///   - languageEpochs: the adapters' epochs.
  ///   - seed: determines the maps' initial weights.
  public init(
    bits: Int = 32, domainEpochs: Int = 300, patience: Int = 10, hashEpochs: Int = 5,
    languageEpochs: Int = 3, seed: UInt64 = 0
  ) {
    precondition(bits > 0 && bits % 8 == 0, "BinLLM: codes of \(bits) bits, expected whole bytes")
    self.bits = bits
    self.seed = seed
    super.init(
      name: "BinLLM",
      phases: [
        BridgePhase(name: "domain", side: .domain, kind: .warmUp, epochs: domainEpochs, patience: patience),
        BridgePhase(
          name: "hashing", side: .domain, kind: .tuning, groups: [], epochs: hashEpochs, keepsBest: false),
        BridgePhase(name: "language", side: .language, epochs: languageEpochs),
      ])
  }

  /// Representations of the recommender, words of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [
      .domain: [.training, .scores, .contextualRepresentations],
      .language: [.training, .promptFields],
    ]
  }

  /// Rows are taken before hashing, codes after it.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    if phase.kind == .tuning {
      rows = try context.domainRows()
      makeHashes()
    } else if phase.side == .language {
      for kind in EntityKind.allCases {
        guard let hash = hashes[kind], let own = rows[kind] else { continue }
        let numbers = withoutGradients { hash(own).detached }
        codes[kind] = numbers.isGreater(than: .zeros(numbers.shape))
      }
      try connect(context)
    }
  }

  private func makeHashes() {
    var generator = RandomGenerator(seed: seed)
    hashes = [:]
    for kind in EntityKind.allCases {
      guard let width = rows[kind]?.shape[1] else { continue }
      hashes[kind] = Linear(inputs: width, outputs: bits, using: &generator)
    }
  }

  private func connect(_ context: BridgeContext) throws {
    let language = try context.language.words
    guard let users = codes[.user], let items = codes[.item] else {
      language.promptFields = nil
      return
    }
    let (userWords, itemWords) = (Self.words(users, language), Self.words(items, language))
    language.promptFields = { user, item in item.map { itemWords[Int($0)] } ?? userWords[Int(user)] }
  }

  /// The codes of all rows as tokens: " 12.255.0.7".
  private static func words(_ codes: Tensor, _ side: any PromptFields) -> [[Int32]] {
    let (values, width) = (codes.floats, codes.shape[1])
    return (0..<codes.shape[0]).map { row in
      let bytes = stride(from: 0, to: width, by: 8).map { start in
        (0..<8).reduce(0) { $0 * 2 + (values[row * width + start + $1] > 0.5 ? 1 : 0) }
      }
      return side.tokens(of: " " + bytes.map(String.init).joined(separator: "."))
    }
  }

  /// The maps, while hashing.
  public override func parameterGroups(in phase: BridgePhase) -> [BridgeParameterGroup] {
    guard phase.kind == .tuning else { return [] }
    return BridgeParameterGroup.groups("hash", of: hashes, learningRate: 1e-2)
  }

  /// Hashing has a loss of its own.
  public override func ownLossWeight(in phase: BridgePhase) -> Double { phase.kind == .tuning ? 0 : 1 }

  /// While hashing: the binary cross-entropy of the products of hashed users with positives and sampled items.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.kind == .tuning, let pairs = step.pairs, let users = rows[.user], let items = rows[.item],
      let userHash = hashes[.user], let itemHash = hashes[.item]
    else { return nil }
    let own = userHash(users.gatheredRows(pairs.users)).tanh()
    func logits(_ ids: Tensor) -> Tensor {
      own.rowDot(itemHash(items.gatheredRows(ids)).tanh()) * (8 / Double(bits))
    }
    return logits(pairs.positives).negated().softplus().mean() + logits(pairs.negatives).softplus().mean()
  }

  /// Rows, maps and codes.
  public override func saveState() -> BridgeState {
    var state = rows.state(prefix: "rows")
    codes.save(into: &state, prefix: "codes")
    return state
  }

  /// Takes over saved rows and codes; the maps are saved with the side's parameters.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    rows = try context.savedDomainRows(state)
    codes = try FrozenRows(
      from: state, prefix: "codes", context.domain.vocabulary, widths: [.user: bits, .item: bits])
    makeHashes()
    try connect(context)
  }
}
