import Foundation
import TrestleRecommenders
import TrestleTensor

/// RecRanker: what the recommender thinks stands, in words, in the prompts of a language model that is asked about items, and both
/// opinions count in the end.
///
/// 1. The recommender trains alone, and suggests to every user the items that it ranks highest.
/// 2. The language model's adapters train on questions. A prompt names the suggested titles after the user's history, and says after
///    the item that is asked about above how many of a hundred others the recommender puts it. An example counts by how much is
///    known of its user: log(1 + interactions).
/// 3. An answer is w · (the recommender's score) + (1 − w) · (the language model's logit), each standardised over the validation
///    questions, with the w under which these are answered best.
///
/// Source: Luo et al., *RecRanker: Instruction Tuning Large Language Model as Ranker for Top-k Recommendation* (2024); Luo et al.,
/// *Integrating Large Language Models into Recommendation via Mutual Augmentation and Adaptive Aggregation* (Llama4Rec, 2024).
/// Differences: questions about one item, where the publications also compare two, or order a list; users are weighted, where they
/// are drawn, and not by clusters; what the recommender thinks of an item that it was trained on is asked as of any other.
public final class RecRanker: BridgeStrategy, AnsweringBridge {
  /// How the mechanism works.
  public struct Configuration: Codable, Sendable, Hashable {
    /// How many titles are suggested to a user; 0 for none.
    public var suggestions = 3
    /// Before the suggested titles.
    public var opening = " Suggested by a recommender: "
    /// Between two of them.
    public var separator = "; "
    /// Before the number of a hundred others that the recommender puts below the item, and after it.
    public var place = [" (above ", " of 100 others, says a recommender)"]
    /// Whether an example counts by how much is known of its user.
    public var weighsUsers = true
    /// The most epochs of the recommender alone.
    public var domainEpochs = 300
    /// How many validations without improvement end the recommender's training.
    public var patience = 10
    /// The adapters' epochs.
    public var languageEpochs = 3

    /// The defaults, in English.
    public init() {}
  }

  /// How the mechanism works.
  public let configuration: Configuration
  /// What the recommender suggests, once it has trained.
  public private(set) var suggestions: RankedLists?
  /// How the opinions are put together, once the language model has trained.
  public private(set) var aggregation: Aggregation?

  /// The share of the recommender's opinion, and the scales of both.
  public struct Aggregation: Sendable, Equatable {
    /// w, from 0 to 1.
    public var share: Double
    /// The mean and the standard deviation of the recommender's scores of the validation questions.
    public var domain: Scale
    /// The same of the language model's logits.
    public var language: Scale

    /// What standardises numbers.
    public struct Scale: Sendable, Equatable {
      var mean: Double
      var deviation: Double

      init(mean: Double, deviation: Double) { (self.mean, self.deviation) = (mean, deviation) }

      init(_ values: [Float]) {
        let count = Double(Swift.max(values.count, 1))
        let mean = values.reduce(0) { $0 + Double($1) } / count
        let squares = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
        self.init(mean: mean, deviation: Swift.max((squares / count).squareRoot(), 1e-6))
      }

      func callAsFunction(_ value: Float) -> Double { (Double(value) - mean) / deviation }
    }

    func callAsFunction(_ domain: [Float], _ language: [Float]) -> [Float] {
      zip(domain, language).map { Float(share * self.domain($0) + (1 - share) * self.language($1)) }
    }
  }

  /// The mechanism.
  public init(_ configuration: Configuration = Configuration()) {
    precondition(
      configuration.suggestions >= 0 && configuration.place.count == 2,
      "RecRanker: \(configuration.suggestions) suggestions, \(configuration.place.count) words about an item's place, expected 2"
    )
    self.configuration = configuration
    super.init(
      name: "RecRanker",
      phases: [
        BridgePhase(
          name: "domain", side: .domain, kind: .warmUp, epochs: configuration.domainEpochs,
          patience: configuration.patience),
        BridgePhase(name: "language", side: .language, epochs: configuration.languageEpochs),
      ])
  }

  /// Scores of the recommender; words and answers of the language side.
  public override var requirements: [SideRole: Set<Capability>] {
    [.domain: [.training, .scores], .language: [.training, .promptFields, .answers]]
  }

  /// The suggestions are made, and the prompts extended, when the language model's turn comes.
  public override func enter(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    suggestions = try context.rankedLists(of: .domain, length: configuration.suggestions)
    try connect(context)
  }

  private func connect(_ context: BridgeContext) throws {
    let side = try context.language.words
    guard let suggestions else {
      side.promptFields = nil
      return
    }
    let opinions = RankOpinions(of: try context.domain.scores, context.histories)
    let places = (0...100).map { side.tokens(of: "\(configuration.place[0])\($0)\(configuration.place[1])") }
    let (opening, separator) = (
      side.tokens(of: configuration.opening), side.tokens(of: configuration.separator)
    )
    side.promptFields = { [unowned side] user, item in
      if let item { return places[opinions.percent(of: item, for: user)] }
      let titles = suggestions.items(of: user).map { side.titleTokens(of: $0) }.filter { !$0.isEmpty }
      return titles.isEmpty ? [] : opening + Array(titles.joined(separator: separator))
    }
  }

