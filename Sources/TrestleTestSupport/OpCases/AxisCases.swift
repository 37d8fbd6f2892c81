import TrestleTensor

extension OpCase {
  /// Sums, order and lookups along one dimension.
  static let axisOperations: [OpCase] = sums + orders + lookupsAlongAxes + truths

  private static let sums: [OpCase] =
    ([([5], 0), ([3, 4], 0), ([2, 7, 3], 1), ([2, 3, 70], -1)] as [(Shape, Int)])
    .map { shape, dimension in
      let axis = dimension < 0 ? dimension + shape.rank : dimension
      return OpCase(
        "cumulativeSum", [Input(shape)],
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) { index in
            (0...index[axis]).reduce(0) { total, place in
              var source = index
              source[axis] = place
              return total + inputs[0][source]
            }
          }
        }
      ) { $0[0].cumulativeSum(along: dimension) }
    }

  /// The elements of a line along an axis, and the line's place in their order.
  private static func line(_ array: PlainArray, _ index: [Int], _ axis: Int) -> [Double] {
    (0..<array.shape[axis]).map { place in
      var source = index
      source[axis] = place
      return array[source]
    }
  }

  private static let orders: [OpCase] = ([([6], 0), ([3, 5], 0), ([2, 3, 4], 1)] as [(Shape, Int)]).flatMap {
    shape, axis in
    [
      OpCase(
        "sorted", [Input(shape, .distinct)],
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) { line(inputs[0], $0, axis).sorted()[$0[axis]] }
        }
      ) { $0[0].sorted(along: axis) },
      OpCase(
        "sorted, descending", [Input(shape, .distinct)],
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) { line(inputs[0], $0, axis).sorted(by: >)[$0[axis]] }
        }
      ) { $0[0].sorted(along: axis, isDescending: true) },
      OpCase(
        "sortedIndices", [Input(shape, .distinct)], isDifferentiable: false,
        reference: { inputs in
          PlainArray(shape: inputs[0].shape) { index in
            let values = line(inputs[0], index, axis)
            return Double(values.indices.sorted { values[$0] < values[$1] }[index[axis]])
          }
        }
      ) { $0[0].sortedIndices(along: axis) },
      OpCase(
        "argmin", [Input(shape, .distinct)], isDifferentiable: false,
        reference: { inputs in
          inputs[0].reduced(along: [axis]) { values in
            Double(values.indices.min { values[$0] < values[$1] } ?? 0)
          }
        }
      ) { $0[0].argmin(along: axis) },
      OpCase(
        "argmax along an axis", [Input(shape, .distinct)], isDifferentiable: false,
        reference: { inputs in
          inputs[0].reduced(along: [axis]) { values in
            Double(values.indices.max { values[$0] < values[$1] } ?? 0)
          }
        }
      ) { $0[0].argmax(along: axis) },
      OpCase(
        "topK along an axis", [Input(shape, .distinct)],
        reference: { inputs in
          var result = inputs[0].shape
          result[axis] = 2
          return PlainArray(shape: result) { line(inputs[0], $0, axis).sorted(by: >)[$0[axis]] }
        }
      ) { $0[0].topK(2, along: axis).values },
    ]
  }

  private static let lookupsAlongAxes: [OpCase] = [
    OpCase(
      "gathered", [Input([3, 4]), Input([3, 6], .index(below: 4))],
      reference: { inputs in
        PlainArray(shape: [3, 6]) { inputs[0][[$0[0], Int(inputs[1][$0])]] }
      }
    ) { $0[0].gathered($0[1], along: 1) },
    OpCase(
      "gathered", [Input([4, 2, 3]), Input([5, 2, 3], .index(below: 4))],
      reference: { inputs in
        PlainArray(shape: [5, 2, 3]) { inputs[0][[Int(inputs[1][$0]), $0[1], $0[2]]] }
      }
    ) { $0[0].gathered($0[1], along: 0) },
    OpCase(
      "scatterAdded", [Input([3, 6]), Input([3, 6], .index(below: 4))],
      reference: { inputs in
        PlainArray(shape: [3, 4]) { index in
          (0..<6).reduce(0) {
            $0 + (Int(inputs[1][[index[0], $1]]) == index[1] ? inputs[0][[index[0], $1]] : 0)
          }
        }
      }
    ) { $0[0].scatterAdded(at: $0[1], along: 1, length: 4) },
    OpCase(
      "scatterAdded", [Input([6, 2]), Input([6, 2], .index(below: 3))],
      reference: { inputs in
        PlainArray(shape: [3, 2]) { index in
          (0..<6).reduce(0) {
            $0 + (Int(inputs[1][[$1, index[1]]]) == index[0] ? inputs[0][[$1, index[1]]] : 0)
          }
        }
      }
    ) { $0[0].scatterAdded(at: $0[1], along: 0, length: 3) },
    OpCase(
      "selecting", [Input([2, 5, 3]), Input([4], .index(below: 5))],
      reference: { inputs in
        PlainArray(shape: [2, 4, 3]) { inputs[0][[$0[0], Int(inputs[1].values[$0[1]]), $0[2]]] }
      }
    ) { $0[0].selecting($0[1], along: 1) },
    OpCase(
      "selecting, mask", [Input([4, 3])],
      reference: { inputs in PlainArray(shape: [2, 3]) { inputs[0][[$0[0] * 3, $0[1]]] } }
    ) { $0[0].selecting(where: Tensor([true, false, false, true])) },
  ]

  private static let truths: [OpCase] = [
    OpCase(
      "any", [Input([3, 4])], isDifferentiable: false,
      reference: { $0[0].reduced(along: [1]) { $0.contains { $0 > 0.5 } ? 1 : 0 } }
    ) { $0[0].isGreater(than: .full([], 0.5, dtype: $0[0].dtype)).any(along: 1) },
    OpCase(
      "all", [Input([3, 4])], isDifferentiable: false,
      reference: { $0[0].reduced(along: [0]) { $0.allSatisfy { $0 > -0.5 } ? 1 : 0 } }
    ) { $0[0].isGreater(than: .full([], -0.5, dtype: $0[0].dtype)).all(along: 0) },
  ]
}
