/// An immutable n-dimensional array: a shape and strides over shared, reference-counted storage.
///
/// Tensors are values and `Sendable`. Views (``reshaped(to:)-(Shape)``, ``transposed()``, ``sliced(_:along:)`` …) share storage.
/// Mutation happens only to a ``Parameter``. A tensor that descends from a variable of a ``Tape`` is *tracked*: every
/// operation on it is recorded, so that gradients can be taken.
public struct Tensor: Sendable {
  package var storage: Storage
  /// The position of the first element in the storage, in elements.
  package let offset: Int
  /// The lengths of the dimensions, outermost first.
  public let shape: Shape
  package let strides: Strides
  /// The element type.
  public let dtype: DType
  /// The tape that records operations on this tensor; `nil` if it is not tracked.
  package var tape: Tape?
  /// The tensor's node on the tape.
  package var node: Int32 = -1

  /// A tensor over existing storage.
  package init(storage: Storage, offset: Int = 0, shape: Shape, strides: Strides? = nil, dtype: DType) {
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.strides = strides ?? shape.denseStrides
    self.dtype = dtype
  }

  /// A dense tensor with unspecified content, to be filled by a kernel before anyone sees it.
  package init(uninitialized shape: Shape, dtype: DType) {
    self.init(
      storage: Storage(byteCount: shape.elementCount * dtype.byteCount), shape: shape, dtype: dtype)
  }

  /// The number of dimensions.
  public var rank: Int { shape.rank }
  /// The number of elements.
  public var elementCount: Int { shape.elementCount }
  /// Whether operations on this tensor are recorded on a tape.
  public var isTracked: Bool { tape != nil }
  /// The same values, not tracked: gradients stop here.
  public var detached: Tensor {
    var copy = self
    copy.tape = nil
    copy.node = -1
    return copy
  }

  /// Whether the elements lie one after the other in row-major order.
  package var isDense: Bool { isDense(from: 0) }

  /// Whether the elements of the dimensions from `axis` on do.
  func isDense(from axis: Int) -> Bool {
    var step = 1
    var dimension = rank - 1
    while dimension >= axis {
      let length = shape[dimension]
      if length != 1 && strides[dimension] != step { return false }
      step *= length
      dimension -= 1
    }
    return true
  }

  /// The first element's address. Valid while the tensor's storage lives: keep it by `withExtendedLifetime`.
  package var data: UnsafeMutableRawPointer {
    storage.pointer + offset * dtype.byteCount
  }

  /// The elements' address as `T`. The caller has checked the type.
  package func pointer<T>(_ type: T.Type) -> UnsafeMutablePointer<T> {
    data.assumingMemoryBound(to: type)
  }
}

extension Tensor {
  /// A tensor of the given scalars in row-major order.
  ///
  /// - Parameters:
  ///   - scalars: as many values as `shape` has elements.
  ///   - shape: the shape; by default a vector.
  public init<Scalar: TensorScalar>(_ scalars: [Scalar], shape: Shape? = nil) {
    let shape = shape ?? [scalars.count]
    precondition(
      shape.elementCount == scalars.count,
      "Tensor: \(scalars.count) scalars for shape \(shape), which has \(shape.elementCount) elements")
    self.init(uninitialized: shape, dtype: Scalar.dtype)
    scalars.withUnsafeBytes { source in
      if let base = source.baseAddress { data.copyMemory(from: base, byteCount: source.count) }
    }
  }

  /// A tensor of rank 0 holding one number.
  public init(_ scalar: Float) { self.init([scalar], shape: []) }

