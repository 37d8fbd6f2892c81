import Foundation
import TrestleFormats
import TrestleTensor

/// An approximate index of the items' rows for catalogues in which looking at every item takes too long: an inverted file.
///
/// Items are parted into cells by spherical k-means, and a request looks into the cells whose centres have the largest inner
/// products with the user's row. So that near in angle means large in inner product, rows are given one more dimension that
/// brings all of them to the length of the longest: x' = [x, √(M² − |x|²)].
///
/// ```swift
/// let index = ItemIndex(model.embeddings!.items, seed: 1)
/// let list = try model.recommend(for: "42", count: 10, by: index, probes: 32)
/// ```
///
/// Source: Jégou, Douze, Schmid, *Product Quantization for Nearest Neighbor Search* (2011), for the inverted file; Bachrach et
/// al., *Speeding Up the Xbox Recommender System Using a Euclidean Transformation for Inner-Product Spaces* (2014), for the
/// further dimension. Rows are kept as they are, not quantised: scores are exact, and only what is looked at is approximate.
public struct ItemIndex: Sendable {
  /// The centres of the cells, of length 1 with the further dimension last, `[cells, width + 1]`.
  public let centres: Tensor
  /// The items' rows, cell after cell, `[items, width]`.
  public let rows: Tensor
  /// Where each cell begins in ``rows``, `[cells + 1]`.
  let offsets: [Int]
  /// The item of each row.
  let items: [Int32]

  /// Makes an index.
  ///
  /// - Parameters:
  ///   - rows: the items' rows, `[items, width]`, `float32`; at least one.
  ///   - cells: how many cells; about 4·√items if `nil`.
  ///   - iterations: rounds of k-means, over at most 64 rows a cell.
  ///   - seed: determines the first centres and the sample.
  public init(_ rows: Tensor, cells: Int? = nil, iterations: Int = 8, seed: UInt64) {
    precondition(
      rows.rank == 2 && rows.shape[0] > 0 && rows.dtype == .float32, "ItemIndex: \(rows.dtype) \(rows.shape)")
    let count = rows.shape[0]
    let wanted = cells ?? Int(4 * Double(count).squareRoot())
    let cellCount = min(max(wanted, 1), count)
    let augmented = Self.augmented(rows)
    var generator = RandomGenerator(seed: seed)
    let order = generator.permutation(of: count).map { Int32($0) }
    var centres = augmented.gatheredRows(Tensor(Array(order.prefix(cellCount))))
    let sample = augmented.gatheredRows(Tensor(order.prefix(64 * cellCount).sorted()))
    for _ in 0..<max(iterations, 0) {
      let cellOf = Self.nearest(sample, centres)
      let sums = Tensor.zeros(centres.shape)
      sums.scatterAddInPlace(sample, at: Tensor(cellOf))
      // A cell that nothing is nearest to keeps its centre.
      var isEmpty = [Float](repeating: 1, count: cellCount)
      for cell in cellOf { isEmpty[Int(cell)] = 0 }
      centres = (sums + centres * Tensor(isEmpty, shape: [cellCount, 1])).unitNormalized()
    }
    let cellOf = Self.nearest(augmented, centres)
    var offsets = [Int](repeating: 0, count: cellCount + 1)
    for cell in cellOf { offsets[Int(cell) + 1] += 1 }
    for cell in 0..<cellCount { offsets[cell + 1] += offsets[cell] }
    var next = offsets
    var items = [Int32](repeating: 0, count: count)
    for (item, cell) in cellOf.enumerated() {
      items[next[Int(cell)]] = Int32(item)
      next[Int(cell)] += 1
    }
    self.init(
      centres: centres.detached, rows: rows.gatheredRows(Tensor(items)), offsets: offsets, items: items)
  }

  private init(centres: Tensor, rows: Tensor, offsets: [Int], items: [Int32]) {
    (self.centres, self.rows, self.offsets, self.items) = (centres, rows, offsets, items)
  }

  /// The index with further items behind those there are, in the cells nearest to them; the centres stay.
  ///
  /// - Parameter further: the new items' rows, `[new items, width]`, `float32`.
  public func adding(_ further: Tensor) -> ItemIndex {
    precondition(
      further.rank == 2 && further.shape[1] == rows.shape[1] && further.dtype == .float32,
      "ItemIndex.adding: \(further.dtype) \(further.shape) to rows \(rows.shape)")
    guard further.shape[0] > 0 else { return self }
    let longest = max(
      Self.squaredLengths(rows).max() ?? 0, Self.squaredLengths(further).max() ?? 0)
    let cellOf = Self.nearest(Self.augmented(further, longest: longest), centres)
    var added = [[Int32]](repeating: [], count: cellCount)
    for (place, cell) in cellOf.enumerated() { added[Int(cell)].append(Int32(place)) }
    var (offsets, items, order) = ([0], [Int32](), [Int32]())
    for cell in 0..<cellCount {
      let range = self.offsets[cell]..<self.offsets[cell + 1]
      items += self.items[range] + added[cell].map { Int32(itemCount) + $0 }
      order += range.map { Int32($0) } + added[cell].map { Int32(itemCount) + $0 }
      offsets.append(items.count)
    }
    let all = Tensor.concatenated([rows, further], along: 0).gatheredRows(Tensor(order))
    return ItemIndex(centres: centres, rows: all, offsets: offsets, items: items)
  }

