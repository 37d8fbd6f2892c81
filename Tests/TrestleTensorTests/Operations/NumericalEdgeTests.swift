import CTrestleKernels
import Testing
import TrestleTensor
import TrestleTestSupport

/// Sums, gradients and products where plain formulas lose their value: long sums, zeros, infinities, nothing at all.
@Suite struct NumericalEdgeTests {
  @Test func aMillionRowsAreSummedWithoutDrift() {
    withSteadyInstructionSet {
      let sums = Tensor.full([1_000_000, 3], 0.1).sum(along: [0]).scalars(as: Float.self)
      for sum in sums { #expect(abs(sum - 100_000) < 0.1, "\(sum)") }
    }
  }

  @Test func rowsShorterThanEpsilonAreOnlyScaled() {
    withSteadyInstructionSet {
      let tape = Tape()
      let x = tape.variable(Tensor([0.3, 0.4, 3, 4] as [Double], shape: [2, 2]))
      let y = x.unitNormalized(epsilon: 2)
      let weights = Tensor([1, 2, 1, 2] as [Double], shape: [2, 2])
      let gradient = (y * weights).sum().gradients(of: [x])[x]?.doubles ?? []
      #expect(gradient[0] == 0.5 && gradient[1] == 1)
      // (w - y <y, w>) / |x| of the longer row.
      #expect(
        abs(gradient[2] - (1 - 0.6 * 2.2) / 5) < 1e-15 && abs(gradient[3] - (2 - 0.8 * 2.2) / 5) < 1e-15)
    }
  }

  @Test func rowsOfMinusInfinityHaveNoChance() {
    withSteadyInstructionSet {
      let x = Tensor.full([2, 5], -.infinity)
      #expect(x.logSoftmax().scalars(as: Float.self).allSatisfy { $0 == -.infinity })
      let tape = Tape()
      let logits = tape.variable(x)
      let loss = logits.crossEntropy(labels: Tensor([1, 4] as [Int32]))
      #expect(loss.detached.scalars(as: Float.self).allSatisfy { $0 == .infinity })
      let gradient = loss.sum().gradients(of: [logits])[logits]?.scalars(as: Float.self) ?? [.nan]
      #expect(gradient == [0, -1, 0, 0, 0, 0, 0, 0, 0, -1])
    }
  }

  @Test func theZerothPowerIsConstant() {
    let tape = Tape()
    let x = tape.variable(Tensor([0, 1, -2] as [Double]))
    #expect(x.power(0).sum().gradients(of: [x])[x]?.doubles == [0, 0, 0])
  }

  @Test func quotientsOfLargeNumbersHaveGradients() {
    let tape = Tape()
    let y = tape.variable(Tensor([1e30, 1e-30] as [Float]))
    let x = Tensor([1e30, 1e-30] as [Float])
    let gradient = (x / y).sum().gradients(of: [y])[y]?.scalars(as: Float.self) ?? []
    #expect(abs(gradient[0] / -1e-30 - 1) < 1e-6 && abs(gradient[1] / -1e30 - 1) < 1e-6)
  }

  @Test func gatesAtInfinityHaveGradients() {
    let count = Int64(3)
    let gate: [Float] = [.infinity, -.infinity, 2]
    let up = [Float](repeating: 3, count: 3)
    let dout = [Float](repeating: 1, count: 3)
    var (dgate, dup) = ([Float](repeating: 0, count: 3), [Float](repeating: 0, count: 3))
    InstructionSet.kernels.float.pointee.swiglu_backward(gate, up, dout, &dgate, &dup, count)
    #expect(dgate[0] == 3 && dgate[1] == 0 && dup[0] == .infinity && dup[1] == 0)
  }

