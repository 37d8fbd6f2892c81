extension BDLMStrategy {
  /// How far apart two sets of representations are.
  public enum Distance: Codable, Sendable, Hashable {
    /// The mean squared distance of unit-normalised rows.
    case squaredDistanceOfUnitRows
    /// The mean squared distance of the rows as they are: the store is the centre of a Gaussian prior on the side's rows.
    /// For a store that keeps lengths, and whose writer does not learn from the side's answer.
    case squaredDistance
    /// The contrast of each row with its counterpart against the other rows of the batch, at a temperature.
    case infoNCE(temperature: Double)

    // Saved configurations have the former names.
    private enum CodingKeys: String, CodingKey {
      case squaredDistanceOfUnitRows = "squaredError"
      case squaredDistance = "squaredDifference"
      case infoNCE
    }

    /// The former name of ``squaredDistanceOfUnitRows``.
    @available(*, deprecated, renamed: "squaredDistanceOfUnitRows")
    public static var squaredError: Distance { .squaredDistanceOfUnitRows }

    /// The former name of ``squaredDistance``.
    @available(*, deprecated, renamed: "squaredDistance")
    public static var squaredDifference: Distance { .squaredDistance }
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
    public var languageDistance = Distance.squaredDistanceOfUnitRows
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
    /// The most entities of a batch whose distance to the store counts, if their representations have to be computed for it: texts
    /// and prompts are read anew.
    public var comparedEntities = 64
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
    /// every step, which costs much with a large language model, and a teacher weaker than its student does harm.
    public var domainScoreWeight = 0.0
    /// Whether both divergences count for each user as ``DivergenceGate`` says at a phase's entry: not at all where the teacher is
    /// no better than its student on validation data.
    public var gatesDivergence = false
    /// The standard deviation that each user's scores of the teacher are given over these items, since a ranking loss does not
    /// fix their scale; `nil` for the scores as they are.
    public var teacherDeviation: Double?
    /// The temperature of the divergence, for both sides' scores.
    public var scoreTemperature = 1.0
    /// Whether, in the end, the recommender's rows are drawn to what the language model wrote last, by a strength that is chosen on the
    /// validation data. For stores that keep the rows' lengths.
    public var fitsPrior = true
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

  static func phases(_ schedule: Schedule) -> [BridgePhase] {
    func domain(_ name: String, _ kind: BridgePhase.Kind, _ epochs: Int) -> BridgePhase {
      BridgePhase(
        name: name, side: .domain, kind: kind, epochs: epochs, patience: schedule.domainPatience,
        validationInterval: schedule.domainValidationInterval)
    }
    var past = 0
    func rate() -> Double {
      1 - (1 - schedule.languageAnnealing) * Double(past) / Double(max(schedule.languageEpochs, 1))
    }
    func language(_ name: String, _ kind: BridgePhase.Kind, _ epochs: Int) -> BridgePhase {
      var phase = BridgePhase(
        name: name, side: .language, kind: kind, epochs: epochs, patience: schedule.languagePatience,
        learningRateScale: rate())
      past += epochs
      phase.finalLearningRateScale = rate()
      return phase
    }
    var phases = [domain("warm-up", .warmUp, schedule.warmUpEpochs)]
    if schedule.tuningEpochs > 0 { phases.append(language("tuning", .tuning, schedule.tuningEpochs)) }
    for round in 1...max(schedule.rounds, 1) where round <= schedule.rounds {
      phases.append(language("round \(round): language", .mutual, schedule.roundLanguageEpochs))
      phases.append(domain("round \(round): domain", .mutual, schedule.roundDomainEpochs))
    }
    return phases
  }
}