  /// The number of items.
  public var itemCount: Int { items.count }
  /// The number of cells.
  public var cellCount: Int { offsets.count - 1 }

  /// The items whose rows have the largest inner products with `query`, of those in the cells that are looked into.
  ///
  /// - Parameters:
  ///   - query: `[1, width]`.
  ///   - count: how many items are wanted; there may be fewer.
  ///   - probes: how many cells are looked into; all of them make the answer exact.
  ///   - removed: items that may not come.
  public func search(
    _ query: Tensor, count: Int, probes: Int, without removed: Set<Int32> = []
  ) -> [Recommendation] {
    precondition(
      query.shape == [1, rows.shape[1]] && count >= 0,
      "ItemIndex.search: query \(query.shape) for rows \(rows.shape), \(count) items")
    let width = rows.shape[1]
    let near = query.matmul(centres.sliced(0..<width, along: 1), transposingOther: true).floats
    var cells = TopItems(limit: min(max(probes, 1), cellCount))
    _ = cells.offer(near, from: 0, count: near.count, first: 0)
    var best = TopItems(limit: min(count, itemCount))
    for cell in cells.sorted() {
      let range = offsets[Int(cell.item)]..<offsets[Int(cell.item) + 1]
      guard !range.isEmpty, count > 0 else { continue }
      let scores = query.matmul(rows.sliced(range, along: 0), transposingOther: true).floats
      for (place, score) in scores.enumerated() where score.isFinite {
        let item = items[range.lowerBound + place]
        if !removed.contains(item) { best.offer(score, Int(item)) }
      }
    }
    return best.sorted().map { Recommendation(item: Int($0.item), score: $0.score) }
  }

  // MARK: Cells

  private static func squaredLengths(_ rows: Tensor) -> [Float] { rows.squared().sum(along: [1]).floats }

  /// Rows with the further dimension, of length 1.
  ///
  /// - Parameter longest: the squared length that all are brought to; that of the longest row if `nil`.
  private static func augmented(_ rows: Tensor, longest: Float? = nil) -> Tensor {
    let lengths = squaredLengths(rows)
    let longest = max(longest ?? lengths.max() ?? 0, 1e-12)
    let rest = Tensor(lengths.map { max(longest - $0, 0).squareRoot() }, shape: [rows.shape[0], 1])
    return Tensor.concatenated([rows, rest], along: 1).unitNormalized()
  }

  /// The cell of each row.
  private static func nearest(_ rows: Tensor, _ centres: Tensor) -> [Int32] {
    let (count, cells, tile) = (rows.shape[0], centres.shape[0], 1024)
    var result: [Int32] = []
    result.reserveCapacity(count)
    for start in stride(from: 0, to: count, by: tile) {
      let end = min(start + tile, count)
      let products = rows.sliced(start..<end, along: 0).matmul(centres, transposingOther: true).floats
      for row in 0..<end - start {
        var best = 0
        for cell in 1..<max(cells, 1) where products[row * cells + cell] > products[row * cells + best] {
          best = cell
        }
        result.append(Int32(best))
      }
    }
    return result
  }

  // MARK: Files

  /// Writes the index as one safetensors file.
  public func save(to url: URL) throws {
    try SafetensorsWriter.write(
      [
        SafetensorsSource(name: "centres", tensor: centres), SafetensorsSource(name: "rows", tensor: rows),
        SafetensorsSource(name: "offsets", tensor: Tensor(offsets.map { Int32($0) })),
        SafetensorsSource(name: "items", tensor: Tensor(items)),
      ], to: url)
  }

  /// Opens an index by mapping: rows are read when a request looks at them. The file must stay as it is.
  ///
  /// - Throws: `FormatError`; ``ServingError/invalidState(path:place:expected:found:)`` for a file that holds no index.
  public init(contentsOf url: URL, access: MappedFile.Access = .mapped) throws {
    let file = try SafetensorsFile(url, access: access)
    func tensor(_ name: String, _ dtype: DType, _ rank: Int) throws -> Tensor {
      let tensor = try file.tensor(name)
      guard tensor.dtype == dtype, tensor.rank == rank else {
        throw ServingError.invalidState(
          path: url.path, place: name, expected: "\(dtype) of rank \(rank)",
          found: "\(tensor.dtype) \(tensor.shape)")
      }
      return tensor
    }
    let (centres, rows) = (try tensor("centres", .float32, 2), try tensor("rows", .float32, 2))
    let offsets = try tensor("offsets", .int32, 1).scalars(as: Int32.self).map { Int($0) }
    let items = try tensor("items", .int32, 1).scalars(as: Int32.self)
    guard centres.shape[1] == rows.shape[1] + 1, offsets.count == centres.shape[0] + 1, offsets.first == 0,
      offsets.last == items.count, zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 }),
      items.count == rows.shape[0], items.allSatisfy({ $0 >= 0 && Int($0) < items.count })
    else {
      throw ServingError.invalidState(
        path: url.path, place: "offsets, items", expected: "the items of each cell", found: "other numbers")
    }
    self.init(centres: centres, rows: rows, offsets: offsets, items: items)
  }
}
