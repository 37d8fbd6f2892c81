/// Numbers in 8 bits each, in blocks with a scale of their own: what 8-bit optimizers remember.
///
/// A code stands for one of 256 numbers in −1…1 (0…1 without sign) that lie denser towards 0: seven powers of ten, each with
/// evenly spaced fractions, twice as many from one power to the next. Source: Dettmers et al., *8-bit Optimizers via
/// Block-wise Quantization* (2021), for blocks and dynamic exponents.
package struct EightBitCodes: Sendable {
  /// The numbers in a block.
  package static let blockSize = 256
  /// What the codes stand for, in ascending order.
  let values: [Float]
  /// The midpoints between neighbours: where one code ends and the next begins.
  private let ends: [Float]

  /// Codes for numbers of both signs.
  package static let signed = EightBitCodes(isSigned: true)
  /// Codes for numbers that are not negative.
  package static let unsigned = EightBitCodes(isSigned: false)

  private init(isSigned: Bool) {
    var numbers: [Double] = [0, 1]
    for exponent in 0..<7 {
      let count = 1 << (isSigned ? exponent : exponent + 1)
      let scale = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1][exponent]
      for index in 0..<count {
        // The middle of the index-th of `count` equal parts of 0.1…1.
        let number = scale * (0.1 + 0.9 * (Double(index) + 0.5) / Double(count))
        numbers.append(number)
        if isSigned { numbers.append(-number) }
      }
    }
    values = numbers.sorted().map(Float.init)
    ends = zip(values, values.dropFirst()).map { ($0 + $1) / 2 }
  }

  /// The code of the number nearest to `x`.
  @inline(__always)
  func code(_ x: Float) -> UInt8 {
    UInt8((0..<ends.count).partitionPoint { ends[$0] < x })
  }
}

extension Parameter {
  /// Adam in place with moments in 8 bits; a row-sparse gradient is taken as a dense one.
  ///
  /// - Parameters:
  ///   - mean: the codes of the first moments, `[elements]`, `uint8`; updated.
  ///   - variance: those of the second moments; updated.
  ///   - meanScales: a scale for each block of the first moments, `[blocks]`, `float32`; updated.
  ///   - varianceScales: those of the second moments; updated.
  package func applyEightBitAdam(
    _ gradient: Gradient, mean: inout Tensor, variance: inout Tensor, meanScales: inout Tensor,
    varianceScales: inout Tensor, _ step: AdamStep
  ) {
    mean.makeUnique()
    variance.makeUnique()
    meanScales.makeUnique()
    varianceScales.makeUnique()
    let moments = EightBitMoments(
      mean: mean, variance: variance, meanScales: meanScales, varianceScales: varianceScales)
    mutate { value in
      let dense = gradient.dense().detached.dense()
      precondition(
        dense.shape == value.shape && dense.dtype == .float32 && value.dtype == .float32
          && moments.fits(value.elementCount),
        "8-bit Adam: gradient \(dense.dtype) \(dense.shape) for a parameter \(value.dtype) \(value.shape)")
      let count = value.elementCount
      let blocks = (count + EightBitCodes.blockSize - 1) / EightBitCodes.blockSize
      withExtendedLifetime((value.storage, dense.storage, moments)) {
        Kernels.parallel(blocks, grain: 32) { first, number in
          for block in first..<first + number {
            let start = block * EightBitCodes.blockSize
            moments.update(
              value.pointer(Float.self) + start, dense.pointer(Float.self) + start, block: block,
              count: Swift.min(EightBitCodes.blockSize, count - start), step)
          }
        }
      }
    }
  }
}

/// The moments of one parameter during an update: every block is written by one task.
private struct EightBitMoments: @unchecked Sendable {
  let mean: Tensor
  let variance: Tensor
  let meanScales: Tensor
  let varianceScales: Tensor

  func fits(_ count: Int) -> Bool {
    let blocks = (count + EightBitCodes.blockSize - 1) / EightBitCodes.blockSize
    return mean.shape == [count] && variance.shape == [count] && meanScales.shape == [blocks]
      && varianceScales.shape == [blocks] && mean.dtype == .uint8 && variance.dtype == .uint8
      && meanScales.dtype == .float32 && varianceScales.dtype == .float32
  }

  func update(
    _ p: UnsafeMutablePointer<Float>, _ g: UnsafePointer<Float>, block: Int, count: Int, _ step: AdamStep
  ) {
    let start = block * EightBitCodes.blockSize
    let (m, v) = (mean.pointer(UInt8.self) + start, variance.pointer(UInt8.self) + start)
    let (mScale, vScale) = (
      meanScales.pointer(Float.self) + block, varianceScales.pointer(Float.self) + block
    )
    let (signed, unsigned) = (EightBitCodes.signed, EightBitCodes.unsigned)
    let (rate, decay) = (Float(step.learningRate), Float(step.weightDecay))
    let (beta1, beta2) = (Float(step.beta1), Float(step.beta2))
    let (bias1, bias2) = (Float(step.bias1), Float(step.bias2))
    withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * EightBitCodes.blockSize) { moments in
      var (largestMean, largestVariance) = (Float(0), Float(0))
      for index in 0..<count {
        var gradient = g[index] * Float(step.gradientScale)
        if step.isDecoupled { p[index] *= 1 - rate * decay } else { gradient += decay * p[index] }
        let first = beta1 * signed.values[Int(m[index])] * mScale.pointee + (1 - beta1) * gradient
        let second =
          beta2 * unsigned.values[Int(v[index])] * vScale.pointee + (1 - beta2) * gradient * gradient
        p[index] -= rate * (first / bias1) / ((second / bias2).squareRoot() + Float(step.epsilon))
        moments[index] = first
        moments[EightBitCodes.blockSize + index] = second
        largestMean = Swift.max(largestMean, abs(first))
        largestVariance = Swift.max(largestVariance, second)
      }
      mScale.pointee = largestMean
      vScale.pointee = largestVariance
      for index in 0..<count {
        m[index] = signed.code(largestMean > 0 ? moments[index] / largestMean : 0)
        // A variance of 0 would make the next step endless.
        let share =
          largestVariance > 0 ? moments[EightBitCodes.blockSize + index] / largestVariance : 0
        v[index] = share > 0 ? Swift.max(1, unsigned.code(share)) : 0
      }
    }
  }
}
