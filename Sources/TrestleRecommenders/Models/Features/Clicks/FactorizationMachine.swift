import TrestleNN
import TrestleTensor

/// A factorisation machine of second order: an offset, a weight for every category and number, and the inner products of the
/// vectors of all pairs of columns.
///
/// logit = b + Σ wᵢ xᵢ + Σᵢ<ⱼ ⟨vᵢ, vⱼ⟩ xᵢ xⱼ; a list counts as the mean of its categories.
///
/// Source: Rendle, *Factorization Machines* (2010).
public final class FactorizationMachine: ClickModel {
  /// FM.
  public let name = "FM"
  /// The width of the vectors.
  public let dimension: Int
  private let linear: FirstOrderTerm
  private let vectors: FieldEmbeddings

  /// A model with random vectors and first-order weights of zero.
  ///
  /// - Parameters:
  ///   - schema: the columns.
  ///   - dimension: the width of the vectors.
  ///   - generator: where random draws come from.
  public init(_ schema: FeatureSchema, dimension: Int = 16, using generator: inout RandomGenerator) {
    self.dimension = dimension
    linear = FirstOrderTerm(schema, using: &generator)
    vectors = FieldEmbeddings(schema, width: dimension, using: &generator)
  }

  /// The columns.
  public var schema: FeatureSchema { vectors.schema }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor {
    linear(batch) + FactorizationInteraction()(vectors(batch))
  }
}

/// A factorisation machine and a deep network beside it, on the same vectors.
///
/// Source: Guo et al., *DeepFM: A Factorization-Machine Based Neural Network for CTR Prediction* (2017).
public final class DeepFM: ClickModel {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the vectors.
    public var dimension = 16
    /// The widths of the network's hidden layers.
    public var hidden = [64, 32]
    /// The rate of dropout in the network.
    public var dropout = 0.0

    /// The defaults.
    public init() {}
  }

  /// DeepFM.
  public let name = "DeepFM"
  /// How the model was built.
  public let configuration: Configuration
  private let linear: FirstOrderTerm
  private let vectors: FieldEmbeddings
  private let network: MLP

  /// A model with random vectors and weights.
  ///
  /// - Parameters:
  ///   - schema: the columns, at least one.
  ///   - configuration: how the model is built.
  ///   - generator: where random draws come from.
  public init(
    _ schema: FeatureSchema, configuration: Configuration = Configuration(),
    using generator: inout RandomGenerator
  ) {
    precondition(!schema.fields.isEmpty, "DeepFM: a schema without columns")
    self.configuration = configuration
    linear = FirstOrderTerm(schema, using: &generator)
    vectors = FieldEmbeddings(schema, width: configuration.dimension, using: &generator)
    network = MLP(
      widths: [vectors.fieldCount * configuration.dimension] + configuration.hidden + [1],
      dropout: configuration.dropout, using: &generator)
  }

  /// The columns.
  public var schema: FeatureSchema { vectors.schema }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor {
    let x = vectors(batch)
    let deep = network(x.reshaped(to: [batch.rowCount, -1])).squeezed(1)
    return linear(batch) + FactorizationInteraction()(x) + deep
  }
}
