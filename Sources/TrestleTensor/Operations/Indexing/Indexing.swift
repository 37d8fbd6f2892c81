internal import CTrestleKernels

extension Tensor {
  /// The rows of this table at `indices`: an embedding lookup.
  ///
  /// The gradient is row-sparse: it holds the rows that were looked up, not the table.
  /// - Parameter indices: `int32`, of any shape.
  /// - Returns: `[indices..., columns]`; `float32` for a `bfloat16` or `float16` table.
  /// - Precondition: this tensor is a matrix; all indices are within its rows.
  public func gatheredRows(_ indices: Tensor) -> Tensor {
    precondition(
      rank == 2 && indices.dtype == .int32,
      "gatheredRows: indices \(indices.dtype), expected int32, of \(shape)")
    let (rows, cols) = (shape[0], shape[1])
    let names = indices.dense()
    let count = names.elementCount
    names.checkIndices(below: rows, "gatheredRows")
    let source = strides[1] == 1 || cols <= 1 ? detached : detached.dense()
    let result = Tensor(
      uninitialized: Shape(Array(indices.shape) + [cols]),
      dtype: dtype == .bfloat16 || dtype == .float16 ? .float32 : dtype)
    let leading = Int64(source.strides[0])
    let size = result.dtype.byteCount
    withExtendedLifetime((source.storage, names.storage)) {
      Kernels.parallelRows(count, cols: cols) { row, length in
        let from = names.pointer(Int32.self) + row
        let to = result.data + row * cols * size
        switch dtype {
        case .bfloat16:
          InstructionSet.conversions.pointee.gather_rows_bf16(
            source.pointer(UInt16.self), leading, from, to.assumingMemoryBound(to: Float.self), Int64(length),
            Int64(cols))
        case .float16:
          for index in 0..<length {
            InstructionSet.conversions.pointee.half_to_float(
              source.pointer(UInt16.self) + Int(from[index]) * Int(leading),
              to.assumingMemoryBound(to: Float.self) + index * cols, Int64(cols))
          }
        default:
          if size == 1 {
            for index in 0..<length {
              (to + index * cols).copyMemory(
                from: source.data + Int(from[index]) * Int(leading), byteCount: cols)
            }
            return
          }
          let table = size == 8 ? InstructionSet.kernels.double : InstructionSet.kernels.float
          table.pointee.gather_rows(source.data, leading, from, to, Int64(length), Int64(cols))
        }
      }
    }
    guard dtype.isFloatingPoint else { return result }
    let node = self.node
    return recording("gatheredRows", result) { dy, pass in
      pass.addRows(
        dy.dense().reshaped(to: [count, cols] as Shape), at: names.flattened(), rowCount: rows, to: node)
    }
  }

  /// Stops the program unless all indices are in `0..<bound`.
  package func checkIndices(below bound: Int, _ operation: StaticString) {
    let pointer = self.pointer(Int32.self)
    let limit = UInt32(clamping: bound)
    withExtendedLifetime(storage) {
      var worst: UInt32 = 0
      for index in 0..<elementCount { worst = Swift.max(worst, UInt32(bitPattern: pointer[index])) }
      precondition(
        elementCount == 0 || worst < limit,
        "\(operation): index \(Int32(bitPattern: worst)) is outside 0..<\(bound)")
    }
  }

  /// The sum of rows into a table: row `indices[i]` of the result is the sum of the rows `i` of this tensor.
  ///
  /// - Parameters:
  ///   - indices: `[n]`, `int32`; may repeat.
  ///   - rowCount: the rows of the result, `[rowCount, columns]`.
  public func scatterAddedRows(at indices: Tensor, rowCount: Int) -> Tensor {
    precondition(
      rank == 2 && indices.dtype == .int32 && indices.elementCount == shape[0],
      "scatterAddedRows: indices \(indices.dtype) \(indices.shape) for rows of \(shape)")
    let names = indices.dense().flattened()
    names.checkIndices(below: rowCount, "scatterAddedRows")
    let result = Tensor.zeros([rowCount, shape[1]], dtype: dtype)
    result.scatterAddInPlace(detached, at: names)
    let node = self.node
    return recording("scatterAddedRows", result) { dy, pass in pass.add(dy.gatheredRows(names), to: node) }
  }

