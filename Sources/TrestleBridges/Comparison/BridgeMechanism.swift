import TrestleRecommenders

/// A published mechanism that a comparison can train: its name, what it is measured by, and how it is composed.
public struct BridgeMechanism: Sendable {
  /// What comes out of a mechanism and is measured.
  public enum Outcome: String, Sendable {
    /// The recommender's ranking.
    case domain
    /// The language model's ranking.
    case language
    /// Both rankings, fused with weights fitted on validation data.
    case fused
    /// The language model's answers about pairs of a user and an item.
    case answers
  }

  /// The name in tables, on the command line and in results.
  public let name: String
  /// The publication.
  public let source: String
  /// What flows, in a few words.
  public let exchange: String
  /// What is measured.
  public let outcome: Outcome
  /// Whether it has something to say of items without interactions.
  public let seesNewItems: Bool
  let compose: @Sendable (BridgeComposer) throws -> (strategy: BridgeStrategy, context: BridgeContext)

  /// The mechanism with a name; `nil` if there is none.
  public static func named(_ name: String) -> BridgeMechanism? { (all + written).first { $0.name == name } }

  /// All mechanisms, in the order of tables.
  public static let all: [BridgeMechanism] = sharing + fromText + teaching + closedForms + prompting + codes

  /// The mechanisms in which a recommender with rows of users and items learns from the language model, and answers alone in the
  /// end: what ``MechanismFit`` trains for serving.
  public static let served = fromText + teaching.filter { $0.outcome == .domain }

  /// A mechanism whose strategy the budget determines, on sides that the composer makes.
  static func composed(
    name: String, source: String, exchange: String, outcome: Outcome, seesNewItems: Bool,
    of sides: @escaping @Sendable (BridgeComposer) throws -> BridgeContext = { try $0.ordinarySides() },
    _ strategy: @escaping @Sendable (ComparisonBudget) -> BridgeStrategy
  ) -> BridgeMechanism {
    BridgeMechanism(
      name: name, source: source, exchange: exchange, outcome: outcome, seesNewItems: seesNewItems
    ) { composer in (strategy(composer.budget), try sides(composer)) }
  }

  /// A mechanism of prompts whose curriculum ends half-way through the language model's steps.
  private static func curriculum(
    name: String, source: String, exchange: String,
    _ strategy: @escaping @Sendable (_ budget: ComparisonBudget, _ steps: Int) -> BridgeStrategy
  ) -> BridgeMechanism {
    BridgeMechanism(
      name: name, source: source, exchange: exchange, outcome: .answers, seesNewItems: false
    ) { composer in
      let context = try composer.prompts()
      let steps = (try context.language.training.batchCount) * composer.budget.languageEpochs / 2
      return (strategy(composer.budget, steps), context)
    }
  }

