import TrestleTensor

/// A table of rows that is cut over the ranks, so that it may be larger than one machine's memory: each rank holds some of
/// the rows, and what an optimizer remembers about them.
///
/// A step looks up the rows that its batch needs, takes gradients of these, and sends them to the rows' owners:
///
/// ```swift
/// let table = EmbeddingTable(rowCount: 10_000_000, width: 64, communicator: ranks, using: generator)
/// let optimizer = Adam([table.shard])
/// let found = try table.lookup(batch.items)  // on all ranks
/// let (_, gradients) = valueAndGradients(of: [found.rows]) { loss(found[batch.items]) }
/// try table.add(gradients[found.rows], of: found, exampleCount: batch.count)
/// table.update(optimizer)
/// ```
///
/// Every rank calls the same methods in the same order. Sums are taken in the order of the ranks, and of the calls of
/// ``add(_:of:exampleCount:)``, as ``GradientReducer`` takes them: a table on N ranks has the same bits as on one, or as a
/// plain parameter with row-sparse gradients. Rows are drawn by their number and do not depend on the ranks, either.
public final class EmbeddingTable {
  /// Which rank owns which rows.
  public enum Partition: String, Codable, Sendable, CaseIterable {
    /// Blocks of consecutive rows.
    case range
    /// Row r belongs to rank r modulo the number of ranks: rows that are wanted often, such as the first ones, are spread.
    case modulo
  }

  /// Rows that were looked up.
  public struct Lookup {
    /// The distinct rows, `[distinct, width]`; a copy, to take gradients of.
    public let rows: Parameter
    let request: RowRequest
    private let places: [Int32: Int32]

    init(_ request: RowRequest, rows: Tensor) {
      self.request = request
      self.rows = Parameter(rows)
      places = Dictionary(
        zip(request.names, 0..<Int32(request.names.count)), uniquingKeysWith: { first, _ in first })
    }

    /// The rows of some of the indices that were looked up, `[indices, width]`; tracked while gradients are taken.
    ///
    /// - Precondition: all were looked up.
    public subscript(indices: [Int32]) -> Tensor {
      rows.value.gatheredRows(
        Tensor(
          indices.map { index in
            guard let place = places[index] else {
              preconditionFailure("EmbeddingTable: row \(index) was not looked up")
            }
            return place
          }))
    }
  }

  /// The number of rows of the whole table.
  public let rowCount: Int
  /// The length of a row.
  public let width: Int
  /// Which rank owns which rows.
  public let partition: Partition
  /// The ranks.
  public let communicator: any Communicator
  /// This rank's rows, `[own rows, width]`: what its optimizer moves.
  public let shard: Parameter
  let cut: RowPartition
  private var sums = RowSums()
  private var examples = 0

  /// A table of rows drawn from the normal distribution, each from a stream of its own.
  ///
  /// - Parameters:
  ///   - rowCount: the number of rows of the whole table, below 2³¹.
  ///   - width: the length of a row.
  ///   - partition: which rank owns which rows.
  ///   - communicator: the ranks.
  ///   - deviation: the standard deviation of the elements.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where rows are drawn from; the same on all ranks.
  public init(
    rowCount: Int, width: Int, partition: Partition = .modulo, communicator: any Communicator,
    deviation: Double = 0.01, dtype: DType = .float32, using generator: RandomGenerator
  ) {
    precondition(
      (0...Int(Int32.max)).contains(rowCount), "EmbeddingTable: \(rowCount) rows, at most 2³¹ − 1")
    (self.rowCount, self.width, self.partition) = (rowCount, width, partition)
    self.communicator = communicator
    let cut = RowPartition(kind: partition, rowCount: rowCount, size: communicator.size)
    self.cut = cut
    let rank = communicator.rank
    let values = Tensor(uninitialized: [cut.count(of: rank), width], dtype: dtype)
    let byteCount = width * dtype.byteCount
    ThreadPool.shared.run((values.shape[0] + Self.grain - 1) / Self.grain) { task in
      for place in task * Self.grain..<min((task + 1) * Self.grain, values.shape[0]) {
        var stream = generator.split(UInt64(cut.row(at: place, of: rank)))
        let row = Tensor.normal([width], deviation: deviation, dtype: dtype, using: &stream)
        values.write(row.bytes, at: place * byteCount)
        keepAlive(row)
      }
    }
    shard = Parameter(values)
  }

