/// The element type of a ``Tensor``.
///
/// `float32` and `float64` are the types that arithmetic runs in; `bfloat16` and `float16` are storage types that
/// matrix products and conversions read; `int32` holds indices and labels. `int64`, `uint8` and `bool` hold what files and
/// masks consist of: they are rearranged, indexed, compared with ``Tensor/scalars(as:)`` and converted, not computed with.
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
  /// 64-bit signed integers. Storage only.
  case int64
  /// 8-bit unsigned integers: bytes, pixels. Storage only.
  case uint8
  /// Truth values, a byte each: masks.
  case bool

  /// The bytes that one element takes.
  public var byteCount: Int {
    switch self {
    case .uint8, .bool: 1
    case .bfloat16, .float16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  /// Whether arithmetic and gradients are defined for the type.
  public var isFloatingPoint: Bool {
    switch self {
    case .float32, .float64, .bfloat16, .float16: true
    case .int32, .int64, .uint8, .bool: false
    }
  }
}

/// A Swift number type that a tensor can hold.
public protocol TensorScalar: Sendable {
  /// The matching element type.
  static var dtype: DType { get }
}

extension Float: TensorScalar {
  /// `float32`.
  public static var dtype: DType { .float32 }
}
extension Double: TensorScalar {
  /// `float64`.
  public static var dtype: DType { .float64 }
}
extension Int32: TensorScalar {
  /// `int32`.
  public static var dtype: DType { .int32 }
}
extension Int64: TensorScalar {
  /// `int64`.
  public static var dtype: DType { .int64 }
}
extension UInt8: TensorScalar {
  /// `uint8`.
  public static var dtype: DType { .uint8 }
}
extension Bool: TensorScalar {
  /// `bool`.
  public static var dtype: DType { .bool }
}
