import TrestleTensor

/// Solves the least-squares problem of every row against fixed rows of the other side.
///
/// xᵣ = (Σⱼ cⱼ hⱼ hⱼᵀ + α HᵀH + λᵣ I)⁻¹ (Σⱼ cⱼ hⱼ + λᵣ pᵣ), the sums over the pairs of row r.
struct LeastSquaresRows {
  /// H, `[others, width]`.
  let rows: Tensor
  let unobservedWeight: Double
  /// p; `nil` for 0.
  let prior: Tensor?
  /// λ of a row with so many pairs.
  let regularization: (Int) -> Double

  /// Rows that a task solves: fixed, so that the number of threads changes nothing.
  private static let grain = 32
  /// Rows of H that are multiplied at a time.
  private static let gathered = 4096

  /// The solutions, `[rows, width]`.
  func solve(_ pairs: WeightedRows) -> Tensor {
    rows.dtype == .float64 ? solve(pairs, as: Double.self) : solve(pairs, as: Float.self)
  }

  private func solve<Scalar: BinaryFloatingPoint & SIMDScalar & TensorScalar>(
    _ pairs: WeightedRows, as type: Scalar.Type
  ) -> Tensor {
    let width = rows.shape[1]
    let gram = rows.matmul(rows, transposingSelf: true) * unobservedWeight
    let result = Tensor.zeros([pairs.rowCount, width], dtype: rows.dtype)
    ThreadPool.shared.run((pairs.rowCount + Self.grain - 1) / Self.grain) { task in
      for row in task * Self.grain..<min((task + 1) * Self.grain, pairs.rowCount) {
        let entries = pairs.entries(of: row)
        let target = result.pointer(type) + row * width
        let own = prior.map { $0.pointer(type) + row * width }
        if entries.isEmpty {
          // α HᵀH + λ I would draw the row from its prior to 0: there is nothing known that says so.
          if let own { target.update(from: own, count: width) }
          continue
        }
        let penalty = Scalar(regularization(entries.count))
        let matrix = normalMatrix(pairs, entries, gram, sums: target)
        let values = matrix.pointer(type)
        for index in 0..<width {
          values[index * width + index] += penalty
          if let own { target[index] += penalty * own[index] }
        }
        Cholesky.solve(values, width, target)
        withExtendedLifetime((matrix, prior)) {}
      }
    }
    return withExtendedLifetime(result) { result }
  }

  /// α HᵀH + Σ c h hᵀ, `[width, width]`, and Σ c h in `sums`.
  private func normalMatrix<Scalar: BinaryFloatingPoint & TensorScalar>(
    _ pairs: WeightedRows, _ entries: Range<Int>, _ gram: Tensor, sums: UnsafeMutablePointer<Scalar>
  ) -> Tensor {
    let width = rows.shape[1]
    var matrix = gram
    for start in stride(from: entries.lowerBound, to: entries.upperBound, by: Self.gathered) {
      let chunk = start..<min(start + Self.gathered, entries.upperBound)
      let chosen = rows.gatheredRows(Tensor(Array(pairs.columns[chunk])))
      var scaled = chosen
      if let weights = pairs.weights {
        scaled = chosen * Tensor(weights[chunk].map { Scalar($0) }, shape: [chunk.count, 1])
      }
      matrix = matrix + scaled.matmul(chosen, transposingSelf: true)
      let values = scaled.pointer(Scalar.self)
      for row in 0..<chunk.count {
        for column in 0..<width { sums[column] += values[row * width + column] }
      }
      withExtendedLifetime(scaled) {}
    }
    return matrix
  }
}

/// Solves symmetric positive definite systems in place.
enum Cholesky {
  /// Overwrites `b` with A⁻¹ b, and the upper half of A with its factor U, A = UᵀU.
  ///
  /// - Parameters:
  ///   - a: A, `[n, n]`, row-major; the lower half is not read.
  ///   - n: the number of equations.
  ///   - b: `[n]`.
  static func solve<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ a: UnsafeMutablePointer<Scalar>, _ n: Int, _ b: UnsafeMutablePointer<Scalar>
  ) {
    for pivot in 0..<n {
      let row = a + pivot * n
      let scale = 1 / row[pivot].squareRoot()
      for column in pivot..<n { row[column] *= scale }
      for other in pivot + 1..<max(n, pivot + 1) {
        subtract(row + other, times: row[other], from: a + other * n + other, count: n - other)
      }
      b[pivot] *= scale
      subtract(row + pivot + 1, times: b[pivot], from: b + pivot + 1, count: n - pivot - 1)
    }
    for pivot in stride(from: n - 1, through: 0, by: -1) {
      let row = a + pivot * n
      var sum = b[pivot]
      for column in pivot + 1..<max(n, pivot + 1) { sum -= row[column] * b[column] }
      b[pivot] = sum / row[pivot]
    }
  }

  /// y −= x · factor.
  @inline(__always)
  private static func subtract<Scalar: BinaryFloatingPoint & SIMDScalar>(
    _ x: UnsafeMutablePointer<Scalar>, times factor: Scalar, from y: UnsafeMutablePointer<Scalar>, count: Int
  ) {
    var index = 0
    while index + 8 <= count {
      let a = UnsafeRawPointer(x + index).loadUnaligned(as: SIMD8<Scalar>.self)
      let target = UnsafeMutableRawPointer(y + index)
      target.storeBytes(
        of: target.loadUnaligned(as: SIMD8<Scalar>.self) - a * SIMD8(repeating: factor),
        as: SIMD8<Scalar>.self)
      index += 8
    }
    while index < count {
      y[index] -= x[index] * factor
      index += 1
    }
  }
}
