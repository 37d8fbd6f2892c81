import TrestleTensor

/// How interactions are parted into training, validation and test data.
public enum SplitStrategy: Sendable, Codable, Equatable {
  /// Each user's interactions in random order, cut by share in RecBole's sense (see ``parts(of:validation:test:)``).
  case ratio(validation: Double = 0.1, test: Double = 0.1)
  /// Each user's last interaction in time is test data, the one before it validation. A user with two has no
  /// validation row, a user with one only trains.
  case leaveOneOut
  /// One cut in time for everybody: about the last `test` share of all interactions is test data, the `validation`
  /// share before it validation. Rows of equal time stay together, so a share may come out smaller or larger.
  case globalTime(validation: Double = 0.1, test: Double = 0.1)
  /// A random share of the items that have interactions is taken out of training: all rows of half of them
  /// (rounded down) are validation, of the others test.
  case coldItems(share: Double = 0.2)

  /// The name that tables and saved splits carry, such as `ratio(0.1, 0.1)`.
  public var name: String {
    switch self {
    case .ratio(let validation, let test): "ratio(\(validation), \(test))"
    case .leaveOneOut: "leave-one-out"
    case .globalTime(let validation, let test): "time(\(validation), \(test))"
    case .coldItems(let share): "cold-items(\(share))"
    }
  }

  /// The sizes of the three parts of `total` interactions under RecBole's rule: validation and test are rounded
  /// down, training gets the rest; then test and validation, in this order, get one row from training if their
  /// share is positive but below one row and training keeps at least one.
  public static func parts(of total: Int, validation: Double, test: Double) -> (
    training: Int, validation: Int, test: Int
  ) {
    var validationCount = Int(validation * Double(total))
    var testCount = Int(test * Double(total))
    var training = total - validationCount - testCount
    // RecBole stops at the first part that training cannot serve.
    if training > 1, test > 0, test * Double(total) < 1 {
      testCount += 1
      training -= 1
    }
    if training > 1, validation > 0, validation * Double(total) < 1 {
      validationCount += 1
      training -= 1
    }
    return (training, validationCount, testCount)
  }
}

/// Interactions parted into training, validation and test data over the same users and items.
public struct DataSplit: Sendable {
  /// What models are fitted on.
  public let training: Interactions
  /// What models, epochs and parameters are chosen on.
  public let validation: Interactions
  /// What is looked at once, at the end.
  public let test: Interactions
  /// How the parts were made, `given` if the caller brought them.
  public let strategy: String
  /// A hash of the three parts, the same on every machine: caches and results carry it.
  public let hash: String

  /// Takes three given parts.
  ///
  /// - Precondition: all parts have the same numbers of users and items.
  public init(
    training: Interactions, validation: Interactions, test: Interactions, strategy: String = "given"
  ) {
    precondition(
      [validation, test].allSatisfy {
        $0.userCount == training.userCount && $0.itemCount == training.itemCount
      },
      "DataSplit: parts of \([training, validation, test].map { [$0.userCount, $0.itemCount] }) users and items"
    )
    self.training = training
    self.validation = validation
    self.test = test
    self.strategy = strategy
    var hash = StableHash()
    for part in [training, validation, test] { part.combine(into: &hash) }
    self.hash = hash.hexadecimal
  }

  /// The number of users, with or without interactions.
  public var userCount: Int { training.userCount }

  /// The number of items, with or without interactions.
  public var itemCount: Int { training.itemCount }
}

extension Interactions {
  /// Parts the interactions; the same seed gives the same split. Rows of each part are grouped by user, and keep
  /// their order within a user (time order for ``SplitStrategy/leaveOneOut``).
  ///
  /// - Throws: ``DataError`` if the strategy needs timestamps that are missing, or a share lies outside its domain.
  public func split(_ strategy: SplitStrategy, seed: UInt64) throws(DataError) -> DataSplit {
    split(by: try splitRows(strategy, seed: seed))
  }

  /// The rows of the parts that ``split(_:seed:)`` makes, in their order.
  ///
  /// - Throws: as ``split(_:seed:)``.
  public func splitRows(_ strategy: SplitStrategy, seed: UInt64) throws(DataError) -> SplitRows {
    switch strategy {
    case .ratio(let validation, let test):
      try Self.check(validation + test, validation, test, strategy)
      return splitByRatio(validation, test, seed, strategy)
    case .leaveOneOut:
      return try splitLeavingOneOut(strategy)
    case .globalTime(let validation, let test):
      try Self.check(validation + test, validation, test, strategy)
      return try splitByTime(validation, test, strategy)
    case .coldItems(let share):
      try Self.check(share, share, 0, strategy)
      return splitByItems(share, seed, strategy)
    }
  }

