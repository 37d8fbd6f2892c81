internal import CTrestleKernels

extension Tensor {
  /// The same storage seen with another shape and strides.
  private func view(offset: Int? = nil, shape: Shape, strides: Strides? = nil) -> Tensor {
    Tensor(storage: storage, offset: offset ?? self.offset, shape: shape, strides: strides, dtype: dtype)
  }

  /// The tensor itself if its elements are dense, else a dense copy.
  package func dense() -> Tensor {
    if isDense { return self }
    let node = self.node
    return recording("dense", copied()) { upstream, pass in pass.add(upstream, to: node) }
  }

  /// A dense copy in new storage, not tracked.
  package func copied() -> Tensor {
    let result = Tensor(uninitialized: shape, dtype: dtype)
    guard elementCount > 0 else { return result }
    withExtendedLifetime(storage) {
      if isDense {
        let size = dtype.byteCount
        Kernels.parallel(elementCount) { start, count in
          (result.data + start * size).copyMemory(from: data + start * size, byteCount: count * size)
        }
      } else {
        copyStrided(to: result)
      }
    }
    return result
  }

  /// Copies strided elements to a dense tensor; the outermost dimension splits into tasks.
  private func copyStrided(to result: Tensor) {
    // Collapse neighbouring dimensions that are dense with respect to each other, to leave at most four if possible.
    var lengths: [Int] = []
    var steps: [Int] = []
    for dimension in 0..<rank where shape[dimension] != 1 {
      let length = shape[dimension]
      let step = strides[dimension]
      if let last = steps.last, last == step * length {
        lengths[lengths.count - 1] *= length
        steps[steps.count - 1] = step
      } else {
        lengths.append(length)
        steps.append(step)
      }
    }
    while lengths.count < 4 {
      lengths.insert(1, at: 0)
      steps.insert(0, at: 0)
    }
    let outer = lengths.count - 4
    let innerCount = lengths[outer...].reduce(1, *)
    let outerCount = lengths[..<outer].reduce(1, *)
    let innerLengths = lengths[outer...].map(Int64.init)
    let innerSteps = steps[outer...].map(Int64.init)
    let size = dtype.byteCount
    for block in 0..<outerCount {
      var rest = block
      var position = 0
      for dimension in stride(from: outer - 1, through: 0, by: -1) {
        position += (rest % lengths[dimension]) * steps[dimension]
        rest /= lengths[dimension]
      }
      let source = data + position * size
      let target = result.data + block * innerCount * size
      copyBlock(source, target, innerLengths, innerSteps)
    }
  }

  private func copyBlock(
    _ source: UnsafeMutableRawPointer, _ target: UnsafeMutableRawPointer, _ lengths: [Int64], _ steps: [Int64]
  ) {
    switch dtype.byteCount {
    case 1: Self.copyElements(source, target, lengths, steps, as: UInt8.self)
    case 2: Self.copyElements(source, target, lengths, steps, as: UInt16.self)
    default:
      let kernels = dtype.byteCount == 8 ? InstructionSet.kernels.double : InstructionSet.kernels.float
      // Split along the outermost dimension that there is; any split gives the same bytes.
      let axis = lengths.firstIndex { $0 > 1 } ?? 0
      let count = Int(lengths[axis])
      let perStep = lengths.reduce(1, *) / Swift.max(lengths[axis], 1)
      // Whole cache lines of a transposed matrix to a task.
      let grain = Swift.max(1, Kernels.elementGrain / Swift.max(Int(perStep), 1))
      Kernels.parallel(count, grain: axis == 2 ? (grain + 15) / 16 * 16 : grain) {
        start, length in
        var part = lengths
        part[axis] = Int64(length)
        let size = dtype.byteCount
        kernels.pointee.copy_strided(
          source + start * Int(steps[axis]) * size, target + start * Int(perStep) * size, part, steps)
      }
    }
  }

  @inline(__always)
  private static func copyElements<Element>(
    _ source: UnsafeMutableRawPointer, _ target: UnsafeMutableRawPointer, _ lengths: [Int64],
    _ steps: [Int64],
    as type: Element.Type
  ) {
    let from = source.assumingMemoryBound(to: Element.self)
    var to = target.assumingMemoryBound(to: Element.self)
    for a in 0..<Int(lengths[0]) {
      for b in 0..<Int(lengths[1]) {
        for c in 0..<Int(lengths[2]) {
          let row = from + a * Int(steps[0]) + b * Int(steps[1]) + c * Int(steps[2])
          for d in 0..<Int(lengths[3]) {
            to.pointee = row[d * Int(steps[3])]
            to += 1
          }
        }
      }
    }
  }

