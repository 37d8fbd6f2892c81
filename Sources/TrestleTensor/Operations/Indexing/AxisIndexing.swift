internal import CTrestleKernels

extension Tensor {
  /// Elements chosen along a dimension: for `axis` 1, `result[i, j, k] = self[i, indices[i, j, k], k]`.
  ///
  /// NumPy's `take_along_axis`, PyTorch's `gather`.
  /// - Parameters:
  ///   - indices: `int32`, of this tensor's shape but for that dimension; each within the dimension.
  ///   - dimension: along which dimension.
  public func gathered(_ indices: Tensor, along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "gathered")
    let names = alignedIndices(indices, axis, "gathered")
    names.checkIndices(below: shape[axis], "gathered")
    let length = shape[axis]
    let result = detached.movingAxis(axis, to: rank - 1).picked(names).movingAxis(rank - 1, to: axis)
    guard dtype.isFloatingPoint else { return result }
    let (node, last) = (self.node, rank - 1)
    return recording("gathered", result) { upstream, pass in
      let rows = upstream.detached.movingAxis(axis, to: last)
      pass.add(rows.addedUp(at: names, length: length).movingAxis(last, to: axis), to: node)
    }
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
    let names = alignedIndices(indices, axis, "scatterAdded")
    names.checkIndices(below: length, "scatterAdded")
    let last = rank - 1
    let sums = detached.movingAxis(axis, to: last).addedUp(at: names, length: length)
    let node = self.node
    return recording("scatterAdded", sums.movingAxis(last, to: axis)) { upstream, pass in
      pass.add(
        upstream.detached.movingAxis(axis, to: last).picked(names).movingAxis(last, to: axis), to: node)
    }
  }

  /// `result[r, c] = self[r, names[r, c]]`, along the last dimension; not tracked.
  private func picked(_ names: Tensor) -> Tensor {
    let isHalf = dtype == .bfloat16 || dtype == .float16
    let source = (isHalf ? converted(to: .float32) : self).dense()
    let result = Tensor(uninitialized: names.shape, dtype: source.dtype)
    let (length, cols, size) = (shape.lastDimension, names.shape.lastDimension, source.dtype.byteCount)
    withExtendedLifetime((source.storage, names.storage)) {
      Kernels.parallelRows(names.shape.rowCount, cols: cols) { first, count in
        let index = names.pointer(Int32.self) + first * cols
        let (from, to) = (source.data + first * length * size, result.data + first * cols * size)
        if size == 1 {
          for place in 0..<count * cols {
            let element = from + place / cols * length + Int(index[place])
            (to + place).copyMemory(from: element, byteCount: 1)
          }
          return
        }
        let table = size == 8 ? InstructionSet.kernels.double : InstructionSet.kernels.float
        table.pointee.gather_along(from, index, to, Int64(count), Int64(length), Int64(cols))
      }
    }
    return result
  }

  /// `result[r, names[r, c]] += self[r, c]`, along the last dimension, which becomes `length`; not tracked.
  private func addedUp(at names: Tensor, length: Int) -> Tensor {
    let source = dense()
    var full = shape
    full[rank - 1] = length
    let result = Tensor(uninitialized: full, dtype: dtype)
    let table = Kernels.table(dtype, "scatterAdded")
    let (cols, size) = (shape.lastDimension, dtype.byteCount)
    withExtendedLifetime((source.storage, names.storage)) {
      Kernels.parallelRows(shape.rowCount, cols: cols + length) { first, count in
        table.pointee.scatter_add_along(
          source.data + first * cols * size, names.pointer(Int32.self) + first * cols,
          result.data + first * length * size, Int64(count), Int64(length), Int64(cols))
      }
    }
    return result
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

  /// The indices with their dimension `axis` last, dense.
  private func alignedIndices(_ indices: Tensor, _ axis: Int, _ name: StaticString) -> Tensor {
    var expected = shape
    if indices.rank == rank { expected[axis] = indices.shape[axis] }
    precondition(
      indices.dtype == .int32 && indices.shape == expected,
      "\(name): indices \(indices.dtype) \(indices.shape) along dimension \(axis) of \(shape)")
    return indices.detached.movingAxis(axis, to: rank - 1).dense()
  }
}
