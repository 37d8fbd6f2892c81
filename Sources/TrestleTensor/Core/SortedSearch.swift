extension Range<Int> {
  /// The first number for which `isBefore` does not hold, in a range in which it holds up to some place and not from there on; the
  /// upper bound if it holds for all.
  @inlinable @inline(__always)
  package func partitionPoint(where isBefore: (Int) -> Bool) -> Int {
    var (low, high) = (lowerBound, upperBound)
    while low < high {
      let middle = (low + high) >> 1
      if isBefore(middle) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension Array<Int32> {
  /// The index of `value` in an ascending array.
  package func sortedIndex(of value: Int32) -> Int? {
    let place = indices.partitionPoint { self[$0] < value }
    return place < count && self[place] == value ? place : nil
  }
}