  private static func check(_ sum: Double, _ first: Double, _ second: Double, _ strategy: SplitStrategy)
    throws(DataError)
  {
    guard first >= 0, second >= 0, sum <= 1 else {
      throw .invalidParameter(
        operation: "Interactions.split", expected: "shares from 0 to 1 in all", found: strategy.name)
    }
  }

  private func assemble(_ parts: [[Int32]], _ strategy: SplitStrategy) -> SplitRows {
    SplitRows(training: parts[0], validation: parts[1], test: parts[2], strategy: strategy.name)
  }

  private func splitByRatio(_ validation: Double, _ test: Double, _ seed: UInt64, _ strategy: SplitStrategy)
    -> SplitRows
  {
    let (offsets, rows) = rowsByUser()
    var parts: [[Int32]] = [[], [], []]
    parts[0].reserveCapacity(count)
    var generator = RandomGenerator(seed: seed)
    var shuffled: [Int32] = []
    for user in 0..<userCount where offsets[user + 1] > offsets[user] {
      shuffled.removeAll(keepingCapacity: true)
      shuffled.append(contentsOf: rows[offsets[user]..<offsets[user + 1]])
      generator.shuffle(&shuffled)
      let sizes = SplitStrategy.parts(of: shuffled.count, validation: validation, test: test)
      var start = 0
      for (part, size) in [sizes.training, sizes.validation, sizes.test].enumerated() {
        parts[part].append(contentsOf: shuffled[start..<(start + size)].sorted())
        start += size
      }
    }
    return assemble(parts, strategy)
  }

  private func splitLeavingOneOut(_ strategy: SplitStrategy) throws(DataError) -> SplitRows {
    let (offsets, rows) = try rowsByUserInTimeOrder()
    var parts: [[Int32]] = [[], [], []]
    for user in 0..<userCount {
      let range = offsets[user]..<offsets[user + 1]
      let held = min(2, max(0, range.count - 1))
      parts[0].append(contentsOf: rows[range.dropLast(held)])
      if held == 2 { parts[1].append(rows[range.upperBound - 2]) }
      if held >= 1 { parts[2].append(rows[range.upperBound - 1]) }
    }
    return assemble(parts, strategy)
  }

  private func splitByTime(_ validation: Double, _ test: Double, _ strategy: SplitStrategy) throws(DataError)
    -> SplitRows
  {
    guard let timestamps else {
      throw .missingField(operation: "Interactions.split(.globalTime)", expected: "timestamps")
    }
    let ordered = timestamps.sorted()
    func cut(_ share: Double) -> Int64 {
      let index = count - Int(share * Double(count))
      return index < count ? ordered[max(0, index)] : Int64.max
    }
    let testStart = count == 0 ? Int64.max : cut(test)
    let validationStart = count == 0 ? Int64.max : min(cut(validation + test), testStart)
    let hasTest = Int(test * Double(count)) > 0
    let hasValidation = Int((validation + test) * Double(count)) > 0
    var parts: [[Int32]] = [[], [], []]
    let (_, rows) = rowsByUser()
    for row in rows {
      let time = timestamps[Int(row)]
      if hasTest && time >= testStart {
        parts[2].append(row)
      } else if hasValidation && time >= validationStart {
        parts[1].append(row)
      } else {
        parts[0].append(row)
      }
    }
    return assemble(parts, strategy)
  }

  private func splitByItems(_ share: Double, _ seed: UInt64, _ strategy: SplitStrategy) -> SplitRows {
    var candidates = itemCounts().enumerated().filter { $0.element > 0 }.map { $0.offset }
    var generator = RandomGenerator(seed: seed)
    generator.shuffle(&candidates)
    let held = Int(share * Double(candidates.count))
    var partOfItem = [UInt8](repeating: 0, count: itemCount)
    for (place, item) in candidates.prefix(held).enumerated() { partOfItem[item] = place < held / 2 ? 1 : 2 }
    var parts: [[Int32]] = [[], [], []]
    for row in rowsByUser().rows { parts[Int(partOfItem[Int(items[Int(row)])])].append(row) }
    return assemble(parts, strategy)
  }
}
