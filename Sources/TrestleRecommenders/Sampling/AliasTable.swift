import TrestleTensor

/// Draws indices with given weights in constant time (Walker's alias method, Vose's construction).
public struct AliasTable: Sendable {
  private var thresholds: [Double]
  private var aliases: [Int32]

  /// Builds the table in linear time. If all weights are 0, all indices are equally likely.
  ///
  /// - Precondition: there is at least one weight, and all are finite and not negative.
  public init(weights: [Double]) {
    precondition(
      !weights.isEmpty && weights.allSatisfy { $0 >= 0 && $0.isFinite },
      "AliasTable: \(weights.count) weights, expected at least one, finite and not negative")
    let count = weights.count
    let total = weights.reduce(0, +)
    var scaled = total > 0 ? weights.map { $0 / total * Double(count) } : [Double](repeating: 1, count: count)
    thresholds = [Double](repeating: 1, count: count)
    aliases = (0..<count).map { Int32($0) }
    var small = scaled.indices.filter { scaled[$0] < 1 }
    var large = scaled.indices.filter { scaled[$0] >= 1 }
    while let low = small.popLast(), let high = large.last {
      thresholds[low] = scaled[low]
      aliases[low] = Int32(high)
      scaled[high] -= 1 - scaled[low]
      if scaled[high] < 1 {
        large.removeLast()
        small.append(high)
      }
    }
  }

  /// The number of indices.
  public var count: Int { thresholds.count }

  /// Draws an index.
  public func sample(_ generator: inout RandomGenerator) -> Int {
    let index = generator.index(below: thresholds.count)
    return generator.uniform() < thresholds[index] ? index : Int(aliases[index])
  }
}
