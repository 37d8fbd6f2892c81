/// What can go wrong with tensors at run time, apart from a programmer's misuse.
public enum TensorError: Error, Equatable, CustomStringConvertible, Sendable {
  /// Whether an operation was computing its result or its gradient.
  public enum Phase: String, Sendable {
    /// Computing the result.
    case forward
    /// Computing gradients.
    case backward
  }

  /// `operation` made a NaN or an infinity at the flat position `index` of a tensor of `shape`.
  case nonFinite(operation: String, phase: Phase, shape: Shape, index: Int)

  /// `operation` needs positive definite matrices, and number `matrix` of those it got is none.
  case notPositiveDefinite(operation: String, matrix: Int)

  /// `operation` needs invertible matrices, and number `matrix` of those it got is none.
  case singularMatrix(operation: String, matrix: Int)

  /// One sentence that says what happened and where.
  public var description: String {
    switch self {
    case .nonFinite(let operation, let phase, let shape, let index):
      "\(operation) (\(phase.rawValue)) made a value that is not finite, at element \(index) of shape \(shape)"
    case .notPositiveDefinite(let operation, let matrix):
      "\(operation): matrix \(matrix) is not positive definite"
    case .singularMatrix(let operation, let matrix):
      "\(operation): matrix \(matrix) is singular"
    }
  }
}
