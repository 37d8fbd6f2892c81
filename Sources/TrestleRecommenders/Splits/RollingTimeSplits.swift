import TrestleTensor

/// Splits by time whose test parts are successive windows: a model is trained, chosen and measured anew at several moments, always on
/// what was known then.
///
/// ```swift
/// for split in try RollingTimeSplits(dataset.interactions, windows: 5) {
///   print(try RankingEvaluator(split).evaluate(EASE(training: split.training).makeScorer()).mean(.ndcg(10)) ?? 0)
/// }
/// ```
///
/// Each test part is about the same share of all interactions. The windows follow one another without a gap, and the last one ends
/// with the data. In each split the `validation` share of all interactions right before the test part validates, everything before
/// that trains, and what comes after the test part is left out. Rows of equal time stay together, so that a part may come out smaller
/// or larger than its share. As with ``SplitStrategy/globalTime(validation:test:)``, whose split a single window gives, users and items
/// without a training row stay in the other parts.
///
/// The collection holds the borders alone: a split is made when it is asked for.
public struct RollingTimeSplits: Sendable, RandomAccessCollection {
  /// The moments between the parts of one split, in the unit of the interactions' times.
  public struct Window: Sendable, Equatable {
    /// The first moment that does not train.
    public let validationStart: Int64
    /// The first moment of the test part.
    public let testStart: Int64
    /// The first moment after the test part; `nil` for the last window, which ends with the data.
    public let testEnd: Int64?
  }

  /// What is parted.
  public let interactions: Interactions
  /// The borders of each split, in the order of time.
  public let windows: [Window]
  private let shares: String

  /// Finds the borders.
  ///
  /// - Parameters:
  ///   - interactions: what is parted; with times.
  ///   - windows: how many test parts there are, at least 1.
  ///   - validation: the share of all interactions that validates before each test part; with 0 there is no validation part.
  ///   - test: the share of all interactions in each test part.
  /// - Throws: ``DataError/missingField(operation:expected:)`` without times, and
  ///   ``DataError/invalidParameter(operation:expected:found:)`` if the shares leave nothing to train on, or a part that is asked for
  ///   would be empty, as where many interactions have one time.
  public init(
    _ interactions: Interactions, windows: Int, validation: Double = 0.1, test: Double = 0.1
  ) throws(DataError) {
    guard let timestamps = interactions.timestamps else {
      throw .missingField(operation: "RollingTimeSplits", expected: "timestamps")
    }
    guard windows >= 1, validation >= 0, test > 0, Double(windows) * test + validation < 1 else {
      throw Self.invalid(
        "a window or more, whose shares leave something to train on",
        "\(windows) windows of \(test) of the interactions, and \(validation) before each")
    }
    guard windows <= interactions.count else {
      throw Self.invalid("an interaction for each of \(windows) windows", "\(interactions.count)")
    }
    let ordered = timestamps.sorted()
    func start(_ share: Double) -> Int64? {
      let place = ordered.count - Int(share * Double(ordered.count))
      return place < ordered.count ? ordered[place] : nil
    }
    self.windows = try (0..<windows).map { place throws(DataError) -> Window in
      let share = Double(windows - place) * test
      guard let first = start(share) else {
        throw Self.invalid("test interactions", "shares of less than one of \(ordered.count)")
      }
      let window = Window(
        validationStart: start(share + validation) ?? first, testStart: first,
        testEnd: place + 1 < windows ? start(Double(windows - place - 1) * test) : nil)
      try Self.check(window, place, of: windows, ordered, validates: validation > 0)
      return window
    }
    self.interactions = interactions
    shares = "\(validation), \(test)"
  }

  /// Stops where a part would be empty.
  private static func check(
    _ window: Window, _ place: Int, of count: Int, _ ordered: [Int64], validates: Bool
  ) throws(DataError) {
    func rows(before time: Int64) -> Int { ordered.indices.partitionPoint { ordered[$0] < time } }
    let (validationStart, testStart) = (rows(before: window.validationStart), rows(before: window.testStart))
    let testCount = (window.testEnd.map { rows(before: $0) } ?? ordered.count) - testStart
    let empty =
      testCount == 0
      ? "test"
      : validationStart == 0 ? "training" : validates && validationStart == testStart ? "validation" : nil
    if let empty {
      throw invalid(
        "interactions in each part of \(count) windows",
        "none in the \(empty) part of window \(place + 1), around the time \(window.testStart): too many of the \(ordered.count) interactions have one time, or there are too few"
      )
    }
  }

  private static func invalid(_ expected: String, _ found: String) -> DataError {
    .invalidParameter(operation: "RollingTimeSplits", expected: expected, found: found)
  }

  /// The first window's place.
  public var startIndex: Int { 0 }

  /// The number of windows.
  public var endIndex: Int { windows.count }

  /// The split of one window, whose ``DataSplit/strategy`` says which. Rows of each part are grouped by user, and keep their order within a
  /// user.
  ///
  /// - Precondition: `position` lies in `0..<endIndex`.
  public subscript(position: Int) -> DataSplit { interactions.split(by: rows(of: position)) }

  /// The rows of one window's parts.
  ///
  /// - Precondition: `position` lies in `0..<endIndex`.
  public func rows(of position: Int) -> SplitRows {
    precondition(windows.indices.contains(position), "RollingTimeSplits: window \(position) of \(count)")
    let window = windows[position]
    var parts: [[Int32]] = [[], [], []]
    let timestamps = interactions.timestamps ?? []
    for row in interactions.rowsByUser().rows {
      let time = timestamps[Int(row)]
      if let end = window.testEnd, time >= end { continue }
      parts[time >= window.testStart ? 2 : time >= window.validationStart ? 1 : 0].append(row)
    }
    return SplitRows(
      training: parts[0], validation: parts[1], test: parts[2],
      strategy: "rolling-time(\(shares)), window \(position + 1) of \(count)")
  }
}
