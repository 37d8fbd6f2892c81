internal import CTrestleKernels

extension Tensor {
  /// The order of the elements along a dimension: the index of the smallest one, of the next, and so on, `int32`.
  ///
  /// Equal elements keep their order; NaN comes last, as in NumPy. Not tracked.
  /// - Parameters:
  ///   - dimension: along which dimension.
  ///   - isDescending: whether the largest comes first; NaN is then first.
  public func sortedIndices(along dimension: Int = -1, isDescending: Bool = false) -> Tensor {
    let axis = shape.resolved(dimension, operation: "sortedIndices")
    let rows = detached.movingAxis(axis, to: rank - 1).dense()
    let result = Tensor(uninitialized: rows.shape, dtype: .int32)
    let length = rows.shape.lastDimension
    func sort<Scalar: Comparable>(_: Scalar.Type, isUnordered: (Scalar) -> Bool) {
      withExtendedLifetime(rows.storage) {
        Kernels.parallelRows(rows.shape.rowCount, cols: length * 8) { first, count in
          for row in first..<first + count {
            let x = rows.pointer(Scalar.self) + row * length
            // By value and, among equal ones, by index: the sort need not be stable.
            let order = (0..<Int32(length)).sorted { a, b in
              let (left, right) = isDescending ? (x[Int(b)], x[Int(a)]) : (x[Int(a)], x[Int(b)])
              if left < right { return true }
              if right < left { return false }
              let (leftLast, rightLast) = (isUnordered(left), isUnordered(right))
              return leftLast == rightLast ? a < b : rightLast
            }
            for (place, index) in order.enumerated() {
              result.pointer(Int32.self)[row * length + place] = index
            }
          }
        }
      }
    }
    switch dtype {
    case .float32: sort(Float.self) { $0.isNaN }
    case .float64: sort(Double.self) { $0.isNaN }
    case .int32: sort(Int32.self) { _ in false }
    case .int64: sort(Int64.self) { _ in false }
    case .uint8, .bool: sort(UInt8.self) { _ in false }
    case .bfloat16, .float16:
      return converted(to: .float32).sortedIndices(along: axis, isDescending: isDescending)
    }
    return result.movingAxis(rank - 1, to: axis)
  }

  /// The elements in order along a dimension; gradients flow back to where they were.
  public func sorted(along dimension: Int = -1, isDescending: Bool = false) -> Tensor {
    gathered(sortedIndices(along: dimension, isDescending: isDescending), along: dimension)
  }

  /// The index of the largest element along a dimension, `int32`; the first of equal ones, or of NaNs. Not tracked.
  public func argmax(along dimension: Int, keepingDimension: Bool = false) -> Tensor {
    let axis = shape.resolved(dimension, operation: "argmax")
    let found = detached.movingAxis(axis, to: rank - 1).argmax()
    return keepingDimension ? found.expanded(at: axis) : found
  }

  /// The index of the smallest element along a dimension, `int32`; the first of equal ones, or of NaNs. Not tracked.
  public func argmin(along dimension: Int, keepingDimension: Bool = false) -> Tensor {
    detached.negated().argmax(along: dimension, keepingDimension: keepingDimension)
  }

  /// The `count` largest elements along a dimension, in descending order, and their indices.
  ///
  /// Of equal elements the lower index comes first. Gradients flow through the values.
  public func topK(_ count: Int, along dimension: Int) -> (values: Tensor, indices: Tensor) {
    let axis = shape.resolved(dimension, operation: "topK")
    let indices = detached.movingAxis(axis, to: rank - 1).topK(count).indices.movingAxis(rank - 1, to: axis)
    return (gathered(indices, along: axis), indices)
  }

  /// What ``unique()`` finds.
  public struct Unique: Sendable {
    /// Each value once, in ascending order.
    public let values: Tensor
    /// For each element, the position of its value, of the tensor's shape, `int32`.
    public let positions: Tensor
    /// How often each value occurs, `int32`.
    public let counts: Tensor
  }

  /// Each value of the tensor once, with where and how often it occurs. NaNs count as one value. Not tracked.
  public func unique() -> Unique {
    let flat = detached.flattened()
    let order = flat.sortedIndices()
    let names = order.scalars(as: Int32.self)
    // Equal in value, which bits need not be: 0 and −0.
    let sorted = flat.dtype.isFloatingPoint ? flat.converted(to: .float64) : flat.converted(to: .int64)
    var positions = [Int32](repeating: 0, count: names.count)
    var firsts: [Int32] = []
    var counts: [Int32] = []
    func walk<Scalar>(_ values: [Scalar], _ isSame: (Scalar, Scalar) -> Bool) {
      for (place, name) in names.enumerated() {
        if place == 0 || !isSame(values[Int(names[place - 1])], values[Int(name)]) {
          firsts.append(name)
          counts.append(0)
        }
        counts[counts.count - 1] += 1
        positions[Int(name)] = Int32(firsts.count - 1)
      }
    }
    if flat.dtype.isFloatingPoint {
      walk(sorted.scalars(as: Double.self)) { $0 == $1 || ($0.isNaN && $1.isNaN) }
    } else {
      walk(sorted.scalars(as: Int64.self)) { $0 == $1 }
    }
    return Unique(
      values: flat.gathered(Tensor(firsts), along: 0), positions: Tensor(positions, shape: shape),
      counts: Tensor(counts))
  }
}
