internal import CTrestleKernels
import TrestleTensor

/// One batch of pairwise ranking: its loss, and the gradients of the tables.
///
/// The gradients are sums over the triples t, with cₜ = upstream · σ(⟨uₜ, nₜ⟩ − ⟨uₜ, pₜ⟩) / batch:
/// user row: Σ cₜ (nₜ − pₜ); positive row: −Σ cₜ uₜ; negative row: Σ cₜ uₜ. Both are sparse matrices times tables.
struct PairwiseRankingStep {
  /// Where the gradients belong on the tape; −1 for none.
  struct Nodes {
    let users: Int32
    let items: Int32
    let penalizedUsers: Int32
    let penalizedItems: Int32
  }

  private let users: Tensor
  private let items: Tensor
  private let isJoint: Bool
  private let userCount: Int
  private let itemCount: Int
  private let batch: (users: Tensor, positives: Tensor, negatives: Tensor)
  private let penalty: RankingPenalty?
  private let isDense: Bool
  /// dloss/d⟨u, p⟩ of each triple, before the mean.
  private let slopes: Tensor
  private let count: Int
  private let cols: Int
  private let dtype: DType

  /// Triples per task.
  private static let grain = 256

  init(_ tables: RankingTables, _ triples: RankingTriples, _ penalty: RankingPenalty?, isDense: Bool) {
    users = tables.users.detached.dense()
    isJoint = tables.items == nil
    (userCount, itemCount) = (tables.userCount, tables.itemCount)
    dtype = users.dtype
    cols = tables.width
    items = tables.items?.detached.dense() ?? users.sliced(userCount..<userCount + itemCount, along: 0)
    batch = (triples.users.dense(), triples.positives.dense(), triples.negatives.dense())
    self.penalty = penalty.map {
      RankingPenalty(users: $0.users.detached.dense(), items: $0.items.detached.dense(), weight: $0.weight)
    }
    self.isDense = isDense
    count = triples.count
    slopes = Tensor(uninitialized: [count], dtype: dtype)
    precondition(
      items.shape == [itemCount, cols] && items.dtype == dtype && triples.positives.elementCount == count
        && triples.negatives.elementCount == count,
      "pairwiseRankingLoss: users \(users.shape), items \(items.shape), triples of \(count)")
    batch.users.checkIndices(below: userCount, "pairwiseRankingLoss")
    batch.positives.checkIndices(below: itemCount, "pairwiseRankingLoss")
    batch.negatives.checkIndices(below: itemCount, "pairwiseRankingLoss")
  }

  // MARK: Forward

  /// The loss; keeps the slopes.
  func loss() -> Tensor {
    let total = dtype == .float64 ? sum(Double.self) : sum(Float.self)
    let mean = total / Double(max(count, 1))
    return dtype == .float64 ? Tensor([mean], shape: []) : Tensor(Float(mean))
  }

  private func sum<Scalar: BinaryFloatingPoint>(_: Scalar.Type) -> Double {
    let table = Kernels.table(dtype, "pairwiseRankingLoss")
    let chunks = (count + Self.grain - 1) / Self.grain
    let sums = Tensor(uninitialized: [max(chunks, 1)], dtype: .float64)
    let losses = Tensor(uninitialized: [count], dtype: dtype)
    let scores = Tensor(uninitialized: [2 * count], dtype: dtype)
    let stride = cols * dtype.byteCount
    let size = dtype.byteCount
    return withExtendedLifetime((users.storage, items.storage, batch, slopes.storage)) {
      let (u, p, n) = names
      Kernels.parallel(count, grain: Self.grain) { start, length in
        var squares = 0.0
        table.pointee.triple_scores(
          users.data, items.data, u + start, p + start, n + start, scores.data + start * size,
          scores.data + (count + start) * size, Int64(length), Int64(cols))
        if let penalty {
          for index in start..<start + length {
            squares += table.pointee.sum_squares(penalty.users.data + Int(u[index]) * stride, Int64(cols))
            squares += table.pointee.sum_squares(penalty.items.data + Int(p[index]) * stride, Int64(cols))
            squares += table.pointee.sum_squares(penalty.items.data + Int(n[index]) * stride, Int64(cols))
          }
        }
        table.pointee.bpr(
          scores.data + start * size, scores.data + (count + start) * size, losses.data + start * size,
          slopes.data + start * size, Int64(length))
        sums.pointer(Double.self)[start / Self.grain] =
          table.pointee.sum(losses.data + start * size, Int64(length)) + squares * (penalty?.weight ?? 0) / 2
      }
      return sums.scalars(as: Double.self).prefix(chunks).reduce(0, +)
    }
  }

