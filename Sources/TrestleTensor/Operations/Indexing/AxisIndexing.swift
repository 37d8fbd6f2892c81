extension Tensor {
  /// Elements chosen along a dimension: for `axis` 1, `result[i, j, k] = self[i, indices[i, j, k], k]`.
  ///
  /// NumPy's `take_along_axis`, PyTorch's `gather`.
  /// - Parameters:
  ///   - indices: `int32`, of this tensor's shape but for that dimension; each within the dimension.
  ///   - dimension: along which dimension.
  public func gathered(_ indices: Tensor, along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "gathered")
    let rows = movingAxis(axis, to: rank - 1)
    let (names, last) = alignedIndices(indices, axis, "gathered")
    let places = Tensor.flatPlaces(names, length: shape[axis], operation: "gathered")
    let chosen = rows.reshaped(to: [rows.elementCount, 1] as Shape).gatheredRows(places)
    return chosen.reshaped(to: last).movingAxis(rank - 1, to: axis)
  }

  /// Elements added up along a dimension where indices say: for axis 1, element (i, j, k) of this tensor is added to
  /// `result[i, indices[i, j, k], k]`.
  ///
  /// - Parameters:
  ///   - indices: `int32`, of this tensor's shape; each in `0..<length`.
  ///   - dimension: along which dimension.
  ///   - length: the dimension's length in the result.
  public func scatterAdded(at indices: Tensor, along dimension: Int, length: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "scatterAdded")
    precondition(indices.shape == shape, "scatterAdded: indices \(indices.shape) for elements \(shape)")
    let rows = movingAxis(axis, to: rank - 1)
    let (names, _) = alignedIndices(indices, axis, "scatterAdded")
    let places = Tensor.flatPlaces(names, length: length, operation: "scatterAdded")
    var result = rows.shape
    result[rank - 1] = length
    return rows.reshaped(to: [rows.elementCount, 1] as Shape)
      .scatterAddedRows(at: places, rowCount: result.elementCount)
      .reshaped(to: result).movingAxis(rank - 1, to: axis)
  }

  /// The elements, or rows and the like, at some indices of a dimension: NumPy's `take`.
  ///
  /// - Parameters:
  ///   - indices: `[n]`, `int32`, each within the dimension; may repeat.
  ///   - dimension: along which dimension; it has length n in the result.
  public func selecting(_ indices: Tensor, along dimension: Int = 0) -> Tensor {
    let axis = shape.resolved(dimension, operation: "selecting")
    precondition(
      indices.rank == 1 && indices.dtype == .int32, "selecting: indices \(indices.dtype) \(indices.shape)")
    let first = movingAxis(axis, to: 0)
    var result = first.shape
    result[0] = indices.elementCount
    let width = first.shape.dropFirst().reduce(1, *)
    return first.reshaped(to: [shape[axis], width] as Shape).gatheredRows(indices).reshaped(to: result)
      .movingAxis(0, to: axis)
  }

  /// The flat positions of the elements that are not 0, or true, in row-major order, `int32`. Not tracked.
  public var nonzeroPositions: Tensor {
    let mask = detached.converted(to: .bool)
    return mask.withUnsafeBytes { bytes in
      Tensor(bytes.indices.filter { bytes[$0] != 0 }.map(Int32.init))
    }
  }

  /// The elements, or the rows and the like, where a mask is true, in row-major order.
  ///
  /// - Parameter mask: `bool`, or numbers of which any but 0 is true; its dimensions are this tensor's first ones.
  /// - Returns: `[number of true ones, remaining dimensions...]`.
  public func selecting(where mask: Tensor) -> Tensor {
    precondition(
      mask.rank <= rank && mask.shape == Shape(shape.prefix(mask.rank)),
      "selecting(where:): mask \(mask.shape) of \(shape)")
    let rest = shape.suffix(from: mask.rank)
    return reshaped(to: Shape([mask.elementCount] + rest)).selecting(mask.nonzeroPositions)
  }

  /// The indices with their dimension `axis` last, and their shape in that order.
  private func alignedIndices(_ indices: Tensor, _ axis: Int, _ name: StaticString) -> (Tensor, Shape) {
    var expected = shape
    if indices.rank == rank { expected[axis] = indices.shape[axis] }
    precondition(
      indices.dtype == .int32 && indices.shape == expected,
      "\(name): indices \(indices.dtype) \(indices.shape) along dimension \(axis) of \(shape)")
    let moved = indices.detached.movingAxis(axis, to: rank - 1).dense()
    return (moved, moved.shape)
  }

  /// Positions in the rows' elements lined up: index + row · length.
  private static func flatPlaces(_ names: Tensor, length: Int, operation: StaticString) -> Tensor {
    names.checkIndices(below: length, operation)
    let cols = names.shape.lastDimension
    let total = names.shape.rowCount * length
    precondition(total <= Int(Int32.max), "\(operation): \(total) elements are too many to index")
    let places = Tensor(uninitialized: [names.elementCount], dtype: .int32)
    withExtendedLifetime(names.storage) {
      Kernels.parallelRows(names.shape.rowCount, cols: cols) { first, count in
        for place in first * cols..<(first + count) * cols {
          places.pointer(Int32.self)[place] = names.pointer(Int32.self)[place] + Int32(place / cols * length)
        }
      }
    }
    return places
  }
}
