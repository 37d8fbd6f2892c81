internal import CTrestleKernels

/// Products with block-quantised weights, row-major `[rows, columns]`, each row a whole number of blocks.
///
/// The bits of an element do not depend on the number of threads. Up to ``gemvRows`` rows of activations are multiplied
/// straight from the blocks; with more rows, the blocks are dequantised once per product, panel by panel, and the sums
/// are made in another order, so a row computed alone may differ from the same row in a batch by rounding.
package enum QuantizedKernel {
  /// The largest number of rows that are multiplied by GEMV, which reads the weights as they are.
  package static let gemvRows = 8

  /// Writes the numbers of `count / format.blockSize` blocks to `result`.
  package static func dequantize(
    format: QuantizationFormat, source: UnsafeRawPointer, count: Int, to result: UnsafeMutablePointer<Float>
  ) {
    precondition(
      count >= 0 && count % format.blockSize == 0,
      "dequantize: \(count) numbers are not whole blocks of \(format.blockSize)")
    // Safe to share: every task reads and writes blocks of its own.
    nonisolated(unsafe) let source = source
    nonisolated(unsafe) let result = result
    let kernel = KernelProduct.table.pointee.dequantize
    let step = 1 << 14
    ThreadPool.shared.run((count + step - 1) / step) { task in
      let first = task * step
      kernel(format.storage, source, Int64(first), Int64(min(step, count - first)), result + first)
    }
  }

  /// `y[m, rows] = x[m, columns] · weightsᵀ`.
  ///
  /// - Parameters:
  ///   - ldx: the distance of rows of `x`, in elements; `ldy` that of `y`.
  ///   - arithmetic: `.float32` multiplies the dequantised numbers; `.bfloat16` rounds both factors; `.int8` quantises
  ///     the activations in blocks of 32 and multiplies integers. The two latter apply where they pay, `.bfloat16` to
  ///     more than ``gemvRows`` rows, `.int8` to fewer; elsewhere they are `.float32`.
  package static func multiply(
    format: QuantizationFormat, weights: UnsafeRawPointer, rows: Int, columns: Int,
    x: UnsafePointer<Float>, ldx: Int, m: Int, y: UnsafeMutablePointer<Float>, ldy: Int,
    arithmetic: Arithmetic = .float32
  ) {
    let product = product(
      format: format, weights: weights, rows: rows, columns: columns, x: x, ldx: ldx, m: m, y: y, ldy: ldy,
      arithmetic: arithmetic)
    if arithmetic == .int8 && m > 0 && m <= gemvRows && columns > 0 {
      product.runGEMVInt8()
    } else {
      product.run()
    }
  }

  static func product(
    format: QuantizationFormat, weights: UnsafeRawPointer, rows: Int, columns: Int,
    x: UnsafePointer<Float>, ldx: Int, m: Int, y: UnsafeMutablePointer<Float>, ldy: Int,
    arithmetic: Arithmetic
  ) -> KernelProduct {
    KernelProduct(
      a: activations(x, stride: ldx), b: operand(format, weights, columns: columns, isTransposed: true),
      cType: .float32, m: m, n: rows, k: columns, alpha: 1, accumulate: false, c: y, ldc: ldy,
      arithmetic: arithmetic)
  }

  /// `dx[m, columns] = dy[m, rows] · weights`.
  ///
  /// `.int8` is `.float32` here.
  package static func multiplyTransposed(
    format: QuantizationFormat, weights: UnsafeRawPointer, rows: Int, columns: Int,
    dy: UnsafePointer<Float>, lddy: Int, m: Int, dx: UnsafeMutablePointer<Float>, lddx: Int,
    arithmetic: Arithmetic = .float32
  ) {
    KernelProduct(
      a: activations(dy, stride: lddy), b: operand(format, weights, columns: columns, isTransposed: false),
      cType: .float32, m: m, n: columns, k: rows, alpha: 1, accumulate: false, c: dx, ldc: lddx,
      arithmetic: arithmetic
    ).run()
  }

  private static func activations(_ data: UnsafePointer<Float>, stride: Int) -> trestle_operand {
    trestle_operand(
      data: data, stride: Int64(stride), storage: Int32(TRESTLE_F32.rawValue), k_is_contiguous: 1)
  }

  private static func operand(
    _ format: QuantizationFormat, _ weights: UnsafeRawPointer, columns: Int, isTransposed: Bool
  ) -> trestle_operand {
    trestle_operand(
      data: weights, stride: Int64(format.bytesPerRow(columns: columns)), storage: format.storage,
      k_is_contiguous: isTransposed ? 1 : 0)
  }
}