  private var names: (UnsafePointer<Int32>, UnsafePointer<Int32>, UnsafePointer<Int32>) {
    (
      UnsafePointer(batch.users.pointer(Int32.self)), UnsafePointer(batch.positives.pointer(Int32.self)),
      UnsafePointer(batch.negatives.pointer(Int32.self))
    )
  }

  // MARK: Backward

  /// Adds the gradients to those of the tape's nodes.
  func addGradients(_ upstream: Double, to nodes: Nodes, _ pass: inout BackwardPass) {
    // The two sides are independent; each is made by one task.
    let sides = [side(ofUsers: true), side(ofUsers: false)]
    withExtendedLifetime((batch, slopes.storage)) {
      ThreadPool.shared.run(2) { index in
        if dtype == .float64 {
          fill(sides[index], index == 0, upstream, Double.self)
        } else {
          fill(sides[index], index == 0, upstream, Float.self)
        }
      }
    }
    let joint = isJoint ? Tensor(uninitialized: [userCount + itemCount, cols], dtype: dtype) : nil
    for (side, isUsers) in zip(sides, [true, false]) {
      let node = isUsers ? nodes.users : nodes.items
      let penaltyNode = isUsers ? nodes.penalizedUsers : nodes.penalizedItems
      let penalized = penalty.map { isUsers ? $0.users : $0.items }
      let factor = upstream * (penalty?.weight ?? 0) / Double(max(count, 1))
      let rows =
        joint?.sliced(isUsers ? 0..<userCount : userCount..<userCount + itemCount, along: 0)
        ?? Tensor(uninitialized: [side.rowCount, cols], dtype: dtype)
      // A penalty on the same table is added to the row while it is in the cache.
      let isShared = penaltyNode >= 0 && penaltyNode == node
      multiply(side, by: isUsers ? items : users, into: rows, isShared ? penalized : nil, factor)
      if joint == nil { add(rows, side, isUsers ? userCount : itemCount, to: node, &pass) }
      if let penalized, penaltyNode >= 0, !isShared {
        let rows = Tensor(uninitialized: [side.rowCount, cols], dtype: dtype)
        scale(side, penalized, factor, into: rows)
        add(rows, side, isUsers ? userCount : itemCount, to: penaltyNode, &pass)
      }
    }
    if let joint { pass.add(joint, to: nodes.users) }
  }

  private func add(_ rows: Tensor, _ side: Side, _ rowCount: Int, to node: Int32, _ pass: inout BackwardPass)
  {
    if let names = side.groups.names {
      pass.addRows(rows, at: names, rowCount: rowCount, to: node)
    } else {
      pass.add(rows, to: node)
    }
  }

  /// The matrix of one side: compressed rows over all rows of the table, or over those that the batch names.
  private struct Side {
    let groups: RowGroups
    let columns: Tensor
    let values: Tensor
    /// Entries for each naming of a row: two for a user, one for an item.
    let entriesPerName: Int

    var rowCount: Int { groups.rowCount }
  }

  private func side(ofUsers isUsers: Bool) -> Side {
    let entries = 2 * count
    let lists = isUsers ? [batch.users] : [batch.positives, batch.negatives]
    let groups = RowGroups(lists, below: isUsers ? userCount : itemCount, isDense: isDense)
    return Side(
      groups: groups, columns: Tensor(uninitialized: [entries], dtype: .int32),
      values: Tensor(uninitialized: [entries], dtype: dtype), entriesPerName: isUsers ? 2 : 1)
  }

  private func fill<Scalar: BinaryFloatingPoint>(
    _ side: Side, _ isUsers: Bool, _ upstream: Double, _: Scalar.Type
  ) {
    let (u, p, n) = names
    let slope = slopes.pointer(Scalar.self)
    let factor = Scalar(upstream / Double(max(count, 1)))
    let columns = side.columns.pointer(Int32.self)
    let values = side.values.pointer(Scalar.self)
    side.groups.order.withUnsafeBufferPointer { order in
      if isUsers {
        for (place, triple) in order.enumerated() {
          let (index, value) = (Int(triple), slope[Int(triple)] * factor)
          columns[2 * place] = p[index]
          values[2 * place] = value
          columns[2 * place + 1] = n[index]
          values[2 * place + 1] = -value
        }
      } else {
        // Positions from `count` on are the negatives'.
        for (place, position) in order.enumerated() {
          let index = Int(position)
          let isNegative = index >= count
          let triple = isNegative ? index - count : index
          columns[place] = u[triple]
          values[place] = isNegative ? -slope[triple] * factor : slope[triple] * factor
        }
      }
    }
  }

