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
    var result = self
    for (position, amount) in amounts.enumerated() where amount.before + amount.after > 0 {
      let axis = rank - amounts.count + position
      let length = shape[axis]
      func filler(_ count: Int, isBefore: Bool) -> Tensor {
        var fill = result.shape
        fill[axis] = count
        switch padding {
        case .constant(let value): return .full(fill, value, dtype: dtype)
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