  /// Makes this tensor the only holder of its (dense, writable) storage, copying if it is not.
  package mutating func makeUnique() {
    if isDense && !storage.isBorrowed && isKnownUniquelyReferenced(&storage) { return }
    self = copied()
  }

  /// The same elements in another shape; one dimension may be -1 and is then inferred.
  ///
  /// - Precondition: the element counts agree.
  public func reshaped(to newShape: [Int]) -> Tensor {
    var dimensions = newShape
    if let open = dimensions.firstIndex(of: -1) {
      let known = dimensions.reduce(1) { $1 == -1 ? $0 : $0 * $1 }
      dimensions[open] = known == 0 ? 0 : elementCount / known
    }
    return reshaped(to: Shape(dimensions))
  }

  /// The same elements in another shape.
  public func reshaped(to newShape: Shape) -> Tensor {
    if newShape == shape { return self }
    precondition(
      newShape.elementCount == elementCount,
      "reshaped(to:): \(shape) has \(elementCount) elements, \(newShape) has \(newShape.elementCount)")
    let source = dense()
    let node = source.node
    let shape = self.shape
    return source.recording("reshaped", source.view(shape: newShape)) { upstream, pass in
      pass.add(upstream.reshaped(to: shape), to: node)
    }
  }

  /// All elements as a vector.
  public func flattened() -> Tensor { reshaped(to: [elementCount] as Shape) }

  /// The last two dimensions exchanged.
  public func transposed() -> Tensor {
    precondition(rank >= 2, "transposed(): shape \(shape) has fewer than two dimensions")
    var order = Array(0..<rank)
    order.swapAt(rank - 1, rank - 2)
    return permuted(order)
  }

  /// The dimensions in another order: dimension `i` of the result is dimension `order[i]` of this tensor.
  public func permuted(_ order: [Int]) -> Tensor {
    precondition(
      order.sorted() == Array(0..<rank),
      "permuted(_:): \(order) is not an order of the dimensions of \(shape)")
    var newShape = shape
    var newStrides = strides
    var inverse = order
    for (position, dimension) in order.enumerated() {
      newShape[position] = shape[dimension]
      newStrides[position] = strides[dimension]
      inverse[dimension] = position
    }
    let node = self.node
    return recording("permuted", view(shape: newShape, strides: newStrides)) { [inverse] upstream, pass in
      pass.add(upstream.permuted(inverse), to: node)
    }
  }

