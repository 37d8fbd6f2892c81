/// An array of `Double`s with a shape, for references written as plain loops.
public struct PlainArray: Sendable {
  /// The lengths of the dimensions.
  public var shape: [Int]
  /// The elements in row-major order.
  public var values: [Double]

  /// An array of the given elements.
  public init(shape: [Int], values: [Double]) {
    self.shape = shape
    self.values = values
  }

  /// Computes every element from its index.
  public init(shape: [Int], _ element: ([Int]) -> Double) {
    self.shape = shape
    values = (0..<shape.reduce(1, *)).map { flat in element(Self.index(flat, in: shape)) }
  }

  /// The element at `index`; indices beyond a dimension of length 1 read its only element (broadcasting), and leading
  /// indices that the array does not have are dropped.
  public subscript(index: [Int]) -> Double {
    var flat = 0
    for (length, position) in zip(shape, index.suffix(shape.count)) {
      flat = flat * length + (length == 1 ? 0 : position)
    }
    return values[flat]
  }

  /// f of every element.
  public func map(_ f: (Double) -> Double) -> PlainArray {
    PlainArray(shape: shape, values: values.map(f))
  }

  /// f of the elements of two arrays, broadcast.
  public func combined(with other: PlainArray, _ f: (Double, Double) -> Double) -> PlainArray {
    let rank = max(shape.count, other.shape.count)
    let left = Array(repeating: 1, count: rank - shape.count) + shape
    let right = Array(repeating: 1, count: rank - other.shape.count) + other.shape
    return PlainArray(shape: zip(left, right).map { $0 == 1 ? $1 : $0 }) { f(self[$0], other[$0]) }
  }

  /// f of the elements along `axes`, which disappear.
  public func reduced(along axes: [Int], _ f: ([Double]) -> Double) -> PlainArray {
    let kept = shape.indices.filter { !axes.contains($0) }
    var groups: [Int: [Double]] = [:]
    for flat in values.indices {
      let index = Self.index(flat, in: shape)
      let key = kept.reduce(0) { $0 * shape[$1] + index[$1] }
      groups[key, default: []].append(values[flat])
    }
    let result = kept.map { shape[$0] }
    return PlainArray(shape: result, values: (0..<result.reduce(1, *)).map { f(groups[$0] ?? []) })
  }

  /// f of each row of the last dimension, which keeps its length.
  public func mappingRows(_ f: ([Double]) -> [Double]) -> PlainArray {
    let cols = max(shape.last ?? 1, 1)
    let rows = stride(from: 0, to: values.count, by: cols).map { Array(values[$0..<$0 + cols]) }
    return PlainArray(shape: shape, values: rows.flatMap(f))
  }

  /// The indices of the element at the flat position `flat`.
  public static func index(_ flat: Int, in shape: [Int]) -> [Int] {
    var rest = flat
    var result = [Int](repeating: 0, count: shape.count)
    for dimension in shape.indices.reversed() {
      result[dimension] = rest % shape[dimension]
      rest /= shape[dimension]
    }
    return result
  }
}
