import Foundation
import TrestleTensor

/// The factorisation M = L Lᵀ of symmetric positive definite matrices in `float64`, with what is solved and inverted by it.
///
/// Everything halves a block down to small ones, so that nearly all the work is matrix products. The rounding errors are those
/// of the textbook's algorithm: they grow with the condition of M, and not, as with recursive inversion by Schur complements,
/// with a power of it.
package enum BlockCholesky {
  /// The size from which a block is cut in two.
  private static let blockSize = 48
  /// Rows or columns that one task takes.
  private static let tile = 32
  /// Rows of a symmetric update that are computed at a time.
  private static let band = 512

  /// Replaces a dense `[n, n]` matrix, which nobody else holds, by L; zeros stand above the diagonal.
  ///
  /// A pivot that rounding has made smaller than 10⁻¹⁴ times the largest number on the diagonal is raised to that.
  package static func factorize(_ matrix: Tensor) {
    check(matrix, "factorize")
    let size = matrix.shape[0]
    let values = matrix.pointer(Double.self)
    let largest = (0..<size).reduce(0.0) { max($0, values[$1 * size + $1]) }
    factorize(matrix, 0..<size, smallest: max(largest * 1e-14, .leastNormalMagnitude))
    for row in 0..<size {
      for column in row + 1..<max(size, row + 1) { values[row * size + column] = 0 }
    }
    withExtendedLifetime(matrix) {}
  }

  /// X with M X = B, of the factor L of M.
  ///
  /// - Parameters:
  ///   - factor: what ``factorize(_:)`` left, `[n, n]`.
  ///   - right: B, `[n, columns]`.
  package static func solve(_ factor: Tensor, _ right: Tensor) -> Tensor {
    check(factor, "solve")
    precondition(
      right.rank == 2 && right.shape[0] == factor.shape[0] && right.dtype == .float64,
      "BlockCholesky.solve: a factor \(factor.shape), a right side \(right.dtype) \(right.shape)")
    let rows = right.transposed().dense()
    let columns = 0..<factor.shape[0]
    solveRight(rows, factor, columns, transposed: true, rows: 0..<rows.shape[0])
    solveRight(rows, factor, columns, transposed: false, rows: 0..<rows.shape[0])
    return rows.transposed().dense()
  }

  /// Replaces a dense `[n, n]` matrix, which nobody else holds, by its inverse.
  package static func invert(_ matrix: Tensor) {
    factorize(matrix)
    let size = matrix.shape[0]
    invertTriangle(matrix, 0..<size)
    multiplyTriangle(matrix, 0..<size)
    mirror(matrix)
  }

  private static func check(_ matrix: Tensor, _ what: String) {
    precondition(
      matrix.rank == 2 && matrix.shape[0] == matrix.shape[1] && matrix.dtype == .float64 && matrix.isDense,
      "BlockCholesky.\(what): \(matrix.dtype) \(matrix.shape)")
  }

  private static func part(_ matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>) -> Tensor {
    matrix.sliced(rows, along: 0).sliced(columns, along: 1)
  }

  private static func halves(_ range: Range<Int>) -> (Range<Int>, Range<Int>) {
    let middle = range.lowerBound + range.count / 2
    return (range.lowerBound..<middle, middle..<range.upperBound)
  }

  // MARK: Factorisation

  private static func factorize(_ matrix: Tensor, _ range: Range<Int>, smallest: Double) {
    if range.count <= blockSize {
      factorizeSmall(matrix, range, smallest)
      return
    }
    let (first, second) = halves(range)
    factorize(matrix, first, smallest: smallest)
    solveRight(matrix, matrix, first, transposed: true, rows: second)
    for start in stride(from: second.lowerBound, to: second.upperBound, by: band) {
      let rows = start..<min(start + band, second.upperBound)
      let columns = second.lowerBound..<rows.upperBound
      let product = part(matrix, rows, first).matmul(part(matrix, columns, first), transposingOther: true)
      add(product, times: -1, to: matrix, rows, columns)
    }
    factorize(matrix, second, smallest: smallest)
  }

  private static func factorizeSmall(_ matrix: Tensor, _ range: Range<Int>, _ smallest: Double) {
    let size = matrix.shape[0]
    let values = matrix.pointer(Double.self) + range.lowerBound * size + range.lowerBound
    for column in 0..<range.count {
      let own = values + column * size
      var pivot = own[column]
      for other in 0..<column { pivot -= own[other] * own[other] }
      pivot = max(pivot, smallest).squareRoot()
      own[column] = pivot
      for row in column + 1..<max(range.count, column + 1) {
        let target = values + row * size
        var value = target[column]
        for other in 0..<column { value -= target[other] * own[other] }
        target[column] = value / pivot
      }
    }
    withExtendedLifetime(matrix) {}
  }

  /// Multiplies the columns of some rows of `target` by L⁻ᵀ, or by L⁻¹, of a block on the diagonal of `factor`.
  private static func solveRight(
    _ target: Tensor, _ factor: Tensor, _ range: Range<Int>, transposed: Bool, rows: Range<Int>
  ) {
    if range.count <= blockSize {
      solveSmall(target, factor, range, transposed, rows)
      return
    }
    let (first, second) = halves(range)
    let corner = part(factor, second, first)
    if transposed {
      solveRight(target, factor, first, transposed: true, rows: rows)
      let product = part(target, rows, first).matmul(corner, transposingOther: true)
      add(product, times: -1, to: target, rows, second)
      solveRight(target, factor, second, transposed: true, rows: rows)
    } else {
      solveRight(target, factor, second, transposed: false, rows: rows)
      add(part(target, rows, second).matmul(corner), times: -1, to: target, rows, first)
      solveRight(target, factor, first, transposed: false, rows: rows)
    }
  }

  private static func solveSmall(
    _ target: Tensor, _ factor: Tensor, _ range: Range<Int>, _ transposed: Bool, _ rows: Range<Int>
  ) {
    let (size, width, count) = (factor.shape[0], target.shape[1], range.count)
    ThreadPool.shared.run((rows.count + tile - 1) / tile) { task in
      let triangle = factor.pointer(Double.self) + range.lowerBound * size + range.lowerBound
      for place in task * tile..<min((task + 1) * tile, rows.count) {
        let row = target.pointer(Double.self) + (rows.lowerBound + place) * width + range.lowerBound
        if transposed {
          for column in 0..<count {
            var value = row[column]
            for other in 0..<column { value -= row[other] * triangle[column * size + other] }
            row[column] = value / triangle[column * size + column]
          }
        } else {
          for column in stride(from: count - 1, through: 0, by: -1) {
            let value = row[column] / triangle[column * size + column]
            row[column] = value
            for other in 0..<column { row[other] -= value * triangle[column * size + other] }
          }
        }
      }
    }
    withExtendedLifetime((target, factor)) {}
  }

  // MARK: Inversion

  /// Replaces a lower triangle by its inverse.
  private static func invertTriangle(_ matrix: Tensor, _ range: Range<Int>) {
    if range.count <= blockSize {
      invertSmallTriangle(matrix, range)
      return
    }
    let (first, second) = halves(range)
    // L₂₁ becomes −L₂₂⁻¹ L₂₁ L₁₁⁻¹.
    solveRight(matrix, matrix, first, transposed: false, rows: second)
    invertTriangle(matrix, first)
    invertTriangle(matrix, second)
    write(
      part(matrix, second, second).matmul(part(matrix, second, first)), times: -1, to: matrix, second, first)
  }

  private static func invertSmallTriangle(_ matrix: Tensor, _ range: Range<Int>) {
    let size = matrix.shape[0]
    let values = matrix.pointer(Double.self) + range.lowerBound * size + range.lowerBound
    for row in 0..<range.count {
      let own = values + row * size
      let scale = 1 / own[row]
      for column in 0..<row {
        var value = 0.0
        for other in column..<row { value += own[other] * values[other * size + column] }
        // The numbers left of the diagonal that are still to be read stand in later columns.
        own[column] = -value * scale
      }
      own[row] = scale
    }
    withExtendedLifetime(matrix) {}
  }

  /// Replaces a lower triangle T by the lower triangle of Tᵀ T.
  private static func multiplyTriangle(_ matrix: Tensor, _ range: Range<Int>) {
    if range.count <= blockSize {
      multiplySmallTriangle(matrix, range)
      return
    }
    let (first, second) = halves(range)
    multiplyTriangle(matrix, first)
    for start in stride(from: first.lowerBound, to: first.upperBound, by: band) {
      let rows = start..<min(start + band, first.upperBound)
      let columns = first.lowerBound..<rows.upperBound
      let product = part(matrix, second, rows).matmul(part(matrix, second, columns), transposingSelf: true)
      add(product, times: 1, to: matrix, rows, columns)
    }
    write(
      part(matrix, second, second).matmul(part(matrix, second, first), transposingSelf: true), times: 1,
      to: matrix, second, first)
    multiplyTriangle(matrix, second)
  }

  private static func multiplySmallTriangle(_ matrix: Tensor, _ range: Range<Int>) {
    let size = matrix.shape[0]
    let values = matrix.pointer(Double.self) + range.lowerBound * size + range.lowerBound
    for row in 0..<range.count {
      for column in 0...row {
        var value = 0.0
        for other in row..<range.count { value += values[other * size + row] * values[other * size + column] }
        values[row * size + column] = value
      }
    }
    withExtendedLifetime(matrix) {}
  }

  /// Copies the lower triangle to the upper one.
  private static func mirror(_ matrix: Tensor) {
    let size = matrix.shape[0]
    ThreadPool.shared.run((size + tile - 1) / tile) { task in
      let values = matrix.pointer(Double.self)
      let columns = task * tile..<min((task + 1) * tile, size)
      for start in stride(from: columns.lowerBound, to: size, by: tile) {
        for column in columns {
          for row in max(start, column + 1)..<max(min(start + tile, size), max(start, column + 1)) {
            values[column * size + row] = values[row * size + column]
          }
        }
      }
    }
    withExtendedLifetime(matrix) {}
  }

  // MARK: Blocks

  private static func add(
    _ block: Tensor, times factor: Double, to matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>
  ) {
    forEachRow(block, matrix, rows, columns) { target, source, count in
      for column in 0..<count { target[column] += factor * source[column] }
    }
  }

  private static func write(
    _ block: Tensor, times factor: Double, to matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>
  ) {
    forEachRow(block, matrix, rows, columns) { target, source, count in
      for column in 0..<count { target[column] = factor * source[column] }
    }
  }

  private static func forEachRow(
    _ block: Tensor, _ matrix: Tensor, _ rows: Range<Int>, _ columns: Range<Int>,
    _ body: (UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>, Int) -> Void
  ) {
    let (size, width) = (matrix.shape[1], columns.count)
    ThreadPool.shared.run((rows.count + tile - 1) / tile) { task in
      for row in task * tile..<min((task + 1) * tile, rows.count) {
        body(
          matrix.pointer(Double.self) + (rows.lowerBound + row) * size + columns.lowerBound,
          block.pointer(Double.self) + row * width, width)
      }
    }
    withExtendedLifetime((block, matrix)) {}
  }
}