  private static let sharing = [
    composed(
      name: "BDLM", source: "arXiv 2311.03778", exchange: "one store of rows, written in turn",
      outcome: .fused, seesNewItems: false
    ) { b in
      var schedule = BDLMStrategy.Schedule()
      (schedule.warmUpEpochs, schedule.domainPatience) = (b.domainEpochs, b.patience)
      (schedule.tuningEpochs, schedule.rounds, schedule.roundDomainEpochs) = (
        b.languageEpochs, b.rounds, b.domainEpochs / 3 + 1
      )
      return BDLMStrategy(schedule: schedule)
    },
    BridgeMechanism(
      name: "BDLM-Reading", source: "after arXiv 2311.03778", exchange: "rows read from texts by two readers",
      outcome: .domain, seesNewItems: true
    ) { composer in
      var c = ReadingStrategy.Configuration()
      let budget = composer.budget
      (c.warmUpEpochs, c.domainPatience) = (budget.domainEpochs, budget.patience)
      (c.readingEpochs, c.writesKnownItems) = (2 * budget.languageEpochs, true)
      return (
        ReadingStrategy(validationItems: composer.new.validationItems, configuration: c),
        try composer.reading()
      )
    },
    composed(
      name: "CLLM4Rec", source: "WWW 2024", exchange: "token rows of two towers, tied",
      outcome: .domain, seesNewItems: false, of: { try $0.towers() }
    ) { b in
      CLLM4Rec(contentEpochs: b.languageEpochs, rounds: b.rounds, roundEpochs: b.languageEpochs)
    },
    composed(
      name: "SlotInjection", source: "after CoLLM, with an item head",
      exchange: "the recommender's rows, through an MLP, as tokens", outcome: .language, seesNewItems: false
    ) { b in
      SlotInjectionStrategy(
        domainEpochs: b.domainEpochs, patience: b.patience, projectorEpochs: 1,
        jointEpochs: b.languageEpochs)
    },
    composed(
      name: "E4SRec", source: "arXiv 2312.02443",
      exchange: "the recommender's item rows, through a linear layer, as tokens", outcome: .language,
      seesNewItems: false
    ) { b in
      E4SRec(domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: b.languageEpochs)
    },
    composed(
      name: "A-LLMRec", source: "KDD 2024", exchange: "codes of items and texts, as tokens",
      outcome: .language, seesNewItems: true
    ) { b in
      var c = ALLMRec.Configuration()
      (c.textSource, c.domainEpochs, c.patience) = (.encodedText, b.domainEpochs, b.patience)
      c.languageEpochs = b.languageEpochs
      return ALLMRec(c)
    },
  ]

  private static let fromText = [
    composed(
      name: "RLMRec-Con", source: "WWW 2024", exchange: "texts → rows, by contrast", outcome: .domain,
      seesNewItems: false
    ) { b in
      RLMRecContrastive(textSource: .encodedText, epochs: b.domainEpochs, patience: b.patience)
    },
    composed(
      name: "RLMRec-Gen", source: "WWW 2024", exchange: "texts told from rows", outcome: .domain,
      seesNewItems: false
    ) { b in
      RLMRecGenerative(textSource: .encodedText, epochs: b.domainEpochs, patience: b.patience)
    },
    composed(
      name: "AlphaRec", source: "ICLR 2025", exchange: "texts in place of rows", outcome: .domain,
      seesNewItems: true
    ) { b in
      var c = AlphaRec.Configuration()
      (c.textSource, c.epochs, c.patience) = (.encodedText, b.domainEpochs, b.patience)
      return AlphaRec(c)
    },
    composed(
      name: "LLM-ESR", source: "NeurIPS 2024", exchange: "texts beside rows; users alike teach",
      outcome: .domain, seesNewItems: true
    ) { b in
      LLMESR(textSource: .encodedText, epochs: b.domainEpochs, patience: b.patience)
    },
    composed(
      name: "KAR", source: "RecSys 2024", exchange: "texts, through experts, as features", outcome: .domain,
      seesNewItems: true
    ) { b in
      KAR(textSource: .encodedText, epochs: b.domainEpochs, patience: b.patience)
    },
  ]

  private static let teaching = [
    composed(
      name: "DLLM2Rec", source: "RecSys 2024", exchange: "ranked lists with confidences; texts",
      outcome: .domain, seesNewItems: true
    ) { b in
      var c = DLLM2Rec.Configuration()
      (c.textSource, c.epochs, c.patience) = (.encodedText, b.domainEpochs, b.patience)
      c.languageEpochs = b.languageEpochs
      return DLLM2Rec(c)
    },
    composed(
      name: "LLMD4Rec", source: "arXiv 2505.18120", exchange: "score distributions, both ways",
      outcome: .fused, seesNewItems: false
    ) { b in
      var c = LLMD4Rec.Configuration()
      (c.domainEpochs, c.patience, c.rounds) = (b.domainEpochs, b.patience, b.rounds)
      (c.languageEpochs, c.roundLanguageEpochs) = (b.languageEpochs, b.languageEpochs)
      c.roundDomainEpochs = b.domainEpochs / 3 + 1
      return LLMD4Rec(c)
    },
    composed(
      name: "LLMRec", source: "WSDM 2024", exchange: "edges that the language model marks",
      outcome: .domain, seesNewItems: false
    ) { b in
      var c = LLMRec.Configuration()
      (c.domainEpochs, c.patience, c.languageEpochs) = (b.domainEpochs, b.patience, b.languageEpochs)
      return LLMRec(c)
    },
    composed(
      name: "ScoreFusion", source: "Llama4Rec, arXiv 2401.13870", exchange: "scores, fused by activity",
      outcome: .fused, seesNewItems: false
    ) { b in
      ScoreFusionStrategy(
        domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: b.languageEpochs)
    },
  ]