  private func multiply(
    _ side: Side, by other: Tensor, into out: Tensor, _ penalized: Tensor?, _ factor: Double
  ) {
    let table = Kernels.table(dtype, "pairwiseRankingLoss")
    let size = dtype.byteCount
    let starts = side.groups.starts.map { $0 * Int64(side.entriesPerName) }
    let names = side.groups.names
    withExtendedLifetime((other.storage, out.storage, side, penalized?.storage, names?.storage)) {
      starts.withUnsafeBufferPointer { starts in
        nonisolated(unsafe) let starts = starts
        Kernels.parallel(side.rowCount, grain: 64) { first, length in
          table.pointee.csr_times_dense(
            starts.baseAddress, side.columns.pointer(Int32.self), side.values.data, other.data, out.data,
            Int64(first), Int64(first + length), Int64(cols), 0)
          guard let penalized else { return }
          for row in first..<first + length {
            let times = (starts[row + 1] - starts[row]) / Int64(side.entriesPerName)
            if times == 0 { continue }
            let source = names.map { Int($0.pointer(Int32.self)[row]) } ?? row
            table.pointee.axpy(
              factor * Double(times), penalized.data + source * cols * size, out.data + row * cols * size,
              Int64(cols))
          }
        }
      }
    }
  }

  /// out[row] = factor · times named · table[row].
  private func scale(_ side: Side, _ penalized: Tensor, _ factor: Double, into out: Tensor) {
    let table = Kernels.table(dtype, "pairwiseRankingLoss")
    let size = dtype.byteCount
    let starts = side.groups.starts
    let names = side.groups.names
    withExtendedLifetime((penalized.storage, out.storage, names?.storage)) {
      starts.withUnsafeBufferPointer { starts in
        nonisolated(unsafe) let starts = starts
        Kernels.parallel(side.rowCount, grain: 256) { first, length in
          for row in first..<first + length {
            let times = Double(starts[row + 1] - starts[row])
            let source = names.map { Int($0.pointer(Int32.self)[row]) } ?? row
            let from = penalized.data + source * cols * size
            table.pointee.linear_combination(
              factor * times, from, 0, from, out.data + row * cols * size, Int64(cols))
          }
        }
      }
    }
  }
}

/// The positions of indices grouped by index.
struct RowGroups {
  /// The distinct indices, ascending; `nil` if every index below the bound has a group.
  let names: Tensor?
  /// Where each group begins in ``order``, and its end.
  let starts: [Int64]
  /// The positions in the lists one after the other, group after group, ascending within one.
  let order: [Int32]

  var rowCount: Int { starts.count - 1 }

  /// Groups the positions of several lists of indices.
  init(_ lists: [Tensor], below bound: Int, isDense: Bool) {
    let keys =
      lists.count == 1 ? lists[0].scalars(as: Int32.self) : lists.flatMap { $0.scalars(as: Int32.self) }
    if isDense || bound <= 4 * keys.count {
      let grouped = IndexOrder.grouped(keys, below: bound)
      let (starts, order) = (grouped.starts.map(Int64.init), grouped.positions)
      if isDense {
        (names, self.starts, self.order) = (nil, starts, order)
        return
      }
      var used: [Int32] = []
      var compact: [Int64] = []
      for row in 0..<bound where starts[row + 1] > starts[row] {
        used.append(Int32(row))
        compact.append(starts[row])
      }
      compact.append(Int64(keys.count))
      (names, self.starts, self.order) = (Tensor(used), compact, order)
      return
    }
    let order = keys.withUnsafeBufferPointer { IndexOrder.radixSorted($0, below: bound) }
    var used: [Int32] = []
    var starts: [Int64] = []
    for (place, position) in order.enumerated() {
      let key = keys[Int(position)]
      if used.last != key {
        used.append(key)
        starts.append(Int64(place))
      }
    }
    starts.append(Int64(keys.count))
    (names, self.starts, self.order) = (Tensor(used), starts, order)
  }
}
