/// What a ``HybridJob`` compares: the bridge, each side alone, the bridge with something taken away, and items that nobody has
/// touched.
public enum HybridVariant: String, CaseIterable, Codable, Sendable {
  /// BDLM in full: the recommender, the language model and their fusion.
  case bridge
  /// The recommender alone, with the bridged one's epochs; popularity and EASE beside it.
  case domainAlone = "lightgcn-alone"
  /// The language model alone, with random entity tokens and the bridged one's epochs.
  case randomTokens = "random-tokens"
  /// The language model with item rows frozen at its own pooled states of titles and genres: no collaborative signal
  /// but what the sequences themselves hold.
  case textRows = "text-rows"
  /// The bridge without mutual rounds' losses and writings: tokens initialised from the recommender, nothing more.
  case initializationOnly = "initialization-only"
  /// The bridge without the divergence of the language model's scores from the recommender's.
  case storeOnly = "store-only"
  /// The bridge without the language model's writing to the store.
  case noWriteBack = "no-write-back"
  /// The bridge without the language side's distance to the store and divergence of scores: it teaches, and learns
  /// no more than what its tokens began with.
  case toDomainOnly = "to-domain-only"
  /// The bridge without the recommender's distance to the store: it teaches, and does not learn.
  case toLanguageOnly = "to-language-only"
  /// A fifth of the items has no training interaction: what readings of their texts tell, as in ``HybridStudy``.
  case newItems = "new-items"

  /// Those that a job compares.
  public static let main: [HybridVariant] = [.domainAlone, .randomTokens, .bridge, .newItems]
  /// Those of the whole protocol, whose items are known.
  public static let protocolVariants = allCases.filter { $0 != .newItems }

  /// What is said while it runs.
  var title: String {
    switch self {
    case .domainAlone: "The recommender alone: LightGCN"
    case .randomTokens: "The language model alone, with random entity tokens"
    case .bridge: "The bridge: both, in turn"
    case .newItems: "New items: what their texts tell"
    default: rawValue
    }
  }
}
