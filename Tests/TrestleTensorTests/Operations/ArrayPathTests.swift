import Testing
import TrestleTensor
import TrestleTestSupport

/// Operations on arrays at the sizes and layouts where they take other paths.
@Suite struct ArrayPathTests {
  // MARK: Order

  /// Where each element belongs, by a plain stable sort.
  private func order(_ x: [Double], isDescending: Bool) -> [Int32] {
    func comes(_ a: Double, before b: Double) -> Bool {
      if a.isNaN || b.isNaN { return isDescending ? a.isNaN && !b.isNaN : b.isNaN && !a.isNaN }
      return isDescending ? a > b : a < b
    }
    return x.indices.sorted { comes(x[$0], before: x[$1]) || !comes(x[$1], before: x[$0]) && $0 < $1 }
      .map { Int32($0) }
  }

  @Test(arguments: [DType.float32, .float64, .int32, .int64, .uint8, .bool, .bfloat16])
  func elementsOfEveryTypeAreSorted(type: DType) {
    for size in [0, 1, 2, 47, 48, 49, 300, 1000] {
      var values = numbers(size, seed: UInt64(size) + 1, from: -90, to: 90).map { $0.rounded() }
      if type == .uint8 || type == .bool { values = values.map { abs($0) } }
      if type.isFloatingPoint && size > 40 {
        for (place, value) in [Double.nan, -0.0, 0, .infinity, -.infinity, -.nan, 1e-40, -1e-40].enumerated()
        {
          values[place * 4 + 3] = value
        }
      }
      let x = Tensor(values).converted(to: type)
      let stored = x.doubles
      for isDescending in [false, true] {
        let found = x.sortedIndices(isDescending: isDescending).scalars(as: Int32.self)
        #expect(found == order(stored, isDescending: isDescending), "\(type), \(size)")
      }
      let unique = x.unique()
      let positions = unique.positions.scalars(as: Int32.self)
      let distinct = unique.values.doubles
      #expect(unique.counts.scalars(as: Int32.self).reduce(0, +) == Int32(size))
      #expect(zip(distinct, distinct.dropFirst()).allSatisfy { $0 < $1 || $1.isNaN })
      for (value, position) in zip(stored, positions) {
        let other = distinct[Int(position)]
        #expect(value == other || (value.isNaN && other.isNaN), "\(type), \(size)")
      }
    }
  }

  @Test func largeIntegersKeepAllTheirBits() {
    let x = [Int64.max, Int64.min, 1 << 53 + 1, 1 << 53, 0, -1, .max]
    let tensor = Tensor(x)
    #expect(tensor.sortedIndices().scalars(as: Int32.self) == [1, 5, 4, 3, 2, 0, 6])
    #expect(tensor.unique().values.scalars(as: Int64.self) == [.min, -1, 0, 1 << 53, 1 << 53 + 1, .max])
    let rows = Tensor((0..<3000).map { Int32($0 * 7919 % 601) }, shape: [3, 1000])
    let order = rows.sortedIndices(along: 0).scalars(as: Int32.self)
    #expect((0..<1000).allSatisfy { Set([order[$0], order[1000 + $0], order[2000 + $0]]) == [0, 1, 2] })
  }

