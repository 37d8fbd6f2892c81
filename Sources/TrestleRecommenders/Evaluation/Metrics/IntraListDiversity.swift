import TrestleTensor

/// Intra-list diversity, ILD@k: how much the items of one list differ from one another, as the mean distance of all pairs among
/// its first `k` items.
///
/// The distance is `1 − |A ∩ B| / |A ∪ B|` (Jaccard) of the items' categories, from 0 to 1, or `1 − cos` of their vectors, from
/// 0 to 2. A pair with an item of which nothing is known (without a category, or with a vector of zeros) is left out. A list
/// without a pair that counts has 0: with `k = 1`, with one item, or with fewer than two that are known. Otherwise a list shorter
/// than `k` has the mean over the pairs there are.
///
/// Source: Smyth and McClave, *Similarity vs. Diversity*, ICCBR 2001.
public struct IntraListDiversity: CustomRankingMetric {
  private enum Distance: Sendable {
    case categories(ItemCategories)
    /// The items' vectors, row after row, and the length of each.
    case vectors([Float], lengths: [Double])
  }

  /// The name in results: `ILD@10` by categories, `CosineILD@10` by vectors, unless another was given.
  public let name: String
  /// How many places of a list are looked at.
  public let cutoff: Int
  private let distance: Distance

  /// The measure by categories.
  ///
  /// - Parameters:
  ///   - categories: those of every item that can be ranked.
  ///   - cutoff: `k`, at least 1.
  ///   - name: the name in results; `ILD@k` if absent.
  public init(_ categories: ItemCategories, cutoff: Int = 10, name: String? = nil) {
    (self.cutoff, self.name) = (cutoff, name ?? "ILD@\(cutoff)")
    distance = .categories(categories)
  }

  /// The measure by vectors, such as those of a text encoder.
  ///
  /// - Parameters:
  ///   - vectors: one for each item that can be ranked, `[items, width]`, of `float32` or `float64`; they need not have unit length.
  ///   - cutoff: `k`, at least 1.
  ///   - name: the name in results; `CosineILD@k` if absent.
  /// - Throws: ``DataError/invalidParameter(operation:expected:found:)`` for another shape or type, or a number that is not finite.
  public init(vectors: Tensor, cutoff: Int = 10, name: String? = nil) throws(DataError) {
    func invalid(_ expected: String, _ found: String) -> DataError {
      .invalidParameter(operation: "IntraListDiversity", expected: expected, found: found)
    }
    guard vectors.rank == 2, vectors.dtype == .float32 || vectors.dtype == .float64 else {
      throw invalid("vectors [items, width] of float32 or float64", "\(vectors.dtype) \(vectors.shape)")
    }
    let (count, width) = (vectors.shape[0], vectors.shape[1])
    let values = vectors.detached.converted(to: .float32).scalars(as: Float.self)
    if let bad = values.firstIndex(where: { !$0.isFinite }) {
      throw invalid("finite vectors", "\(values[bad]) for item \(bad / width)")
    }
    (self.cutoff, self.name) = (cutoff, name ?? "CosineILD@\(cutoff)")
    distance = .vectors(
      values, lengths: (0..<count).map { Self.product(values, $0, $0, width: width).squareRoot() })
  }

  /// The mean distance of the pairs of a list.
  ///
  /// - Precondition: the items are among those whose categories or vectors were given.
  public func value(_ list: RankedList) -> Double {
    let items = list.items.prefix(cutoff)
    var sum = 0.0
    var count = 0
    for (place, first) in items.enumerated() {
      for second in items.dropFirst(place + 1) {
        guard let distance = distance(first, second) else { continue }
        sum += distance
        count += 1
      }
    }
    return count > 0 ? sum / Double(count) : 0
  }

  private func distance(_ first: Int32, _ second: Int32) -> Double? {
    switch distance {
    case .categories(let categories):
      return categories.distance(first, second)
    case .vectors(let values, let lengths):
      let (first, second) = (Int(first), Int(second))
      precondition(
        max(first, second) < lengths.count,
        "IntraListDiversity: item \(max(first, second)) of \(lengths.count) vectors")
      guard lengths[first] > 0, lengths[second] > 0 else { return nil }
      let product = Self.product(values, first, second, width: values.count / lengths.count)
      // Rounding may bring the cosine of parallel vectors above 1.
      return max(0, 1 - product / (lengths[first] * lengths[second]))
    }
  }

  /// The inner product of two rows.
  private static func product(_ values: [Float], _ first: Int, _ second: Int, width: Int) -> Double {
    var sum = 0.0
    for place in 0..<width {
      sum += Double(values[first * width + place]) * Double(values[second * width + place])
    }
    return sum
  }
}
