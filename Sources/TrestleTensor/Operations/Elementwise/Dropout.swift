extension Tensor {
  /// Zeroes each element with probability `rate` and scales the others by 1 / (1 − rate).
  ///
  /// Source: Srivastava et al., *Dropout* (2014).
  public func dropout(rate: Double, using generator: inout RandomGenerator) -> Tensor {
    precondition(rate >= 0 && rate < 1, "dropout(rate:): \(rate) is outside 0..<1")
    if rate == 0 { return self }
    let keep = 1 / (1 - rate)
    let threshold = UInt32(rate * 4_294_967_296)
    let mask = Tensor(uninitialized: shape, dtype: .float32)
    // Every block has a generator of its own, so that the blocks are shared among threads and none depends on their number.
    let stream = RandomGenerator(seed: generator.next())
    Kernels.parallel(elementCount) { start, count in
      var numbers = stream.split(UInt64(start / Kernels.elementGrain))
      let elements = mask.pointer(Float.self) + start
      for index in Swift.stride(from: 0, to: count, by: 2) {
        let bits = numbers.next()
        elements[index] = UInt32(truncatingIfNeeded: bits) >= threshold ? Float(keep) : 0
        if index + 1 < count {
          elements[index + 1] = UInt32(truncatingIfNeeded: bits >> 32) >= threshold ? Float(keep) : 0
        }
      }
    }
    return self * mask.converted(to: dtype)
  }
}
