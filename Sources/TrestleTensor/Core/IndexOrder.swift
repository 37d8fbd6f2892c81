/// Orders of the positions of a list by the indices that stand there.
package enum IndexOrder {
  /// The positions 0 ..< n by ascending index, equal ones in their order: a radix sort, 11 bits a pass, whose cost depends on the
  /// bound through its digits alone.
  ///
  /// - Parameters:
  ///   - indices: each at least 0 and below `bound`.
  ///   - bound: what all are below.
  package static func radixSorted(_ indices: UnsafeBufferPointer<Int32>, below bound: Int) -> [Int32] {
    var current = [Int32](0..<Int32(indices.count))
    var next = [Int32](repeating: 0, count: indices.count)
    var shift = 0
    while (Swift.max(bound - 1, 0) >> shift) > 0 {
      withUnsafeTemporaryAllocation(of: Int32.self, capacity: 2049) { places in
        places.initialize(repeating: 0)
        for index in indices { places[(Int(index) >> shift & 2047) + 1] += 1 }
        for bucket in 1...2048 { places[bucket] += places[bucket - 1] }
        for position in current {
          let bucket = Int(indices[Int(position)]) >> shift & 2047
          next[Int(places[bucket])] = position
          places[bucket] += 1
        }
      }
      swap(&current, &next)
      shift += 11
    }
    return current
  }

  /// The positions 0 ..< n grouped by index, equal ones in their order: a counting sort.
  ///
  /// - Parameters:
  ///   - indices: each at least 0 and below `bound`.
  ///   - bound: how many groups there are.
  /// - Returns: where each group begins in `positions` and, at the end, their number.
  package static func grouped(
    _ indices: [Int32], below bound: Int
  ) -> (starts: [Int], positions: [Int32]) {
    // Neither generic nor inlinable: across modules the compiler did not specialize it, and every access asked for metadata.
    var starts = [Int](repeating: 0, count: bound + 1)
    for index in indices { starts[Int(index) + 1] += 1 }
    for index in 0..<bound { starts[index + 1] += starts[index] }
    var next = starts
    let positions = [Int32](unsafeUninitializedCapacity: indices.count) { buffer, count in
      for (position, index) in indices.enumerated() {
        buffer[next[Int(index)]] = Int32(position)
        next[Int(index)] += 1
      }
      count = indices.count
    }
    return (starts, positions)
  }
}
