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
  /// 2 bits in groups of 16 with 4-bit scales and minima.
  case q2_K
  /// 3 bits in groups of 16 with 6-bit scales.
  case q3_K
  /// 8 bits, a `float32` scale for 256: scale · q.
  case q8_K
  /// 4 bits, each the place of a number in a table: scale · table[q].
  case iq4_nl
  /// The same in groups of 32 with 6-bit scales.
  case iq4_xs
  /// 4-bit floating point, an exponent for 32.
  case mxfp4

  /// The numbers in a block.
  public var blockSize: Int {
    switch self {
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .iq4_nl, .mxfp4: 32
    case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .q8_K, .iq4_xs: 256
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
    case .q2_K: 84
    case .q3_K: 110
    case .q8_K: 292
    case .iq4_nl: 18
    case .iq4_xs: 136
    case .mxfp4: 17
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
  package var storage: Int32 {
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
      case .q2_K: TRESTLE_Q2_K
      case .q3_K: TRESTLE_Q3_K
      case .q8_K: TRESTLE_Q8_K
      case .iq4_nl: TRESTLE_IQ4_NL
      case .iq4_xs: TRESTLE_IQ4_XS
      case .mxfp4: TRESTLE_MXFP4
      }
    return Int32(storage.rawValue)
  }
}
