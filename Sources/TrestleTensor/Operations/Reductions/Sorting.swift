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
    let (rows, key) = detached.movingAxis(axis, to: rank - 1).sortable()
    let result = Tensor(uninitialized: rows.shape, dtype: .int32)
    let length = rows.shape.lastDimension
    let size = rows.dtype.byteCount
    withExtendedLifetime(rows.storage) {
      Kernels.parallelRows(rows.shape.rowCount, cols: length * 8) { first, count in
        MatrixWorkspace.withBytes(Int(trestle_sort_workspace(key, Int64(length)))) { workspace in
          for row in first..<first + count {
            trestle_sort_order(
              key, rows.data + row * length * size, Int64(length), isDescending ? 1 : 0,
              result.pointer(Int32.self) + row * length, workspace)
          }
        }
      }
    }
    return result.movingAxis(rank - 1, to: axis)
  }

  /// A dense tensor of the same order, and what sorting takes its elements for: of a type that holds all numbers of this one, if
  /// sorting does not know it.
  private func sortable() -> (elements: Tensor, key: trestle_key) {
    guard let key = sortKey else {
      return converted(to: dtype.isFloatingPoint ? .float32 : .int64).sortable()
    }
    return (dense(), key)
  }

  private var sortKey: trestle_key? {
    switch dtype {
    case .float32: TRESTLE_KEY_F32
    case .float64: TRESTLE_KEY_F64
    case .int32: TRESTLE_KEY_I32
    case .int64: TRESTLE_KEY_I64
    case .uint8, .bool: TRESTLE_KEY_U8
    default: nil
    }
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
    let (keys, key) = flat.sortable()
    let count = keys.elementCount
    let positions = Tensor(uninitialized: shape, dtype: .int32)
    let firsts = Tensor(uninitialized: [count], dtype: .int32)
    let counts = Tensor(uninitialized: [count], dtype: .int32)
    let found = withExtendedLifetime(keys.storage) {
      MatrixWorkspace.withBytes(Int(trestle_sort_workspace(key, Int64(count)))) { workspace in
        Int(
          trestle_unique(
            key, keys.data, Int64(count), positions.pointer(Int32.self), firsts.pointer(Int32.self),
            counts.pointer(Int32.self), workspace))
      }
    }
    return Unique(
      values: flat.gathered(firsts.sliced(0..<found, along: 0), along: 0), positions: positions,
      counts: counts.sliced(0..<found, along: 0).copied())
  }
}