  private static let closedForms = [
    ("TextPrior-EASE", ClosedFormSide.Model.ease(.init())), ("TextPrior-iALS", .als(.init())),
  ].map { name, model in
    composed(
      name: name, source: "ours", exchange: "texts as the prior of a closed form", outcome: .domain,
      seesNewItems: true, of: { try $0.closedForm(model) }
    ) { _ in
      var c = TextPrior.Configuration()
      c.textSource = .encodedText
      return TextPrior(c)
    }
  }

  private static let prompting = [
    composed(
      name: "CoLLM", source: "TKDE 2025, arXiv 2310.19488",
      exchange: "the recommender's rows, through an MLP, in a prompt", outcome: .answers, seesNewItems: false,
      of: { try $0.prompts() }
    ) { b in
      CoLLM(
        domainEpochs: b.domainEpochs, patience: b.patience, textEpochs: b.languageEpochs,
        slotEpochs: b.languageEpochs)
    },
    composed(
      name: "BinLLM", source: "ACL 2024", exchange: "the recommender's rows as bits, in words",
      outcome: .answers, seesNewItems: false, of: { try $0.prompts() }
    ) { b in
      BinLLM(domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: b.languageEpochs)
    },
    composed(
      name: "RecRanker", source: "TOIS 2024, arXiv 2312.16018",
      exchange: "the recommender's ranks, in words; answers of both", outcome: .answers, seesNewItems: false,
      of: { try $0.prompts() }
    ) { b in
      var c = RecRanker.Configuration()
      (c.domainEpochs, c.patience, c.languageEpochs) = (b.domainEpochs, b.patience, b.languageEpochs)
      return RecRanker(c)
    },
    curriculum(
      name: "LLaRA", source: "SIGIR 2024", exchange: "the recommender's rows, by a curriculum, in a prompt"
    ) { b, steps in
      LLaRA(
        domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: b.languageEpochs, steps: steps)
    },
    curriculum(
      name: "iLoRA", source: "NeurIPS 2024", exchange: "the recommender's user rows mix adapters; as LLaRA"
    ) { b, steps in
      ILoRA(
        domainEpochs: b.domainEpochs, patience: b.patience, languageEpochs: b.languageEpochs, steps: steps)
    },
  ]

  private static let codes = [
    composed(
      name: "TitleNaming", source: "after BIGRec, arXiv 2308.08434",
      exchange: "titles, held to the catalogue's",
      outcome: .language, seesNewItems: true, of: { try $0.titles() }
    ) { b in TitleNaming(epochs: b.languageEpochs) },
    composed(
      name: "LC-Rec", source: "ICDE 2024, arXiv 2311.09049", exchange: "texts, quantised, as codes of items",
      outcome: .language, seesNewItems: false, of: { try $0.codes() }
    ) { b in LCRec(epochs: b.languageEpochs) },
    composed(
      name: "OpenP5", source: "SIGIR 2024", exchange: "co-occurrence, clustered, as codes of items",
      outcome: .language, seesNewItems: false, of: { try $0.codes() }
    ) { b in OpenP5(epochs: b.languageEpochs) },
  ]
}
