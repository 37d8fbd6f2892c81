extension Tensor {
  /// The elements of `a` where the mask is true, else those of `b`, with broadcasting.
  ///
  /// - Parameters:
  ///   - mask: `bool`, or numbers of which any but 0 is true; not tracked.
  ///   - a: the elements where the mask is true.
  ///   - b: the elements where it is false; of `a`'s type.
  public static func `where`(_ mask: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    mask.requireUntracked("where (mask)")
    let both = broadcastShape(a.shape, b.shape, operation: "where")
    let shape = broadcastShape(mask.shape, both, operation: "where")
    let numbers = mask.isMaskOf(a.dtype) ? mask : mask.truth.converted(to: a.dtype)
    return select(numbers.broadcast(to: shape), a.broadcast(to: shape), b.broadcast(to: shape))
  }

  /// The tensor with `value` where the mask is true, with broadcasting of the mask.
  public func filled(where mask: Tensor, with value: Double) -> Tensor {
    Tensor.where(mask, .full([], value, dtype: dtype), self)
  }

  private func isMaskOf(_ type: DType) -> Bool { dtype == type && type.isFloatingPoint }

  /// This tensor as truth values, one byte each.
  private var truth: Tensor { dtype == .bool ? detached : detached.converted(to: .bool) }

  /// 1 where this tensor is at most `other`, else 0. Not tracked.
  public func isAtMost(_ other: Tensor) -> Tensor { compared(with: other, using: .lessOrEqual) }
  /// 1 where this tensor is at least `other`, else 0. Not tracked.
  public func isAtLeast(_ other: Tensor) -> Tensor { compared(with: other, using: .greaterOrEqual) }
  /// 1 where the elements differ, else 0. Not tracked.
  public func isDifferent(from other: Tensor) -> Tensor { compared(with: other, using: .different) }

  /// `true` where an element is NaN. Not tracked.
  public var isNaN: Tensor { detached.isDifferent(from: detached).converted(to: .bool) }

  /// `true` where an element is neither NaN nor infinite. Not tracked.
  public var isFinite: Tensor {
    let x = detached
    return (x - x).isEqual(to: x - x).converted(to: .bool)
  }

  /// `true` where both are true, with broadcasting; anything but 0 is true. Not tracked.
  public func and(_ other: Tensor) -> Tensor { combined(other, "and") { $0 & $1 } }
  /// `true` where one or both are true, with broadcasting; anything but 0 is true. Not tracked.
  public func or(_ other: Tensor) -> Tensor { combined(other, "or") { $0 | $1 } }
  /// `true` where exactly one is true, with broadcasting; anything but 0 is true. Not tracked.
  public func exclusiveOr(_ other: Tensor) -> Tensor { combined(other, "exclusiveOr") { $0 ^ $1 } }
  /// `true` where this tensor is false. Not tracked.
  public func not() -> Tensor { combined(Tensor([true], shape: []), "not") { $0 ^ $1 } }

  private func combined(_ other: Tensor, _ name: StaticString, _ body: (UInt8, UInt8) -> UInt8) -> Tensor {
    let shape = Tensor.broadcastShape(self.shape, other.shape, operation: name)
    let (a, b) = (truth.broadcast(to: shape).dense(), other.truth.broadcast(to: shape).dense())
    let result = Tensor(uninitialized: shape, dtype: .bool)
    withExtendedLifetime((a.storage, b.storage)) {
      Kernels.parallel(shape.elementCount) { start, count in
        let (x, y, out) = (
          a.pointer(UInt8.self) + start, b.pointer(UInt8.self) + start, result.pointer(UInt8.self) + start
        )
        for index in 0..<count { out[index] = body(x[index], y[index]) }
      }
    }
    return result
  }

  /// Whether any element is true along `axis`; anything but 0 is true. Not tracked.
  public func any(along axis: Int, keepingDimension: Bool = false) -> Tensor {
    truth.converted(to: .float32).max(along: axis, keepingDimension: keepingDimension).converted(to: .bool)
  }

  /// Whether all elements are true along `axis`; anything but 0 is true. Not tracked.
  public func all(along axis: Int, keepingDimension: Bool = false) -> Tensor {
    truth.converted(to: .float32).min(along: axis, keepingDimension: keepingDimension).converted(to: .bool)
  }

  /// Whether any element is true.
  public func any() -> Bool { truth.withUnsafeBytes { bytes in bytes.contains { $0 != 0 } } }
  /// Whether all elements are true.
  public func all() -> Bool { truth.withUnsafeBytes { bytes in bytes.allSatisfy { $0 != 0 } } }
}
