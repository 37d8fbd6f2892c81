import TrestleNN
import TrestleTensor

/// This rank's part of D^−½ A D^−½ of a bipartite graph: the edges of its users.
///
/// A propagation sums a user's row over items, whose rows are whole on every rank, and an item's row over users in their
/// order. The latter sums go from rank to rank, each of which adds what its users give: one block of items after the other, so
/// that all ranks work. Sums are taken in the order of one process, and so have its bits. The items' rows travel, those of the
/// users, of which there are more as a rule, never do.
struct ShardedGraph {
  private let communicator: any Communicator
  private let itemRanges: [Range<Int>]
  /// This rank's users by items.
  private let byUser: SparseMatrix
  /// Blocks of items by this rank's users.
  private let byItem: [(items: Range<Int>, edges: SparseMatrix)]

  /// Blocks of items for each rank: more of them keep more ranks at work at the beginning and the end, and cost more messages.
  private static let blocksPerRank = 8

  /// - Parameters:
  ///   - training: the graph; repeated interactions count once.
  ///   - users: their table, in ranges.
  ///   - items: their table, in ranges.
  init(_ training: Interactions, users: EmbeddingTable, items: EmbeddingTable) {
    communicator = users.communicator
    itemRanges = items.ranges
    let matrix = UserItemMatrix(training)
    let own = users.ownRange
    let degrees = matrix.itemCounts()
    let edges = matrix.offsets[own.lowerBound]..<matrix.offsets[own.upperBound]
    let columns = Array(matrix.items[edges])
    var owners = [Int32](repeating: 0, count: columns.count)
    var values = [Float](repeating: 0, count: columns.count)
    for user in own {
      let degree = Double(matrix.count(of: user))
      for edge in matrix.offsets[user]..<matrix.offsets[user + 1] {
        let place = edge - edges.lowerBound
        owners[place] = Int32(user - own.lowerBound)
        values[place] = Float(1 / (degree * Double(degrees[Int(columns[place])])).squareRoot())
      }
    }
    byUser = SparseMatrix.forwardOnly(
      rowCount: own.count, columnCount: items.rowCount,
      rowStarts: own.map { Int64(matrix.offsets[$0] - edges.lowerBound) } + [Int64(columns.count)],
      columns: columns, values: Tensor(values))
    let (starts, places) = IndexOrder.grouped(columns, below: items.rowCount)
    let blocks =
      communicator.size == 1 ? 1 : min(max(items.rowCount, 1), Self.blocksPerRank * communicator.size)
    byItem = (0..<blocks).map { block in
      let range = items.rowCount * block / blocks..<items.rowCount * (block + 1) / blocks
      let found = places[starts[range.lowerBound]..<starts[range.upperBound]]
      let rowStarts = (range.lowerBound...range.upperBound).map {
        Int64(starts[$0] - starts[range.lowerBound])
      }
      return (
        range,
        SparseMatrix.forwardOnly(
          rowCount: range.count, columnCount: own.count, rowStarts: rowStarts,
          columns: found.map { owners[Int($0)] }, values: Tensor(found.map { values[Int($0)] }))
      )
    }
  }

  /// (1 / (layers + 1)) · Σ Âᵏ x for k from 0 to `layers`, by Horner's rule.
  ///
  /// - Parameter rows: this rank's rows of users and of items.
  /// - Returns: this rank's rows of users and of items.
  /// - Throws: `CommunicatorError` if a rank is lost or the engine fails.
  func propagatedMean(_ rows: Representations, layers: Int) throws(CommunicatorError) -> Representations {
    let factor = 1 / Double(layers + 1)
    let users = rows.users * factor
    let items = try communicator.allGatherRows(rows.items, counts: itemRanges.map(\.count)) * factor
    var state = (users: users, items: items)
    for layer in 0..<layers {
      // The last sums may overwrite the base.
      let isLast = layer == layers - 1 && layers > 1
      let next = isLast ? (users: users, items: items) : (users: users.copied(), items: items.copied())
      byUser.addProduct(with: state.items, to: next.users)
      try addItems(from: state.users, to: next.items)
      state = next
    }
    return Representations(
      users: state.users, items: state.items.sliced(itemRanges[communicator.rank], along: 0).copied())
  }

  /// Adds to all items' rows what all ranks' users give: out += Âᵀ · users, on every rank.
  private func addItems(from users: Tensor, to out: Tensor) throws(CommunicatorError) {
    let (rank, size) = (communicator.rank, communicator.size)
    guard size > 1 else {
      for block in byItem { block.edges.addProduct(with: users, to: out.sliced(block.items, along: 0)) }
      return
    }
    let nothing = out.sliced(0..<0, along: 0)
    for stage in 0..<byItem.count + size - 1 {
      var (sent, counts, received) = (
        nothing, [Int](repeating: 0, count: size), [Int](repeating: 0, count: size)
      )
      if byItem.indices.contains(stage - rank) {
        let block = byItem[stage - rank]
        sent = out.sliced(block.items, along: 0)
        block.edges.addProduct(with: users, to: sent)
        if rank + 1 < size { counts[rank + 1] = block.items.count }
      }
      // What the rank before has summed up to now.
      let incoming =
        rank > 0 && byItem.indices.contains(stage - rank + 1) ? byItem[stage - rank + 1].items : nil
      if let incoming { received[rank - 1] = incoming.count }
      let rows = try communicator.allToAllRows(
        counts.contains { $0 > 0 } ? sent : nothing, counts: counts, receivedCounts: received)
      if let incoming { out.overwriteRows(from: incoming.lowerBound, with: rows) }
    }
    try communicator.broadcastInPlace(out, from: size - 1)
  }
}