  /// Adds rows into this freshly made dense table, in the order of `indices`.
  package func scatterAddInPlace(_ rows: Tensor, at indices: Tensor, scale: Double = 1) {
    let source = rows.detached.dense()
    let names = indices.dense()
    let (count, cols) = (names.elementCount, shape[1])
    precondition(
      source.shape == [count, cols] && source.dtype == dtype,
      "scatterAdd: rows \(source.dtype) \(source.shape) at \(count) indices into \(dtype) \(shape)")
    names.checkIndices(below: shape[0], "scatterAdd")
    let table = Kernels.table(dtype, "scatterAdd")
    guard count * cols > Kernels.elementGrain && shape[0] > 1 else {
      withExtendedLifetime((storage, source.storage, names.storage)) {
        table.pointee.scatter_add_rows(
          source.data, names.pointer(Int32.self), scale, data, Int64(count), Int64(cols), 0, Int64(shape[0]))
      }
      return
    }
    // Positions grouped by ranges of output rows: nobody scans another's indices, and every row still receives its
    // additions in ascending position, whatever the number of threads.
    let perBucket = Swift.max(1, (shape[0] + 63) / 64)
    let buckets = (shape[0] + perBucket - 1) / perBucket
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { order in
      withUnsafeTemporaryAllocation(of: Int64.self, capacity: buckets + 1) { starts in
        nonisolated(unsafe) let (order, starts) = (order, starts)
        withExtendedLifetime((storage, source.storage, names.storage)) {
          trestle_bucket_positions(
            names.pointer(Int32.self), Int64(count), Int64(perBucket), Int64(buckets), order.baseAddress,
            starts.baseAddress)
          ThreadPool.shared.run(buckets) { bucket in
            table.pointee.scatter_add_ordered(
              source.data, names.pointer(Int32.self), order.baseAddress, scale, data, starts[bucket],
              starts[bucket + 1], Int64(cols))
          }
        }
      }
    }
  }

  /// One element of each row of the last dimension: `self[r, indices[r]]`.
  ///
  /// - Parameter indices: one a row, `int32`.
  public func gatheredElements(_ indices: Tensor) -> Tensor {
    let cols = shape.lastDimension
    let rows = shape.rowCount
    precondition(
      indices.dtype == .int32 && indices.elementCount == rows,
      "gatheredElements: indices \(indices.dtype) \(indices.shape) for \(shape)")
    let names = indices.scalars(as: Int32.self)
    for index in names {
      precondition(index >= 0 && index < cols, "gatheredElements: index \(index) is outside 0..<\(cols)")
    }
    let source = detached
    let result = Tensor(uninitialized: Shape(shape.dropLast()), dtype: dtype)
    let size = dtype.byteCount
    withExtendedLifetime(storage) {
      for (row, index) in names.enumerated() {
        let place = source.position(ofBlock: row, before: rank - 1) + Int(index) * strides[rank - 1]
        (result.data + row * size).copyMemory(from: source.data + place * size, byteCount: size)
      }
    }
    let (node, full) = (self.node, shape)
    return recording("gatheredElements", result) { dy, pass in
      // No two rows share an element, so each gradient is copied to its place.
      let gradient = Tensor.zeros(full, dtype: dy.dtype)
      let upstream = dy.dense()
      let size = dy.dtype.byteCount
      withExtendedLifetime(upstream.storage) {
        for (row, index) in names.enumerated() {
          (gradient.data + (row * cols + Int(index)) * size)
            .copyMemory(from: upstream.data + row * size, byteCount: size)
        }
      }
      pass.add(gradient, to: node)
    }
  }

  /// Where block `block` of the dimensions from `axis` on begins, in elements from ``data``.
  func position(ofBlock block: Int, before axis: Int) -> Int {
    var (rest, position) = (block, 0)
    for dimension in Swift.stride(from: axis - 1, through: 0, by: -1) {
      // The outermost dimension needs no division.
      let index = dimension == 0 ? rest : rest % shape[dimension]
      position += index * strides[dimension]
      if dimension > 0 { rest /= shape[dimension] }
    }
    return position
  }
}
