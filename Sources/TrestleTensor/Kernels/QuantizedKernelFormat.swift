internal import CTrestleKernels

/// A block format of quantised weights, as GGUF files hold them.
///
/// A row is a sequence of blocks; a block of ``blockSize`` numbers takes ``bytesPerBlock`` bytes.
public enum QuantizationFormat: String, Sendable, Codable, CaseIterable {
  /// 8 bits: scale · q.
  case q8_0
  /// 4 bits: scale · (q − 8).
  case q4_0
  /// 4 bits: scale · q + minimum.
  case q4_1
  /// 5 bits: scale · (q − 16).
  case q5_0
  /// 5 bits: scale · q + minimum.
  case q5_1
  /// 4 bits in groups of 32 with 6-bit scales and minima.
  case q4_K
  /// 5 bits in groups of 32 with 6-bit scales and minima.
  case q5_K
  /// 6 bits in groups of 16 with 8-bit scales.
  case q6_K

  /// The numbers in a block.
  public var blockSize: Int {
    switch self {
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1: 32
    case .q4_K, .q5_K, .q6_K: 256
    }
  }

  /// The bytes that a block takes.
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

  /// The bytes of a row of `columns` numbers.
  ///
  /// - Precondition: `columns` is a multiple of ``blockSize``.
  public func bytesPerRow(columns: Int) -> Int {
    precondition(
      columns >= 0 && columns % blockSize == 0,
      "QuantizationFormat.bytesPerRow: \(columns) columns are not whole blocks of \(blockSize)")
    return columns / blockSize * bytesPerBlock
  }

  /// The kernels' name of the format.
  var storage: Int32 {
    let storage =
      switch self {
      case .q8_0: TRESTLE_Q8_0
      case .q4_0: TRESTLE_Q4_0
      case .q4_1: TRESTLE_Q4_1
      case .q5_0: TRESTLE_Q5_0
      case .q5_1: TRESTLE_Q5_1
      case .q4_K: TRESTLE_Q4_K
      case .q5_K: TRESTLE_Q5_K
      case .q6_K: TRESTLE_Q6_K
      }
    return Int32(storage.rawValue)
  }
}
