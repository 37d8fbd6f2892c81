import Foundation
import TrestleFormats
import TrestleRecommenders
import TrestleTensor

/// An approximate index of a hybrid's items, for catalogues in which looking at every item takes too long: `ItemIndex` over
/// both sides' rows, one behind the other.
///
/// The fused score (1 − α) · z(domain) + α · z(language), each side standardised over the catalogue, is an inner product with these
/// rows up to a term that all items share: of rows x with the mean m and the mean of products S, the scores u · x have the mean u · m and
/// the variance u S uᵀ − (u · m)². So no item need be scored to standardise, and one index answers for both sides and each alone.
///
/// ```swift
/// let index = try HybridIndex(hybrid)
/// let list = try hybrid.recommend(for: "42", count: 10, by: index, probes: 32)
/// ```
public struct HybridIndex: Sendable {
  /// What of a side's rows standardises its scores.
  private struct Moments: Sendable {
    /// `[1, width]`.
    let mean: Tensor
    /// The mean of xᵀx, `[width, width]`.
    let products: Tensor
    /// The root of the mean square of the rows' lengths, by which the index has them divided: cells then go by both sides.
    let length: Double

    init(_ rows: Tensor) {
      mean = rows.mean(along: [0], keepingDimensions: true).detached
      let count = Double(max(rows.shape[0], 1))
      products = (rows.transposed().matmul(rows) * (1 / count)).detached
      let square = rows.squared().sum().item / count
      length = square > 0 ? square.squareRoot() : 1
    }

    /// The mean and the scale of a row's scores over the catalogue; the scale is 0 for scores that are all alike.
    func standardization(of row: Tensor) -> (mean: Double, scale: Double) {
      let mean = row.matmul(self.mean, transposingOther: true).item
      let square = row.matmul(products).matmul(row, transposingOther: true).item
      let variance = square - mean * mean
      // What single precision leaves of equal scores is no difference.
      return (mean, variance > 1e-20 + 1e-6 * mean * mean ? 1 / variance.squareRoot() : 0)
    }
  }

  /// The index over the domain side's rows and the language side's behind them, each divided by its usual length; over those of
  /// one side if the other is not there.
  public let index: ItemIndex
  private let domain: Moments?
  private let language: Moments?

  /// Makes an index.
  ///
  /// - Parameters:
  ///   - hybrid: whose items.
  ///   - cells: how many cells; about 4·√items if `nil`.
  ///   - seed: determines the first centres and the sample.
  /// - Throws: `ServingError/invalidRequest(expected:found:)` for a hybrid without a side or without items.
  public init(_ hybrid: HybridRecommender, cells: Int? = nil, seed: UInt64 = 0) throws {
    (domain, language) = Self.moments(of: hybrid)
    guard let rows = Self.rows(of: hybrid, domain, language, from: 0) else {
      throw ServingError.invalidRequest(expected: "a hybrid with rows of items", found: "one without")
    }
    index = ItemIndex(rows, cells: cells, seed: seed)
  }

  /// Opens the index of a hybrid that ``save(to:)`` wrote, by mapping; see `ItemIndex.init(contentsOf:access:)`.
  ///
  /// - Throws: `FormatError`; `ServingError` for a file that holds no index, or that of another hybrid.
  public init(contentsOf url: URL, of hybrid: HybridRecommender) throws {
    (domain, language) = Self.moments(of: hybrid)
    index = try ItemIndex(contentsOf: url)
    try check(hybrid)
  }

  /// Writes the index as one safetensors file.
  public func save(to url: URL) throws { try index.save(to: url) }

  private init(_ index: ItemIndex, _ domain: Moments?, _ language: Moments?) {
    (self.index, self.domain, self.language) = (index, domain, language)
  }

  /// The index of a hybrid that has had items added behind those that this one is of; cells and standardisation stay.
  ///
  /// - Throws: `ServingError/otherData(expected:found:)` for another hybrid.
  public func adding(itemsOf hybrid: HybridRecommender) throws -> HybridIndex {
    let width = Self.width(hybrid)
    guard width == index.rows.shape[1], hybrid.catalogue.itemIDs.count >= index.itemCount else {
      throw ServingError.otherData(
        expected: "a hybrid with \(index.itemCount) items or more and rows of width \(index.rows.shape[1])",
        found: "\(hybrid.catalogue.itemIDs.count) and \(width)")
    }
    guard let further = Self.rows(of: hybrid, domain, language, from: index.itemCount) else { return self }
    return HybridIndex(index.adding(further), domain, language)
  }

  private static func moments(of hybrid: HybridRecommender) -> (domain: Moments?, language: Moments?) {
    (hybrid.domainRows.map { Moments($0.items) }, hybrid.languageRows.map { Moments($0.items) })
  }

  private static func width(_ hybrid: HybridRecommender) -> Int {
    (hybrid.domainRows?.items.shape[1] ?? 0) + (hybrid.languageRows?.items.shape[1] ?? 0)
  }

