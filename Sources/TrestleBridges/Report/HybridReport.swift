/// Everything that the report shows.
struct HybridReport: Codable {
  /// What the run was.
  struct Run: Codable {
    var dataset: String
    var users: Int
    var items: Int
    var interactions: Int
    var languageModel: String
    var seeds: [UInt64]
    var splitHash: String
    var seconds: Double
    /// The budget that was chosen, and the language model's arithmetic.
    var level: HybridJobPlan.Level
    var arithmetic: String
    /// How long the job was expected to take, in seconds; `nil` if nothing was measured.
    var expectedSeconds: Double?
    var instructionSet: String
    var threads: Int
  }

  /// One figure of the comparison: a model on a slice by a metric.
  struct Row: Codable {
    var model: String
    /// One of ``JobSlice``.
    var slice: String
    /// `NDCG@10`, `Recall@10`, `Hit@10`.
    var metric: String
    var mean: Double
    /// The 95 % interval of the mean over users.
    var low: Double
    var high: Double
    /// Paired against the model's own side alone, after Holm's correction; `nil` where there is none.
    var pValue: Double?
    /// That side's name.
    var baseline: String?
    var users: Int

    enum CodingKeys: String, CodingKey {
      case model, slice, metric, mean, low, high, baseline, users
      case pValue = "p_value"
    }
  }

  /// The epochs of one training, in order.
  struct Curve: Codable {
    var name: String
    var records: [BridgeEpochRecord]
  }

  /// An item's place in the shared space, projected to the plane.
  struct MapPoint: Codable {
    var title: String
    var genre: String
    var popularity: Int
    /// After the recommender's warm-up, and at the end.
    var before: [Double]
    var after: [Double]
  }

  /// One writing to the store.
  struct Exchange: Codable {
    var phase: String
    var writer: SideRole
    var users: Int
    var items: Int
    /// The mean cosine distance by which the rows moved.
    var userShift: Double
    var itemShift: Double
    var userSpread: Double
    var itemSpread: Double
  }

  /// A recommended item, and whether the user's test data has it.
  struct Listed: Codable {
    var title: String
    var isHit: Bool
  }

  /// A user with history and the three lists.
  struct SampleUser: Codable {
    var id: String
    var about: String
    var history: [String]
    var historyCount: Int
    var domain: [Listed]
    var language: [Listed]
    var fused: [Listed]
  }

  /// A recommended new item, with the user's known items that the language model reads as nearest.
  struct NewListed: Codable {
    var title: String
    var isHit: Bool
    var reasons: [String]
  }

  /// A user whose list of new items hits.
  struct NewItemUser: Codable {
    var id: String
    var about: String
    var history: [String]
    var historyCount: Int
    var listed: [NewListed]
  }

  /// What is told of items that nobody has touched.
  struct NewItems: Codable {
    /// How many items were new, how many users have any in their test data, and how many of them find one among the first ten.
    var count: Int
    var asked: Int
    var served: Int
    var users: [NewItemUser]
    /// The written rows: before, those of another item's text.
    var map: [MapPoint]
  }

  /// The share of held-out rows' variance that a reading explains.
  struct Taught: Codable {
    var name: String
    /// What reads: ``HybridStudy/Variant``'s raw value.
    var reading: String
    /// Of the recommender's rows after its warm-up, and after the rounds.
    var before: Double
    var after: Double
  }

  var run: Run
  var rows: [Row]
  var curves: [Curve]
  var map: [MapPoint]
  var exchanges: [Exchange]
  var users: [SampleUser]
  var newItems: NewItems?
  var taught: [Taught]
  /// Of how many held-out items the shares in ``taught`` are.
  var taughtItems: Int
  /// Sentences to be shown as they are, such as what did not hold.
  var notes: [String]
}
