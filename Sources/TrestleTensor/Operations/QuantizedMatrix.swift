/// A matrix stored in quantised blocks, as GGUF files hold it; products read the blocks without unpacking the matrix.
///
/// The weights are fixed: gradients flow through a product to its input alone. `Sendable`: the bytes are never written.
public struct QuantizedMatrix: Sendable {
  /// How the blocks are laid out.
  public let format: QuantizedFormat
  /// `[rows, columns]`.
  public let shape: Shape
  private let storage: Storage

  /// The matrix over bytes that belong to `owner` (a mapped file, say), which is kept alive; nothing is copied.
  ///
  /// - Precondition: `columns` is a multiple of the format's block size; `bytes` has exactly the matrix's bytes.
  package init(
    format: QuantizedFormat, rows: Int, columns: Int, borrowing bytes: UnsafeRawBufferPointer,
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
  public init(format: QuantizedFormat, rows: Int, columns: Int, bytes: [UInt8]) {
    Self.check(format, rows, columns, bytes.count)
    self.format = format
    shape = [rows, columns]
    storage = Storage(byteCount: bytes.count)
    bytes.withUnsafeBytes { source in
      if let base = source.baseAddress { storage.pointer.copyMemory(from: base, byteCount: source.count) }
    }
  }

  private init(format: QuantizedFormat, shape: Shape, storage: Storage) {
    self.format = format
    self.shape = shape
    self.storage = storage
  }

  private static func check(_ format: QuantizedFormat, _ rows: Int, _ columns: Int, _ byteCount: Int) {
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
  public var bytesPerRow: Int { columns / format.blockSize * format.bytesPerBlock }

  /// The numbers that the blocks stand for, `[rows, columns]`, `float32`.
  public func dequantized() -> Tensor { dequantizedRows(Array(0..<rows)) }

  /// The numbers of some rows, `[indices, columns]`, `float32`: an embedding lookup.
  ///
  /// - Precondition: all indices are within the rows.
  public func gatheredRows(_ indices: [Int32]) -> Tensor { dequantizedRows(indices.map(Int.init)) }

  private func dequantizedRows(_ indices: [Int]) -> Tensor {
    precondition(
      indices.allSatisfy { $0 >= 0 && $0 < rows },
      "QuantizedMatrix.gatheredRows: an index is outside 0..<\(rows)")
    let result = Tensor(uninitialized: [indices.count, columns], dtype: .float32)
    withExtendedLifetime(storage) {
      Kernels.parallelRows(indices.count, cols: columns) { start, count in
        for position in start..<start + count {
          format.dequantize(
            storage.pointer + indices[position] * bytesPerRow, count: columns,
            into: result.pointer(Float.self) + position * columns)
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
    let arithmetic = arithmetic == .int8 ? Arithmetic.float32 : arithmetic
    let output = detached.matmul(matrix.dequantized(), transposingOther: true, arithmetic: arithmetic)
    return Tensor.custom("matmul(transposing:)", inputs: [self], output: output) { upstream in
      [upstream.matmul(matrix.dequantized(), arithmetic: arithmetic)]
    }
  }
}

/// The block layouts of quantised weights, named as GGUF names them.
public enum QuantizedFormat: String, Sendable, Codable, CaseIterable {
  /// 8 bits, a scale for 32.
  case q8_0
  /// 4 bits, a scale for 32.
  case q4_0
  /// 4 bits, a scale and a minimum for 32.
  case q4_1
  /// 5 bits, a scale for 32.
  case q5_0
  /// 5 bits, a scale and a minimum for 32.
  case q5_1
  /// 4 bits in blocks of 256.
  case q4_K
  /// 5 bits in blocks of 256.
  case q5_K
  /// 6 bits in blocks of 256.
  case q6_K

  /// The elements of one block.
  public var blockSize: Int {
    switch self {
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: 32
    case .q4_K, .q5_K, .q6_K: 256
    }
  }

  /// The bytes of one block.
  public var bytesPerBlock: Int {
    switch self {
    case .q8_0: 34
    case .q4_0: 18
    case .q4_1: 20
    case .q5_0: 22
    case .q5_1: 24
    case .q4_K: 144
    case .q5_K: 176
    case .q6_K: 210
    }
  }

  fileprivate func dequantize(
    _ source: UnsafeRawPointer, count: Int, into target: UnsafeMutablePointer<Float>
  ) {
    func half(_ offset: Int) -> Float {
      let bits = source.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
      let (exponent, fraction) = (Int(bits >> 10 & 31), Float(bits & 1023))
      let sign: Float = bits >> 15 == 1 ? -1 : 1
      if exponent == 0 { return sign * fraction * 0x1p-24 }
      if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
      return sign * (1 + fraction / 1024) * Float(sign: .plus, exponent: exponent - 15, significand: 1)
    }
    for block in 0..<count / blockSize {
      let start = block * bytesPerBlock
      let out = target + block * blockSize
      let scale = half(start)
      switch self {
      case .q8_0:
        for i in 0..<32 { out[i] = scale * Float(source.load(fromByteOffset: start + 2 + i, as: Int8.self)) }
      case .q4_0, .q4_1:
        let head = self == .q4_0 ? 2 : 4
        let minimum = self == .q4_0 ? -8 * scale : half(start + 2)
        for i in 0..<16 {
          let byte = source.load(fromByteOffset: start + head + i, as: UInt8.self)
          out[i] = scale * Float(byte & 15) + minimum
          out[i + 16] = scale * Float(byte >> 4) + minimum
        }
      default: preconditionFailure("QuantizedFormat.dequantize: \(self)")
      }
    }
  }
}
