import TrestleTensor

extension OpCase {
  /// Index expressions and small systems of equations.
  static let algebra: [OpCase] = expressions + systems

  private static func sum(_ range: Range<Int>, _ term: (Int) -> Double) -> Double {
    range.reduce(0) { $0 + term($1) }
  }

  private static let expressions: [OpCase] = [
    OpCase(
      "outer", [Input([3]), Input([4])],
      reference: { inputs in PlainArray(shape: [3, 4]) { inputs[0].values[$0[0]] * inputs[1].values[$0[1]] } }
    ) { $0[0].outer($0[1]) },
    OpCase(
      "einsum", [Input([3, 4]), Input([4, 5])],
      reference: { inputs in
        PlainArray(shape: [3, 5]) { index in
          sum(0..<4) { inputs[0][[index[0], $0]] * inputs[1][[$0, index[1]]] }
        }
      }
    ) { Tensor.einsum("ik,kj->ij", $0[0], $0[1]) },
    OpCase(
      "einsum", [Input([2, 3, 4]), Input([2, 5, 4])],
      reference: { inputs in
        PlainArray(shape: [5, 2]) { index in
          sum(0..<3) { row in
            sum(0..<4) { inputs[0][[index[1], row, $0]] * inputs[1][[index[1], index[0], $0]] }
          }
        }
      }
    ) { Tensor.einsum("bqd,bkd->kb", $0[0], $0[1]) },
    OpCase(
      "einsum", [Input([4, 4])],
      reference: { inputs in
        PlainArray(shape: []) { _ in sum(0..<4) { inputs[0][[$0, $0]] } }
      }
    ) { Tensor.einsum("ii->", $0[0]) },
    OpCase(
      "einsum", [Input([3, 2]), Input([2, 4]), Input([4])],
      reference: { inputs in
        PlainArray(shape: [3]) { index in
          sum(0..<2) { k in
            sum(0..<4) { inputs[0][[index[0], k]] * inputs[1][[k, $0]] * inputs[2].values[$0] }
          }
        }
      }
    ) { Tensor.einsum("ik, kj, j", $0[0], $0[1], $0[2]) },
  ]

  /// A positive definite matrix of any: x xᵀ + 3.
  private static func definite(_ x: Tensor) -> Tensor {
    x.matmul(x, transposingOther: true) + Tensor.identity(x.shape[x.rank - 1], dtype: x.dtype) * 3
  }

  private static func unwrapped(_ body: () throws -> Tensor) -> Tensor {
    do { return try body() } catch { preconditionFailure("a case that has a solution: \(error)") }
  }

  private static let systems: [OpCase] = [
    // L Lᵀ is the matrix again.
    OpCase(
      "cholesky", [Input([4, 4])],
      reference: { inputs in
        PlainArray(shape: [4, 4]) { index in
          sum(0..<4) { inputs[0][[index[0], $0]] * inputs[0][[index[1], $0]] }
            + (index[0] == index[1] ? 3 : 0)
        }
      }
    ) { inputs in
      let factor = unwrapped { try definite(inputs[0]).cholesky() }
      return factor.matmul(factor, transposingOther: true)
    },
    OpCase("cholesky, the factor", [Input([2, 3, 3])]) { inputs in
      unwrapped { try definite(inputs[0]).cholesky() }
    },
    // A A⁻¹ B is B again.
    OpCase(
      "solving", [Input([2, 3, 3]), Input([2, 3, 2])], reference: { $0[1] }
    ) { inputs in
      let matrix = definite(inputs[0])
      return matrix.detached.matmul(unwrapped { try matrix.detached.solving(inputs[1]) })
    },
    OpCase("solving, the solution", [Input([3, 3]), Input([3, 2])]) { inputs in
      unwrapped { try (inputs[0] + Tensor.identity(3, dtype: inputs[0].dtype) * 5).solving(inputs[1]) }
    },
    OpCase("solvingTriangular", [Input([3, 3]), Input([3, 2])]) { inputs in
      (inputs[0] + Tensor.identity(3, dtype: inputs[0].dtype) * 5).solvingTriangular(inputs[1])
    },
    OpCase("solvingTriangular, transposed", [Input([2, 3, 3]), Input([2, 3, 2])]) { inputs in
      (inputs[0] + Tensor.identity(3, dtype: inputs[0].dtype) * 5)
        .solvingTriangular(inputs[1], transposed: true)
    },
  ]
}
