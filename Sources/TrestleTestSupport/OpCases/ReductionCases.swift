import Foundation
import TrestleRecommenders
import TrestleTensor

extension OpCase {
  private static let rowShapes: [Shape] = [[1], [1, 1], [3, 17], [2, 3, 5], [5, 1]]

  /// Sums, means, extrema and norms.
  static let reductions: [OpCase] =
    axisReductions
    + rowShapes.flatMap { shape in
      let last = shape.rank - 1
      return [
        OpCase(
          "sum of all", [Input(shape)],
          reference: { $0[0].reduced(along: Array(0...last)) { $0.reduce(0, +) } }
        ) {
          $0[0].sum()
        },
        OpCase(
          "mean of all", [Input(shape)],
          reference: { $0[0].reduced(along: Array(0...last)) { $0.reduce(0, +) / Double($0.count) } }
        ) { $0[0].mean() },
        OpCase(
          "logSumExp", [Input(shape)],
          reference: { $0[0].reduced(along: [last]) { log($0.map { exp($0) }.reduce(0, +)) } }
        ) { $0[0].logSumExp() },
        OpCase(
          "norm", [Input(shape, .nonzero)],
          reference: { $0[0].reduced(along: [last]) { $0.map { $0 * $0 }.reduce(0, +).squareRoot() } }
        ) { $0[0].norm() },
        OpCase(
          "rowDot", [Input(shape), Input(shape)],
          reference: { $0[0].combined(with: $0[1], *).reduced(along: [last]) { $0.reduce(0, +) } }
        ) { $0[0].rowDot($0[1]) },
        OpCase(
          "max", [Input(shape, .distinct)],
          reference: { $0[0].reduced(along: [last]) { $0.max() ?? .nan } }
        ) { $0[0].max(along: -1) },
        OpCase(
          "min of the first dimension", [Input(shape, .distinct)],
          reference: { $0[0].reduced(along: [0]) { $0.min() ?? .nan } }
        ) { $0[0].min(along: 0) },
        OpCase(
          "argmax", [Input(shape, .distinct)], isDifferentiable: false,
          reference: {
            $0[0].reduced(along: [last]) { row in Double(row.firstIndex(of: row.max() ?? 0) ?? -1) }
          }
        ) { $0[0].argmax() },
      ]
    }

  private static let axisReductions: [OpCase] = [
    ([1], [0]), ([3, 17], [0]), ([3, 17], [1]), ([3, 17], [0, 1]), ([2, 3, 5], [1]), ([2, 3, 5], [0, 2]),
    ([2, 3, 5], [0, 1]), ([2, 3, 5], [1, 2]), ([2, 3, 4, 5], [1, 3]), ([0, 3], [0]), ([3, 0], [1]),
  ].flatMap { (shape: Shape, axes: [Int]) in
    [
      OpCase(
        "sum along \(axes)", [Input(shape)], reference: { $0[0].reduced(along: axes) { $0.reduce(0, +) } }
      ) { $0[0].sum(along: axes) },
      OpCase(
        "sum along \(axes), keeping", [Input(shape)],
        reference: { inputs in
          let sums = inputs[0].reduced(along: axes) { $0.reduce(0, +) }
          let kept = inputs[0].shape.indices.map { axes.contains($0) ? 1 : inputs[0].shape[$0] }
          return PlainArray(shape: kept, values: sums.values)
        }
      ) { $0[0].sum(along: axes, keepingDimensions: true) },
      shape.elementCount == 0
        ? nil
        : OpCase(
          "variance along \(axes)", [Input(shape)],
          reference: {
            $0[0].reduced(along: axes) { row in
              let mean = row.reduce(0, +) / Double(row.count)
              return row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(row.count)
            }
          }
        ) { $0[0].variance(along: axes) },
    ].compactMap { $0 }
  }

  /// Softmax and the losses built on it.
  static let softmaxFamily: [OpCase] = ([[1], [3, 17], [2, 3, 5], [4, 1], [2, 70]] as [Shape]).flatMap {
    shape in
    let cols = shape[shape.rank - 1]
    let rows = Shape(shape.dropLast())
    return [
      OpCase("softmax", [Input(shape)], reference: { $0[0].mappingRows(softmax) }) { $0[0].softmax() },
      OpCase("logSoftmax", [Input(shape)], reference: { $0[0].mappingRows { softmax($0).map { log($0) } } }) {
        $0[0].logSoftmax()
      },
      OpCase(
        "crossEntropy", [Input(shape), Input(rows, .label(below: cols))],
        reference: { inputs in
          PlainArray(shape: Array(rows)) { index in
            let label = Int(inputs[1][index])
            guard label >= 0 else { return 0 }
            let row = (0..<cols).map { inputs[0][index + [$0]] }
            return -log(softmax(row)[label])
          }
        }
      ) { $0[0].crossEntropy(labels: $0[1]) },
      OpCase(
        "bprLoss", [Input(shape), Input(shape)],
        reference: { $0[0].combined(with: $0[1]) { log1p(exp($1 - $0)) } }
      ) { $0[0].bprLoss(negative: $0[1]) },
      OpCase(
        "swiGLU", [Input(shape), Input(shape)],
        reference: { $0[0].combined(with: $0[1]) { $0 / (1 + exp(-$0)) * $1 } }
      ) { $0[0].swiGLU(up: $0[1]) },
    ]
  }

  private static func softmax(_ row: [Double]) -> [Double] {
    let top = row.max() ?? 0
    let powers = row.map { exp($0 - top) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }

  /// Layer, root-mean-square and length normalisation.
  static let normalization: [OpCase] = ([[5], [3, 17], [2, 3, 6], [4, 1], [300, 7]] as [Shape]).flatMap {
    shape in
    let width: Shape = [shape[shape.rank - 1]]
    return [
      OpCase(
        "layerNormalized", [Input(shape), Input(width), Input(width)],
        reference: { inputs in
          inputs[0].mappingRows(standardized).combined(with: inputs[1], *).combined(with: inputs[2], +)
        }
      ) { $0[0].layerNormalized(gain: $0[1], bias: $0[2]) },
      OpCase("layerNormalized, plain", [Input(shape)], reference: { $0[0].mappingRows(standardized) }) {
        $0[0].layerNormalized()
      },
      OpCase(
        "rmsNormalized", [Input(shape), Input(width)],
        reference: { $0[0].mappingRows(scaledToRootMeanSquare).combined(with: $0[1], *) }
      ) { $0[0].rmsNormalized(gain: $0[1]) },
      OpCase("rmsNormalized, plain", [Input(shape)], reference: { $0[0].mappingRows(scaledToRootMeanSquare) })
      {
        $0[0].rmsNormalized()
      },
      OpCase(
        "unitNormalized", [Input(shape, .nonzero)],
        reference: {
          $0[0].mappingRows { row in
            let length = row.map { $0 * $0 }.reduce(0, +).squareRoot()
            return row.map { $0 / length }
          }
        }
      ) { $0[0].unitNormalized() },
    ]
  }

  private static func standardized(_ row: [Double]) -> [Double] {
    let mean = row.reduce(0, +) / Double(row.count)
    let variance = row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(row.count)
    return row.map { ($0 - mean) / (variance + 1e-5).squareRoot() }
  }

  private static func scaledToRootMeanSquare(_ row: [Double]) -> [Double] {
    let square = row.map { $0 * $0 }.reduce(0, +) / Double(row.count)
    return row.map { $0 / (square + 1e-6).squareRoot() }
  }
}
