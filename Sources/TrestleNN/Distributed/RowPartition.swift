import TrestleTensor

/// How the rows of a table are cut over ranks.
struct RowPartition: Sendable {
  let kind: EmbeddingTable.Partition
  let rowCount: Int
  let size: Int

  /// The rank that owns a row.
  func owner(of row: Int32) -> Int {
    let row = Int(row)
    switch kind {
    case .modulo: return row % size
    case .range:
      var rank = min(row * size / max(rowCount, 1), size - 1)
      while row >= block(of: rank, size: size, count: rowCount).upperBound { rank += 1 }
      return rank
    }
  }

  /// A row's place in its owner's shard.
  func place(of row: Int32) -> Int32 {
    switch kind {
    case .modulo: row / Int32(size)
    case .range: row - Int32(block(of: owner(of: row), size: size, count: rowCount).lowerBound)
    }
  }

  /// The number of rows that a rank owns.
  func count(of rank: Int) -> Int {
    switch kind {
    case .modulo: (rowCount - rank + size - 1) / size
    case .range: block(of: rank, size: size, count: rowCount).count
    }
  }

  /// The row at a place of a rank's shard.
  func row(at place: Int, of rank: Int) -> Int {
    switch kind {
    case .modulo: place * size + rank
    case .range: block(of: rank, size: size, count: rowCount).lowerBound + place
    }
  }
}

/// The distinct rows that this rank wants of their owners, and those that others want of it.
///
/// Who wants what is exchanged once; then values go from the owners to those who want them
/// (``EmbeddingTable/rows(_:of:)``) and gradients back (``EmbeddingTable/gather(_:_:)``) without another word.
package struct RowRequest {
  /// The rows' numbers, by owner and ascending within one's.
  package let names: [Int32]
  /// Where each index that was asked for stands in ``names``.
  package let places: [Int32]
  /// How many of the rows each rank owns.
  let counts: [Int]
  /// How many rows each rank wants of this one.
  let askedCounts: [Int]
  /// The places of these rows in this rank's shard, by who wants them.
  package let asked: Tensor
}

extension EmbeddingTable {
  /// Finds out who wants which rows.
  ///
  /// - Parameter indices: the rows that this rank wants, in any order and number.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  package func request(_ indices: [Int32]) throws(CommunicatorError) -> RowRequest {
    precondition(
      indices.allSatisfy { (0..<Int32(rowCount)).contains($0) },
      "EmbeddingTable: an index is outside 0..<\(rowCount)")
    let cut = cut
    var (names, places) = Self.distinct(indices, below: rowCount)
    var counts = [Int](repeating: 0, count: communicator.size)
    let owners = names.map { cut.owner(of: $0) }
    for owner in owners { counts[owner] += 1 }
    if partition == .modulo && communicator.size > 1 {
      // Ascending rows are in the order of their owners if owners have ranges.
      var next = starts(counts)
      let ascending = names
      let moved = owners.map { owner in
        defer { next[owner] += 1 }
        return Int32(next[owner])
      }
      for (old, new) in moved.enumerated() { names[Int(new)] = ascending[old] }
      for index in places.indices { places[index] = moved[Int(places[index])] }
    }
    let askedCounts = try communicator.allGather(counts.map { Int64($0) }).map { Int($0[communicator.rank]) }
    let asked = try communicator.allToAllRows(Tensor(names), counts: counts, receivedCounts: askedCounts)
    return RowRequest(
      names: names, places: places, counts: counts, askedCounts: askedCounts,
      asked: Tensor(asked.scalars(as: Int32.self).map { cut.place(of: $0) }))
  }

  /// The distinct indices, ascending, and where each of them stands there.
  private static func distinct(_ indices: [Int32], below bound: Int) -> (names: [Int32], places: [Int32]) {
    let order = indices.withUnsafeBufferPointer { IndexOrder.radixSorted($0, below: bound) }
    var names: [Int32] = []
    names.reserveCapacity(indices.count)
    var places = [Int32](repeating: 0, count: indices.count)
    for position in order {
      let name = indices[Int(position)]
      if names.last != name { names.append(name) }
      places[Int(position)] = Int32(names.count - 1)
    }
    return (names, places)
  }

  /// The rows that were requested.
  ///
  /// - Parameters:
  ///   - request: of all ranks.
  ///   - source: this rank's part of a table that is cut as this one is, `[own rows, …]`; `nil` for ``shard``.
  /// - Returns: `[names, …]`.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  package func rows(_ request: RowRequest, of source: Tensor? = nil) throws(CommunicatorError) -> Tensor {
    let own = (source ?? shard.detached).gatheredRows(request.asked)
    return try communicator.allToAllRows(
      own, counts: request.askedCounts, receivedCounts: request.counts)
  }

  /// Sends rows that belong to a request to their owners.
  ///
  /// - Parameters:
  ///   - values: a row for each name of the request.
  ///   - request: of all ranks.
  /// - Returns: what the others have sent for this rank's rows, in the order of the ranks.
  /// - Throws: ``CommunicatorError`` if a rank is lost or the engine fails.
  package func gather(_ values: Tensor, _ request: RowRequest) throws(CommunicatorError) -> SparseRows {
    let found = try communicator.allToAllRows(
      values, counts: request.counts, receivedCounts: request.askedCounts)
    return SparseRows(indices: request.asked, values: found, rowCount: shard.shape[0])
  }
}

/// Rows of gradients that are added up in the order in which they come.
package struct RowSums {
  private var sum: SparseRows?

  /// No rows yet.
  package init() {}

  /// Adds rows behind those that are there.
  package mutating func add(_ rows: SparseRows) {
    guard let before = sum else {
      sum = rows.coalesced()
      return
    }
    sum =
      SparseRows(
        indices: .concatenated([before.indices, rows.indices], along: 0),
        values: .concatenated([before.values, rows.values], along: 0), rowCount: rows.rowCount
      ).coalesced()
  }

  /// The sums, and none from then on; `nil` if nothing was added.
  package mutating func take() -> SparseRows? {
    defer { sum = nil }
    return sum
  }
}
