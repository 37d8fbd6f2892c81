import TrestleTensor

/// The storage types of GGUF tensors whose sizes are known.
///
/// Block-quantised types store ``blockSize`` elements of a row in ``bytesPerBlock`` bytes. The file reader accepts
/// all of these; ``isSupported`` tells which ones can be used.
public enum GGUFTensorType: UInt32, Sendable, CaseIterable {
  /// Single precision.
  case f32 = 0
  /// Half precision.
  case f16 = 1
  /// 4 bits, a scale for 32.
  case q4_0 = 2
  /// 4 bits, a scale and a minimum for 32.
  case q4_1 = 3
  /// 5 bits, a scale for 32.
  case q5_0 = 6
  /// 5 bits, a scale and a minimum for 32.
  case q5_1 = 7
  /// 8 bits, a scale for 32.
  case q8_0 = 8
  /// 8 bits, a scale and a sum for 32.
  case q8_1 = 9
  /// 2 bits in blocks of 256.
  case q2_K = 10
  /// 3 bits in blocks of 256.
  case q3_K = 11
  /// 4 bits in blocks of 256.
  case q4_K = 12
  /// 5 bits in blocks of 256.
  case q5_K = 13
  /// 6 bits in blocks of 256.
  case q6_K = 14
  /// 8 bits in blocks of 256.
  case q8_K = 15
  /// About 2.06 bits by code book.
  case iq2_xxs = 16
  /// About 2.31 bits by code book.
  case iq2_xs = 17
  /// About 3.06 bits by code book.
  case iq3_xxs = 18
  /// About 1.56 bits by code book.
  case iq1_s = 19
  /// 4 bits, non-linear.
  case iq4_nl = 20
  /// About 3.44 bits by code book.
  case iq3_s = 21
  /// About 2.56 bits by code book.
  case iq2_s = 22
  /// 4 bits, non-linear, in blocks of 256.
  case iq4_xs = 23
  /// Signed, 8 bits.
  case i8 = 24
  /// Signed, 16 bits.
  case i16 = 25
  /// Signed, 32 bits.
  case i32 = 26
  /// Signed, 64 bits.
  case i64 = 27
  /// Double precision.
  case f64 = 28
  /// About 1.75 bits by code book.
  case iq1_m = 29
  /// The upper half of single precision.
  case bf16 = 30
  /// Ternary, about 1.69 bits.
  case tq1_0 = 34
  /// Ternary, about 2.06 bits.
  case tq2_0 = 35
  /// 4-bit floating point with shared exponents for 32.
  case mxfp4 = 39
  /// 4-bit floating point with shared scales for 16, in blocks of 64.
  case nvfp4 = 40
  /// 1 bit, a scale for 128.
  case q1_0 = 41

  /// The type's name, as GGUF tools write it.
  public var name: String { "\(self)".uppercased() }

  /// The elements of one block; 1 if the type is not quantised.
  public var blockSize: Int {
    switch self {
    case .f32, .f16, .bf16, .f64, .i8, .i16, .i32, .i64: 1
    case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .q8_1, .iq4_nl, .mxfp4: 32
    case .nvfp4: 64
    case .q1_0: 128
    default: 256
    }
  }

  /// The bytes of one block.
  public var bytesPerBlock: Int {
    switch self {
    case .i8: 1
    case .f16, .bf16, .i16: 2
    case .f32, .i32: 4
    case .f64, .i64: 8
    case .mxfp4: 17
    case .q4_0, .iq4_nl, .q1_0: 18
    case .q4_1: 20
    case .q5_0: 22
    case .q5_1: 24
    case .q8_0: 34
    case .q8_1, .nvfp4: 36
    case .iq1_s: 50
    case .tq1_0: 54
    case .iq1_m: 56
    case .iq2_xxs, .tq2_0: 66
    case .iq2_xs: 74
    case .iq2_s: 82
    case .q2_K: 84
    case .iq3_xxs: 98
    case .q3_K, .iq3_s: 110
    case .iq4_xs: 136
    case .q4_K: 144
    case .q5_K: 176
    case .q6_K: 210
    case .q8_K: 292
    }
  }

  /// Whether this package can use tensors of the type; others are recognised and refused by name.
  public var isSupported: Bool {
    switch self {
    case .f32, .f16, .bf16, .f64, .i8, .i16, .i32, .i64: true
    case .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .iq4_nl, .mxfp4: true
    case .q2_K, .q3_K, .q4_K, .q5_K, .q6_K, .q8_K, .iq4_xs: true
    default: false
    }
  }

  /// The tensor type with the same layout, `nil` for block-quantised types and others that tensors lack.
  public var dtype: DType? {
    switch self {
    case .f32: .float32
    case .f16: .float16
    case .bf16: .bfloat16
    case .f64: .float64
    case .i32: .int32
    default: nil
    }
  }
}