  /// Rows that one task draws.
  private static let grain = 1024

  /// The rank that owns a row.
  public func owner(of row: Int32) -> Int { cut.owner(of: row) }

  /// The rows of each rank, if ranks own ranges.
  package var ranges: [Range<Int>] {
    precondition(partition == .range, "EmbeddingTable.ranges: rows are dealt out in turn")
    return (0..<communicator.size).map { block(of: $0, size: communicator.size, count: rowCount) }
  }

  /// The rows that this rank owns, if ranks own ranges.
  package var ownRange: Range<Int> { ranges[communicator.rank] }

  /// Gets rows from their owners, each once.
  ///
  /// - Parameter indices: the rows that this rank needs, in any order and number.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func lookup(_ indices: [Int32]) throws(CommunicatorError) -> Lookup {
    let request = try request(indices)
    return Lookup(request, rows: try rows(request))
  }

  /// Sends the gradients of a batch's rows to their owners, which add them up.
  ///
  /// - Parameters:
  ///   - gradient: of the looked-up rows, for the mean loss of the batch; `nil` if this rank has no batch.
  ///   - lookup: what was looked up.
  ///   - exampleCount: the number of examples of the batch, the gradient's weight in the step's mean; 0 without a batch.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func add(
    _ gradient: Gradient?, of lookup: Lookup, exampleCount: Int
  ) throws(CommunicatorError) {
    examples += try communicator.allGather([Int64(exampleCount)]).reduce(0) { $0 + Int($1[0]) }
    var names: [Int32] = []
    var values = Tensor.zeros([0, width], dtype: shard.dtype)
    switch gradient?.coalesced().scaled(by: Double(exampleCount)) {
    case .rows(let rows)?:
      names = rows.indices.scalars(as: Int32.self).map { lookup.request.names[Int($0)] }
      values = rows.values.detached
    case .dense(let tensor)?: (names, values) = (lookup.request.names, tensor.detached)
    case nil: break
    }
    // The looked-up rows are in the order of their owners already.
    var counts = [Int](repeating: 0, count: communicator.size)
    for name in names { counts[owner(of: name)] += 1 }
    let received = try communicator.allGather(counts.map { Int64($0) }).map { Int($0[communicator.rank]) }
    let found = try communicator.allToAllRows(Tensor(names), counts: counts, receivedCounts: received)
    let added = try communicator.allToAllRows(values, counts: counts, receivedCounts: received)
    let cut = cut
    let places = Tensor(found.scalars(as: Int32.self).map { cut.place(of: $0) })
    sums.add(SparseRows(indices: places, values: added, rowCount: shard.shape[0]))
  }

  /// The mean gradient of this rank's rows over all batches that were added since the last call; `nil` if none was.
  public func mean() -> Gradient? {
    defer { examples = 0 }
    guard let sum = sums.take(), examples > 0 else { return nil }
    return Gradient.rows(sum).scaled(by: 1 / Double(examples))
  }

  /// Moves the rows by the mean gradient. Their moments lie beside them.
  ///
  /// - Parameter optimizer: has ``shard`` among its parameters, and no norm to clip to, which would be this rank's alone.
  public func update(_ optimizer: Optimizer) {
    precondition(
      optimizer.maximumNorm == nil, "EmbeddingTable.update: the norm over all ranks is not known here")
    guard let mean = mean() else { return }
    var gradients = Gradients()
    gradients[shard] = mean
    optimizer.update(with: gradients)
  }

  /// Rows of the whole table, on all ranks: a piece of it at a time, to save it.
  ///
  /// - Parameter range: which rows.
  /// - Returns: `[range, width]`.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  public func rows(_ range: Range<Int>) throws(CommunicatorError) -> Tensor {
    let names = range.map { Int32($0) }
    let found = try lookup(names)
    return names.isEmpty ? found.rows.detached : found[names].detached
  }
}