  /// A tensor filled with `value`.
  ///
  /// - Parameters:
  ///   - shape: the tensor's shape.
  ///   - value: what every element is.
  ///   - dtype: the element type. What is no number of it stops the program: a type of whole numbers leaves out the fraction alone.
  public static func full(_ shape: Shape, _ value: Double, dtype: DType = .float32) -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: dtype)
    let count = shape.elementCount
    guard dtype == .float32 || dtype == .float64 else {
      result.fill(with: value)
      return result
    }
    let kernels = Kernels.table(dtype, "full")
    Kernels.parallel(count) { start, length in
      kernels.pointee.fill(value, result.data + start * dtype.byteCount, Int64(length))
    }
    return result
  }

  /// Writes a number everywhere, as conversion makes it.
  private func fill(with value: Double) {
    let element = Tensor([value], shape: []).converted(to: dtype)
    precondition(
      dtype.isFloatingPoint || dtype == .bool || element.item == value.rounded(.towardZero),
      "full: \(value) is no number of \(dtype)")
    withExtendedLifetime((storage, element.storage)) {
      switch dtype.byteCount {
      case 1: pointer(UInt8.self).update(repeating: element.pointer(UInt8.self).pointee, count: elementCount)
      case 2:
        pointer(UInt16.self).update(repeating: element.pointer(UInt16.self).pointee, count: elementCount)
      case 4:
        pointer(UInt32.self).update(repeating: element.pointer(UInt32.self).pointee, count: elementCount)
      default:
        pointer(UInt64.self).update(repeating: element.pointer(UInt64.self).pointee, count: elementCount)
      }
    }
  }

  /// A tensor of zeros.
  public static func zeros(_ shape: Shape, dtype: DType = .float32) -> Tensor { full(shape, 0, dtype: dtype) }

  /// A tensor of ones.
  public static func ones(_ shape: Shape, dtype: DType = .float32) -> Tensor { full(shape, 1, dtype: dtype) }

  /// Numbers drawn from the normal distribution.
  ///
  /// - Parameters:
  ///   - shape: the tensor's shape.
  ///   - mean: the distribution's mean.
  ///   - deviation: its standard deviation.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public static func normal(
    _ shape: Shape, mean: Double = 0, deviation: Double = 1, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) -> Tensor {
    generated(shape, dtype) { mean + deviation * generator.normal() }
  }

  /// Numbers drawn uniformly from `range`.
  public static func uniform(
    _ shape: Shape, in range: Range<Double> = 0..<1, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) -> Tensor {
    generated(shape, dtype) { range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform() }
  }

  private static func generated(_ shape: Shape, _ dtype: DType, _ next: () -> Double) -> Tensor {
    let count = shape.elementCount
    switch dtype {
    case .float64: return Tensor((0..<count).map { _ in next() }, shape: shape)
    case .float32: return Tensor((0..<count).map { _ in Float(next()) }, shape: shape)
    default: preconditionFailure("random tensors are float32 or float64, not \(dtype)")
    }
  }

  /// The elements in row-major order.
  ///
  /// - Precondition: `type` matches ``dtype``; convert with ``converted(to:)`` first.
  public func scalars<Scalar: TensorScalar>(as type: Scalar.Type = Scalar.self) -> [Scalar] {
    precondition(dtype == Scalar.dtype, "scalars(as:): the tensor holds \(dtype), not \(Scalar.dtype)")
    let dense = self.detached.dense()
    return withExtendedLifetime(dense.storage) {
      Array(UnsafeBufferPointer(start: dense.pointer(Scalar.self), count: elementCount))
    }
  }

  /// The elements as Swift `Float`s, converted if need be.
  public var floats: [Float] { detached.converted(to: .float32).scalars(as: Float.self) }

  /// The only element of a tensor that has one, as a `Double`.
  ///
  /// - Precondition: the tensor has exactly one element.
  public var item: Double {
    precondition(elementCount == 1, "item: the tensor has shape \(shape), expected one element")
    return withExtendedLifetime(storage) {
      switch dtype {
      case .float32: Double(pointer(Float.self).pointee)
      case .float64: pointer(Double.self).pointee
      default: detached.converted(to: .float64).item
      }
    }
  }
}
