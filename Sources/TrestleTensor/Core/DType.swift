/// The element type of a ``Tensor``.
///
/// `float32` and `float64` are the types that arithmetic runs in; `bfloat16` and `float16` are storage types that
/// matrix products and conversions read; `int32` holds indices and labels.
public enum DType: UInt8, Sendable, Codable, CaseIterable {
  case float32
  case float64
  case bfloat16
  case float16
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
