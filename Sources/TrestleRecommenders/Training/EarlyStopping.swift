/// Notes a metric that should rise, and says when it has stopped.
public struct EarlyStopping: Codable, Sendable {
  /// How many values without improvement are borne.
  public let patience: Int
  /// The best value so far; −∞ before the first.
  public var best: Double { highest ?? -.infinity }
  package private(set) var highest: Double?
  /// How many values came since the best.
  public private(set) var sinceBest = 0

  /// Nothing noted yet.
  public init(patience: Int) { self.patience = patience }

  /// What was noted before.
  package init(patience: Int, highest: Double?, sinceBest: Int) {
    (self.patience, self.highest, self.sinceBest) = (patience, highest, sinceBest)
  }

  /// Notes a value; `true` if it is the best so far.
  public mutating func note(_ value: Double) -> Bool {
    if value > best {
      highest = value
      sinceBest = 0
      return true
    }
    sinceBest += 1
    return false
  }

  /// Whether the metric has not risen for `patience` values.
  public var shouldStop: Bool { sinceBest >= patience }
}
