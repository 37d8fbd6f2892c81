import Testing
import TrestleRecommenders
import TrestleTensor

/// Symmetric systems against what their definition says.
@Suite struct BlockCholeskyTests {
  /// A Gram matrix of rows that have most in common, as texts of one kind have, with a small ridge: its condition is 10⁶.
  private func ill(_ size: Int) -> Tensor {
    var generator = RandomGenerator(seed: 5)
    let rows = Tensor.normal([size, 24], deviation: 1, dtype: .float64, using: &generator)
    let common = Tensor.normal([1, 24], deviation: 3, dtype: .float64, using: &generator)
    let inputs = (rows * 0.3 + common).unitNormalized()
    return inputs.matmul(inputs, transposingOther: true) + Tensor.identity(size) * 1e-3
  }

  private func gap(_ product: Tensor, _ expected: Tensor) -> Double {
    let gaps: [Double] = (product - expected).absolute().scalars()
    return gaps.max() ?? 0
  }

  @Test(arguments: [1, 2, 47, 49, 130, 1200]) func theInverseOfAnIllConditionedMatrixIsItsInverse(_ size: Int)
  {
    let matrix = ill(size)
    let inverse = matrix.copied()
    BlockCholesky.invert(inverse)
    #expect(gap(matrix.matmul(inverse), Tensor.identity(size)) < 1e-7)
    #expect(gap(inverse, inverse.transposed()) == 0)
  }

  @Test func aSolutionSolves() {
    let matrix = ill(700)
    let factor = matrix.copied()
    BlockCholesky.factorize(factor)
    #expect(gap(factor.matmul(factor, transposingOther: true), matrix) < 1e-10)
    var generator = RandomGenerator(seed: 6)
    let right = Tensor.normal([700, 5], deviation: 1, dtype: .float64, using: &generator)
    #expect(gap(matrix.matmul(BlockCholesky.solve(factor, right)), right) < 1e-7)
  }

  @Test func aMatrixWithoutFullRankGivesNumbers() {
    let matrix = Tensor.full([60, 60], 1, dtype: .float64)
    BlockCholesky.factorize(matrix)
    let values: [Double] = matrix.scalars()
    #expect(values.count { !$0.isFinite } == 0)
  }
}

extension Tensor {
  fileprivate static func identity(_ size: Int) -> Tensor {
    var values = [Double](repeating: 0, count: size * size)
    for place in 0..<size { values[place * size + place] = 1 }
    return Tensor(values, shape: [size, size])
  }

  fileprivate func copied() -> Tensor {
    let values: [Double] = scalars()
    return Tensor(values, shape: shape)
  }
}