  /// The rows that the index is of, from an item on; `nil` if there are none.
  private static func rows(
    of hybrid: HybridRecommender, _ domain: Moments?, _ language: Moments?, from first: Int
  ) -> Tensor? {
    let parts = [(hybrid.domainRows, domain), (hybrid.languageRows, language)].compactMap { side, moments in
      guard let side, let moments, side.items.shape[0] > first else { return nil as Tensor? }
      return side.items.sliced(first..<side.items.shape[0], along: 0) * (1 / moments.length)
    }
    return parts.isEmpty ? nil : Tensor.concatenated(parts, along: 1).detached
  }

  /// Refuses a hybrid that the index is not of.
  func check(_ hybrid: HybridRecommender) throws(ServingError) {
    let expected = [hybrid.catalogue.itemIDs.count, Self.width(hybrid)]
    guard [index.itemCount, index.rows.shape[1]] == expected else {
      throw .otherData(
        expected: "an index of the hybrid's \(expected[0]) items, of width \(expected[1])",
        found: "one of \(index.rows.shape)")
    }
  }

  /// The items with the best scores of those that are looked at.
  ///
  /// - Parameters:
  ///   - domain: the user's row on the domain side; `nil` leaves the side out.
  ///   - language: that on the language side.
  ///   - alpha: the language side's weight, if both are given.
  func search(
    _ domain: Tensor?, _ language: Tensor?, alpha: Double, count: Int, probes: Int,
    without removed: Set<Int32>
  ) -> [Recommendation] {
    let isFused = domain != nil && language != nil
    var parts: [Tensor] = []
    var shift = 0.0
    for (row, moments, weight) in [(domain, self.domain, 1 - alpha), (language, self.language, alpha)] {
      guard let moments else { continue }
      guard let row else {
        parts.append(.zeros([1, moments.mean.shape[1]]))
        continue
      }
      let (mean, scale) = isFused ? moments.standardization(of: row) : (0, 1)
      let factor = isFused ? weight * scale : 1
      parts.append(row * (factor * moments.length))
      shift += factor * mean
    }
    return index.search(
      .concatenated(parts, along: 1), count: count, probes: probes, without: removed
    ).map { Recommendation(item: $0.item, score: $0.score - Float(shift)) }
  }
}

extension HybridRecommender {
  /// The best items for a user, of those that an index looks at; see ``recommend(for:count:by:filter:reasons:)``.
  ///
  /// - Parameters:
  ///   - user: the user's id.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - index: of this hybrid's items.
  ///   - probes: how many cells are looked into; all of them make the answer exact.
  ///   - part: which of the three recommenders is asked.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the user's items are named that speak most for each.
  /// - Throws: `ServingError` for an id that nobody has, a count below 0, or an index of other items.
  public func recommend(
    for user: String, count: Int = 10, by index: HybridIndex, probes: Int = 32, part: Part = .fused,
    filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let place = try catalogue.user(user)
    let interactions = Int(trainingCounts[place])
    guard interactions > 0 else {
      return try recommend(for: user, count: count, by: part, filter: filter, reasons: reasons)
    }
    return try list(
      index, probes, part, (domainRows?.users.row(place), languageRows?.users.row(place)),
      alpha: fusion.alpha(interactions: interactions), Set(histories.items(of: place)).sorted(), count,
      filter,
      reasons)
  }

  /// The best items for someone new who likes some items, of those that an index looks at.
  ///
  /// - Parameters:
  ///   - items: the ids of the items liked, at least one.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - index: of this hybrid's items.
  ///   - probes: how many cells are looked into; all of them make the answer exact.
  ///   - part: which of the three recommenders is asked.
  ///   - filter: which items may be recommended.
  ///   - reasons: how many of the liked items are named that speak most for each.
  /// - Throws: `ServingError` for an id that no item has, no items, a count below 0, or an index of other items.
  public func recommend(
    liking items: [String], count: Int = 10, by index: HybridIndex, probes: Int = 32, part: Part = .fused,
    filter: ItemFilter = ItemFilter(), reasons: Int = 0
  ) throws -> RecommendationList {
    let liked = try distinct(items)
    return try list(
      index, probes, part,
      (
        domainRows.map { row(liking: liked, of: .domain, $0) },
        languageRows.map { row(liking: liked, of: .language, $0) }
      ), alpha: fusion.alpha(interactions: liked.count), liked, count, filter, reasons)
  }

  private func list(
    _ index: HybridIndex, _ probes: Int, _ part: Part, _ rows: (domain: Tensor?, language: Tensor?),
    alpha: Double, _ liked: [Int32], _ count: Int, _ filter: ItemFilter, _ reasons: Int
  ) throws -> RecommendationList {
    try index.check(self)
    let request = Request(
      count: count, removed: try filter.removed(from: catalogue, known: liked), liked: liked, reasons: reasons
    )
    let own = asked(part, rows.domain, rows.language)
    guard own.domain != nil || own.language != nil, count >= 0 else {
      throw ServingError.invalidRequest(
        expected: "a count of at least 0 and a side that is loaded", found: "\(count)")
    }
    let best = index.search(
      own.domain, own.language, alpha: alpha, count: count, probes: probes, without: request.removed)
    return described(best, request, source(own.domain != nil, own.language != nil), asked: part)
  }
}