  @Test func productsOverNothingAreZero() {
    let product = Tensor.zeros([2, 3, 0]).matmul(Tensor.zeros([0, 4]))
    #expect(product.shape == [2, 3, 4] && product.scalars(as: Float.self).allSatisfy { $0 == 0 })
    let tape = Tape()
    let w = tape.variable(Tensor.zeros([0, 4]))
    #expect(Tensor.zeros([2, 3, 0]).matmul(w).sum().gradients(of: [w])[w]?.shape == [0, 4])
  }

  @Test func stridesGoBeyondThirtyTwoBits() {
    #expect(([2, 70_000, 70_000] as Shape).denseStrides[0] == 4_900_000_000)
  }

  @Test func elementsAreGatheredBeyondThirtyTwoBits() {
    let row = Tensor((0..<40_000).map(Float.init))
    let wide = row.broadcast(to: [70_000, 40_000])
    let indices = (0..<70_000).map { Int32($0 % 40_000) }
    #expect(wide.gatheredElements(Tensor(indices)).scalars(as: Float.self) == indices.map(Float.init))
  }

  @Test func recomputationPassesGradientsOfWhatItIsGiven() {
    let weight = Parameter(Tensor([2, 3] as [Double]))
    let (_, gradients) = valueAndGradients(of: [weight]) {
      Tensor.recomputed([Tensor([5, 7] as [Double])], parameters: [weight]) { $0[0] * weight.value }.sum()
    }
    #expect(gradients[weight]?.dense().doubles == [5, 7])
  }

  @Test func recomputationRefusesParametersItIsNotGiven() async {
    await #expect(processExitsWith: .failure) {
      let weight = Parameter(Tensor([2, 3] as [Double]))
      _ = valueAndGradients(of: [weight]) {
        Tensor.recomputed([Tensor([5, 7] as [Double])]) { $0[0] * weight.value }.sum()
      }
    }
  }

  @Test func eightBitActivationsKeepTinyNumbersAndSayWhereThereIsNone() throws {
    for level in InstructionSet.available {
      let table = try #require(trestle_matrix_table(Int32(level.level.rawValue)))
      var x = [Float](repeating: 0, count: 96)
      for index in 0..<32 {
        x[index] = 1e-38 * Float(index - 16)
        x[32 + index] = 1
      }
      x[40] = .nan
      x[64] = .infinity
      var values = [Int8](repeating: 0, count: 96)
      var (scales, sums) = ([Float](repeating: 0, count: 3), [Float](repeating: 0, count: 6))
      table.pointee.quantize_rows(x, 96, 1, 96, &values, &scales, &sums)
      for index in 0..<32 {
        #expect(abs(scales[0] * Float(values[index]) - x[index]) <= 0.6 * scales[0], "\(level)")
      }
      #expect(scales[1].isNaN && scales[2].isNaN && sums[2].isNaN, "\(level)")
    }
  }

  @Test func dropoutKeepsItsShareAndItsBits() {
    withSteadyInstructionSet {
      let x = Tensor.full([300, 401], 1)
      func once() -> [Float] {
        var generator = RandomGenerator(seed: 3)
        return x.dropout(rate: 0.25, using: &generator).scalars(as: Float.self)
      }
      let first = once()
      #expect(first == once())
      let kept = first.count { $0 != 0 }
      #expect(abs(Double(kept) / Double(first.count) - 0.75) < 0.01)
      #expect(Set(first) == [0, Float(1 / 0.75)])
    }
  }
}

/// How much of the machine a process takes.
@Suite struct MachineLimitTests {
  @Test func quotasGiveProcessors() {
    #expect(MachineLimits.processors(cpuMax: "200000 100000") == 2)
    #expect(MachineLimits.processors(cpuMax: "150000 100000\n") == 2)
    #expect(MachineLimits.processors(cpuMax: "1000 100000") == 1)
    for text in ["max 100000", "-1 100000", "", "100000", "x y", "5 0"] {
      #expect(MachineLimits.processors(cpuMax: text) == nil, "\(text)")
    }
    #expect(MachineLimits.processorCount >= 1 && MachineLimits.memoryByteCount > 0)
  }

