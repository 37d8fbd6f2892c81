import TrestleNN
import TrestleTensor

extension LinearWeight {
  /// The logits of chosen columns, or of all: the products of states with rows of this matrix.
  func logits(_ states: Tensor, columns: [Int32]?, arithmetic: Arithmetic) -> Tensor {
    guard let columns else { return product(states, arithmetic: arithmetic) }
    return states.matmul(gatheredRows(columns), transposingOther: true)
  }

  /// The mean row, `[hidden]`, and the standard deviation of the entries about it.
  ///
  /// Rows are read a few at a time, so that a quantised table never becomes dense.
  func rowStatistics() -> (mean: Tensor, deviation: Double) {
    let (count, width) = (shape[0], shape[1])
    var sums = [Double](repeating: 0, count: width)
    var squares = 0.0
    for start in stride(from: 0, to: count, by: 1024) {
      let rows = withoutGradients { gatheredRows(Array(Int32(start)..<Int32(min(start + 1024, count)))) }
        .converted(to: .float32)
      for (index, sum) in rows.sum(along: [0]).floats.enumerated() { sums[index] += Double(sum) }
      squares += rows.squared().sum().item
    }
    let means = sums.map { $0 / Double(max(count, 1)) }
    let spread = squares / Double(max(count, 1)) - means.reduce(0) { $0 + $1 * $1 }
    return (
      Tensor(means.map(Float.init), shape: [width]), (max(spread, 0) / Double(max(width, 1))).squareRoot()
    )
  }
}
