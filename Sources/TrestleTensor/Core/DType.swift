/// The element type of a ``Tensor``.
///
/// `float32` and `float64` are the types that arithmetic runs in; `bfloat16` and `float16` are storage types that
/// matrix products and conversions read; `int32` holds indices and labels.
public enum DType: UInt8, Sendable, Codable, CaseIterable {
  /// 32-bit IEEE 754 numbers: the default.
  case float32
  /// 64-bit IEEE 754 numbers: for gradient checks and references.
  case float64
  /// The upper half of `float32`: its range, with 8 bits of precision. Storage only.
  case bfloat16
  /// 16-bit IEEE 754 numbers. Storage only.
  case float16
  /// 32-bit signed integers: indices and labels.
  case int32

  /// The bytes that one element takes.
  public var byteCount: Int {
    switch self {
    case .float32, .int32: 4
    case .float64: 8
    case .bfloat16, .float16: 2
    }
  }

  /// Whether arithmetic and gradients are defined for the type.
  public var isFloatingPoint: Bool { self != .int32 }
}
