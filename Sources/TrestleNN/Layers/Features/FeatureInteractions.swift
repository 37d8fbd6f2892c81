import TrestleTensor

/// The second-order term of a factorisation machine: the sum of the inner products of all pairs of fields.
///
/// Σᵢ<ⱼ ⟨xᵢ, xⱼ⟩ = ½ Σ_d ((Σᵢ xᵢd)² − Σᵢ xᵢd²), in time linear in the number of fields.
///
/// Source: Rendle, *Factorization Machines* (2010).
public struct FactorizationInteraction: Module {
  /// The term; it has no parameters.
  public init() {}

  /// The term of each example.
  ///
  /// - Parameter x: the fields' vectors, each times its value, `[batch, fields, width]`.
  /// - Returns: `[batch]`.
  public func callAsFunction(_ x: Tensor) -> Tensor { pooled(x).sum(along: [1]) }

  /// The term before it is summed over the dimensions: the bi-interaction pooling of neural factorisation machines.
  ///
  /// - Parameter x: `[batch, fields, width]`.
  /// - Returns: `[batch, width]`.
  ///
  /// Source: He and Chua, *Neural Factorization Machines for Sparse Predictive Analytics* (2017).
  public func pooled(_ x: Tensor) -> Tensor {
    precondition(x.rank == 3, "FactorizationInteraction: input \(x.shape), expected [batch, fields, width]")
    return (x.sum(along: [1]).squared() - x.squared().sum(along: [1])) * 0.5
  }
}

/// The inner products of all pairs of fields, each pair once.
///
/// The pairs stand row by row as in the lower triangle of the matrix of products: (1, 0), (2, 0), (2, 1), (3, 0), ….
///
/// Source: Naumov et al., *Deep Learning Recommendation Model for Personalization and Recommendation Systems* (2019).
public struct DotInteraction: Module {
  /// Whether a field's product with itself is one of the pairs, at the end of its row.
  public let includesDiagonal: Bool

  /// The products; they have no parameters.
  public init(includesDiagonal: Bool = false) { self.includesDiagonal = includesDiagonal }

  /// The number of pairs among `fields` fields.
  public func outputs(fields: Int) -> Int { fields * (fields + (includesDiagonal ? 1 : -1)) / 2 }

  /// The products of each example.
  ///
  /// - Parameter x: the fields' vectors, `[batch, fields, width]`.
  /// - Returns: `[batch, pairs]`; see ``outputs(fields:)``.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    precondition(x.rank == 3, "DotInteraction: input \(x.shape), expected [batch, fields, width]")
    let (batch, fields) = (x.shape[0], x.shape[1])
    let pairs = (0..<fields).flatMap { row in
      (0..<(includesDiagonal ? row + 1 : row)).map { Int32(row * fields + $0) }
    }
    guard batch > 0, !pairs.isEmpty else { return .zeros([batch, pairs.count], dtype: x.dtype) }
    let products = x.matmul(x, transposingOther: true).reshaped(to: [batch, fields * fields] as Shape)
    return products.selecting(Tensor(pairs), along: 1)
  }
}
