/// Groups of users by which results are looked at, as ``ItemSlices`` part the items: every user is in one.
public struct UserGroups: Sendable, Equatable {
  /// The names of the groups, in the order of tables.
  public let names: [String]
  /// The group of each user, an index of ``names``.
  public let groups: [Int]

  /// Takes given groups.
  ///
  /// - Precondition: every group has a name, and no two the same.
  public init(names: [String], groups: [Int]) {
    precondition(Set(names).count == names.count, "UserGroups: a name is there twice")
    precondition(
      groups.allSatisfy(names.indices.contains), "UserGroups: a group is outside 0..<\(names.count)")
    (self.names, self.groups) = (names, groups)
  }

  /// Groups by the number of training interactions.
  ///
  /// - Parameters:
  ///   - training: what is counted.
  ///   - bounds: the most interactions of each group but the last, ascending: with 5 and 20 there are users of at most 5,
  ///     of 6 to 20 and of more.
  public init(byActivity training: Interactions, bounds: [Int]) {
    precondition(
      zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 } && bounds.allSatisfy { $0 >= 0 },
      "UserGroups: the bounds \(bounds) do not ascend")
    var names: [String] = []
    for (place, bound) in bounds.enumerated() {
      let first = place == 0 ? 0 : bounds[place - 1] + 1
      names.append(first == bound ? "\(bound)" : "\(first)–\(bound)")
    }
    names.append(bounds.last.map { "over \($0)" } ?? "all")
    self.init(
      names: names,
      groups: training.userCounts().map { count in
        bounds.firstIndex { Int(count) <= $0 } ?? bounds.count
      })
  }
}

extension EvaluationResult {
  /// What was measured for the users of one group.
  public struct Group: Sendable, Codable, Equatable {
    /// The group's name.
    public let name: String
    /// How many of its users were measured.
    public let userCount: Int
    /// For each measure with a value per user, by name, its mean over those of these users for whom it is defined; empty without any.
    public let means: [String: Double]
  }

  /// The means of all measures with a value per user for each group of users, in the order of the groups' names.
  ///
  /// - Parameters:
  ///   - groups: of the users of the split.
  ///   - slice: the slice of items that is looked at.
  /// - Returns: nothing if the slice was not asked for.
  /// - Precondition: every measured user has a group.
  public func groups(by groups: UserGroups, on slice: ItemSlice = .all) -> [Group] {
    guard let own = self.slice(slice) else { return [] }
    return groups.names.indices.map { group in
      let places = own.users.indices.filter { groups.groups[Int(own.users[$0])] == group }
      guard !places.isEmpty else { return Group(name: groups.names[group], userCount: 0, means: [:]) }
      var means: [String: Double] = [:]
      for (name, values) in own.perUser {
        let counted = own.places(name).filter { groups.groups[Int(own.users[$0])] == group }
        guard !counted.isEmpty else { continue }
        means[name] = counted.reduce(0) { $0 + Double(values[$1]) } / Double(counted.count)
      }
      return Group(name: groups.names[group], userCount: places.count, means: means)
    }
  }
}
