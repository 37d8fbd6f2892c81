extension RandomGenerator {
  /// `0..<count` in random order, each order equally likely.
  package mutating func permutation(of count: Int) -> [Int32] {
    precondition(count >= 0 && count <= Int(Int32.max), "RandomGenerator.permutation(of:): \(count) numbers")
    return [Int32](unsafeUninitializedCapacity: count) { buffer, initialized in
      // Inside-out: each number goes to a place among those before it, whose holder moves to the end.
      for index in 0..<count {
        let place = self.index(below: index + 1)
        buffer[index] = buffer[place]
        buffer[place] = Int32(index)
      }
      initialized = count
    }
  }
}

extension Tensor {
  /// An `int32` vector whose chunks `fill` writes, several at once.
  ///
  /// - Parameters:
  ///   - grain: the numbers of a chunk; fixed, so that the thread count changes nothing.
  ///   - fill: gets the place of the chunk's first number and the chunk, all of which it writes. Chunks are disjoint.
  package static func int32s(
    _ count: Int, grain: Int, _ fill: (_ start: Int, _ chunk: UnsafeMutableBufferPointer<Int32>) -> Void
  ) -> Tensor {
    let result = Tensor(uninitialized: [count], dtype: .int32)
    Kernels.parallel(count, grain: grain) { start, length in
      fill(start, UnsafeMutableBufferPointer(start: result.pointer(Int32.self) + start, count: length))
    }
    return result
  }
}
