internal import CTrestleKernels

/// How matrix products multiply: the precision of the factors. Sums are always kept in float32 or better.
public enum Arithmetic: String, Sendable, Codable, CaseIterable {
  /// Every factor as float32.
  case float32
  /// Factors rounded to bfloat16.
  case bfloat16
  /// Activations quantised to 8 bits in blocks of 32; for block-quantised weights only, elsewhere the same as `float32`.
  case int8

  /// The arithmetic with which large products of dense matrices are fastest on this machine, at the current instruction
  /// set: `bfloat16` where the processor multiplies such numbers itself, else `float32`.
  ///
  /// Without the instruction, `bfloat16` is `float32` arithmetic on rounded numbers, and no faster.
  public static var fastest: Arithmetic {
    trestle_level_has_bf16(InstructionSet.current.level) != 0 ? .bfloat16 : .float32
  }
}

/// Products of dense matrices.
///
/// The bits of an element do not depend on the number of threads. GEMV, for up to eight rows (or four columns), is summed
/// in another order than large ones, so a row computed alone may differ from the same row in a batch by rounding.
package enum MatrixKernel {
  /// `c[m, n] = alpha · op(a) op(b)`, `+ c` if `accumulate`.
  ///
  /// Two bfloat16 factors are multiplied as such, with float32 sums. Of a float32 and a bfloat16 factor, the float32 one
  /// is rounded if `arithmetic` is `.bfloat16`, else the bfloat16 one is widened; two float32 factors are both rounded
  /// if `arithmetic` is `.bfloat16`. GEMV is bound by memory and never rounds.
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
    KernelProduct(
      a: operand(a, lda, aType, kIsContiguous: !transposeA),
      b: operand(b, ldb, bType, kIsContiguous: transposeB),
      cType: cType, m: m, n: n, k: k, alpha: alpha, accumulate: accumulate, c: c, ldc: ldc,
      arithmetic: arithmetic
    ).run()
  }

  /// The same over `batch` matrices at fixed strides, counted in elements (stride 0 repeats a matrix).
  package static func multiplyBatched(
    batch: Int, strideA: Int, strideB: Int, strideC: Int, aType: DType, bType: DType, cType: DType,
    transposeA: Bool, transposeB: Bool, m: Int, n: Int, k: Int, alpha: Double = 1, a: UnsafeRawPointer,
    lda: Int, b: UnsafeRawPointer, ldb: Int, accumulate: Bool = false, c: UnsafeMutableRawPointer, ldc: Int,
    arithmetic: Arithmetic = .float32
  ) {
    func product(_ index: Int, rows: Int) -> KernelProduct {
      KernelProduct(
        a: operand(a + index * strideA * aType.byteCount, lda, aType, kIsContiguous: !transposeA),
        b: operand(b + index * strideB * bType.byteCount, ldb, bType, kIsContiguous: transposeB),
        cType: cType, m: rows, n: n, k: k, alpha: alpha, accumulate: accumulate,
        c: c + index * strideC * cType.byteCount, ldc: ldc, arithmetic: arithmetic)
    }
    if strideB == 0, !transposeA, strideA == m * lda, strideC == m * ldc {
      // One tall matrix; its rows are as independent as the matrices.
      product(0, rows: batch * m).run()
    } else if 2 * m * n * k < 1 << 22 {
      // Too small to share one product among threads: share the batch, several products to a task.
      let products = max(1, (1 << 17) / max(1, 2 * m * n * k))
      ThreadPool.shared.run((batch + products - 1) / products) { task in
        for index in task * products..<min(batch, (task + 1) * products) { product(index, rows: m).run() }
      }
    } else {
      for index in 0..<batch { product(index, rows: m).run() }
    }
  }

  static func operand(_ data: UnsafeRawPointer, _ stride: Int, _ type: DType, kIsContiguous: Bool)
    -> trestle_operand
  {
    trestle_operand(
      data: data, stride: Int64(stride), storage: storage(type), k_is_contiguous: kIsContiguous ? 1 : 0)
  }

  private static func storage(_ type: DType) -> Int32 {
    switch type {
    case .float32: Int32(TRESTLE_F32.rawValue)
    case .float64: Int32(TRESTLE_F64.rawValue)
    case .bfloat16: Int32(TRESTLE_BF16.rawValue)
    default: preconditionFailure("matrix product: factors of type \(type)")
    }
  }
}