  @Test func theBlockCacheEvictsWhatWasNotUsedForLongest() {
    let cache = BlockCache(capacity: 10_000)
    let blocks = [1024, 4096, 8192].map { cache.allocate($0) }
    cache.release(blocks[0].0, sizeClass: blocks[0].1)
    cache.release(blocks[1].0, sizeClass: blocks[1].1)
    #expect(cache.keptByteCount == 5120)
    cache.release(blocks[2].0, sizeClass: blocks[2].1)
    // The block of 1024 bytes goes first, then that of 4096.
    #expect(cache.keptByteCount == 8192)
    let large = cache.allocate(100_000)
    cache.release(large.0, sizeClass: large.1)
    #expect(cache.keptByteCount == 8192)
  }

  @Test func remaindersAreExactForAllNumbers() throws {
    // Random bits: every magnitude, signs, denormals, infinities and NaN; and quotients that are nearly whole.
    var generator = RandomGenerator(seed: 11)
    var (x, y): ([Float], [Float]) = (
      [0, -0.0, 6, -6, .infinity, 5, -5, 5, 1, .nan], [2, 2, 2, 2, 3, .infinity, .infinity, 0, .nan, 1]
    )
    for index in 0..<20_000 {
      let (a, b) = (
        UInt32(truncatingIfNeeded: generator.next()), UInt32(truncatingIfNeeded: generator.next())
      )
      if index % 2 == 0 {
        x.append(Float(bitPattern: a))
        y.append(Float(bitPattern: b))
      } else {
        let divisor = Float(bitPattern: 0x3F80_0000 | b & 0x7F_FFFF)
        let near = divisor * Float(a % (1 << 26))
        x.append(index % 4 == 1 ? near.nextUp : -near.nextDown)
        y.append(index % 8 < 4 ? divisor : -divisor)
      }
    }
    try expectExactRemainders(x, y) { $0.floats }
  }

  @Test func remaindersOfDoublesAreExactForAllNumbers() throws {
    var generator = RandomGenerator(seed: 12)
    var (x, y): ([Double], [Double]) = (
      [0, -0.0, 6, -6, .infinity, -5, 1], [2, 2, 2, 2, 3, .infinity, .nan]
    )
    for index in 0..<20_000 {
      let (a, b) = (generator.next(), generator.next())
      if index % 2 == 0 {
        x.append(Double(bitPattern: a))
        y.append(Double(bitPattern: b))
      } else {
        let divisor = Double(bitPattern: 0x3FF0_0000_0000_0000 | b >> 12)
        let near = divisor * Double(a >> (10 + index % 50))
        x.append(index % 4 == 1 ? near.nextUp : -near.nextDown)
        y.append(index % 8 < 4 ? divisor : -divisor)
      }
    }
    try expectExactRemainders(x, y) { $0.doubles }
  }

  /// Remainders with the sign of the divisor, in the same bits at every level.
  private func expectExactRemainders<Scalar: TensorScalar & BinaryFloatingPoint>(
    _ x: [Scalar], _ y: [Scalar], _ scalars: (Tensor) -> [Scalar]
  ) throws {
    try atEveryLevel { level in
      let found = scalars(Tensor(x).remainder(dividingBy: Tensor(y)))
      for ((x, y), value) in zip(zip(x, y), found) {
        let rest = x.truncatingRemainder(dividingBy: y)
        let expected = rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest
        // Equal numbers of one sign have the same bits.
        #expect(
          (value == expected && value.sign == expected.sign) || (value.isNaN && expected.isNaN),
          "\(x) by \(y) is \(value), expected \(expected), at \(level)")
      }
    }
  }

  @Test func theFastestArithmeticIsOneThatTheProcessorHas() throws {
    try atEveryLevel { level in
      let hasInstruction = trestle_level_has_bf16(level.level) != 0
      #expect(Arithmetic.fastest == (hasInstruction ? .bfloat16 : .float32))
    }
  }
}
