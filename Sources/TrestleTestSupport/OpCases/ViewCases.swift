import TrestleTensor

extension OpCase {
  /// Operations that rearrange elements.
  static let views: [OpCase] = shapes + slices + joins

  private static let shapes: [OpCase] = [
    OpCase("reshaped", [Input([1])], reference: { .init(shape: [1, 1], values: $0[0].values) }) {
      $0[0].reshaped(to: [1, 1] as Shape)
    },
    OpCase("reshaped", [Input([3, 4])], reference: { .init(shape: [2, 6], values: $0[0].values) }) {
      $0[0].reshaped(to: [2, -1])
    },
    OpCase("reshaped", [Input([2, 3, 5])], reference: { .init(shape: [6, 5], values: $0[0].values) }) {
      $0[0].reshaped(to: [6, 5] as Shape)
    },
    OpCase("flattened", [Input([2, 3, 5])], reference: { .init(shape: [30], values: $0[0].values) }) {
      $0[0].flattened()
    },
    transposed([1, 1]), transposed([3, 7]), transposed([2, 3, 5]),
    OpCase(
      "permuted", [Input([2, 3, 4, 5])],
      reference: { inputs in
        PlainArray(shape: [4, 2, 5, 3]) { inputs[0][[$0[1], $0[3], $0[0], $0[2]]] }
      }
    ) { $0[0].permuted([2, 0, 3, 1]) },
    OpCase("squeezed", [Input([2, 1, 3])], reference: { .init(shape: [2, 3], values: $0[0].values) }) {
      $0[0].squeezed(1)
    },
    OpCase("expanded", [Input([2, 3])], reference: { .init(shape: [2, 1, 3], values: $0[0].values) }) {
      $0[0].expanded(at: 1)
    },
    broadcast([], [2, 3]), broadcast([3, 1], [3, 5]), broadcast([2, 1, 3], [4, 2, 5, 3]), broadcast([1], [1]),
    OpCase(
      "permuted, seven dimensions", [Input([2, 1, 2, 3, 1, 2, 2])],
      reference: { inputs in
        PlainArray(shape: [2, 2, 1, 3, 2, 1, 2]) { inputs[0][$0.reversed()] }
      }
    ) { $0[0].permuted([6, 5, 4, 3, 2, 1, 0]).dense() },
  ]

  private static func transposed(_ shape: Shape) -> OpCase {
    OpCase(
      "transposed", [Input(shape)],
      reference: { inputs in
        var swapped = inputs[0].shape
        swapped.swapAt(swapped.count - 1, swapped.count - 2)
        return PlainArray(shape: swapped) { index in
          var source = index
          source.swapAt(source.count - 1, source.count - 2)
          return inputs[0][source]
        }
      }
    ) { $0[0].transposed() }
  }

  private static func broadcast(_ from: Shape, _ to: Shape) -> OpCase {
    OpCase(
      "broadcast", [Input(from)], reference: { inputs in PlainArray(shape: Array(to)) { inputs[0][$0] } }
    ) { $0[0].broadcast(to: to) }
  }

  private static let slices: [OpCase] = [
    slice([1], 0..<1, 0), slice([7], 2..<5, 0), slice([3, 17], 1..<2, 0), slice([3, 17], 3..<16, 1),
    slice([2, 5, 3], 1..<4, -2), slice([2, 3], 1..<1, 1),
    OpCase(
      "subscript", [Input([4, 3, 2])],
      reference: { inputs in PlainArray(shape: [3, 2]) { inputs[0][[2] + $0] } }
    ) { $0[0][2] },
  ]

  private static func slice(_ shape: Shape, _ range: Range<Int>, _ axis: Int) -> OpCase {
    OpCase(
      "sliced", [Input(shape)],
      reference: { inputs in
        let dimension = axis < 0 ? axis + shape.rank : axis
        var result = Array(shape)
        result[dimension] = range.count
        return PlainArray(shape: result) { index in
          var source = index
          source[dimension] += range.lowerBound
          return inputs[0][source]
        }
      }
    ) { $0[0].sliced(range, along: axis) }
  }

  private static let joins: [OpCase] = [
    concatenation([[1], [1]], 0), concatenation([[2, 3], [4, 3], [1, 3]], 0),
    concatenation([[3, 2], [3, 5]], 1),
    concatenation([[2, 1, 3], [2, 2, 3]], -2),
    OpCase(
      "stacked", [Input([2, 3]), Input([2, 3])],
      reference: { inputs in PlainArray(shape: [2, 2, 3]) { inputs[$0[1]][[$0[0], $0[2]]] } }
    ) { Tensor.stacked($0, along: 1) },
  ]

  private static func concatenation(_ shapes: [Shape], _ axis: Int) -> OpCase {
    OpCase(
      "concatenated", shapes.map { Input($0) },
      reference: { inputs in
        let dimension = axis < 0 ? axis + shapes[0].rank : axis
        var result = Array(shapes[0])
        result[dimension] = shapes.reduce(0) { $0 + $1[dimension] }
        return PlainArray(shape: result) { index in
          var source = index
          for part in inputs {
            if source[dimension] < part.shape[dimension] { return part[source] }
            source[dimension] -= part.shape[dimension]
          }
          return .nan
        }
      }
    ) { Tensor.concatenated($0, along: axis) }
  }
}
