import TrestleTensor

/// A split in which some items are new: nobody has touched them in training.
///
/// A share of the items with enough interactions is held out for the test, a further share for validation; none of their rows
/// is in training. Of the other items' rows each user's are parted at random, as by ``SplitStrategy/ratio(validation:test:)``.
/// So test and validation data each have rows of new items and of old ones, and what is tuned on the new items of the
/// validation data knows nothing of those of the test data.
public struct NewItemSplit: Sendable {
  /// How items are drawn and rows parted.
  public struct Configuration: Sendable, Codable, Hashable {
    /// The share of the eligible items that is new in the test data.
    public var testShare = 0.2
    /// The share of the eligible items that is new in the validation data.
    public var validationShare = 0.1
    /// How many interactions an item must have to be eligible.
    public var minimumInteractions = 5
    /// The shares of each user's other rows that are validation and test data.
    public var rowShare = 0.1

    /// The defaults.
    public init() {}
  }

  /// Training, validation and test data.
  public let split: DataSplit
  /// The items that are new in the validation data, ascending.
  public let validationItems: [Int32]
  /// The items that are new in the test data, ascending.
  public let testItems: [Int32]

  /// A split of another kind, without new items.
  package init(withoutNewItems split: DataSplit) {
    (self.split, validationItems, testItems) = (split, [], [])
  }

  /// Draws the new items and parts the rows; the same seed gives the same split.
  ///
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` if the shares are not shares, or too few items are
  ///   eligible for one new item in each part.
  public init(
    _ interactions: Interactions, seed: UInt64, configuration: Configuration = Configuration()
  ) throws(DataError) {
    let c = configuration
    guard c.testShare > 0, c.validationShare > 0, c.testShare + c.validationShare < 1, c.rowShare >= 0,
      c.rowShare <= 0.5
    else {
      throw .invalidParameter(
        operation: "NewItemSplit", expected: "shares of items between 0 and 1 in all, of rows up to 0.5",
        found: "\(c.testShare), \(c.validationShare), \(c.rowShare)")
    }
    let generator = RandomGenerator(seed: seed)
    var draw = generator.split(1)
    var eligible = interactions.itemCounts().enumerated()
      .filter { Int($0.element) >= max(c.minimumInteractions, 1) }.map { Int32($0.offset) }
    draw.shuffle(&eligible)
    let testCount = Int(c.testShare * Double(eligible.count))
    let validationCount = Int(c.validationShare * Double(eligible.count))
    guard testCount > 0, validationCount > 0 else {
      throw .invalidParameter(
        operation: "NewItemSplit",
        expected: "items of \(c.minimumInteractions) interactions or more, enough for a new one in each part",
        found: "\(eligible.count) of \(interactions.itemCount)")
    }
    testItems = eligible[..<testCount].sorted()
    validationItems = eligible[testCount..<testCount + validationCount].sorted()
    var partOfItem = [UInt8](repeating: 0, count: interactions.itemCount)
    for item in validationItems { partOfItem[Int(item)] = 1 }
    for item in testItems { partOfItem[Int(item)] = 2 }

    var parts: [[Int32]] = [[], [], []]
    let (offsets, rows) = interactions.rowsByUser()
    for user in 0..<interactions.userCount {
      var old: [Int32] = []
      for row in rows[offsets[user]..<offsets[user + 1]] {
        let part = partOfItem[Int(interactions.items[Int(row)])]
        if part == 0 { old.append(row) } else { parts[Int(part)].append(row) }
      }
      var order = generator.split(UInt64(user) &+ 2)
      order.shuffle(&old)
      let sizes = SplitStrategy.parts(of: old.count, validation: c.rowShare, test: c.rowShare)
      parts[0] += old[..<sizes.training].sorted()
      parts[1] += old[sizes.training..<sizes.training + sizes.validation].sorted()
      parts[2] += old[(sizes.training + sizes.validation)...].sorted()
    }
    split = DataSplit(
      training: interactions.selecting(rows: parts[0]), validation: interactions.selecting(rows: parts[1]),
      test: interactions.selecting(rows: parts[2]),
      strategy: "new-items(\(c.testShare), \(c.validationShare), \(c.rowShare))")
  }
}