  /// Few values are looked up in a table, many are sorted.
  @Test(arguments: [1, 300, 2048, 2049, 20_000]) func manyElementsHaveFewOrManyValues(count: Int) {
    let integers = (0..<20_011).map { Int32(truncatingIfNeeded: $0 * 7919 % count - count / 2) }
    var firsts: [Int32: Int] = [:]
    for (place, value) in integers.enumerated() where firsts[value] == nil { firsts[value] = place }
    let distinct = firsts.keys.sorted()
    let ranks = Dictionary(uniqueKeysWithValues: distinct.enumerated().map { ($1, Int32($0)) })
    for type in [DType.int32, .int64, .float32, .float64] {
      let unique = Tensor(integers).converted(to: type).unique()
      #expect(unique.values.doubles == distinct.map(Double.init), "\(type)")
      #expect(unique.positions.scalars(as: Int32.self) == integers.map { ranks[$0] ?? -1 }, "\(type)")
      let counts = unique.counts.scalars(as: Int32.self)
      #expect(counts.count == distinct.count && counts.reduce(0, +) == 20_011)
      #expect(counts.allSatisfy { abs(Int($0) - 20_011 / distinct.count) <= 1 }, "\(type)")
    }
    let zeros = Tensor((0..<9_000).map { $0 % 3 == 0 ? Float.nan : $0 % 3 == 1 ? -0.0 : 0.0 }).unique()
    #expect(zeros.values.floats[0].sign == .minus && zeros.values.floats[1].isNaN)
    #expect(zeros.counts.scalars(as: Int32.self) == [6_000, 3_000])
  }

  // MARK: Rearrangement

  @Test(arguments: [DType.float32, .float64, .int32, .int64, .uint8, .bool])
  func paddingRollingAndFlippingMoveEveryElement(type: DType) {
    let shape = [3, 5, 17]
    let count = shape.reduce(1, *)
    let dense = Tensor((0..<count).map { Double($0 % 200) }).converted(to: type).reshaped(to: Shape(shape))
    for x in [dense, dense.transposed(), dense[Axis.all, Axis.stride(by: 2)], dense.permuted([2, 0, 1])] {
      let (values, lengths) = (x.doubles, Array(x.shape))
      func at(_ index: [Int]) -> Double { values[(index[0] * lengths[1] + index[1]) * lengths[2] + index[2]] }
      func check(_ result: Tensor, _ name: String, _ expected: ([Int]) -> Double) {
        let found = PlainArray(shape: Array(result.shape), values: result.doubles)
        let wanted = PlainArray(shape: Array(result.shape), expected)
        #expect(found.values == wanted.values, "\(name) of \(type) \(lengths)")
      }
      let isInside = { (index: [Int]) in zip(index, lengths).allSatisfy { $0 >= 0 && $0 < $1 } }
      check(x.padded([(2, 1), (0, 3)], with: .constant(1)), "padded") { index in
        let place = [index[0], index[1] - 2, index[2]]
        return isInside(place) ? at(place) : 1
      }
      check(x.padded([(1, 0), (0, 0), (4, 0)]), "padded") { index in
        let place = [index[0] - 1, index[1], index[2] - 4]
        return isInside(place) ? at(place) : 0
      }
      for axis in 0..<3 {
        check(x.rolled(by: 2, along: axis), "rolled along \(axis)") { index in
          var place = index
          place[axis] = (index[axis] + 2 * lengths[axis] - 2) % lengths[axis]
          return at(place)
        }
      }
      check(x.flipped(along: [0, 2]), "flipped") {
        at([lengths[0] - 1 - $0[0], $0[1], lengths[2] - 1 - $0[2]])
      }
    }
  }

  @Test func nothingIsPaddedWithSomething() {
    #expect(Tensor.zeros([0, 2]).padded([(1, 1), (0, 1)], with: .constant(3)).floats == [3, 3, 3, 3, 3, 3])
    #expect(Tensor.zeros([2, 0]).padded([(1, 0)], with: .constant(4)).floats == [4, 4])
    #expect(Tensor([1, 2] as [Float]).padded([(0, 0)]).floats == [1, 2])
    #expect(Tensor([1, 2] as [Float]).padded([]).floats == [1, 2])
    #expect(Tensor.zeros([0, 3]).flipped(along: [0, 1]).rolled(by: 1, along: 1).elementCount == 0)
  }

  @Test(arguments: [DType.float32, .float64]) func longVectorsAreReversedInParts(type: DType) {
    for count in [1, 16, 40_001, 100_003] {
      let x = Tensor.range(to: Double(count), dtype: type)
      let back = x.flipped(along: [0]).reshaped(to: [count, 1] as Shape)
      #expect(back.doubles == x.doubles.reversed(), "\(count)")
    }
  }

  // MARK: Windows

