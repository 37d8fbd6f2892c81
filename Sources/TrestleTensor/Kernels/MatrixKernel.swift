/// How matrix products multiply: the precision of the factors. Sums are always kept in float32 or better.
public enum Arithmetic: String, Sendable, Codable, CaseIterable {
  /// Every factor as float32.
  case float32
  /// Factors rounded to bfloat16.
  case bfloat16
  /// Activations quantised to 8 bits in blocks of 32; for block-quantised weights only, elsewhere the same as `float32`.
  case int8
}

/// Products of dense matrices.
package enum MatrixKernel {
  /// `c[m, n] = alpha · op(a) op(b)`, `+ c` if `accumulate`.
  ///
  /// - Parameters:
  ///   - a: `[m, k]`, or `[k, m]` if `transposeA`, with rows `lda` elements apart.
  ///   - b: `[k, n]`, or `[n, k]` if `transposeB`, with rows `ldb` elements apart.
  ///   - c: `[m, n]`, with rows `ldc` elements apart; must not overlap `a` or `b`.
  /// - Precondition: the types are float32 thrice, float64 thrice, or float32 or bfloat16 factors and a float32 `c`.
  package static func multiply(
    aType: DType, bType: DType, cType: DType, transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int,
    alpha: Double = 1, a: UnsafeRawPointer, lda: Int, b: UnsafeRawPointer, ldb: Int, accumulate: Bool = false,
    c: UnsafeMutableRawPointer, ldc: Int, arithmetic: Arithmetic = .float32
  ) {
    multiplyBatched(
      batch: 1, strideA: 0, strideB: 0, strideC: 0, aType: aType, bType: bType, cType: cType,
      transposeA: transposeA, transposeB: transposeB, m: m, n: n, k: k, alpha: alpha, a: a, lda: lda, b: b,
      ldb: ldb, accumulate: accumulate, c: c, ldc: ldc, arithmetic: arithmetic)
  }

  /// The same over `batch` matrices at fixed strides, counted in elements (stride 0 repeats a matrix).
  package static func multiplyBatched(
    batch: Int, strideA: Int, strideB: Int, strideC: Int, aType: DType, bType: DType, cType: DType,
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double = 1, a: UnsafeRawPointer,
    lda: Int, b: UnsafeRawPointer, ldb: Int, accumulate: Bool = false, c: UnsafeMutableRawPointer, ldc: Int,
    arithmetic: Arithmetic = .float32
  ) {
    nonisolated(unsafe) let a = a
    nonisolated(unsafe) let b = b
    nonisolated(unsafe) let c = c
    for index in 0..<batch {
      ThreadPool.shared.run((m + 15) / 16) { block in
        for i in block * 16..<min(m, block * 16 + 16) {
          for j in 0..<n {
            var sum = 0.0
            for p in 0..<k {
              sum +=
                load(a, aType, index * strideA + (transposeA ? p * lda + i : i * lda + p))
                * load(b, bType, index * strideB + (transposeB ? j * ldb + p : p * ldb + j))
            }
            let position = index * strideC + i * ldc + j
            if cType == .float64 {
              let c = c.assumingMemoryBound(to: Double.self)
              c[position] = alpha * sum + (accumulate ? c[position] : 0)
            } else {
              let c = c.assumingMemoryBound(to: Float.self)
              c[position] = Float(alpha * sum) + (accumulate ? c[position] : 0)
            }
          }
        }
      }
    }
  }

  @inline(__always)
  private static func load(_ pointer: UnsafeRawPointer, _ type: DType, _ index: Int) -> Double {
    switch type {
    case .float64: pointer.load(fromByteOffset: index * 8, as: Double.self)
    case .bfloat16:
      Double(Float(bitPattern: UInt32(pointer.load(fromByteOffset: index * 2, as: UInt16.self)) << 16))
    default: Double(pointer.load(fromByteOffset: index * 4, as: Float.self))
    }
  }
}
