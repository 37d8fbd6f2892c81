import TrestleTensor

extension OpCase {
  /// Lookups, index-adds and the product with a sparse matrix.
  static let indexing: [OpCase] =
    lookups + [pairLookup, dropout([3, 17], rate: 0.4), dropout([1], rate: 0.1), dropout([8], rate: 0)]
    + sparseProducts

  private static let lookups: [OpCase] = [
    rowCases(1, 1, 1), rowCases(5, 17, 9), rowCases(300, 3, 40), rowCases(7, 6, 0), rowCases(100, 40, 1000),
  ].flatMap { $0 }

  private static let sparseProducts: [OpCase] = [
    sparseProduct(1, 1, 1), sparseProduct(5, 7, 3), sparseProduct(40, 30, 17),
  ]

  private static func rowCases(_ rows: Int, _ cols: Int, _ count: Int) -> [OpCase] {
    let gather = OpCase(
      "gatheredRows", [Input([rows, cols]), Input([count], .index(below: rows))],
      reference: { inputs in
        PlainArray(shape: [count, cols]) { index in
          inputs[0][[Int(inputs[1].values[index[0]]), index[1]]]
        }
      }
    ) { $0[0].gatheredRows($0[1]) }
    let scatter = OpCase(
      "scatterAddedRows", [Input([count, cols]), Input([count], .index(below: rows))],
      reference: { inputs in
        var result = PlainArray(shape: [rows, cols]) { _ in 0 }
        for row in 0..<count {
          for column in 0..<cols {
            result.values[Int(inputs[1].values[row]) * cols + column] += inputs[0][[row, column]]
          }
        }
        return result
      }
    ) { $0[0].scatterAddedRows(at: $0[1], rowCount: rows) }
    let pick = OpCase(
      "gatheredElements", [Input([rows, cols]), Input([rows], .index(below: cols))],
      reference: { inputs in
        PlainArray(shape: [rows]) { index in inputs[0][[index[0], Int(inputs[1].values[index[0]])]] }
      }
    ) { $0[0].gatheredElements($0[1]) }
    return [gather, scatter, pick]
  }

  private static let pairLookup = OpCase(
    "gatheredRows, two dimensions", [Input([6, 4]), Input([2, 3], .index(below: 6))],
    reference: { inputs in
      PlainArray(shape: [2, 3, 4]) { index in
        inputs[0][[Int(inputs[1][[index[0], index[1]]]), index[2]]]
      }
    }
  ) { $0[0].gatheredRows($0[1]) }

  private static func dropout(_ shape: Shape, rate: Double) -> OpCase {
    OpCase("dropout", [Input(shape)]) { inputs in
      var generator = RandomGenerator(seed: 5)
      return inputs[0].dropout(rate: rate, using: &generator)
    }
  }

  private static func sparseProduct(_ rows: Int, _ columns: Int, _ width: Int) -> OpCase {
    let entries = (0..<rows * 2).map { (row: Int32($0 / 2), column: Int32(($0 * 7 + $0 / 3) % columns)) }
    let values = entries.indices.map { Float($0 % 5) * 0.5 - 0.75 }
    return OpCase(
      "SparseMatrix.matmul", [Input([columns, width])],
      reference: { inputs in
        PlainArray(shape: [rows, width]) { index in
          var total = 0.0
          for (entry, value) in zip(entries, values) where Int(entry.row) == index[0] {
            total += Double(value) * inputs[0][[Int(entry.column), index[1]]]
          }
          return total
        }
      }
    ) { inputs in
      SparseMatrix(
        rowCount: rows, columnCount: columns, rows: entries.map(\.row), columns: entries.map(\.column),
        values: values, dtype: inputs[0].dtype
      ).matmul(inputs[0])
    }
  }
}
