import TrestleNN
import TrestleTensor

/// A network makes one vector of all numbers; the inner products of it and the categories' vectors go, beside it, into a
/// second network.
///
/// Source: Naumov et al., *Deep Learning Recommendation Model for Personalization and Recommendation Systems* (2019).
public final class DLRM: ClickModel {
  /// How the model is built.
  public struct Configuration: Codable, Sendable {
    /// The width of the vectors.
    public var dimension = 16
    /// The widths of the hidden layers of the network that reads the numbers.
    public var bottomHidden = [32]
    /// The widths of the hidden layers of the network that reads the products.
    public var topHidden = [64, 32]

    /// The defaults.
    public init() {}
  }

  /// DLRM.
  public let name = "DLRM"
  /// How the model was built.
  public let configuration: Configuration
  private let vectors: FieldEmbeddings
  private let bottom: MLP?
  private let top: MLP

  /// A model with random vectors and weights.
  ///
  /// - Parameters:
  ///   - schema: the columns: numbers and one column of categories, or two of categories, at least.
  ///   - configuration: how the model is built.
  ///   - generator: where random draws come from.
  public init(
    _ schema: FeatureSchema, configuration: Configuration = Configuration(),
    using generator: inout RandomGenerator
  ) {
    let dimension = configuration.dimension
    self.configuration = configuration
    // Products of small vectors would be lost on the network that reads them.
    vectors = FieldEmbeddings(
      schema, width: dimension, deviation: 0.25, includesNumbers: false, using: &generator)
    let numbers = schema.numberCount
    let fields = vectors.fieldCount + (numbers > 0 ? 1 : 0)
    precondition(
      fields >= 2, "DLRM: numbers and columns of categories make \(fields) vectors, expected at least 2")
    bottom =
      numbers == 0
      ? nil
      : MLP(
        widths: [numbers] + configuration.bottomHidden + [dimension], activatesLast: true, using: &generator)
    let pairs = DotInteraction().outputs(fields: fields)
    top = MLP(
      widths: [pairs + (numbers > 0 ? dimension : 0)] + configuration.topHidden + [1], using: &generator)
  }

  /// The columns.
  public var schema: FeatureSchema { vectors.schema }

  /// The logit of each example, `[rows]`.
  public func logits(_ batch: FeatureBatch) -> Tensor {
    let categories = vectors(batch)
    guard let bottom, let numbers = batch.numbers else {
      return top(DotInteraction()(categories)).squeezed(1)
    }
    let dense = bottom(numbers)
    let products = DotInteraction()(.concatenated([dense.expanded(at: 1), categories], along: 1))
    return top(.concatenated([dense, products], along: 1)).squeezed(1)
  }
}
