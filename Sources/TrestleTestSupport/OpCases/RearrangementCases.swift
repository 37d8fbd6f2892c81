import TrestleTensor

extension OpCase {
  /// Subscripts, padding, rolling and the like.
  static let rearrangements: [OpCase] = subscripts + paddings + repetitions

  private static let subscripts: [OpCase] = [
    OpCase(
      "subscript", [Input([4, 5])], reference: { inputs in PlainArray(shape: [5]) { inputs[0][[3, $0[0]]] } }
    ) { $0[0][-1] },
    OpCase(
      "subscript", [Input([4, 5, 3])],
      reference: { inputs in PlainArray(shape: [2, 5]) { inputs[0][[1 + $0[0], $0[1], 2]] } }
    ) { $0[0][1..<3, Axis.all, -1] },
    OpCase(
      "subscript", [Input([7, 6])],
      reference: { inputs in PlainArray(shape: [3, 1, 2]) { inputs[0][[6 - 2 * $0[0], 1 + 3 * $0[2]]] } }
    ) { $0[0][Axis.stride(from: -1, to: 1, by: -2), Axis.new, Axis.stride(from: 1, by: 3)] },
    OpCase(
      "subscript", [Input([7, 6])],
      reference: { inputs in PlainArray(shape: [2, 4]) { inputs[0][[5 + $0[0], $0[1]]] } }
    ) { $0[0][(-2)..., ..<4] },
    OpCase(
      "flipped", [Input([3, 4, 2])],
      reference: { inputs in PlainArray(shape: [3, 4, 2]) { inputs[0][[2 - $0[0], $0[1], 1 - $0[2]]] } }
    ) { $0[0].flipped(along: [0, -1]) },
    OpCase("flipped", [Input([1])], reference: { $0[0] }) { $0[0].flipped(along: [0]) },
    OpCase(
      "movingAxis", [Input([2, 3, 4])],
      reference: { inputs in PlainArray(shape: [3, 4, 2]) { inputs[0][[$0[2], $0[0], $0[1]]] } }
    ) { $0[0].movingAxis(0, to: 2) },
    OpCase(
      "diagonal", [Input([2, 3, 3])],
      reference: { inputs in PlainArray(shape: [2, 3]) { inputs[0][[$0[0], $0[1], $0[1]]] } }
    ) { $0[0].diagonal() },
    OpCase(
      "split", [Input([5, 3])],
      reference: { inputs in
        PlainArray(shape: [2, 3]) { inputs[0][[$0[0], $0[1]]] * inputs[0][[3 + $0[0], $0[1]]] }
      }
    ) { inputs in
      let parts = inputs[0].split(lengths: [2, 1, 2], along: 0)
      return parts[0] * parts[2]
    },
  ]

  private static let paddings: [OpCase] = [
    OpCase(
      "padded", [Input([2, 3])],
      reference: { inputs in
        PlainArray(shape: [5, 4]) { index in
          let (row, column) = (index[0] - 1, index[1] - 1)
          return (0..<2).contains(row) && (0..<3).contains(column) ? inputs[0][[row, column]] : -2
        }
      }
    ) { $0[0].padded([(1, 2), (1, 0)], with: .constant(-2)) },
    OpCase(
      "padded, reflection", [Input([2, 5])],
      reference: { inputs in
        PlainArray(shape: [2, 10]) { index in
          let place = abs(index[1] - 3)
          return inputs[0][[index[0], place > 4 ? 8 - place : place]]
        }
      }
    ) { $0[0].padded([(3, 2)], with: .reflection) },
    OpCase(
      "padded, edge", [Input([3, 2])],
      reference: { inputs in
        PlainArray(shape: [6, 2]) { inputs[0][[min(max($0[0] - 2, 0), 2), $0[1]]] }
      }
    ) { $0[0].padded([(2, 1), (0, 0)], with: .edge) },
  ]

  private static let repetitions: [OpCase] = [
    OpCase(
      "rolled", [Input([5, 3])],
      reference: { inputs in PlainArray(shape: [5, 3]) { inputs[0][[($0[0] + 3) % 5, $0[1]]] } }
    ) { $0[0].rolled(by: 2, along: 0) },
    OpCase(
      "rolled", [Input([2, 7])],
      reference: { inputs in PlainArray(shape: [2, 7]) { inputs[0][[$0[0], ($0[1] + 1) % 7]] } }
    ) { $0[0].rolled(by: -8, along: 1) },
    OpCase(
      "tiled", [Input([2, 3])],
      reference: { inputs in PlainArray(shape: [2, 2, 9]) { inputs[0][[$0[1], $0[2] % 3]] } }
    ) { $0[0].tiled([2, 1, 3]) },
    OpCase(
      "repeatingElements", [Input([2, 3])],
      reference: { inputs in PlainArray(shape: [2, 6]) { inputs[0][[$0[0], $0[1] / 2]] } }
    ) { $0[0].repeatingElements(2, along: 1) },
  ]
}
