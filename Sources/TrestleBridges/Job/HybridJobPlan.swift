import TrestleTensor

/// What a ``HybridJob`` spends its time on: the arithmetic that the machine is fastest in, and how long things train.
public struct HybridJobPlan: Codable, Sendable, Equatable {
  /// How long things train, the longest first.
  public enum Level: String, Codable, Sendable, CaseIterable {
    /// The settings of the whole protocol.
    case long
    /// One epoch of the language model less, and shorter histories; the new items' part in full.
    case medium
    /// One mutual round, on still shorter histories; the new items' part in full.
    case modest
    /// One mutual round on a few items of each history; half the epochs and half the layers for new items.
    case short
    /// As `short`, with a shorter warm-up and one epoch on new items: shows how things work, not how well.
    case quick
    /// As `quick`, with still fewer items of each history and fewer users to validate on.
    case brief
  }

  /// How long things train.
  public var level: Level
  /// The language model's arithmetic.
  public var arithmetic: Arithmetic
  /// Tokens a second of a training step, by arithmetic; empty if nothing was measured.
  public var tokensPerSecond: [String: Double] = [:]
  /// Seconds of an epoch of the recommender, as measured.
  public var epochSeconds = 0.0
  /// How long each part is expected to take, in seconds; empty if nothing was measured.
  public var expected: [String: Double] = [:]

  /// A plan without measurement.
  public init(level: Level, arithmetic: Arithmetic) {
    self.level = level
    self.arithmetic = arithmetic
  }

  /// How long all of it is expected to take, in seconds; `nil` if nothing was measured.
  public var expectedSeconds: Double? { expected.isEmpty ? nil : expected.values.reduce(0, +) }

  /// Takes the longest level that is expected to fit some seconds, or the last if none is.
  package mutating func choose(
    within seconds: Double, among levels: [Level] = Level.allCases,
    expecting expected: (Level) -> [String: Double]
  ) {
    for level in levels {
      self.level = level
      self.expected = expected(level)
      if expectedSeconds ?? 0 <= seconds { return }
    }
  }

  /// What was measured and chosen, in a line.
  public var summary: String {
    let speeds = tokensPerSecond.sorted { $0.value > $1.value }
      .map { "\($0.key) \(Int($0.value.rounded())) tokens/s" }
    let chosen = "\(arithmetic.rawValue), the \(level.rawValue) budget"
    guard let seconds = expectedSeconds else { return chosen }
    let minutes = max(1, Int((seconds / 60).rounded(.up)))
    return "\(speeds.joined(separator: ", ")) in training: \(chosen), about \(minutes) min expected"
  }
}

/// How much work the parts of a job are, counted from its data.
struct JobWork {
  /// The lengths of the users' training histories.
  let histories: [Int]
  /// The lengths of the items' texts, in tokens.
  let texts: [Int]
  /// The number of the language model's blocks.
  let depth: Int
  /// Whether a sentence encoder reads too.
  let hasEncoder: Bool

  /// A pass without gradients costs about this part of a training step: the weights are frozen, and only the adapters have any.
  static let forward = 0.55
  /// A training step costs more than that of the measurement: the item head and the optimiser, and the teacher's scores.
  static let aloneStep = 1.1
  static let bridgedStep = 1.45

  private func items(_ most: Int) -> Double { Double(histories.reduce(0) { $0 + min($1, most) }) }

  /// The language model's training and reading in the warm part, in tokens of a training step.
  func historyTokens(_ budget: JobBudget) -> Double {
    let side = budget.side
    let epochs = Double(budget.schedule.languageEpochs)
    let tokensPerItem = 1 + 1 / Double(side.windowItems)
    let all = items(side.readingItems) * tokensPerItem
    let share =
      Double(min(side.validationUsers ?? histories.count, histories.count)) / Double(max(histories.count, 1))
    let trained = epochs * items(side.trainingItems) * tokensPerItem
    return trained + Self.forward * (all * share * (epochs + 2) + all)
  }

  /// What the language model reads of the texts for the store: once at the end of each round's phase.
  func writingTokens(_ budget: JobBudget) -> Double {
    guard budget.bridge.writtenItemSource == .text else { return 0 }
    return Self.forward * JobBudget.textShare * Double(texts.reduce(0, +) * budget.schedule.rounds)
  }

  /// The language model's reading of texts, and its tuning, in the same unit.
  func textTokens(_ budget: JobBudget) -> Double {
    let study = budget.study
    let all = Double(texts.reduce(0, +)) * (study.readsTwice ? 2 : 1)
    let deepest = (study.layerShares.max() ?? 1)
    let tuned = min(1, Double(study.tunedBlocks) / Double(max(depth, 1)))
    let epochs = Double(study.bridge.readingEpochs)
    let reading = Self.forward * all * (deepest + 0.4)
    return reading + tuned * all * (epochs * (0.7 + Self.forward) + 3 * Self.forward)
  }

  /// What each part takes, in seconds.
  func expected(_ budget: JobBudget, tokensPerSecond speed: Double, epochSeconds: Double) -> [String: Double]
  {
    let history = historyTokens(budget) / speed
    let warmUp = Double(min(budget.schedule.warmUpEpochs, 130))
    let rounds = Double(budget.schedule.rounds * min(budget.schedule.roundDomainEpochs, 40))
    // An epoch is validated, too.
    let epoch = epochSeconds * 1.2
    let domain = (warmUp + rounds) * epoch
    // Maps are fitted and tried, EASE is solved, MiniLM reads: hardly faster on one machine than on another.
    let encoder = hasEncoder ? 12.0 : 0
    return [
      HybridVariant.domainAlone.rawValue: domain + 5,
      HybridVariant.randomTokens.rawValue: history * Self.aloneStep,
      HybridVariant.bridge.rawValue: history * Self.bridgedStep + writingTokens(budget) / speed + domain,
      HybridVariant.newItems.rawValue: textTokens(budget) / speed + warmUp * epoch + encoder
        + 40,
    ]
  }
}
