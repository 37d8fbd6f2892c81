extension Array {
  /// The array cut into chunks of `count` elements, in order; the last one may be shorter.
  func chunks(ofCount count: Int) -> [ArraySlice<Element>] {
    stride(from: 0, to: self.count, by: count).map { self[$0..<Swift.min($0 + count, self.count)] }
  }
}