  @Test func convolutionsEqualTheProductOfTheirWindows() throws {
    try atEveryLevel { level in
      for (images, kernels, stride, padding, groups) in [
        ([2, 3, 20, 48], [7, 3, 3, 3], 1, 1, 1), ([1, 40, 9, 33], [13, 40, 3, 3], 1, 1, 1),
        ([2, 8, 15, 70], [6, 4, 2, 5], 2, 0, 2), ([3, 5, 1, 16], [1, 5, 1, 1], 1, 0, 1),
        ([1, 6, 30, 31], [6, 1, 5, 5], 1, 2, 6), ([2, 2, 4, 4], [3, 2, 5, 5], 1, 0, 1),
        ([1, 1, 5, 200], [2, 1, 3, 3], 1, 0, 1), ([0, 2, 4, 4], [3, 2, 2, 2], 1, 0, 1),
      ] as [([Int], [Int], Int, Int, Int)] {
        for type in [DType.float32, .float64] {
          var generator = RandomGenerator(seed: 5)
          let x = Tensor.normal(Shape(images), dtype: type, using: &generator)
          let w = Tensor.normal(Shape(kernels), dtype: type, using: &generator)
          let found = x.convolved(
            with: w, stride: (stride, stride), padding: (padding, padding), groups: groups)
          let windows = x.padded([(padding, padding), (padding, padding)])
            .windows(kernel: (kernels[2], kernels[3]), stride: (stride, stride))
          let depth = kernels.dropFirst().reduce(1, *)
          let places = windows.shape[2] * windows.shape[3]
          let columns = windows.permuted([0, 1, 4, 5, 2, 3])
            .reshaped(to: [images[0], groups, depth, places] as Shape)
          let products = w.reshaped(to: [1, groups, kernels[0] / groups, depth] as Shape)
            .broadcast(to: [images[0], groups, kernels[0] / groups, depth]).matmul(columns)
          #expect(found.shape == [images[0], kernels[0], windows.shape[2], windows.shape[3]])
          let tolerance = type == .float64 ? 1e-11 : 2e-5
          let mismatch = Mismatch.between(
            found.doubles, products.doubles, Tolerance(absolute: tolerance * 10, relative: tolerance),
            in: "\(images) by \(kernels), \(type), \(level)")
          #expect(mismatch == nil, "\(mismatch.map(\.description) ?? "")")
        }
      }
    }
  }

  @Test func convolutionsDoNotDependOnThreads() {
    withSteadyInstructionSet {
      let before = ThreadPool.shared.threadCount
      defer { ThreadPool.shared.setThreadCount(before) }
      var generator = RandomGenerator(seed: 6)
      let (x, w) = (
        Tensor.normal([3, 20, 17, 40], using: &generator), Tensor.normal([9, 20, 5, 5], using: &generator)
      )
      let results = [1, 2, 5].map { threads in
        ThreadPool.shared.setThreadCount(threads)
        return x.convolved(with: w, padding: (2, 2)).floats
      }
      #expect(results[0] == results[1] && results[0] == results[2])
    }
  }

  @Test func halfPrecisionIsConvolvedAsFloat32() {
    let x = Tensor([1, 2, 3, 4] as [Float], shape: [1, 1, 2, 2]).converted(to: .bfloat16)
    let w = Tensor([1, 1] as [Float], shape: [1, 1, 1, 2])
    #expect(x.convolved(with: w, padding: (0, 1)).floats == [1, 3, 2, 3, 7, 4])
  }

  @Test func theFirstOfEqualElementsOfAWindowGetsTheGradient() {
    let tape = Tape()
    let x = tape.variable(Tensor([2, 2, 0, 1, 2, 1, -1, 5] as [Double], shape: [1, 2, 2, 2]))
    let y = x.maxPooled(kernel: (2, 2))
    #expect(y.detached.doubles == [2, 5])
    #expect(y.sum().gradients(of: [x])[x]?.doubles == [1, 0, 0, 0, 0, 0, 0, 1])
  }
}
