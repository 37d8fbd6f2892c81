/// The lengths of a tensor's dimensions, outermost first; at most seven of them.
///
/// A shape is a small value without heap storage, so that tiny operations stay cheap. The empty shape is a scalar's.
public struct Shape: Hashable, Sendable {
  /// Lanes 0…6 hold the dimensions, lane 7 their number.
  private var lanes: SIMD8<Int32>

  /// The largest number of dimensions.
  public static let maximumRank = 7

  /// A shape of the given dimensions.
  ///
  /// - Precondition: at most seven dimensions, none negative, each below 2³¹.
  public init(_ dimensions: some Collection<Int>) {
    precondition(dimensions.count <= Self.maximumRank, "Shape: \(dimensions.count) dimensions, at most 7")
    lanes = SIMD8(repeating: 0)
    lanes[7] = Int32(truncatingIfNeeded: dimensions.count)
    var lane = 0
    for dimension in dimensions {
      precondition(
        dimension >= 0 && dimension <= Int(Int32.max), "Shape: dimension \(dimension) is out of range")
      lanes[lane] = Int32(truncatingIfNeeded: dimension)
      lane += 1
    }
  }

  /// The number of dimensions.
  public var rank: Int { Int(lanes[7]) }

  /// The product of the dimensions; 1 for a scalar.
  public var elementCount: Int {
    var product = 1
    for lane in 0..<rank { product *= Int(lanes[lane]) }
    return product
  }

  /// The product of all dimensions but the last: the number of rows of the tensor seen as a matrix.
  package var rowCount: Int {
    var product = 1
    for lane in 0..<Swift.max(rank - 1, 0) { product *= Int(lanes[lane]) }
    return product
  }

  /// The last dimension; 1 for a scalar.
  package var lastDimension: Int { rank == 0 ? 1 : Int(lanes[rank - 1]) }

  /// The row-major strides of a dense tensor of this shape, in elements.
  package var denseStrides: Strides {
    var strides = Strides()
    var step = 1
    var lane = rank - 1
    while lane >= 0 {
      strides[lane] = step
      step *= Int(lanes[lane])
      lane -= 1
    }
    return strides
  }

  /// The dimension index `dimension` with negative ones counted from the end.
  ///
  /// - Precondition: the index is within `-rank..<rank`.
  package func resolved(_ dimension: Int, operation: StaticString) -> Int {
    let resolved = dimension < 0 ? dimension + rank : dimension
    precondition(
      resolved >= 0 && resolved < rank, "\(operation): dimension \(dimension) does not exist in \(self)")
    return resolved
  }
}

extension Shape: RandomAccessCollection, MutableCollection {
  /// The first dimension's index, 0.
  public var startIndex: Int { 0 }
  /// The number of dimensions.
  public var endIndex: Int { rank }
  /// The length of dimension `index`, counted from the outermost.
  public subscript(index: Int) -> Int {
    get {
      precondition(index >= 0 && index < rank, "Shape: dimension \(index) does not exist in rank \(rank)")
      return Int(lanes[index])
    }
    set {
      precondition(index >= 0 && index < rank, "Shape: dimension \(index) does not exist in rank \(rank)")
      lanes[index] = Int32(newValue)
    }
  }
}

extension Shape: ExpressibleByArrayLiteral, CustomStringConvertible {
  /// A shape written as a list of dimensions.
  public init(arrayLiteral elements: Int...) { self.init(elements) }
  /// The dimensions in brackets, like `[2, 3]`.
  public var description: String { "[" + map(String.init).joined(separator: ", ") + "]" }
}

/// The distance, in elements, between neighbours along each dimension.
package struct Strides: Hashable, Sendable {
  // 64 bits: a view of few elements in memory may have dimensions whose product is beyond 2³¹.
  private var lanes = SIMD8<Int64>(repeating: 0)

  package init() {}

  package subscript(index: Int) -> Int {
    get { Int(lanes[index]) }
    set { lanes[index] = Int64(newValue) }
  }
}