  /// The weighted mean replaces the side's own.
  public override func ownLossWeight(in phase: BridgePhase) -> Double {
    phase.side == .language && configuration.weighsUsers ? 0 : 1
  }

  /// The mean of the answers' losses, weighted by how much is known of each user.
  public override func additionalLoss(
    _ step: SideStep, in phase: BridgePhase, _ context: BridgeContext
  ) throws -> Tensor? {
    guard phase.side == .language, configuration.weighsUsers else { return nil }
    let examples = try step.examples(for: name, of: context.language)
    let weights = examples.users.scalars(as: Int32.self).map { user in
      log(1 + Float(context.histories.matrix.count(of: Int(user))))
    }
    return examples.weightedMean(Tensor(weights))
  }

  /// The opinions are weighed once the language model has trained.
  public override func exit(_ phase: BridgePhase, _ context: BridgeContext) throws {
    guard phase.side == .language else { return }
    let side = try context.language.answering
    let asked = side.validationQuestions
    let (domain, language) = (
      try context.domain.scores.makeScorer().scores(of: asked), side.answers(to: asked)
    )
    let candidates = (0...10).map {
      Aggregation(share: Double($0) / 10, domain: .init(domain), language: .init(language))
    }
    aggregation =
      candidates.best {
        (PromptSide.areas($0(domain, language), asked).auc ?? 0.5, $0)
      }?.made
    context.log("\(name): the recommender's opinion counts \(aggregation?.share ?? 0) of 1")
  }

  /// Both opinions together; the language model's alone before it has trained.
  public func answers(to examples: [PromptExample], _ context: BridgeContext) throws -> [Float] {
    let language = try context.language.answering.answers(to: examples)
    guard let aggregation else { return language }
    return aggregation(try context.domain.scores.makeScorer().scores(of: examples), language)
  }

  /// The suggestions, and how the opinions are put together.
  public override func saveState() -> BridgeState {
    var state = BridgeState()
    suggestions?.save(into: &state, as: "suggestions")
    guard let aggregation else { return state }
    let (domain, language) = (aggregation.domain, aggregation.language)
    state.values["aggregation"] = [
      aggregation.share, domain.mean, domain.deviation, language.mean, language.deviation,
    ].map { "\($0)" }.joined(separator: " ")
    return state
  }

  /// Takes over saved suggestions and shares.
  public override func loadState(_ state: BridgeState, _ context: BridgeContext) throws {
    let saved = try RankedLists.saved(
      in: state, as: "suggestions", context.domain.vocabulary, length: configuration.suggestions)
    var weighed: Aggregation?
    if let text = state.values["aggregation"] {
      let numbers = text.split(separator: " ").compactMap { Double($0) }.filter(\.isFinite)
      guard numbers.count == 5, (0...1).contains(numbers[0]), numbers[2] > 0, numbers[4] > 0 else {
        throw BridgeError.invalidState(
          path: "bridge state", place: "aggregation",
          expected: "a share from 0 to 1, and a mean and a positive deviation of each side",
          found: String(text.prefix(60)))
      }
      weighed = Aggregation(
        share: numbers[0], domain: .init(mean: numbers[1], deviation: numbers[2]),
        language: .init(mean: numbers[3], deviation: numbers[4]))
    }
    (suggestions, aggregation) = (saved, weighed)
    try connect(context)
  }
}

/// Where a recommender that does not train any more puts items among those that a user has not had.
private final class RankOpinions {
  // Not the whole context: what the language side holds must not hold the language side.
  private let side: any ScoreProvider
  private let histories: TrainingHistories
  private var percents: [Int32: [UInt8]] = [:]

  init(of side: any ScoreProvider, _ histories: TrainingHistories) {
    (self.side, self.histories) = (side, histories)
  }

  /// The share, in hundredths, of the other items the user has not had that are ranked below an item.
  func percent(of item: Int32, for user: Int32) -> Int {
    if percents[user] == nil { percents[user] = all(for: user) }
    return percents[user].map { Int($0[Int(item)]) } ?? 50
  }

  // Prompts cannot fail: without scores an item is in the middle.
  private func all(for user: Int32) -> [UInt8]? {
    guard let scores = try? side.scores(users: [user]).floats else { return nil }
    let seen = Set(histories.matrix.items(of: Int(user)))
    let others = scores.indices.filter { !seen.contains(Int32($0)) }.map { scores[$0] }.sorted()
    return scores.indices.map { item in
      let below = (0..<others.count).partitionPoint { others[$0] < scores[item] }
      let count = others.count - (seen.contains(Int32(item)) ? 0 : 1)
      return UInt8(Swift.min(100, below * 100 / Swift.max(count, 1)))
    }
  }
}
