/// What a subscript takes of one dimension: a number, a range of numbers, or an ``Axis``.
///
/// ```swift
/// x[-1]                                  // the last row
/// x[1..<3, Axis.all, 0]                  // rows 1 and 2, column 0 of the last dimension
/// x[Axis.stride(by: -1)]                 // the rows in reverse
/// x[Axis.all, Axis.new]                  // with a dimension of length 1 after the first
/// ```
///
/// Numbers count from the end where they are negative, as in NumPy.
public protocol TensorIndex: Sendable {
  /// What is taken of a dimension of the given length.
  func selection(of length: Int) -> AxisSelection
}

/// What is taken of a dimension, with everything counted from its start.
public enum AxisSelection: Sendable, Hashable {
  /// One element; the dimension disappears.
  case element(Int)
  /// `count` elements from `start` on, each `step` after the one before.
  case elements(start: Int, count: Int, step: Int)
  /// A new dimension of length 1, which takes none of the tensor's.
  case newDimension
}

/// A part of a dimension that is not a plain range.
public struct Axis: TensorIndex, Hashable {
  private enum Kind: Hashable {
    case new
    case strided(from: Int?, to: Int?, step: Int)
  }
  private let kind: Kind

  /// The whole dimension.
  public static let all = Axis(kind: .strided(from: nil, to: nil, step: 1))
  /// A new dimension of length 1.
  public static let new = Axis(kind: .new)

  /// Every `step`-th element from `start` to before `end`, as `start:end:step` in NumPy.
  ///
  /// - Parameters:
  ///   - start: the first element; by default that of the side that the step leads away from.
  ///   - end: what is not reached any more; by default beyond the other side.
  ///   - step: not 0; negative to go backwards.
  public static func stride(from start: Int? = nil, to end: Int? = nil, by step: Int) -> Axis {
    precondition(step != 0, "Axis.stride: a step of 0")
    return Axis(kind: .strided(from: start, to: end, step: step))
  }

  /// What is taken of a dimension of the given length.
  public func selection(of length: Int) -> AxisSelection {
    guard case .strided(let from, let to, let step) = kind else { return .newDimension }
    let (low, high) = step > 0 ? (0, length) : (-1, length - 1)
    func place(_ index: Int?, _ standard: Int) -> Int {
      guard let index else { return standard }
      return min(max(index < 0 ? index + length : index, low), high)
    }
    let (start, end) = (place(from, step > 0 ? low : high), place(to, step > 0 ? high : low))
    let distance = step > 0 ? end - start : start - end
    return .elements(start: start, count: max(0, (distance + abs(step) - 1) / abs(step)), step: step)
  }
}

extension Int: TensorIndex {
  /// One element; a negative number counts from the end.
  public func selection(of length: Int) -> AxisSelection {
    let index = self < 0 ? self + length : self
    precondition(index >= 0 && index < length, "Tensor[…]: index \(self) is outside a dimension of \(length)")
    return .element(index)
  }
}

/// A range of a dimension with bounds that may count from the end.
private func rangeSelection(_ lower: Int, _ upper: Int, _ length: Int) -> AxisSelection {
  let (start, end) = (lower < 0 ? lower + length : lower, upper < 0 ? upper + length : upper)
  precondition(
    start >= 0 && start <= end && end <= length,
    "Tensor[…]: \(lower)..<\(upper) is outside a dimension of \(length)")
  return .elements(start: start, count: end - start, step: 1)
}

extension Range: TensorIndex where Bound == Int {
  /// The elements in the range; negative bounds count from the end.
  public func selection(of length: Int) -> AxisSelection { rangeSelection(lowerBound, upperBound, length) }
}
extension ClosedRange: TensorIndex where Bound == Int {
  /// The elements in the range; negative bounds count from the end.
  public func selection(of length: Int) -> AxisSelection {
    rangeSelection(lowerBound, upperBound == -1 ? length : upperBound + 1, length)
  }
}
extension PartialRangeFrom: TensorIndex where Bound == Int {
  /// The elements from the bound on; a negative bound counts from the end.
  public func selection(of length: Int) -> AxisSelection { rangeSelection(lowerBound, length, length) }
}
extension PartialRangeUpTo: TensorIndex where Bound == Int {
  /// The elements before the bound; a negative bound counts from the end.
  public func selection(of length: Int) -> AxisSelection { rangeSelection(0, upperBound, length) }
}
extension PartialRangeThrough: TensorIndex where Bound == Int {
  /// The elements up to the bound; a negative bound counts from the end.
  public func selection(of length: Int) -> AxisSelection {
    rangeSelection(0, upperBound == -1 ? length : upperBound + 1, length)
  }
}

extension Tensor {
  /// A part of the tensor: what each index takes of its dimension, the first ones first; the others stay whole. A view.
  public subscript(_ first: any TensorIndex, _ others: any TensorIndex...) -> Tensor {
    var result = self
    var axis = 0
    for (position, index) in ([first] + others).enumerated() {
      if (index as? Axis) == .new {
        result = result.expanded(at: axis)
        axis += 1
        continue
      }
      precondition(axis < result.rank, "Tensor[…]: index \(position) is one too many for shape \(shape)")
      switch index.selection(of: result.shape[axis]) {
      case .element(let place):
        result = result.sliced(place..<place + 1, along: axis).squeezed(axis)
      case .elements(let start, let count, let step):
        result = result.strided(start: start, count: count, step: step, along: axis)
        axis += 1
      case .newDimension: result = result.expanded(at: axis)
      }
    }
    return result
  }

  /// `count` elements along `axis`, from `start` on and `step` apart.
  func strided(start: Int, count: Int, step: Int, along axis: Int) -> Tensor {
    if step == 1 { return count == shape[axis] ? self : sliced(start..<start + count, along: axis) }
    var newShape = shape
    newShape[axis] = count
    var newStrides = strides
    newStrides[axis] = strides[axis] * step
    let part = Tensor(
      storage: storage, offset: offset + (count == 0 ? 0 : start * strides[axis]), shape: newShape,
      strides: newStrides, dtype: dtype)
    let (node, shape) = (self.node, shape)
    return recording("strided", part) { upstream, pass in
      var gradient = Tensor.zeros(shape, dtype: upstream.dtype)
      gradient.accumulateStrided(upstream, start: start, step: step, along: axis)
      pass.add(gradient, to: node)
    }
  }

  /// The elements in reverse along the given dimensions.
  public func flipped(along axes: [Int]) -> Tensor {
    axes.reduce(self) { result, axis in
      let axis = shape.resolved(axis, operation: "flipped")
      return result.strided(start: shape[axis] - 1, count: shape[axis], step: -1, along: axis)
    }
  }

  /// Adds `part` to the elements `start`, `start + step`, … along `axis` of this freshly made, dense tensor.
  mutating func accumulateStrided(_ part: Tensor, start: Int, step: Int, along axis: Int) {
    let source = part.detached.dense()
    let inner = shape.suffix(from: axis + 1).reduce(1, *)
    let outer = shape.prefix(axis).reduce(1, *)
    let (count, length) = (source.shape[axis], shape[axis])
    guard source.elementCount > 0 else { return }
    let add = Kernels.binary(.add, dtype)
    let size = dtype.byteCount
    withExtendedLifetime((storage, source.storage)) {
      Kernels.parallelRows(outer, cols: count * inner) { first, blocks in
        for block in first..<first + blocks {
          for index in 0..<count {
            let target = data + (block * length + start + index * step) * inner * size
            add(target, source.data + (block * count + index) * inner * size, target, Int64(inner))
          }
        }
      }
    }
  }
}
