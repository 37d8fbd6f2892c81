import Testing
import TrestleTensor
import TrestleTestSupport

extension TensorCoreTests {
  /// Products of large sparse matrices by blocks of columns.
  @Suite struct SparseMatrixTests {
    /// Most entries lie in few columns, and many columns have none.
    private func matrix(rows: Int, columns: Int, entries: Int, _ dtype: DType = .float32) -> SparseMatrix {
      var generator = RandomGenerator(seed: 5)
      let places = (0..<entries).map { _ in
        (
          row: Int32(generator.index(below: rows)),
          column: Int32(Double(columns) * generator.uniform() * generator.uniform())
        )
      }
      return SparseMatrix(
        rowCount: rows, columnCount: columns, rows: places.map(\.row), columns: places.map(\.column),
        values: places.map { _ in Float(generator.normal()) }, dtype: dtype)
    }

    private func normal(_ shape: Shape, _ dtype: DType = .float32) -> Tensor {
      var generator = RandomGenerator(seed: 6)
      return .normal(shape, dtype: dtype, using: &generator)
    }

    /// Made of its compressed rows it is the matrix that is made of its entries, and so is its transpose.
    @Test(arguments: [DType.float32, .float64])
    func compressedRowsGiveTheSameMatrix(dtype: DType) {
      withSteadyInstructionSet {
        for (rows, columns, entries) in [(70, 100, 900), (5, 200, 30), (300, 4, 300), (1, 1, 1), (5, 7, 0)] {
          let matrix = matrix(rows: rows, columns: columns, entries: entries, dtype)
          let again = SparseMatrix(
            rowCount: rows, columnCount: columns, rowStarts: matrix.rowStarts, columns: matrix.columns,
            values: matrix.values)
          #expect(again.entryCount == entries)
          let x = Parameter(normal([columns, 3], dtype))
          func result(_ matrix: SparseMatrix) -> [[UInt64]?] {
            let (_, gradients) = valueAndGradients(of: [x]) { matrix.matmul(x.value).squared().sum() }
            return [matrix.matmul(x.detached), gradients[x]?.dense()].map { $0?.doubles.map(\.bitPattern) }
          }
          let found = result(again)
          #expect(found == result(matrix) && !found.contains(nil))
        }
      }
    }

    /// Each row's sum is added up in the same order: the bits are those of the product row by row.
    @Test(arguments: [1, 3, 64, 999, 5_000])
    func aProductByBlocksHasTheBitsOfTheProductByRows(columnsPerBlock: Int) {
      withSteadyInstructionSet {
        let sizes = [(700, 1_000, 9_000), (50, 2_000, 300), (3_000, 40, 3_000), (1, 1, 1), (5, 7, 0)]
        for (rows, columns, entries) in sizes {
          for dtype in [DType.float32, .float64] {
            let matrix = matrix(rows: rows, columns: columns, entries: entries, dtype)
            for width in [1, 19, 64] {
              let x = normal([columns, width], dtype)
              let expected = matrix.product(x, columnsPerBlock: nil)
              let found = matrix.product(x, columnsPerBlock: columnsPerBlock)
              #expect(found.shape == [rows, width])
              #expect(expected.doubles.map(\.bitPattern) == found.doubles.map(\.bitPattern))
            }
          }
        }
      }
    }

    /// A factor too large for the caches is multiplied by blocks without being asked, and its gradient too.
    @Test func aLargeProductAndItsGradientEqualTheSumsWrittenOut() throws {
      let width = 8
      let columns = SparseMatrix.smallestBlockedBytes / (width * 4) + 1
      let matrix = matrix(rows: 2_000, columns: columns, entries: 60_000)
      let x = Parameter(normal([columns, width]))
      let weights = normal([2_000, width])
      let (value, gradients) = valueAndGradients(of: [x]) { (matrix.matmul(x.value) * weights).sum() }
      #expect(matrix.hasBlocks)
      let gradient = try #require(gradients[x]).dense().floats
      let (values, factors, inputs) = (matrix.values.floats, weights.floats, x.value.floats)
      var expected = [Double](repeating: 0, count: columns * width)
      var total = 0.0
      for row in 0..<2_000 {
        for entry in Int(matrix.rowStarts[row])..<Int(matrix.rowStarts[row + 1]) {
          let place = Int(matrix.columns[entry]) * width
          for column in 0..<width {
            let product = Double(values[entry]) * Double(factors[row * width + column])
            expected[place + column] += product
            total += product * Double(inputs[place + column])
          }
        }
      }
      #expect(abs(Double(value.item) - total) < 1e-3)
      #expect(zip(gradient, expected).allSatisfy { abs(Double($0) - $1) < 1e-4 })
    }
  }
}
