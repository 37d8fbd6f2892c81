extension Tensor {
  /// What stands beyond the edges of a padded tensor.
  public enum Padding: Sendable, Hashable {
    /// One number.
    case constant(Double)
    /// The elements mirrored at the edge, which is not repeated.
    case reflection
    /// The edge repeated.
    case edge
  }

  /// The tensor with elements added before and after those of some dimensions.
  ///
  /// - Parameters:
  ///   - amounts: how many elements before and after, for each of the last dimensions, outermost first.
  ///   - padding: what they are.
  public func padded(_ amounts: [(before: Int, after: Int)], with padding: Padding = .constant(0)) -> Tensor {
    precondition(
      amounts.count <= rank && amounts.allSatisfy { $0.before >= 0 && $0.after >= 0 },
      "padded: \(amounts) for shape \(shape)")
    if case .constant(let value) = padding { return surrounded(amounts, by: value) }
    var result = self
    for (position, amount) in amounts.enumerated() where amount.before + amount.after > 0 {
      let axis = rank - amounts.count + position
      let length = shape[axis]
      func filler(_ count: Int, isBefore: Bool) -> Tensor {
        var fill = result.shape
        fill[axis] = count
        switch padding {
        case .constant: preconditionFailure("padded: constants have a function of their own")
        case .reflection:
          precondition(
            count < length, "padded: a reflection of \(count) elements of a dimension of \(length)")
          return result.strided(start: isBefore ? count : length - 2, count: count, step: -1, along: axis)
        case .edge:
          let place = isBefore ? 0 : length - 1
          return result.sliced(place..<place + 1, along: axis).broadcast(to: fill)
        }
      }
      var parts = [result]
      if amount.before > 0 { parts.insert(filler(amount.before, isBefore: true), at: 0) }
      if amount.after > 0 { parts.append(filler(amount.after, isBefore: false)) }
      result = Tensor.concatenated(parts, along: axis)
    }
    return result
  }

  /// One number beyond the edges: every line of the result is written once.
  private func surrounded(_ amounts: [(before: Int, after: Int)], by value: Double) -> Tensor {
    guard rank > 0, amounts.contains(where: { $0.before + $0.after > 0 }) else { return self }
    var (full, origin) = (shape, shape)
    for axis in 0..<rank {
      let position = axis - (rank - amounts.count)
      let amount = position < 0 ? (before: 0, after: 0) : amounts[position]
      origin[axis] = amount.before
      full[axis] += amount.before + amount.after
    }
    let source = isDense(from: rank - 1) ? detached : detached.dense()
    let result = Tensor(uninitialized: full, dtype: dtype)
    let filler = Tensor.full([full[rank - 1]], value, dtype: dtype)
    withExtendedLifetime((source.storage, filler.storage)) {
      Kernels.parallelRows(full.rowCount, cols: full[rank - 1]) { first, count in
        result.writeLines(first..<first + count, of: source, at: origin, filler)
      }
    }
    let (node, inside) = (self.node, shape)
    return recording("padded", result) { upstream, pass in
      var part = upstream.detached
      for axis in 0..<inside.rank {
        part = part.sliced(origin[axis]..<origin[axis] + inside[axis], along: axis)
      }
      pass.add(part, to: node)
    }
  }

  /// Writes some lines of this freshly made tensor: `source` from index `origin` on, and the filler around it.
  private func writeLines(_ lines: Range<Int>, of source: Tensor, at origin: Shape, _ filler: Tensor) {
    let (last, size) = (rank - 1, dtype.byteCount)
    let (width, inside, before) = (shape[last] * size, source.shape[last] * size, origin[last] * size)
    var index = shape
    var rest = lines.lowerBound
    for axis in (0..<last).reversed() {
      index[axis] = rest % shape[axis]
      rest /= shape[axis]
    }
    for line in lines {
      let target = data + line * width
      var (place, isOutside) = (0, inside == 0)
      for axis in 0..<last {
        let step = index[axis] - origin[axis]
        isOutside = isOutside || step < 0 || step >= source.shape[axis]
        place += step * source.strides[axis]
      }
      if isOutside {
        target.copyMemory(from: filler.data, byteCount: width)
      } else {
        target.copyMemory(from: filler.data, byteCount: before)
        (target + before).copyMemory(from: source.data + place * size, byteCount: inside)
        (target + before + inside).copyMemory(from: filler.data, byteCount: width - before - inside)
      }
      var axis = last - 1
      while axis >= 0 {
        index[axis] += 1
        if index[axis] < shape[axis] { break }
        index[axis] = 0
        axis -= 1
      }
    }
  }

  /// The tensor cut along a dimension into parts of the given lengths; views.
  ///
  /// - Precondition: the lengths add up to the dimension's.
  public func split(lengths: [Int], along dimension: Int = 0) -> [Tensor] {
    let axis = shape.resolved(dimension, operation: "split")
    precondition(
      lengths.reduce(0, +) == shape[axis] && lengths.allSatisfy { $0 >= 0 },
      "split: lengths \(lengths) of dimension \(axis) of \(shape)")
    var start = 0
    return lengths.map { length in
      defer { start += length }
      return sliced(start..<start + length, along: axis)
    }
  }

  /// The tensor cut along a dimension into equal parts; views.
  ///
  /// - Precondition: the dimension's length is a multiple of `count`.
  public func split(into count: Int, along dimension: Int = 0) -> [Tensor] {
    let axis = shape.resolved(dimension, operation: "split")
    precondition(
      count > 0 && shape[axis] % count == 0, "split: dimension \(axis) of \(shape) into \(count) parts")
    return split(lengths: Array(repeating: shape[axis] / count, count: count), along: axis)
  }

  /// The elements moved along a dimension, those that leave at one end entering at the other.
  ///
  /// - Parameters:
  ///   - amount: how far; negative to move towards the start.
  ///   - dimension: along which dimension.
  public func rolled(by amount: Int, along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "rolled")
    let length = shape[axis]
    guard length > 0 else { return self }
    let shift = ((amount % length) + length) % length
    if shift == 0 { return self }
    return Tensor.concatenated(
      [sliced(length - shift..<length, along: axis), sliced(0..<length - shift, along: axis)], along: axis)
  }

  /// The whole tensor repeated, as NumPy's `tile`: dimension by dimension, new leading ones included.
  ///
  /// - Parameter counts: how often along each of the last dimensions.
  public func tiled(_ counts: [Int]) -> Tensor {
    let total = Swift.max(counts.count, rank)
    let times = Array(repeating: 1, count: total - counts.count) + counts
    let lengths = Array(repeating: 1, count: total - rank) + Array(shape)
    precondition(counts.allSatisfy { $0 >= 0 }, "tiled: counts \(counts)")
    var result = reshaped(to: Shape(lengths))
    for axis in 0..<total where times[axis] != 1 {
      var shape = result.shape
      shape[axis] *= times[axis]
      let copies = Array(repeating: result, count: times[axis])
      result = copies.isEmpty ? .zeros(shape, dtype: dtype) : .concatenated(copies, along: axis)
    }
    return result
  }

  /// Each element along a dimension repeated, as NumPy's `repeat`.
  public func repeatingElements(_ count: Int, along dimension: Int) -> Tensor {
    let axis = shape.resolved(dimension, operation: "repeatingElements")
    precondition(count >= 0, "repeatingElements: \(count) times")
    var wide = Array(shape)
    wide.insert(count, at: axis + 1)
    var result = shape
    result[axis] *= count
    return expanded(at: axis + 1).broadcast(to: Shape(wide)).reshaped(to: result)
  }

  /// The dimension at `source` moved to `destination`; a view.
  public func movingAxis(_ source: Int, to destination: Int) -> Tensor {
    let from = shape.resolved(source, operation: "movingAxis")
    let to = shape.resolved(destination, operation: "movingAxis")
    var order = Array(0..<rank)
    order.remove(at: from)
    order.insert(from, at: to)
    return from == to ? self : permuted(order)
  }
}
