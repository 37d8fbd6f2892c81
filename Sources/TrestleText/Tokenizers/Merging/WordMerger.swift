/// Applies the merges to a word: always the lowest rank, the leftmost of equals, until none applies.
///
/// Short words look for it by a scan; long ones keep the candidates in a heap over a linked list, so that a word
/// of n characters takes n log n steps. Arrays are kept from word to word.
struct WordMerger: Sendable {
  /// The word: initial symbols before ``merge(with:)``, tokens after it.
  var symbols: [Int32] = []

  private var pairs: [UInt64] = []
  private var previous: [Int32] = []
  private var next: [Int32] = []
  private var heap: [UInt64] = []

  /// Words up to this many symbols are scanned; at this length both ways take about as long.
  private static let scanLimit = 48
  /// Arrays larger than this are freed after use.
  private static let retainedCapacity = 1 << 16

  /// Merges `symbols` in place.
  mutating func merge(with table: MergeTable) {
    guard symbols.count > 1 else { return }
    if symbols.count <= Self.scanLimit {
      mergeByScan(table)
    } else {
      mergeByHeap(table)
    }
  }

  /// Frees what a very long word has left behind.
  mutating func releaseExcess() {
    if symbols.capacity > Self.retainedCapacity || heap.capacity > Self.retainedCapacity {
      self = WordMerger()
    }
  }

  private mutating func mergeByScan(_ table: MergeTable) {
    var count = symbols.count
    pairs.removeAll(keepingCapacity: true)
    for index in 0..<count - 1 { pairs.append(table.merge(symbols[index], symbols[index + 1])) }
    while count > 1 {
      var best = MergeTable.absent
      var place = 0
      for index in 0..<count - 1 where pairs[index] >> 32 < best >> 32 {
        best = pairs[index]
        place = index
      }
      if best == MergeTable.absent { break }
      symbols[place] = Int32(truncatingIfNeeded: best)
      for index in place + 1..<count - 1 {
        symbols[index] = symbols[index + 1]
        pairs[index - 1] = pairs[index]
      }
      count -= 1
      if place > 0 { pairs[place - 1] = table.merge(symbols[place - 1], symbols[place]) }
      if place < count - 1 { pairs[place] = table.merge(symbols[place], symbols[place + 1]) }
    }
    symbols.removeLast(symbols.count - count)
  }

  private mutating func mergeByHeap(_ table: MergeTable) {
    let count = symbols.count
    previous = (0..<count).map { Int32($0) - 1 }
    next = (0..<count).map { $0 + 1 < count ? Int32($0) + 1 : -1 }
    heap.removeAll(keepingCapacity: true)
    for place in 0..<count - 1 { push(place, table) }
    while let candidate = popLowest() {
      let place = Int(candidate & 0xFFFF_FFFF)
      // A candidate is stale when its pair has changed since: the symbol was merged away (-1), or the rank differs.
      guard symbols[place] >= 0, next[place] >= 0 else { continue }
      let right = Int(next[place])
      let merge = table.merge(symbols[place], symbols[right])
      guard merge != MergeTable.absent, merge >> 32 == candidate >> 32 else { continue }
      symbols[place] = Int32(truncatingIfNeeded: merge)
      symbols[right] = -1
      next[place] = next[right]
      if next[place] >= 0 {
        previous[Int(next[place])] = Int32(place)
        push(place, table)
      }
      if previous[place] >= 0 { push(Int(previous[place]), table) }
    }
    symbols.removeAll { $0 < 0 }
  }

  /// Adds the pair that begins at `place` to the heap, as `rank << 32 | place`, if it merges.
  private mutating func push(_ place: Int, _ table: MergeTable) {
    let merge = table.merge(symbols[place], symbols[Int(next[place])])
    guard merge != MergeTable.absent else { return }
    heap.append((merge >> 32) << 32 | UInt64(place))
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent] <= heap[child] { break }
      heap.swapAt(parent, child)
      child = parent
    }
  }

  private mutating func popLowest() -> UInt64? {
    guard let last = heap.popLast() else { return nil }
    guard let lowest = heap.first else { return last }
    heap[0] = last
    var parent = 0
    while true {
      var child = 2 * parent + 1
      if child >= heap.count { break }
      if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
      if heap[parent] <= heap[child] { break }
      heap.swapAt(parent, child)
      parent = child
    }
    return lowest
  }
}
