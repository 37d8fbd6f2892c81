import TrestleTensor

extension OpCase {
  /// Convolutions and pooling.
  static let convolutions: [OpCase] =
    [
      convolution(images: [1, 1, 3, 3], kernels: [1, 1, 2, 2]),
      convolution(images: [2, 3, 5, 6], kernels: [4, 3, 3, 2], stride: (2, 1), padding: (1, 2)),
      convolution(
        images: [2, 4, 7, 6], kernels: [6, 2, 3, 3], padding: (1, 1), dilation: (2, 1), groups: 2),
    ] + [sequences] + pooling

  private static func convolution(
    images: Shape, kernels: Shape, stride: (Int, Int) = (1, 1), padding: (Int, Int) = (0, 0),
    dilation: (Int, Int) = (1, 1), groups: Int = 1
  ) -> OpCase {
    let rows = (images[2] + 2 * padding.0 - dilation.0 * (kernels[2] - 1) - 1) / stride.0 + 1
    let columns = (images[3] + 2 * padding.1 - dilation.1 * (kernels[3] - 1) - 1) / stride.1 + 1
    let perGroup = kernels[0] / groups
    return OpCase(
      "convolved", [Input(images), Input(kernels), Input([kernels[0]])],
      reference: { inputs in
        PlainArray(shape: [images[0], kernels[0], rows, columns]) { index in
          var total = inputs[2].values[index[1]]
          for channel in 0..<kernels[1] {
            for y in 0..<kernels[2] {
              for x in 0..<kernels[3] {
                let row = index[2] * stride.0 + y * dilation.0 - padding.0
                let column = index[3] * stride.1 + x * dilation.1 - padding.1
                guard (0..<images[2]).contains(row), (0..<images[3]).contains(column) else { continue }
                total +=
                  inputs[0][[index[0], index[1] / perGroup * kernels[1] + channel, row, column]]
                  * inputs[1][[index[1], channel, y, x]]
              }
            }
          }
          return total
        }
      }
    ) {
      $0[0].convolved(
        with: $0[1], bias: $0[2], stride: (stride.0, stride.1), padding: (padding.0, padding.1),
        dilation: (dilation.0, dilation.1), groups: groups)
    }
  }

  private static let sequences = OpCase(
    "convolved1D", [Input([2, 3, 7]), Input([2, 3, 3])],
    reference: { inputs in
      PlainArray(shape: [2, 2, 4]) { index in
        var total = 0.0
        for channel in 0..<3 {
          for x in 0..<3 {
            let place = index[2] * 2 + x - 1
            guard (0..<7).contains(place) else { continue }
            total += inputs[0][[index[0], channel, place]] * inputs[1][[index[1], channel, x]]
          }
        }
        return total
      }
    }
  ) { $0[0].convolved1D(with: $0[1], stride: 2, padding: 1) }

  private static let pooling: [OpCase] = [
    OpCase(
      "maxPooled", [Input([2, 2, 4, 6], .distinct)],
      reference: { inputs in
        PlainArray(shape: [2, 2, 2, 3]) { index in
          [(0, 0), (0, 1), (1, 0), (1, 1)].map {
            inputs[0][[index[0], index[1], index[2] * 2 + $0.0, index[3] * 2 + $0.1]]
          }.max() ?? 0
        }
      }
    ) { $0[0].maxPooled(kernel: (2, 2)) },
    OpCase(
      "maxPooled, overlapping", [Input([1, 2, 5, 5], .distinct)],
      reference: { inputs in
        PlainArray(shape: [1, 2, 3, 3]) { index in
          var largest = -Double.infinity
          for row in index[2] * 2 - 1...index[2] * 2 + 1 where (0..<5).contains(row) {
            for column in index[3] * 2 - 1...index[3] * 2 + 1 where (0..<5).contains(column) {
              largest = max(largest, inputs[0][[index[0], index[1], row, column]])
            }
          }
          return largest
        }
      }
    ) { $0[0].maxPooled(kernel: (3, 3), stride: (2, 2), padding: (1, 1)) },
    OpCase(
      "averagePooled", [Input([2, 1, 4, 6])],
      reference: { inputs in
        PlainArray(shape: [2, 1, 2, 2]) { index in
          var total = 0.0
          for y in 0..<2 {
            for x in 0..<3 { total += inputs[0][[index[0], 0, index[2] * 2 + y, index[3] * 3 + x]] }
          }
          return total / 6
        }
      }
    ) { $0[0].averagePooled(kernel: (2, 3)) },
  ]
}
