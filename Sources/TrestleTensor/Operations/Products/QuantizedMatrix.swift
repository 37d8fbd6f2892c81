/// A matrix stored in quantised blocks, as GGUF files hold it; products read the blocks without unpacking the matrix.
///
/// The weights are fixed: gradients flow through a product to its input alone. `Sendable`: the bytes are never written.
public struct QuantizedMatrix: Sendable {
  /// How the blocks are laid out.
  public let format: QuantizationFormat
  /// `[rows, columns]`.
  public let shape: Shape
  private let storage: Storage

  /// The matrix over bytes that belong to `owner` (a mapped file, say), which is kept alive; nothing is copied.
  ///
  /// - Precondition: `columns` is a multiple of the format's block size; `bytes` has exactly the matrix's bytes.
  package init(
    format: QuantizationFormat, rows: Int, columns: Int, borrowing bytes: UnsafeRawBufferPointer,
    owner: AnyObject
  ) {
    Self.check(format, rows, columns, bytes.count)
    self.format = format
    shape = [rows, columns]
    if let base = bytes.baseAddress, !bytes.isEmpty {
      storage = Storage(borrowing: base, byteCount: bytes.count, owner: owner)
    } else {
      storage = Storage(byteCount: 0)
    }
  }

  /// The matrix of a copy of `bytes`: its blocks row by row.
  ///
  /// - Precondition: `columns` is a multiple of the format's block size; `bytes` has exactly the matrix's bytes.
  public init(format: QuantizationFormat, rows: Int, columns: Int, bytes: [UInt8]) {
    Self.check(format, rows, columns, bytes.count)
    self.format = format
    shape = [rows, columns]
    storage = Storage(byteCount: bytes.count)
    bytes.withUnsafeBytes { source in
      if let base = source.baseAddress { storage.pointer.copyMemory(from: base, byteCount: source.count) }
    }
  }

  private init(format: QuantizationFormat, shape: Shape, storage: Storage) {
    self.format = format
    self.shape = shape
    self.storage = storage
  }

  private static func check(_ format: QuantizationFormat, _ rows: Int, _ columns: Int, _ byteCount: Int) {
    precondition(
      rows >= 0 && columns >= 0 && columns % format.blockSize == 0
        && byteCount == rows * (columns / format.blockSize) * format.bytesPerBlock,
      "QuantizedMatrix: \(byteCount) bytes for [\(rows), \(columns)] in \(format)")
  }

  /// The number of rows.
  public var rows: Int { shape[0] }
  /// The number of columns.
  public var columns: Int { shape[1] }
  /// The bytes of one row.
  public var bytesPerRow: Int { format.bytesPerRow(columns: columns) }

  /// The numbers that the blocks stand for, `[rows, columns]`, `float32`.
  public func dequantized() -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: .float32)
    withExtendedLifetime(storage) {
      QuantizedKernel.dequantize(
        format: format, source: storage.pointer, count: shape.elementCount, to: result.pointer(Float.self))
    }
    return result
  }

  /// The numbers of some rows, `[indices, columns]`, `float32`: an embedding lookup.
  ///
  /// - Precondition: all indices are within the rows.
  public func gatheredRows(_ indices: [Int32]) -> Tensor {
    precondition(
      indices.allSatisfy { $0 >= 0 && $0 < rows },
      "QuantizedMatrix.gatheredRows: an index is outside 0..<\(rows)")
    let result = Tensor(uninitialized: [indices.count, columns], dtype: .float32)
    withExtendedLifetime(storage) {
      Kernels.parallelRows(indices.count, cols: columns) { start, count in
        for position in start..<start + count {
          QuantizedKernel.dequantize(
            format: format, source: storage.pointer + Int(indices[position]) * bytesPerRow, count: columns,
            to: result.pointer(Float.self) + position * columns)
        }
      }
    }
    return result
  }

  /// The same matrix with its rows in another order, or some of them: row `i` of the result is row `order[i]`.
  public func reorderedRows(_ order: [Int]) -> QuantizedMatrix {
    precondition(
      order.allSatisfy { $0 >= 0 && $0 < rows },
      "QuantizedMatrix.reorderedRows: an index is outside 0..<\(rows)")
    let copy = Storage(byteCount: order.count * bytesPerRow)
    withExtendedLifetime(storage) {
      for (target, source) in order.enumerated() {
        (copy.pointer + target * bytesPerRow)
          .copyMemory(from: storage.pointer + source * bytesPerRow, byteCount: bytesPerRow)
      }
    }
    return QuantizedMatrix(format: format, shape: [order.count, columns], storage: copy)
  }
}

extension Tensor {
  /// The product of this tensor with the transpose of a quantised matrix: x Wᵀ.
  ///
  /// - Parameters:
  ///   - matrix: W, `[outputs, inputs]`.
  ///   - arithmetic: in what the products are computed.
  /// - Returns: `[..., outputs]`, `float32`; this tensor is `[..., inputs]`. Gradients flow to this tensor.
  public func matmul(transposing matrix: QuantizedMatrix, arithmetic: Arithmetic = .float32) -> Tensor {
    precondition(
      rank >= 1 && shape[rank - 1] == matrix.columns && dtype == .float32,
      "matmul(transposing:): \(dtype) \(shape) and quantised \(matrix.shape)")
    let output = matrix.product(detached.dense(), arithmetic)
    return Tensor.custom("matmul(transposing:)", inputs: [self], output: output) { upstream in
      [matrix.transposedProduct(upstream.detached.dense(), arithmetic)]
    }
  }
}

extension QuantizedMatrix {
  /// x Wᵀ of a dense x, `[..., columns]`.
  fileprivate func product(_ x: Tensor, _ arithmetic: Arithmetic) -> Tensor {
    let result = Tensor(uninitialized: Shape(x.shape.dropLast() + [rows]), dtype: .float32)
    withExtendedLifetime((storage, x.storage)) {
      QuantizedKernel.multiply(
        format: format, weights: storage.pointer, rows: rows, columns: columns, x: x.pointer(Float.self),
        ldx: columns, m: x.shape.rowCount, y: result.pointer(Float.self), ldy: rows, arithmetic: arithmetic)
    }
    return result
  }

  /// The product x Wᵀ of a dense x, to be run while both live.
  func kernelProduct(_ x: Tensor, into result: Tensor, _ arithmetic: Arithmetic) -> KernelProduct {
    QuantizedKernel.product(
      format: format, weights: storage.pointer, rows: rows, columns: columns, x: x.pointer(Float.self),
      ldx: columns, m: x.shape.rowCount, y: result.pointer(Float.self), ldy: rows, arithmetic: arithmetic)
  }

  /// dy W of a dense dy, `[..., rows]`.
  fileprivate func transposedProduct(_ dy: Tensor, _ arithmetic: Arithmetic) -> Tensor {
    let result = Tensor(uninitialized: Shape(dy.shape.dropLast() + [columns]), dtype: .float32)
    withExtendedLifetime((storage, dy.storage)) {
      QuantizedKernel.multiplyTransposed(
        format: format, weights: storage.pointer, rows: rows, columns: columns, dy: dy.pointer(Float.self),
        lddy: rows, m: dy.shape.rowCount, dx: result.pointer(Float.self), lddx: columns,
        arithmetic: arithmetic)
    }
    return result
  }
}