  /// The elements whose index along `dimension` lies in `range`.
  public func sliced(_ range: Range<Int>, along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "sliced")
    precondition(
      range.lowerBound >= 0 && range.upperBound <= shape[axis],
      "sliced(_:along:): \(range) is outside dimension \(axis) of \(shape)")
    var newShape = shape
    newShape[axis] = range.count
    let part = view(offset: offset + range.lowerBound * strides[axis], shape: newShape, strides: strides)
    let node = self.node
    let shape = self.shape
    return recording("sliced", part) { upstream, pass in
      pass.addPart(upstream, at: range.lowerBound, along: axis, of: shape, to: node)
    }
  }

  /// Zeros of `shape` with this tensor placed at index `start` along `axis`.
  func embedded(in shape: Shape, at start: Int, along axis: Int) -> Tensor {
    let result = Tensor.zeros(shape, dtype: dtype)
    result.overwrite(with: self, at: start, along: axis)
    return result
  }

  /// Writes `part` into this freshly made tensor.
  func overwrite(with part: Tensor, at start: Int, along axis: Int) {
    // What lies in one piece from `axis` on is read where it is.
    let part = part.isDense(from: axis) ? part : part.dense()
    let inner = part.shape.suffix(from: axis + 1).reduce(1, *)
    let outer = part.shape.prefix(axis).reduce(1, *)
    let size = dtype.byteCount
    let run = part.shape[axis] * inner * size
    let step = shape[axis] * inner * size
    guard run > 0 else { return }
    withExtendedLifetime((storage, part.storage)) {
      Kernels.parallel(outer, grain: Swift.max(1, Kernels.elementGrain * 4 / run)) { first, count in
        for block in first..<first + count {
          (data + block * step + start * inner * size).copyMemory(
            from: part.data + part.position(ofBlock: block, before: axis) * size, byteCount: run)
        }
      }
    }
  }

  /// The element at `index` of the first dimension, with one dimension fewer.
  ///
  /// A negative index counts from the end.
  public subscript(index: Int) -> Tensor {
    precondition(rank > 0, "Tensor[index]: a scalar has no elements to index")
    let place = index < 0 ? index + shape[0] : index
    return sliced(place..<place + 1, along: 0).squeezed(0)
  }

  /// The same elements without dimension `dimension`, whose length is 1.
  public func squeezed(_ dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "squeezed")
    precondition(shape[axis] == 1, "squeezed(_:): dimension \(axis) of \(shape) is not 1")
    var dimensions = Array(shape)
    dimensions.remove(at: axis)
    var newStrides = Strides()
    var position = 0
    for index in 0..<rank where index != axis {
      newStrides[position] = strides[index]
      position += 1
    }
    let node = self.node
    return recording("squeezed", view(shape: Shape(dimensions), strides: newStrides)) { upstream, pass in
      pass.add(upstream.expanded(at: axis), to: node)
    }
  }

  /// The same elements with a new dimension of length 1 at `dimension`.
  public func expanded(at dimension: Int) -> Tensor {
    let axis = dimension < 0 ? dimension + rank + 1 : dimension
    precondition(axis >= 0 && axis <= rank, "expanded(at:): \(dimension) is outside \(shape)")
    var dimensions = Array(shape)
    dimensions.insert(1, at: axis)
    var newStrides = Strides()
    for index in 0..<rank { newStrides[index < axis ? index : index + 1] = strides[index] }
    let node = self.node
    return recording("expanded", view(shape: Shape(dimensions), strides: newStrides)) { upstream, pass in
      pass.add(upstream.squeezed(axis), to: node)
    }
  }

  /// The tensor repeated along dimensions of length 1, and along new leading ones, to `newShape`; nothing is copied.
  public func broadcast(to newShape: Shape) -> Tensor {
    if newShape == shape { return self }
    let missingAxes = newShape.rank - rank
    precondition(missingAxes >= 0, "broadcast(to:): \(shape) has more dimensions than \(newShape)")
    var newStrides = Strides()
    for index in 0..<rank {
      precondition(
        shape[index] == newShape[missingAxes + index] || shape[index] == 1,
        "broadcast(to:): \(shape) does not broadcast to \(newShape)")
      newStrides[missingAxes + index] = shape[index] == 1 ? 0 : strides[index]
    }
    let node = self.node
    let shape = self.shape
    return recording("broadcast", view(shape: newShape, strides: newStrides)) { upstream, pass in
      pass.add(upstream.reduced(to: shape), to: node)
    }
  }

  /// The tensors one after the other along `dimension`.
  ///
  /// - Precondition: at least one tensor; all shapes agree but for that dimension.
  public static func concatenated(_ tensors: [Tensor], along dimension: Int) -> Tensor {
    guard let first = tensors.first else { preconditionFailure("concatenated: no tensors") }
    if tensors.count == 1 { return first }
    let axis = first.shape.resolved(dimension, operation: "concatenated")
    var shape = first.shape
    shape[axis] = tensors.reduce(0) { $0 + $1.shape[axis] }
    let result = Tensor(uninitialized: shape, dtype: first.dtype)
    var starts: [(node: Int32, start: Int, count: Int)] = []
    var start = 0
    for tensor in tensors {
      var expected = shape
      expected[axis] = tensor.shape[axis]
      precondition(
        tensor.shape == expected && tensor.dtype == first.dtype,
        "concatenated: \(tensor.dtype) \(tensor.shape) does not fit \(first.dtype) \(first.shape) along \(axis)"
      )
      result.overwrite(with: tensor.detached, at: start, along: axis)
      starts.append((tensor.node, start, tensor.shape[axis]))
      start += tensor.shape[axis]
    }
    guard let tape = commonTape("concatenated", tensors) else { return result }
    return tape.record("concatenated", result) { upstream, pass in
      for part in starts {
        pass.add(upstream.sliced(part.start..<part.start + part.count, along: axis), to: part.node)
      }
    }
  }

  /// The tensors, all of one shape, along a new dimension.
  public static func stacked(_ tensors: [Tensor], along dimension: Int = 0) -> Tensor {
    concatenated(tensors.map { $0.expanded(at: dimension) }, along: dimension)
  }
}
