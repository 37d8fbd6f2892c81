internal import CTrestleKernels

extension Tensor {
  /// The same numbers in another type. Gradients flow back in this tensor's type.
  ///
  /// Floating-point numbers become whole ones by leaving out their fraction, NaN 0, and what is beyond the type its nearest
  /// end; of a whole number beyond the type the low bits stay; anything but 0 becomes `true`, which becomes 1.
  public func converted(to type: DType) -> Tensor {
    if type == dtype { return self }
    let source = detached.dense()
    let result = Tensor(uninitialized: shape, dtype: type)
    let count = elementCount
    withExtendedLifetime(source.storage) {
      Kernels.parallel(count) { start, length in
        Self.convert(
          source.data + start * dtype.byteCount, dtype, result.data + start * type.byteCount, type, length)
      }
    }
    guard dtype.isFloatingPoint, type.isFloatingPoint else { return result }
    let (node, original) = (self.node, dtype)
    return recording("converted", result) { upstream, pass in
      pass.add(upstream.converted(to: original), to: node)
    }
  }

  private static func convert(
    _ x: UnsafeMutableRawPointer, _ from: DType, _ y: UnsafeMutableRawPointer, _ to: DType, _ count: Int
  ) {
    let table = InstructionSet.conversions.pointee
    let n = Int64(count)
    switch (from, to) {
    case (.float32, .bfloat16):
      table.float_to_bf16(x.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: UInt16.self), n)
    case (.bfloat16, .float32):
      table.bf16_to_float(x.assumingMemoryBound(to: UInt16.self), y.assumingMemoryBound(to: Float.self), n)
    case (.float32, .float16):
      table.float_to_half(x.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: UInt16.self), n)
    case (.float16, .float32):
      table.half_to_float(x.assumingMemoryBound(to: UInt16.self), y.assumingMemoryBound(to: Float.self), n)
    case (.float32, .float64):
      table.float_to_double(x.assumingMemoryBound(to: Float.self), y.assumingMemoryBound(to: Double.self), n)
    case (.float64, .float32):
      table.double_to_float(x.assumingMemoryBound(to: Double.self), y.assumingMemoryBound(to: Float.self), n)
    case (.float16, _), (.bfloat16, _), (_, .float16), (_, .bfloat16):
      // By way of float32, in pieces that stay in cache.
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 1024) { middle in
        guard let base = middle.baseAddress else { return }
        for start in stride(from: 0, to: count, by: 1024) {
          let length = Swift.min(1024, count - start)
          convert(x + start * from.byteCount, from, UnsafeMutableRawPointer(base), .float32, length)
          convert(UnsafeMutableRawPointer(base), .float32, y + start * to.byteCount, to, length)
        }
      }
    case (.float32, _): write(x.assumingMemoryBound(to: Float.self), y, to, count)
    case (.float64, _): write(x.assumingMemoryBound(to: Double.self), y, to, count)
    case (.int32, _): write(x.assumingMemoryBound(to: Int32.self), y, to, count)
    case (.int64, _): write(x.assumingMemoryBound(to: Int64.self), y, to, count)
    case (.uint8, _): write(x.assumingMemoryBound(to: UInt8.self), y, to, count)
    case (.bool, _): write(x.assumingMemoryBound(to: TruthByte.self), y, to, count)
    }
  }

  /// Writes numbers in the type `to`, which is none of the two half-width ones.
  @inline(__always)
  private static func write<Element: ConvertibleElement>(
    _ x: UnsafePointer<Element>, _ y: UnsafeMutableRawPointer, _ to: DType, _ count: Int
  ) {
    switch to {
    case .float32: copy(x, y.assumingMemoryBound(to: Float.self), count) { Float($0.real) }
    case .float64: copy(x, y.assumingMemoryBound(to: Double.self), count) { $0.real }
    case .int32: copy(x, y.assumingMemoryBound(to: Int32.self), count) { $0.whole() }
    case .int64: copy(x, y.assumingMemoryBound(to: Int64.self), count) { $0.whole() }
    case .uint8: copy(x, y.assumingMemoryBound(to: UInt8.self), count) { $0.whole() }
    case .bool: copy(x, y.assumingMemoryBound(to: UInt8.self), count) { $0.isZero ? 0 : 1 }
    case .bfloat16, .float16: preconditionFailure("converted(to:): \(to) is reached by way of float32")
    }
  }

  @inline(__always)
  private static func copy<From, To>(
    _ x: UnsafePointer<From>, _ y: UnsafeMutablePointer<To>, _ count: Int, _ convert: (From) -> To
  ) {
    for index in 0..<count { y[index] = convert(x[index]) }
  }
}

/// A number as it lies in a tensor.
private protocol ConvertibleElement {
  var real: Double { get }
  var isZero: Bool { get }
  func whole<Whole: FixedWidthInteger>() -> Whole
}

/// A truth value as it lies in memory: whatever a file holds, anything but 0 is true.
private struct TruthByte { var byte: UInt8 }

extension TruthByte: ConvertibleElement {
  @inline(__always) var real: Double { byte == 0 ? 0 : 1 }
  @inline(__always) var isZero: Bool { byte == 0 }
  @inline(__always) func whole<Whole: FixedWidthInteger>() -> Whole { byte == 0 ? 0 : 1 }
}

extension ConvertibleElement where Self: BinaryFloatingPoint {
  @inline(__always) var real: Double { Double(self) }
  @inline(__always) func whole<Whole: FixedWidthInteger>() -> Whole {
    if self >= Self(Whole.max) { return .max }
    if self > Self(Whole.min) { return Whole(self) }
    return self <= Self(Whole.min) ? .min : 0  // NaN compares with nothing.
  }
}

extension ConvertibleElement where Self: FixedWidthInteger {
  @inline(__always) var real: Double { Double(self) }
  @inline(__always) var isZero: Bool { self == 0 }
  @inline(__always) func whole<Whole: FixedWidthInteger>() -> Whole { Whole(truncatingIfNeeded: self) }
}

extension Float: ConvertibleElement {}
extension Double: ConvertibleElement {}
extension Int32: ConvertibleElement {}
extension Int64: ConvertibleElement {}
extension UInt8: ConvertibleElement {}
