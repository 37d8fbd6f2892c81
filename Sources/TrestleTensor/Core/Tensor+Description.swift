extension Tensor: CustomStringConvertible {
  /// The elements in nested brackets, as NumPy prints them, then the type and the shape; long dimensions are shortened to
  /// their first and last three elements.
  public var description: String {
    let isShortened = elementCount > 1000
    let cells = Self.aligned(shownElements(isShortened))
    var next = cells.makeIterator()
    let body = Self.bracketed(Array(shape), 0, isShortened, &next)
    return "\(body) \(dtype) \(shape)"
  }

  private static let edge = 3

  /// The indices along a dimension that are shown; `nil` stands for those left out.
  private static func shownIndices(_ length: Int, _ isShortened: Bool) -> [Int?] {
    if !isShortened || length <= 2 * edge { return Array(0..<length) }
    return Array(0..<edge) + [nil] + Array(length - edge..<length)
  }

  /// The shown elements in row-major order.
  private func shownElements(_ isShortened: Bool) -> [String] {
    var part = detached
    if isShortened {
      for axis in 0..<rank where shape[axis] > 2 * Self.edge {
        let length = shape[axis]
        part = Tensor.concatenated(
          [part.sliced(0..<Self.edge, along: axis), part.sliced(length - Self.edge..<length, along: axis)],
          along: axis)
      }
    }
    switch dtype {
    case .bool: return part.scalars(as: Bool.self).map { "\($0)" }
    case .float64: return part.scalars(as: Double.self).map { "\($0)" }
    case _ where dtype.isFloatingPoint: return part.floats.map { "\($0)" }
    default: return part.converted(to: .int64).scalars(as: Int64.self).map { "\($0)" }
    }
  }

  /// All cells as wide as the widest, numbers to the right.
  private static func aligned(_ cells: [String]) -> [String] {
    let width = cells.map(\.count).max() ?? 0
    return cells.map { String(repeating: " ", count: width - $0.count) + $0 }
  }

  private static func bracketed(
    _ shape: [Int], _ depth: Int, _ isShortened: Bool, _ next: inout IndexingIterator<[String]>
  ) -> String {
    guard depth < shape.count else { return next.next() ?? "" }
    let parts = shownIndices(shape[depth], isShortened).map { index in
      index == nil ? "…" : bracketed(shape, depth + 1, isShortened, &next)
    }
    let isInnermost = depth == shape.count - 1
    let gap =
      String(repeating: "\n", count: shape.count - 1 - depth) + String(repeating: " ", count: depth + 1)
    return "[" + parts.joined(separator: isInnermost ? ", " : "," + gap) + "]"
  }
}
