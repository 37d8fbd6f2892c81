import TrestleTensor

/// The inverse of symmetric positive definite matrices, in place.
///
/// With M = [A Bᵀ; B D] and the Schur complement S = D − B A⁻¹ Bᵀ, which is positive definite too:
/// M⁻¹ = [A⁻¹ + Wᵀ S⁻¹ W, −Wᵀ S⁻¹; −S⁻¹ W, S⁻¹] with W = B A⁻¹. Halving down to small blocks, nearly all the work
/// is matrix products. Beside the matrix, two blocks of a quarter of it are held at a time.
enum BlockInverse {
  /// The size from which a block is cut in two.
  private static let blockSize = 48

  /// Replaces a dense `[n, n]` matrix in `float64`, which nobody else holds, by its inverse.
  static func invert(_ matrix: Tensor) {
    precondition(
      matrix.rank == 2 && matrix.shape[0] == matrix.shape[1] && matrix.dtype == .float64 && matrix.isDense,
      "BlockInverse.invert: \(matrix.dtype) \(matrix.shape)")
    invert(matrix, 0..<matrix.shape[0])
  }

  /// Inverts the block of `range` on the diagonal.
  private static func invert(_ matrix: Tensor, _ range: Range<Int>) {
    if range.count <= blockSize {
      invertSmall(matrix, range)
      return
    }
    let middle = range.lowerBound + range.count / 2
    let (first, second) = (range.lowerBound..<middle, middle..<range.upperBound)
    func part(_ rows: Range<Int>, _ columns: Range<Int>) -> Tensor {
      matrix.sliced(rows, along: 0).sliced(columns, along: 1)
    }
    invert(matrix, first)
    let w = part(second, first).matmul(part(first, first))
    subtract(w.matmul(part(second, first), transposingOther: true), from: matrix, second, second)
    invert(matrix, second)
    let negative = part(second, second).matmul(w)
    add(w.matmul(negative, transposingSelf: true), to: matrix, first, first)
    writeNegated(negative, to: matrix, second, first)
  }

  private static func subtract(
    _ block: Tensor, from matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>
  ) {
    forEachRow(block, matrix, rows, columns) { target, source, count in
      for column in 0..<count { target[column] -= source[column] }
    }
  }

  private static func add(_ block: Tensor, to matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>) {
    forEachRow(block, matrix, rows, columns) { target, source, count in
      for column in 0..<count { target[column] += source[column] }
    }
  }

  private static func forEachRow(
    _ block: Tensor, _ matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>,
    _ body: (UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, Int) -> Void
  ) {
    let (size, width) = (matrix.shape[0], columns.count)
    ThreadPool.shared.run((rows.count + tile - 1) / tile) { task in
      for row in task * tile..<min((task + 1) * tile, rows.count) {
        body(
          matrix.pointer(Double.self) + (rows.lowerBound + row) * size + columns.lowerBound,
          block.pointer(Double.self) + row * width, width)
      }
    }
    withExtendedLifetime((block, matrix)) {}
  }

  /// Rows and columns that are transposed at a time.
  private static let tile = 32

  /// Writes −block to the place of `rows` and `columns`, and its transpose to the mirrored place.
  private static func writeNegated(
    _ block: Tensor, to matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>
  ) {
    let (size, width) = (matrix.shape[0], columns.count)
    ThreadPool.shared.run((rows.count + tile - 1) / tile) { task in
      let (source, target) = (block.pointer(Double.self), matrix.pointer(Double.self))
      let own = task * tile..<min((task + 1) * tile, rows.count)
      for start in stride(from: 0, to: width, by: tile) {
        for column in start..<min(start + tile, width) {
          for row in own {
            let value = -source[row * width + column]
            target[(rows.lowerBound + row) * size + columns.lowerBound + column] = value
            target[(columns.lowerBound + column) * size + rows.lowerBound + row] = value
          }
        }
      }
    }
    withExtendedLifetime((block, matrix)) {}
  }

  /// Gauss–Jordan elimination without pivoting, which positive definite matrices do not need.
  private static func invertSmall(_ matrix: Tensor, _ range: Range<Int>) {
    let size = matrix.shape[0]
    let values = matrix.pointer(Double.self) + range.lowerBound * size + range.lowerBound
    let count = range.count
    for pivot in 0..<count {
      let pivotRow = values + pivot * size
      let scale = 1 / pivotRow[pivot]
      pivotRow[pivot] = 1
      for column in 0..<count { pivotRow[column] *= scale }
      for row in 0..<count where row != pivot {
        let target = values + row * size
        let factor = target[pivot]
        target[pivot] = 0
        for column in 0..<count { target[column] -= factor * pivotRow[column] }
      }
    }
    withExtendedLifetime(matrix) {}
  }
}
