import TrestleTensor

/// A table of vectors, looked up by index.
///
/// The gradient of a lookup holds the looked-up rows only, and the optimizers move only those.
///
/// ```swift
/// let items = Embedding(count: 1682, width: 64, using: &generator)
/// let vectors = items(Tensor([3, 14] as [Int32]))  // [2, 64]
/// ```
public final class Embedding: Module {
  /// The table, `[count, width]`.
  public let weight: Parameter

  /// A layer with the given table.
  public init(weight: Tensor) {
    precondition(weight.rank == 2, "Embedding: weight \(weight.shape), expected [count, width]")
    self.weight = Parameter(weight)
  }

  /// A layer whose table is drawn from the normal distribution.
  ///
  /// - Parameters:
  ///   - count: the number of rows.
  ///   - width: the width of a row.
  ///   - deviation: the standard deviation of its elements.
  ///   - dtype: `float32` or `float64`.
  ///   - generator: where random draws come from.
  public convenience init(
    count: Int, width: Int, deviation: Double = 1, dtype: DType = .float32,
    using generator: inout RandomGenerator
  ) {
    self.init(weight: .normal([count, width], deviation: deviation, dtype: dtype, using: &generator))
  }

  /// The number of rows.
  public var count: Int { weight.shape[0] }
  /// The length of a row.
  public var width: Int { weight.shape[1] }

  /// The rows at `indices`.
  ///
  /// - Parameter indices: `[...]`, `int32`, each within `0..<count`.
  /// - Returns: `[..., width]`.
  public func callAsFunction(_ indices: Tensor) -> Tensor { weight.value.gatheredRows(indices) }

  /// x Wᵀ: the inner products with every row, for an output layer tied to the table.
  ///
  /// - Parameter x: `[..., width]`.
  /// - Returns: `[..., count]`.
  public func logits(_ x: Tensor) -> Tensor { x.matmul(weight.value, transposingOther: true) }
}
