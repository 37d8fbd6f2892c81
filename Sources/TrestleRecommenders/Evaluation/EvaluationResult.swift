/// What an evaluation found: the value of every measure for every user, and what follows from them.
public struct EvaluationResult: Sendable, Codable {
  /// The values on one slice of the test items.
  public struct Slice: Sendable, Codable {
    /// The slice.
    public let slice: ItemSlice
    /// The users with at least one relevant item in the slice, ascending.
    public let users: [Int32]
    /// For each measure by name, one value per entry of ``users``. (`AUC` has none; `GAUC` holds the users' AUC,
    /// NaN-free: users without an irrelevant candidate count 0.5.)
    public let perUser: [String: [Float]]
    /// For each measure by name, the value over all users; empty without users.
    public let means: [String: Double]
    /// For each measure that is not defined for some of ``users`` (``CustomRankingMetric/isDefined(for:)``), by name, these users,
    /// ascending; `nil` if there is none.
    public internal(set) var usersWithoutValue: [String: [Int32]]?

    /// The places of the users for whom a measure is defined.
    func places(_ name: String) -> [Int] {
      let without = Set(usersWithoutValue?[name] ?? [])
      return users.indices.filter { !without.contains(users[$0]) }
    }
  }

  /// The slices that were asked for; ``ItemSlice/all`` comes first.
  public let slices: [Slice]
  /// Coverage, Gini, popularity and novelty of the lists, by name; empty without users.
  public let listValues: [String: Double]
  /// Each user's list, best first, for the users of the slice `all`; `nil` unless it was asked for.
  public let lists: [[Int32]]?
  /// The fixed candidates of each user, `nil` if there were none.
  public let candidates: CandidateLists?
  /// The items that were ranked for everybody, ascending; `nil` if it was the whole catalogue.
  public let candidateItems: [Int32]?
  /// The hash of the split.
  public let splitHash: String
  /// The time that the evaluation took.
  public let seconds: Double

  /// The users with at least one relevant item, ascending.
  public var users: [Int32] { slices.first?.users ?? [] }

  /// The values on a slice, `nil` if it was not asked for.
  public func slice(_ slice: ItemSlice) -> Slice? { slices.first { $0.slice == slice } }

  /// The mean of a measure over the users of a slice, `nil` if the slice or measure was not asked for or nobody has
  /// a relevant item in it.
  public func mean(_ metric: RankingMetric, on slice: ItemSlice = .all) -> Double? {
    self.slice(slice)?.means[metric.name]
  }

  /// The mean of the measure with a name, such as a ``CustomRankingMetric``, over the users of a slice; `nil` where there is none.
  public func mean(_ name: String, on slice: ItemSlice = .all) -> Double? {
    self.slice(slice)?.means[name]
  }

  /// The values of a measure for the users of a slice, in the order of ``Slice/users``; empty as ``mean(_:on:)-(RankingMetric,_)`` is
  /// `nil`.
  public func values(_ metric: RankingMetric, on slice: ItemSlice = .all) -> [Float] {
    self.slice(slice)?.perUser[metric.name] ?? []
  }

  /// The values of the measure with a name, such as a ``CustomRankingMetric``, for the users of a slice, in the order of
  /// ``Slice/users``; empty where there are none, and 0 for ``Slice/usersWithoutValue``.
  public func values(_ name: String, on slice: ItemSlice = .all) -> [Float] {
    self.slice(slice)?.perUser[name] ?? []
  }

  /// A measure of all lists, `nil` if it was not asked for or there is no list.
  public func value(_ metric: ListMetric) -> Double? { listValues[metric.name] }
}
