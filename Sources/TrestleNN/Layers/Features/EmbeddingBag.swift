import TrestleTensor

/// A table of vectors, looked up list by list: each list gives the sum or the mean of its rows.
///
/// The lists stand one after the other, and offsets say where each begins, as in PyTorch's `nn.EmbeddingBag`. A list without
/// entries gives zeros. The gradient holds the looked-up rows only.
///
/// ```swift
/// let genres = EmbeddingBag(count: 20, width: 8, using: &generator)
/// let vectors = genres(Tensor([3, 14, 1] as [Int32]), offsets: Tensor([0, 2, 2] as [Int32]))  // [3, 8]; the second is 0
/// ```
///
/// A table with a ``hash`` takes any key, `int64` or `int32`, and finds its row by it; keys may share a row.
public final class EmbeddingBag: Module {
  /// What a list gives.
  public enum Pooling: String, Codable, Sendable, CaseIterable {
    /// The sum of its rows, each times its weight if there are weights.
    case sum
    /// The sum of its rows over their number.
    case mean
  }

  /// The table, `[count, width]`.
  public let weight: Parameter
  /// What a list gives.
  public let pooling: Pooling
  /// How keys become rows; `nil` where indices are the rows themselves.
  public let hash: KeyHash?

  /// A layer with the given table.
  ///
  /// - Parameters:
  ///   - weight: `[count, width]`, `float32` or `float64`.
  ///   - pooling: what a list gives.
  ///   - hash: maps keys to rows, as many as the table has; `nil` for indices of rows.
  public init(weight: Tensor, pooling: Pooling = .mean, hash: KeyHash? = nil) {
    precondition(weight.rank == 2, "EmbeddingBag: weight \(weight.shape), expected [count, width]")
    precondition(
      hash.map { $0.rowCount == weight.shape[0] } ?? true,
      "EmbeddingBag: a hash to \(hash?.rowCount ?? 0) rows, expected the table's \(weight.shape[0])")
    self.weight = Parameter(weight)
    self.pooling = pooling
    self.hash = hash
  }

  /// A layer whose table is drawn from the normal distribution.
  ///
  /// - Parameters:
  ///   - count: the number of rows.
  ///   - width: the width of a row.
  ///   - pooling: what a list gives.
  ///   - hash: maps keys to rows, as many as the table has; `nil` for indices of rows.
  ///   - deviation: the standard deviation of the elements.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public convenience init(
    count: Int, width: Int, pooling: Pooling = .mean, hash: KeyHash? = nil, deviation: Double = 1,
    dtype: DType = .float32, using generator: inout RandomGenerator
  ) {
    self.init(
      weight: .normal([count, width], deviation: deviation, dtype: dtype, using: &generator),
      pooling: pooling, hash: hash)
  }

  /// The number of rows.
  public var count: Int { weight.shape[0] }
  /// The length of a row.
  public var width: Int { weight.shape[1] }

  /// The rows themselves, without pooling.
  ///
  /// - Parameter indices: `[...]`, `int32` within `0..<count`; with a ``hash`` any `int64` or `int32`.
  /// - Returns: `[..., width]`.
  public func rows(_ indices: Tensor) -> Tensor { weight.value.gatheredRows(hash?(indices) ?? indices) }

  /// The sum or mean of each list.
  ///
  /// - Parameters:
  ///   - indices: `[n]`, the entries of all lists, one list after the other; `int32` within `0..<count`, with a ``hash``
  ///     any `int64` or `int32`.
  ///   - offsets: `[lists]`, `int32`: where each list begins; the first is 0, none is below the one before, and the last
  ///     list goes to the end.
  ///   - weights: `[n]`, a factor for each entry, with ``Pooling/sum`` only; gradients flow to it.
  /// - Returns: `[lists, width]`.
  public func callAsFunction(_ indices: Tensor, offsets: Tensor, weights: Tensor? = nil) -> Tensor {
    precondition(
      indices.rank == 1 && offsets.rank == 1 && offsets.dtype == .int32,
      "EmbeddingBag: indices \(indices.shape), offsets \(offsets.dtype) \(offsets.shape), expected [n] and int32 [lists]"
    )
    precondition(
      weights.map { $0.shape == indices.shape && pooling == .sum } ?? true,
      "EmbeddingBag: weights \(weights.map { "\($0.shape)" } ?? "nil") with \(pooling), expected \(indices.shape) with sum"
    )
    let lists = ListPlaces(offsets: offsets, entryCount: indices.elementCount)
    guard indices.elementCount > 0 else { return .zeros([lists.lengths.count, width], dtype: weight.dtype) }
    var entries = rows(indices)
    if let weights { entries = entries * weights.expanded(at: 1) }
    let sums = entries.scatterAddedRows(at: Tensor(lists.listOfEntry), rowCount: lists.lengths.count)
    guard pooling == .mean else { return sums }
    let factors = Tensor(lists.lengths.map { 1 / Double(max($0, 1)) }).converted(to: weight.dtype)
    return sums * factors.expanded(at: 1)
  }
}

