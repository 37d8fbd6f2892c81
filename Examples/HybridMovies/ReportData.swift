import TrestleBridges

/// Everything that the report shows.
struct ReportData: Codable {
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
    var isQuick: Bool
    var instructionSet: String
    var threads: Int
  }

  /// One figure of the comparison: a model on a slice by a metric.
  struct Row: Codable {
    var model: String
    /// `all`, `cold`, `long-tail`, `warm`.
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

  var run: Run
  var rows: [Row]
  var curves: [Curve]
  var map: [MapPoint]
  var exchanges: [Exchange]
  var users: [SampleUser]
  /// Sentences to be shown as they are, such as what did not hold.
  var notes: [String]
}