/// To which list each entry belongs.
private struct ListPlaces {
  private(set) var listOfEntry: [Int32] = []
  private(set) var lengths: [Int] = []

  init(offsets: Tensor, entryCount: Int) {
    let starts = offsets.scalars(as: Int32.self).map(Int.init) + [entryCount]
    precondition(
      starts[0] == 0, "EmbeddingBag: the first offset of \(entryCount) entries is \(starts[0]), expected 0")
    listOfEntry.reserveCapacity(entryCount)
    lengths.reserveCapacity(starts.count - 1)
    for list in 0..<starts.count - 1 {
      let length = starts[list + 1] - starts[list]
      precondition(
        length >= 0 && starts[list + 1] <= entryCount,
        "EmbeddingBag: list \(list) goes from \(starts[list]) to \(starts[list + 1]) of \(entryCount) entries"
      )
      lengths.append(length)
      listOfEntry.append(contentsOf: repeatElement(Int32(list), count: length))
    }
  }
}

/// A map of any 64-bit key to one of so many rows: the same on every machine and in every release.
///
/// The key and the seed go through SplitMix64's finaliser, and the upper half of the product with the number of rows is the
/// row, so that rows are evenly used whatever their number. Tables with different seeds mix different keys.
///
/// Source: Weinberger et al., *Feature Hashing for Large Scale Multitask Learning* (2009).
public struct KeyHash: Codable, Sendable, Equatable {
  /// The number of rows, at least 1.
  public let rowCount: Int
  /// Which of the many maps it is.
  public let seed: UInt64

  /// A map to `rowCount` rows.
  ///
  /// - Precondition: there are from 1 to 2³¹ − 1 rows.
  public init(rowCount: Int, seed: UInt64 = 0) {
    precondition(
      rowCount >= 1 && rowCount <= Int(Int32.max), "KeyHash: \(rowCount) rows, expected 1 to 2³¹ − 1")
    self.rowCount = rowCount
    self.seed = seed
  }

  /// The row of a key.
  public func row(of key: Int64) -> Int32 {
    let mixed = Self.mixed(UInt64(bitPattern: key) ^ Self.mixed(seed &+ 0x9E37_79B9_7F4A_7C15))
    return Int32(mixed.multipliedFullWidth(by: UInt64(rowCount)).high)
  }

  /// The rows of keys, of their shape, `int32`.
  ///
  /// - Parameter keys: `int64` or `int32`.
  public func callAsFunction(_ keys: Tensor) -> Tensor {
    precondition(
      keys.dtype == .int64 || keys.dtype == .int32,
      "KeyHash: keys of \(keys.dtype), expected int64 or int32")
    let values =
      keys.dtype == .int64 ? keys.scalars(as: Int64.self) : keys.scalars(as: Int32.self).map(Int64.init)
    return Tensor(values.map(row(of:)), shape: keys.shape)
  }

  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
